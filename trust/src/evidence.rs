//! What was gathered about an image. Evidence is stored; verdicts are not (docs/rules.md rule 7).

mod description;
mod revocation;
mod signature;

use std::sync::Arc;

use portcullis_policy::Digest;

pub use description::ImageDescription;
pub use revocation::{RevocationAnswer, RevocationWant};
pub use signature::{Artefact, ArtefactKind, EarlierArtefact, SignatureSet, SignatureSource};

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
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Evidence {
    /// Notary collections, at most one per (server, GUN).
    pub notary: Vec<NotaryEvidence>,
    /// Origins of the digest in question, of any repository: only those of the reference's repository count.
    pub origins: Vec<Origin>,
    /// Signatures and attestations, at most one set per (source, repository, digest).
    pub signatures: Vec<Arc<SignatureSet>>,
    /// CRLs and OCSP answers, at most one per URL and certificate.
    pub revocations: Vec<Arc<RevocationAnswer>>,
    /// What the image says about itself, at most one per digest and manifest.
    pub descriptions: Vec<Arc<ImageDescription>>,
}

/// Evidence about one image as `portcullis check --record` writes it down, for tests of policies.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recorded {
    /// Version of this format: 1.
    pub version: u32,
    /// The reference that was asked about.
    pub image: String,
    /// The digest it stood for.
    pub digest: Digest,
    /// When it was recorded: the time at which a test judges it.
    pub recorded_at: Timestamp,
    /// What was known.
    pub evidence: Evidence,
}
