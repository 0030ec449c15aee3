//! Scopes of notation's `trustpolicy.json`: a repository in full, or `*`.

use super::{PatternError, Quality, Subject};

/// How specifically `scope` covers the image.
pub(super) fn matches(_scope: &str, _subject: &Subject<'_>) -> Option<Quality> {
    todo!("trustpolicy.json scopes")
}

/// Whether `scope` is one.
pub(super) fn check(_scope: &str) -> Result<(), PatternError> {
    todo!("trustpolicy.json scopes")
}
