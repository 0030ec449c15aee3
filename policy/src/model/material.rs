//! Keys and certificates as a policy brings them: raw bytes with where they come from.

use std::fmt;

use crate::span::Span;

/// A key, certificate, keyring or trusted root. Raw here; parsed by `portcullis-trust`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct KeyMaterial {
    /// Its bytes, as they were in the document, Secret or file.
    pub bytes: Vec<u8>,
    /// What a person calls it: `Secret shop-signer`, `keys/shop.pub`, or `inline`.
    pub name: String,
    /// Where the policy names it.
    pub span: Span,
}

impl KeyMaterial {
    pub(super) fn blank(&mut self) {
        self.name.clear();
        self.span = Span::nowhere();
    }
}

impl fmt::Debug for KeyMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyMaterial")
            .field("name", &self.name)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

/// A user name with its password. Never printed.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Password {
    /// User name.
    pub username: String,
    /// Password.
    pub password: String,
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}
