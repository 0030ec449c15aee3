//! Image references, parsed as containerd's CRI plugin parses them (`distribution/reference`, docker normalisation).

use std::fmt;

use crate::digest::Digest;

/// A parsed image reference. Keeps the string as sent beside the normalised form.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageReference {
    raw: String,
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a string is not usable as an image reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Not of the form `[host[:port]/]path[:tag][@sha256:…]`.
    #[error("`{0}` is not an image reference")]
    Malformed(String),
    /// `sha256:<hex>` or 64 hex digits: it would select any cached image by its ID (DESIGN §4).
    #[error("`{0}` names an image by ID; use a repository with a tag or digest")]
    ImageId(String),
    /// A digest of another algorithm than sha256.
    #[error("`{0}` uses a digest algorithm other than sha256")]
    Algorithm(String),
}

impl ImageReference {
    /// Parses a reference.
    pub fn parse(_text: &str) -> Result<Self, ReferenceError> {
        todo!()
    }

    /// The string as sent.
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// Registry host with port, such as `docker.io` or `127.0.0.1:5000`.
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

    /// `domain/path:tag` for a reference that names no digest: the name of containerd's tag record (DESIGN §5).
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
