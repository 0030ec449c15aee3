//! The calls the gate makes itself to containerd: its native API in the namespace `k8s.io`, and a few CRI questions.
//!
//! What containerd says under a *name* is a label. Only targets, content that is hashed here, and snapshot parents
//! prove anything.

mod channel;
mod content;
mod core;
mod cri;
mod image;
mod links;

use std::collections::BTreeMap;
use std::path::Path;

use portcullis_policy::Digest;

use self::channel::Upstream;

/// Why a call to containerd gave nothing to use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContainerdError {
    /// It cannot be reached.
    #[error("containerd cannot be reached")]
    Unavailable,
    /// The deadline passed.
    #[error("containerd did not answer {call} in time")]
    Timeout {
        /// RPC name.
        call: &'static str,
    },
    /// It answered with an error.
    #[error("containerd answered {call} with code {code}: {message}")]
    Status {
        /// RPC name.
        call: &'static str,
        /// gRPC code.
        code: i32,
        /// Its text (containerd is trusted to speak to the operator).
        message: String,
    },
    /// A blob that is missing, larger than the cap, does not hash to its digest, or is not what an image is made of.
    #[error("content {digest} in containerd's store is unusable: {cause}")]
    Content {
        /// The blob.
        digest: Digest,
        /// `missing`, `larger than the limit`, `does not hash to its digest`, or why it is no image (fixed words).
        cause: &'static str,
    },
}

/// A record of containerd's image store: a name and what it points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRecord {
    /// Its name.
    pub name: String,
    /// Digest of its target (index or manifest); records with other algorithms are not returned.
    pub target: Digest,
    /// Media type of the target.
    pub media_type: String,
    /// Size of the target.
    pub size: i64,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// An image as CRI sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CriImage {
    /// Image ID: the config digest.
    pub id: Digest,
    /// Tag names.
    pub repo_tags: Vec<String>,
    /// Digest names.
    pub repo_digests: Vec<String>,
}

/// A pod sandbox as it was created.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Sandbox {
    /// Its ID.
    pub id: String,
    /// Pod namespace.
    pub namespace: String,
    /// Pod name.
    pub name: String,
    /// Pod UID.
    pub uid: String,
    /// Runtime handler; empty: the default.
    pub runtime_handler: String,
}

/// A container as CRI sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CriContainer {
    /// Its ID.
    pub id: String,
    /// Its sandbox.
    pub sandbox_id: String,
    /// `config.image.image` as stored: on a kubelet's container the image ID.
    pub image: String,
    /// `config.image.user_specified_image` as stored. containerd 1.6 loses it (its CRI is older than the field, 0.28),
    /// 2.1 keeps it: empty does not mean that none was sent.
    pub user_specified_image: String,
    /// Image ID, where containerd reports it.
    pub image_id: Option<Digest>,
    /// Whether it is running.
    pub running: bool,
}

/// A container as containerd's core sees it: what it will really run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoreContainer {
    /// Its ID.
    pub id: String,
    /// Snapshotter.
    pub snapshotter: String,
    /// Key of its active snapshot.
    pub snapshot_key: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// The client. Cheap to clone; connects on first use and again after containerd was away.
#[derive(Debug, Clone)]
pub struct Containerd {
    upstream: Upstream,
}

impl Containerd {
    /// A client for the socket at `path`. Nothing is connected yet, so that containerd may start later.
    ///
    /// # Errors
    /// None today.
    pub fn new(path: &Path) -> Result<Self, ContainerdError> {
        Ok(Self {
            upstream: Upstream::new(path),
        })
    }
}
