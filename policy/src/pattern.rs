//! Repository patterns: which references one matches, and how specific it is (docs/policy.md).

mod containers;
mod head;
mod notation;
mod portcullis;
mod portieris;

pub(crate) use containers::{
    DEFAULT as CONTAINERS_DEFAULT, ancestors, matches as containers_scope,
};
pub use portcullis::PatternError;

use std::borrow::Cow;

use crate::digest::Digest;
use crate::model::{Dialect, Pattern};
use crate::reference::{ImageReference, grammar};

/// Longest pattern, in bytes: twice what a reference can be.
pub const MAX_PATTERN_LENGTH: usize = 1024;

/// How specific a match is; the greatest wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Quality {
    /// The pattern has no `*` and is the reference itself.
    pub literal: bool,
    /// Bytes of the pattern minus the number of its stars. Of the normalised pattern, in our own dialect.
    pub weight: usize,
}

/// A reference prepared for being matched against many patterns.
#[derive(Debug, Clone)]
pub(crate) struct Subject<'a> {
    raw: &'a str,
    /// In lower case: hosts are names of the DNS.
    host: Cow<'a, str>,
    path: &'a str,
    /// `None` for a reference with a digest: a tag beside a digest is decoration that nothing checks.
    tag: Option<&'a str>,
    digest: Option<&'a Digest>,
    /// Every way in which a pattern of ours without a star may write host and path.
    spellings: Vec<String>,
}

impl<'a> Subject<'a> {
    pub(crate) fn new(reference: &'a ImageReference) -> Self {
        let domain = reference.domain();
        let host = if domain.bytes().any(|b| b.is_ascii_uppercase()) {
            Cow::Owned(domain.to_ascii_lowercase())
        } else {
            Cow::Borrowed(domain)
        };
        let path = reference.path();
        Self {
            raw: reference.raw(),
            spellings: spellings(&host, path),
            host,
            path,
            tag: reference.tag().filter(|_| reference.digest().is_none()),
            digest: reference.digest(),
        }
    }
}

fn spellings(host: &str, path: &str) -> Vec<String> {
    let mut paths = vec![path];
    let mut hosts = vec![format!("{host}/")];
    if host == grammar::DEFAULT_DOMAIN {
        paths.extend(path.strip_prefix(grammar::OFFICIAL_PREFIX));
        hosts.extend([format!("{}/", grammar::LEGACY_DOMAIN), String::new()]);
    }
    hosts
        .iter()
        .flat_map(|host| paths.iter().map(move |path| format!("{host}{path}")))
        .collect()
}

impl Pattern {
    /// How specifically this pattern matches `reference`; `None`: not at all.
    pub fn matches(&self, reference: &ImageReference) -> Option<Quality> {
        self.matches_subject(&Subject::new(reference))
    }

    pub(crate) fn matches_subject(&self, subject: &Subject<'_>) -> Option<Quality> {
        match self.dialect {
            Dialect::Portieris => head::may_match(&self.text, subject.raw, b"")
                .then(|| portieris::matches(&self.text, subject.raw))
                .flatten(),
            Dialect::Portcullis => {
                let may_match = |spelling: &String| head::may_match(&self.text, spelling, b":@");
                if !subject.spellings.iter().any(may_match) {
                    return None;
                }
                portcullis::Parts::read(&self.text).ok()?.matches(subject)
            }
            Dialect::Containers => containers::matches(&self.text, subject),
            Dialect::Notation => notation::matches(&self.text, subject),
        }
    }

    /// The text that two patterns share exactly when they match the same references by definition: our own dialect
    /// normalised (`nginx` is `docker.io/library/nginx`), Portieris' as it stands.
    pub fn canonical(&self) -> String {
        match self.dialect {
            Dialect::Portieris | Dialect::Containers => self.text.clone(),
            Dialect::Notation => notation::canonical(&self.text),
            Dialect::Portcullis => portcullis::Parts::read(&self.text)
                .map_or_else(|_| self.text.clone(), |parts| parts.canonical()),
        }
    }

    /// A glob over normalised repositories (`host/path`) that matches at least those this pattern can match.
    pub(crate) fn repositories(&self) -> String {
        match self.dialect {
            Dialect::Portieris => portieris::repositories(&self.text),
            // They have no trust servers that could be chosen by repository.
            Dialect::Containers | Dialect::Notation => "*".to_owned(),
            Dialect::Portcullis => portcullis::Parts::read(&self.text)
                .map_or_else(|_| "*".to_owned(), |parts| parts.repositories()),
        }
    }

    /// Whether the pattern is one of its dialect.
    ///
    /// # Errors
    /// What a document's author has to change: the loader refuses the set for it.
    pub fn check(&self) -> Result<(), PatternError> {
        match self.dialect {
            Dialect::Containers => return containers::check(&self.text),
            Dialect::Notation => return notation::check(&self.text),
            Dialect::Portieris | Dialect::Portcullis => check_characters(&self.text)?,
        }
        match self.dialect {
            Dialect::Portieris | Dialect::Containers | Dialect::Notation => Ok(()),
            Dialect::Portcullis => portcullis::Parts::read(&self.text)?.check(),
        }
    }
}

pub(crate) fn weight(text: &str) -> usize {
    text.bytes().filter(|b| *b != b'*').count()
}

/// Characters that no reference can contain make a pattern that never matches, which for a deny rule means that it
/// never denies.
fn check_characters(text: &str) -> Result<(), PatternError> {
    if text.is_empty() {
        return Err(PatternError::Empty);
    }
    if text.len() > MAX_PATTERN_LENGTH {
        return Err(PatternError::TooLong);
    }
    let allowed = |c: &char| c.is_ascii_alphanumeric() || "._-/:@*[]".contains(*c);
    match text.chars().find(|c| !allowed(c)) {
        Some(found) => Err(PatternError::Character(found)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
