//! Keys and certificates, written out.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::convert::yaml::{Value, map};
use crate::model::KeyMaterial;

/// Characters in a line of base64 (RFC 7468, RFC 9580).
const LINE: usize = 64;

/// How bytes that are no text are written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Armour {
    /// A keyring (RFC 9580, section 6.2; its checksum is optional).
    OpenPgp,
    /// An X.509 certificate (RFC 7468).
    Certificate,
    /// A public key (RFC 7468).
    PublicKey,
}

impl Armour {
    const fn label(self) -> &'static str {
        match self {
            Self::OpenPgp => "PGP PUBLIC KEY BLOCK",
            Self::Certificate => "CERTIFICATE",
            Self::PublicKey => "PUBLIC KEY",
        }
    }
}

/// A list of `{pem: …}`, nothing in it twice.
pub(super) fn list(keys: &[KeyMaterial], armour: Armour) -> Value {
    let mut texts: Vec<String> = Vec::new();
    for key in keys {
        let text = text(&key.bytes, armour);
        if !texts
            .iter()
            .any(|known| known.trim_ascii() == text.trim_ascii())
        {
            texts.push(text);
        }
    }
    let items = texts
        .into_iter()
        .map(|text| map([("pem", Value::Text(text))]));
    Value::List(items.collect())
}

/// The bytes as they are where they are text, armoured where not.
pub(super) fn text(bytes: &[u8], armour: Armour) -> String {
    let plain = |text: &&str| !text.contains(|c: char| c.is_control() && !c.is_ascii_whitespace());
    if let Some(text) = std::str::from_utf8(bytes).ok().filter(plain) {
        return text.to_owned();
    }
    let label = armour.label();
    let mut out = format!("-----BEGIN {label}-----\n");
    if matches!(armour, Armour::OpenPgp) {
        // An empty line ends the headers.
        out.push('\n');
    }
    for (index, c) in STANDARD.encode(bytes).chars().enumerate() {
        if index > 0 && index % LINE == 0 {
            out.push('\n');
        }
        out.push(c);
    }
    write!(out, "\n-----END {label}-----\n").ok();
    out
}
