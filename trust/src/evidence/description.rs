//! What an image says about itself.

use portcullis_policy::Digest;

use crate::time::Timestamp;

/// Index, manifest and config of one platform of an image. Whoever uses it recomputes the hashes from `subject` down.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageDescription {
    /// The digest a reference names.
    pub subject: Digest,
    /// The index, where the digest is one's.
    pub index: Option<Vec<u8>>,
    /// The platform's manifest.
    pub manifest: Vec<u8>,
    /// Its config.
    pub config: Vec<u8>,
    /// When it was gathered.
    pub gathered_at: Timestamp,
}
