//! What was gathered about an image. Evidence is stored; verdicts are not (docs/rules.md rule 7).

use portcullis_policy::Digest;

use crate::notary::{NotaryCollection, NotaryMemory};
use crate::time::Timestamp;

/// How it is known that a repository holds a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OriginSource {
    /// Pulled through the gate by this digest.
    Pull,
    /// The registry said that the repository holds it.
    Registry,
    /// An operator vouched for it with `portcullis adopt`.
    Adopted,
}

/// A record that `repository` held `digest`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Origin {
    /// Normalised repository.
    pub repository: String,
    /// The digest a reference to it names (of an index for multi-platform images).
    pub digest: Digest,
    /// How it is known.
    pub source: OriginSource,
    /// When it was learned.
    pub at: Timestamp,
    /// Why, for [`OriginSource::Adopted`].
    pub reason: Option<String>,
}

/// Trust data of one Notary v1 collection with what this node remembers about it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NotaryEvidence {
    /// The raw metadata.
    pub collection: NotaryCollection,
    /// Floors and the first root believed.
    pub memory: NotaryMemory,
}

/// Everything known about one image when a decision is computed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Notary collections, at most one per (server, GUN).
    pub notary: Vec<NotaryEvidence>,
    /// Origins of the digest in question, of any repository: only those of the reference's repository count.
    pub origins: Vec<Origin>,
}
