//! The evidence store: redb, values in versioned JSON, crash safe. Verdicts are never stored (DESIGN §3 rule 7).
//!
//! Reads are answered from memory, so that a create needs no disk (rule 15); writes go to memory first and to the
//! file by one writer thread behind a bounded queue.

use std::path::Path;

use portcullis_policy::Digest;
use portcullis_trust::Timestamp;
use portcullis_trust::evidence::{NotaryEvidence, Origin};

use crate::containerd::Sandbox;

/// What proves that a root digest ends in an image ID, from bytes hashed here (DESIGN §3 rule 3).
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Link {
    /// What a reference names: digest of an index, or of a manifest.
    pub root: Digest,
    /// Platform manifest; equal to `root` where that is no index.
    pub manifest: Digest,
    /// Config digest: the image ID.
    pub config: Digest,
    /// Chain ID of the config's diff IDs (OCI image-spec, "Layer ChainID"): the snapshot a container runs on.
    pub chain_id: Digest,
    /// The config's `User`, for the swap of DESIGN §5.
    pub user: String,
}

/// Where a tag's meaning came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResolutionSource {
    /// The registry's answer.
    Registry,
    /// A signed tag binding.
    Notary,
    /// The digest stood in the reference.
    Reference,
    /// An image already on the node, whose origin was confirmed.
    Cached,
}

/// The digest that the gate accepted for a reference in a namespace.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Resolution {
    /// Namespace; `None`: calls without a pod.
    pub namespace: Option<String>,
    /// Normalised reference.
    pub reference: String,
    /// The digest accepted.
    pub digest: Digest,
    /// Where its meaning came from.
    pub source: ResolutionSource,
    /// When.
    pub gathered_at: Timestamp,
}

/// The store cannot be used as asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error("the evidence store {path} is in use by another process")]
    Busy {
        /// Its path.
        path: String,
    },
    /// It could not be opened or written.
    #[error("the evidence store {path}: {source}")]
    Io {
        /// Its path.
        path: String,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {}

impl Store {
    /// Opens the store in `dir`, setting a damaged file aside as `evidence.redb.damaged-<n>` and starting empty.
    pub fn open(_dir: &Path) -> Result<Self, StoreError> {
        todo!()
    }

    /// A store in memory only: for `check --local` and tests.
    pub fn in_memory() -> Self {
        todo!()
    }

    /// The trust data of a collection.
    pub fn notary(&self, _server: &str, _gun: &str) -> Option<std::sync::Arc<NotaryEvidence>> {
        todo!()
    }

    /// Replaces the trust data of a collection. Durable before it returns: rollback floors must survive a crash.
    pub async fn put_notary(&self, _evidence: NotaryEvidence) -> Result<(), StoreError> {
        todo!()
    }

    /// Origins of a digest.
    pub fn origins(&self, _digest: &Digest) -> Vec<Origin> {
        todo!()
    }

    /// Adds an origin.
    pub fn put_origin(&self, _origin: Origin) {
        todo!()
    }

    /// Links that end in an image ID.
    pub fn links_to(&self, _config: &Digest) -> Vec<Link> {
        todo!()
    }

    /// Links that begin at a root digest (several platforms of one index).
    pub fn links_from(&self, _root: &Digest) -> Vec<Link> {
        todo!()
    }

    /// Adds a link.
    pub fn put_link(&self, _link: Link) {
        todo!()
    }

    /// The digest accepted for a reference in a namespace.
    pub fn resolution(&self, _namespace: Option<&str>, _reference: &str) -> Option<Resolution> {
        todo!()
    }

    /// Every reference accepted in a namespace for a digest.
    pub fn references_of(&self, _namespace: Option<&str>, _digest: &Digest) -> Vec<Resolution> {
        todo!()
    }

    /// Remembers an accepted digest.
    pub fn put_resolution(&self, _resolution: Resolution) {
        todo!()
    }

    /// A sandbox as recorded when it was created.
    pub fn sandbox(&self, _id: &str) -> Option<Sandbox> {
        todo!()
    }

    /// Records a sandbox.
    pub fn put_sandbox(&self, _sandbox: Sandbox) {
        todo!()
    }

    /// Forgets a sandbox.
    pub fn remove_sandbox(&self, _id: &str) {
        todo!()
    }

    /// Waits until everything put so far is on disk, or failed to get there.
    pub async fn flush(&self) -> Result<(), StoreError> {
        todo!()
    }

    /// Numbers for `status`: (table, records).
    pub fn counts(&self) -> Vec<(&'static str, usize)> {
        todo!()
    }

    /// The latest time recorded (advances in bounded steps), to notice a clock that jumped backwards.
    pub fn last_time(&self) -> Option<Timestamp> {
        todo!()
    }

    /// Records the time.
    pub fn put_last_time(&self, _now: Timestamp) {
        todo!()
    }
}
