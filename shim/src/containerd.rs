//! The calls the gate makes itself to containerd: its native API in the namespace `k8s.io`, and a few CRI questions.
//!
//! What containerd says under a *name* is a label. Only targets, content that is hashed here, and snapshot parents
//! prove anything.

use std::collections::BTreeMap;

use bytes::Bytes;
use portcullis_policy::Digest;
use tokio::time::Instant;

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
    /// A blob larger than the cap, or whose bytes do not hash to its digest.
    #[error("content {digest} in containerd's store is unusable: {cause}")]
    Content {
        /// The blob.
        digest: Digest,
        /// `missing`, `larger than the limit`, `does not hash to its digest`.
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
    /// `config.image.image` as stored.
    pub image: String,
    /// `config.image.user_specified_image` as stored; empty before CRI 1.28.
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

/// The client. Cheap to clone; reconnects by itself.
#[derive(Debug, Clone)]
pub struct Containerd {}

impl Containerd {
    /// A client for the socket at `path`. Connects on first use.
    pub fn new(_path: &std::path::Path) -> Result<Self, ContainerdError> {
        todo!()
    }

    /// The record called `name`, if it exists.
    pub async fn image_record(
        &self,
        _name: &str,
        _deadline: Instant,
    ) -> Result<Option<ImageRecord>, ContainerdError> {
        todo!()
    }

    /// Every record of the namespace.
    pub async fn image_records(
        &self,
        _deadline: Instant,
    ) -> Result<Vec<ImageRecord>, ContainerdError> {
        todo!()
    }

    /// Creates or updates the record `name` so that it points at the same target as the record `like`.
    /// Returns the record it replaced.
    pub async fn point_record(
        &self,
        _name: &str,
        _target: &ImageRecord,
        _deadline: Instant,
    ) -> Result<Option<ImageRecord>, ContainerdError> {
        todo!()
    }

    /// Puts a record back as it was (`None`: deletes it).
    pub async fn restore_record(
        &self,
        _name: &str,
        _previous: Option<&ImageRecord>,
        _deadline: Instant,
    ) -> Result<(), ContainerdError> {
        todo!()
    }

    /// A blob of at most `limit` bytes, hashed and compared with its digest.
    pub async fn blob(
        &self,
        _digest: &Digest,
        _limit: usize,
        _deadline: Instant,
    ) -> Result<Bytes, ContainerdError> {
        todo!()
    }

    /// The container `id` of the core API.
    pub async fn core_container(
        &self,
        _id: &str,
        _deadline: Instant,
    ) -> Result<Option<CoreContainer>, ContainerdError> {
        todo!()
    }

    /// Parent of a snapshot; `None`: the snapshot does not exist; empty string: it has no parent.
    pub async fn snapshot_parent(
        &self,
        _snapshotter: &str,
        _key: &str,
        _deadline: Instant,
    ) -> Result<Option<String>, ContainerdError> {
        todo!()
    }

    /// CRI ImageStatus of a name or ID.
    pub async fn image_status(
        &self,
        _name: &str,
        _deadline: Instant,
    ) -> Result<Option<CriImage>, ContainerdError> {
        todo!()
    }

    /// CRI PodSandboxStatus.
    pub async fn sandbox(
        &self,
        _id: &str,
        _deadline: Instant,
    ) -> Result<Option<Sandbox>, ContainerdError> {
        todo!()
    }

    /// CRI ListPodSandbox.
    pub async fn sandboxes(&self, _deadline: Instant) -> Result<Vec<Sandbox>, ContainerdError> {
        todo!()
    }

    /// CRI ListContainers.
    pub async fn containers(
        &self,
        _deadline: Instant,
    ) -> Result<Vec<CriContainer>, ContainerdError> {
        todo!()
    }

    /// CRI ContainerStatus with the image as stored.
    pub async fn container(
        &self,
        _id: &str,
        _deadline: Instant,
    ) -> Result<Option<CriContainer>, ContainerdError> {
        todo!()
    }

    /// CRI RemoveContainer. Removing what is gone succeeds.
    pub async fn remove_container(
        &self,
        _id: &str,
        _deadline: Instant,
    ) -> Result<(), ContainerdError> {
        todo!()
    }

    /// CRI Version of the runtime behind the socket: (name, version).
    pub async fn version(&self, _deadline: Instant) -> Result<(String, String), ContainerdError> {
        todo!()
    }
}
