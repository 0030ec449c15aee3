//! Scopes of notation's `trustpolicy.json`: a repository in full, or `*`.

use std::borrow::Cow;

use super::{PatternError, Quality, Subject};
use crate::reference::grammar;

const ANY: &str = "*";

/// How specifically `scope` covers the image: a repository before `*`.
pub(super) fn matches(scope: &str, subject: &Subject<'_>) -> Option<Quality> {
    if scope == ANY {
        return Some(Quality {
            literal: false,
            weight: 0,
        });
    }
    let (host, path) = normalised(scope)?;
    (host == subject.host && path == subject.path).then_some(Quality {
        literal: true,
        weight: scope.len(),
    })
}

/// The text that all spellings of one scope share.
pub(super) fn canonical(scope: &str) -> String {
    normalised(scope).map_or_else(|| scope.to_owned(), |(host, path)| format!("{host}/{path}"))
}

/// Whether `scope` is one.
pub(super) fn check(scope: &str) -> Result<(), PatternError> {
    if scope.len() > super::MAX_PATTERN_LENGTH {
        return Err(PatternError::TooLong);
    }
    let is_repository = || {
        normalised(scope).is_some_and(|(host, path)| {
            grammar::is_host_like(&host) && grammar::is_domain(&host) && grammar::is_path(&path)
        })
    };
    if scope == ANY || is_repository() {
        Ok(())
    } else {
        Err(PatternError::NotationScope(scope.to_owned()))
    }
}

/// Host and path as a reference would have them. The tool asks for the name in full, so that the first component is
/// always the host.
fn normalised(scope: &str) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    let (host, path) = scope.split_once('/')?;
    let host = if host.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    };
    if host != grammar::DEFAULT_DOMAIN && host != grammar::LEGACY_DOMAIN {
        return Some((host, Cow::Borrowed(path)));
    }
    let path = if path.contains('/') {
        Cow::Borrowed(path)
    } else {
        Cow::Owned(format!("{}{path}", grammar::OFFICIAL_PREFIX))
    };
    Some((Cow::Borrowed(grammar::DEFAULT_DOMAIN), path))
}

#[cfg(test)]
mod tests {
    use crate::model::{Dialect, Pattern};
    use crate::reference::ImageReference;

    fn scope(text: &str) -> Pattern {
        Pattern {
            text: text.to_owned(),
            dialect: Dialect::Notation,
        }
    }

    fn matches(text: &str, image: &str) -> bool {
        let image = ImageReference::parse(image).unwrap();
        scope(text).matches(&image).is_some()
    }

    #[test]
    fn a_scope_is_one_repository_and_nothing_below_or_beside_it() {
        assert!(matches("r.example.com/a/b", "r.example.com/a/b:1"));
        assert!(matches("r.example.com/a/b", "R.example.com/a/b"));
        for other in [
            "r.example.com/a",
            "r.example.com/a/b/c",
            "r.example.com/a/bc",
            "r.example.com:443/a/b",
            "a/b",
        ] {
            assert!(!matches("r.example.com/a/b", other), "{other}");
        }
    }

    #[test]
    fn docker_hub_is_matched_in_every_spelling() {
        for text in [
            "docker.io/nginx",
            "docker.io/library/nginx",
            "index.docker.io/nginx",
        ] {
            assert!(matches(text, "nginx:1.25"), "{text}");
            assert_eq!(scope(text).canonical(), "docker.io/library/nginx");
        }
    }

    #[test]
    fn a_repository_goes_before_the_star() {
        let image = ImageReference::parse("r.example.com/a:1").unwrap();
        assert!(scope("r.example.com/a").matches(&image) > scope("*").matches(&image));
        assert!(scope("*").matches(&image).is_some());
    }

    #[test]
    fn what_could_never_match_is_no_scope() {
        for text in [
            "",
            "nginx",
            "local/layout",
            "https://r.example.com/a",
            "r.example.com",
            "r.example.com/*",
            "*.example.com/a",
            "r.example.com/a:1",
            "r.example.com/A",
            "r.example.com/a@sha256:00",
        ] {
            assert!(scope(text).check().is_err(), "{text}");
        }
    }
}
