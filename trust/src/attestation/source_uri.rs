//! URIs of source repositories as builders write them, brought to one form.

use super::flaw::Flaw;

/// Longest URI that is read.
const MAX_LENGTH: usize = 2048;

/// A repository, and what of it was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SourceUri {
    repository: String,
    reference: Option<String>,
}

impl SourceUri {
    /// Reads `[git+]SCHEME://HOST/PATH[@REVISION]` (SPDX download locations, SLSA) and `…#REVISION[:FOLDER]` (BuildKit).
    ///
    /// `git+`, a final `/` and a final `.git` say nothing and go; the host is in lower case. A revision that is a commit is
    /// no branch or tag. What could name another repository to another reader is refused: user names, queries, escapes,
    /// empty or dotted path segments, a second `@`.
    pub(super) fn read(text: &str) -> Result<Self, Flaw> {
        if text.len() > MAX_LENGTH {
            return Err(Flaw::OddSource);
        }
        let text = text.strip_prefix("git+").unwrap_or(text);
        let (scheme, rest) = text.split_once("://").ok_or(Flaw::OddSource)?;
        if !matches!(scheme, "https" | "http" | "ssh" | "git") {
            return Err(Flaw::OddSource);
        }
        let (authority, path) = rest.split_once('/').ok_or(Flaw::OddSource)?;
        // `git@` is every ssh repository's user; any other one could be mistaken for a host.
        let authority = match scheme {
            "ssh" => authority.strip_prefix("git@").unwrap_or(authority),
            _ => authority,
        };
        let (path, revision) = split_revision(path)?;
        let path = path.strip_suffix('/').unwrap_or(path);
        let path = path.strip_suffix(".git").unwrap_or(path);
        if !is_authority(authority) || !is_path(path) {
            return Err(Flaw::OddSource);
        }
        Ok(Self {
            repository: format!("{scheme}://{}/{path}", authority.to_ascii_lowercase()),
            reference: revision
                .filter(|revision| !is_commit(revision))
                .map(str::to_owned),
        })
    }

    /// `https://git.example.com/shop/app`.
    pub(super) fn repository(&self) -> &str {
        &self.repository
    }

    /// `refs/heads/main`, or a bare branch or tag if that is what was written.
    pub(super) fn reference(&self) -> Option<&str> {
        self.reference.as_deref()
    }
}

fn split_revision(path: &str) -> Result<(&str, Option<&str>), Flaw> {
    let mut parts = path.split(['@', '#']);
    let (Some(before), after, None) = (parts.next(), parts.next(), parts.next()) else {
        return Err(Flaw::OddSource);
    };
    let revision = match after {
        // BuildKit puts the folder behind a colon, which no branch or tag contains (git-check-ref-format).
        Some(fragment) if path.contains('#') => {
            Some(fragment.split_once(':').map_or(fragment, |(at, _)| at))
                .filter(|at| !at.is_empty())
        }
        Some("") => return Err(Flaw::OddSource),
        other => other,
    };
    if revision.is_some_and(|revision| !is_plain(revision)) {
        return Err(Flaw::OddSource);
    }
    Ok((before, revision))
}

fn is_commit(revision: &str) -> bool {
    matches!(revision.len(), 40 | 64) && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_authority(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-:_[]".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

fn is_path(text: &str) -> bool {
    is_plain(text)
        && text
            .split('/')
            .all(|segment| !matches!(segment, "" | "." | ".."))
}

/// Visible ASCII that means itself in a URI.
fn is_plain(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !b"%?\\\"<>`{}|^".contains(&byte);
    text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(String, Option<String>)> {
        let uri = SourceUri::read(text).ok()?;
        Some((uri.repository, uri.reference))
    }

    #[test]
    fn the_spellings_of_one_repository_are_one() {
        for text in [
            "https://git.example.com/shop/app",
            "git+https://git.example.com/shop/app",
            "git+https://git.example.com/shop/app.git",
            "https://GIT.example.com/shop/app/",
            "git+https://git.example.com/shop/app@0123456789abcdef0123456789abcdef01234567",
            "https://git.example.com/shop/app.git#0123456789abcdef0123456789abcdef01234567:sub/dir",
            "https://git.example.com/shop/app.git#:sub/dir",
        ] {
            let (repository, reference) = read(text).unwrap();
            assert_eq!(repository, "https://git.example.com/shop/app", "{text}");
            assert_eq!(reference, None, "{text}");
        }
    }

    #[test]
    fn branches_and_tags_are_read_in_every_place() {
        for (text, expected) in [
            ("git+https://h.example/a@refs/heads/main", "refs/heads/main"),
            ("git+https://h.example/a@refs/tags/v1.0", "refs/tags/v1.0"),
            ("https://h.example/a.git#refs/heads/main", "refs/heads/main"),
            ("https://h.example/a#v1.0:docker", "v1.0"),
            ("git+ssh://git@h.example/a@main", "main"),
        ] {
            assert_eq!(read(text).unwrap().1.as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_branch_named_like_another_one_is_not_it() {
        // Who may push a branch may choose its name.
        for text in [
            "git+https://h.example/a@refs/heads/@refs/heads/main",
            "git+https://h.example/a@x#refs/heads/main",
            "https://h.example/a#x#refs/heads/main",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn what_names_another_repository_to_another_reader_is_refused() {
        for text in [
            "https://git.example.com/shop/../evil/app",
            "https://git.example.com/shop/%2e%2e/evil/app",
            "https://git.example.com//evil/app",
            "https://git.example.com@evil.example/shop/app",
            "https://git.example.com\\@evil.example/shop/app",
            "https://git.example.com/shop/app?x=https://evil.example",
            "https://git.example.com/shop/app\n",
            "https://git.example.com/shop/ app",
            "https:///shop/app",
            "https://git.example.com",
            "https://git.example.com/",
            "https://git.example.com/.git",
            "git.example.com/shop/app",
            "file:///shop/app",
            "git+git+https://git.example.com/shop/app",
            "",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
