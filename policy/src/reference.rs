//! Image references, parsed as containerd's CRI plugin parses them (`distribution/reference`, docker normalisation).
//!
//! Grammar: <https://github.com/distribution/reference>, `reference.go` and `normalize.go`. Two things are stricter here:
//! image IDs are refused (docs/policy.md), and the 255-byte limit covers the host too, as containerd 1.6 has it.

pub(crate) mod grammar;

use std::fmt;

use crate::digest::Digest;
use grammar::DigestForm;

/// Longest `host/path`, in bytes (`NameTotalLengthMax` of distribution/reference).
pub const MAX_NAME_LENGTH: usize = 255;

/// Longest text that is looked at: a name, a tag and a digest fit more than twice.
const MAX_TEXT_LENGTH: usize = 1024;

/// How much of a refused text an error repeats, in characters.
const MAX_QUOTED: usize = 128;

/// A parsed image reference. Keeps the string as sent beside the normalised form.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageReference {
    raw: String,
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a string is not usable as an image reference. The text inside is escaped and cut to 128 characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Not of the form `[host[:port]/]path[:tag][@sha256:…]`.
    #[error("`{0}` is not an image reference")]
    Malformed(String),
    /// `sha256:<hex>` or 64 hex digits: it would select any cached image by its ID (docs/policy.md).
    #[error("`{0}` names an image by ID; use a repository with a tag or digest")]
    ImageId(String),
    /// A digest of another algorithm than sha256.
    #[error("`{0}` uses a digest algorithm other than sha256")]
    Algorithm(String),
}

impl ImageReference {
    /// Parses a reference.
    ///
    /// # Errors
    /// [`ReferenceError::Malformed`] for everything outside the grammar, file paths included;
    /// [`ReferenceError::ImageId`] for what containerd would look up as an image ID;
    /// [`ReferenceError::Algorithm`] for digests that are not sha256.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let malformed = || ReferenceError::Malformed(quoted(text));
        if text.len() > MAX_TEXT_LENGTH {
            return Err(malformed());
        }
        if grammar::is_image_id(text) {
            return Err(ReferenceError::ImageId(quoted(text)));
        }
        let (named, digest) = match text.split_once('@') {
            None => (text, None),
            Some((named, digest)) => match grammar::digest_form(digest) {
                DigestForm::Sha256 => (named, Some(digest.parse().map_err(|_| malformed())?)),
                DigestForm::OtherAlgorithm => {
                    return Err(ReferenceError::Algorithm(quoted(text)));
                }
                DigestForm::Malformed => return Err(malformed()),
            },
        };
        let (name, tag) = grammar::split_tag(named);
        let (domain, path) = grammar::split_domain(name);
        let path = match (domain, path.contains('/')) {
            (grammar::DEFAULT_DOMAIN, false) => format!("{}{path}", grammar::OFFICIAL_PREFIX),
            _ => path.to_owned(),
        };
        let valid = grammar::is_domain(domain)
            && grammar::is_path(&path)
            && tag.is_none_or(grammar::is_tag)
            && domain.len().saturating_add(path.len()) < MAX_NAME_LENGTH;
        if !valid {
            return Err(malformed());
        }
        let tag = match (tag, &digest) {
            (Some(tag), _) => Some(tag.to_owned()),
            (None, None) => Some("latest".to_owned()),
            (None, Some(_)) => None,
        };
        Ok(Self {
            raw: text.to_owned(),
            domain: domain.to_owned(),
            path,
            tag,
            digest,
        })
    }

    /// Whether a reference could have `text` as its tag.
    pub fn is_tag(text: &str) -> bool {
        grammar::is_tag(text)
    }

    /// The string as sent.
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// Registry host with port, such as `docker.io` or `127.0.0.1:5000`. Upper case is kept, as containerd keeps it.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Repository path without the host, such as `library/nginx`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// `domain/path`.
    pub fn repository(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// The tag; `latest` was filled in where the string had neither tag nor digest. `None`: a digest without a tag.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, where the string had one.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// `domain/path[:tag][@digest]` with everything filled in.
    pub fn normalised(&self) -> String {
        let mut out = self.repository();
        if let Some(tag) = &self.tag {
            out.push(':');
            out.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            out.push('@');
            out.push_str(&digest.to_string());
        }
        out
    }

    /// `domain/path@digest`: what is sent to containerd once `digest` is verified.
    pub fn at_digest(&self, digest: &Digest) -> String {
        format!("{}@{digest}", self.repository())
    }

    /// `domain/path:tag` for a reference that names no digest: the name of containerd's tag record (docs/rules.md).
    pub fn tag_record_name(&self) -> Option<String> {
        match (&self.tag, &self.digest) {
            (Some(tag), None) => Some(format!("{}:{tag}", self.repository())),
            _ => None,
        }
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.raw)
    }
}

/// `text` made harmless for a log line: escaped, and cut where it is long.
fn quoted(text: &str) -> String {
    let mut out: String = text
        .chars()
        .flat_map(char::escape_debug)
        .take(MAX_QUOTED)
        .collect();
    if out.len() < text.len() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests;
