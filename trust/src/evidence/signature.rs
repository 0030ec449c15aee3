//! Signatures and attestations as they were found beside an image. Nothing here is verified.

use std::collections::BTreeMap;

use portcullis_policy::Digest;
use portcullis_policy::model::LookasideUrl;

use crate::time::Timestamp;

/// Where signatures of one system are looked for.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub enum SignatureSource {
    /// Sigstore bundles: OCI referrers, or the index under the tag `sha256-<hex>`.
    Bundles,
    /// cosign's legacy signatures: the tag `sha256-<hex>.sig`.
    CosignSignatures,
    /// cosign's legacy attestations: the tag `sha256-<hex>.att`.
    CosignAttestations,
    /// notation envelopes: OCI referrers, or the index under the tag `sha256-<hex>`.
    Notation,
    /// Simple signing in a lookaside store, by its base URL.
    Lookaside(String),
    /// Simple signing by the registry's own extension.
    RegistryExtension,
}

/// What an artefact is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub enum ArtefactKind {
    /// A Sigstore bundle (JSON, `application/vnd.dev.sigstore.bundle…`).
    SigstoreBundle,
    /// Simple-signing payload of a legacy cosign signature; signature, certificate and log entry are annotations.
    CosignSignature,
    /// DSSE envelope of a legacy cosign attestation; certificate and log entry are annotations.
    CosignAttestation,
    /// notation envelope, `application/jose+json`.
    NotationJws,
    /// notation envelope, `application/cose`.
    NotationCose,
    /// OpenPGP message with a simple-signing payload.
    SimpleSigning,
}

/// One signed artefact.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Artefact {
    /// What it is.
    pub kind: ArtefactKind,
    /// Its bytes, whose digest the registry's manifest named (lookaside: as they came).
    #[serde(with = "super::signature::base64_bytes")]
    pub bytes: Vec<u8>,
    /// Annotations of its layer. Empty but for the legacy kinds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What one source had for a digest in a repository.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignatureSet {
    /// The source.
    pub source: SignatureSource,
    /// Normalised repository it was asked about. It does not count for another one.
    pub repository: String,
    /// The digest it was asked about.
    pub subject: Digest,
    /// What was found, without repetition. May be empty: there was nothing.
    pub artefacts: Vec<Artefact>,
    /// More was there than the caps allow to be looked at.
    pub truncated: bool,
    /// When the source was last asked.
    pub gathered_at: Timestamp,
}

impl From<&LookasideUrl> for SignatureSource {
    fn from(url: &LookasideUrl) -> Self {
        Self::Lookaside(url.0.clone())
    }
}

pub(super) mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        STANDARD.decode(text).map_err(serde::de::Error::custom)
    }
}
