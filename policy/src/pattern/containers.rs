//! Scopes of containers `policy.json` (containers-policy.json(5), "docker:").

use super::{PatternError, Quality, Subject};

/// How specifically `scope` covers the image: only the most specific scope applies.
pub(super) fn matches(_scope: &str, _subject: &Subject<'_>) -> Option<Quality> {
    todo!("policy.json scopes")
}

/// Whether `scope` is one. Empty is `default`.
pub(super) fn check(_scope: &str) -> Result<(), PatternError> {
    todo!("policy.json scopes")
}
