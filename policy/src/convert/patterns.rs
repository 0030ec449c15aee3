//! Patterns of other dialects as patterns of ours.

use crate::model::{Dialect, Pattern};
use crate::pattern::CONTAINERS_DEFAULT;
use crate::reference::grammar;

/// More stars in a pattern without `/` than this are not taken apart.
const MAX_STARS: usize = 4;

/// What a pattern becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Translated {
    /// These together match what it matched.
    Same(Vec<String>),
    /// These, and the text says what differs.
    Nearly(Vec<String>, String),
    /// Nothing that could be written.
    Not,
}

/// The patterns of ours for `text`.
pub(super) fn translate(text: &str, dialect: Dialect) -> Translated {
    match dialect {
        Dialect::Portcullis | Dialect::Notation => Translated::Same(vec![text.to_owned()]),
        Dialect::Containers => Translated::Same(scope(text)),
        Dialect::Portieris => portieris(text),
    }
}

/// The text that patterns of ours share exactly when they are one.
pub(super) fn canonical(text: &str) -> String {
    own(text).canonical()
}

fn own(text: &str) -> Pattern {
    Pattern {
        text: text.to_owned(),
        dialect: Dialect::Portcullis,
    }
}

/// A scope covers itself and everything below it. The weights of these patterns keep the order in which scopes are
/// looked up.
fn scope(text: &str) -> Vec<String> {
    if text.is_empty() || text == CONTAINERS_DEFAULT {
        return vec!["*".to_owned()];
    }
    if text.starts_with("*.") {
        return vec![format!("{text}/*"), format!("{text}:*/*")];
    }
    let Some((host, named)) = text.split_once('/') else {
        return vec![format!("{text}/*")];
    };
    let is_image = named.contains(['@', ':']);
    let below = (!is_image).then(|| format!("{text}/*"));
    // `docker.io/org` would be `docker.io/library/org`, which the scope does not cover.
    let is_repository = host != grammar::DEFAULT_DOMAIN || named.contains('/');
    let itself = is_repository.then(|| text.to_owned());
    itself.into_iter().chain(below).collect()
}

fn portieris(text: &str) -> Translated {
    let is_valid = |text: &str| own(text).check().is_ok();
    if text.contains('/') {
        let (first, _) = text.split_once('/').unwrap_or_default();
        // A star in a first component without a dot stood for a host or a namespace of Docker Hub.
        let open = first.contains('*') && first != "*" && !grammar::is_host_like(first);
        if !open && is_valid(text) {
            return Translated::Same(vec![text.to_owned()]);
        }
        if open {
            let hub = format!("{}/{text}", grammar::DEFAULT_DOMAIN);
            return if is_valid(&hub) {
                let why = format!(
                    "`{text}` is taken for namespaces on Docker Hub now, and matches no other registry"
                );
                Translated::Nearly(vec![hub], why)
            } else {
                Translated::Not
            };
        }
        return without_digest(text);
    }
    if !text.contains('*') {
        let official = format!(
            "{}/{}{text}",
            grammar::DEFAULT_DOMAIN,
            grammar::OFFICIAL_PREFIX
        );
        return match [text.to_owned(), official]
            .into_iter()
            .find(|one| is_valid(one))
        {
            Some(found) => Translated::Same(vec![found]),
            None => Translated::Not,
        };
    }
    whole_string(text)
}

/// `r.io/app@*` was needed beside `r.io/app` for references by digest, which a pattern of ours covers anyway.
fn without_digest(text: &str) -> Translated {
    let Some((named, digest)) = text.split_once('@') else {
        return Translated::Not;
    };
    let (name, _) = grammar::split_tag(named);
    if digest.contains('*') && own(name).check().is_ok() {
        let why = format!("`{text}` is `{name}` now, which matches its tags, too");
        return Translated::Nearly(vec![name.to_owned()], why);
    }
    Translated::Not
}

/// A pattern without `/` was compared with the whole string, so that a star of it may stand for the `/`.
fn whole_string(text: &str) -> Translated {
    if text == "*" {
        return Translated::Same(vec![text.to_owned()]);
    }
    let stars: Vec<usize> = text.match_indices('*').map(|(at, _)| at).collect();
    if stars.len() > MAX_STARS {
        return Translated::Not;
    }
    let hub = grammar::DEFAULT_DOMAIN;
    let mut candidates = vec![format!("{hub}/{}{text}", grammar::OFFICIAL_PREFIX)];
    for at in stars {
        let (Some(left), Some(right)) = (text.get(..=at), text.get(at..)) else {
            continue;
        };
        if left == "*" || grammar::is_host_like(left) {
            candidates.push(format!("{left}/{right}"));
        } else {
            candidates.extend([
                format!("{left}.*/{right}"),
                format!("{left}:*/{right}"),
                format!("{hub}/{left}/{right}"),
            ]);
        }
    }
    candidates.retain(|one| own(one).check().is_ok());
    if candidates.is_empty() {
        return Translated::Not;
    }
    let why = format!(
        "`{text}` was compared with the whole reference as sent; host and path are compared on their own now, so that it is \
         several patterns"
    );
    Translated::Nearly(candidates, why)
}
