//! Messages about containers.

use std::collections::BTreeMap;

use prost::Message;

use super::common::{ContainerMetadata, Entry, ImageSpec, Mount, PodSandboxConfig};
use super::schema::strict_read;

/// Gated: creates a container in a sandbox.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CreateContainerRequest {
    /// 1, v1: the sandbox, which decides the namespace.
    #[prost(string, tag = "1")]
    pub pod_sandbox_id: String,
    /// 2, v1.
    #[prost(message, optional, tag = "2")]
    pub config: Option<ContainerConfig>,
    /// 3, v1: what the client says the sandbox is. A claim.
    #[prost(message, optional, tag = "3")]
    pub sandbox_config: Option<PodSandboxConfig>,
}
strict_read!(CreateContainerRequest, CREATE_CONTAINER_REQUEST);

/// A container as a request describes it.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ContainerConfig {
    /// 1, v1.
    #[prost(message, optional, tag = "1")]
    pub metadata: Option<ContainerMetadata>,
    /// 2, v1: the image it runs.
    #[prost(message, optional, tag = "2")]
    pub image: Option<ImageSpec>,
    /// 7, v1: among them the image volumes.
    #[prost(message, repeated, tag = "7")]
    pub mounts: Vec<Mount>,
    /// 9, v1.
    #[prost(message, repeated, tag = "9")]
    pub labels: Vec<Entry>,
    /// 10, v1.
    #[prost(message, repeated, tag = "10")]
    pub annotations: Vec<Entry>,
}

/// Answer to [`CreateContainerRequest`].
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CreateContainerResponse {
    /// 1, v1.
    #[prost(string, tag = "1")]
    pub container_id: String,
}

/// Gated: starts a created container.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct StartContainerRequest {
    /// 1, v1.
    #[prost(string, tag = "1")]
    pub container_id: String,
}
strict_read!(StartContainerRequest, START_CONTAINER_REQUEST);

/// Answer to [`StartContainerRequest`].
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct StartContainerResponse {}

/// Stops a container.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct StopContainerRequest {
    /// 1, v1.
    #[prost(string, tag = "1")]
    pub container_id: String,
    /// 2, v1: seconds until it is killed; 0 at once.
    #[prost(int64, tag = "2")]
    pub timeout: i64,
}

/// Answer to [`StopContainerRequest`].
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct StopContainerResponse {}

/// Removes a container, killing it first if it runs.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct RemoveContainerRequest {
    /// 1, v1.
    #[prost(string, tag = "1")]
    pub container_id: String,
}

/// Answer to [`RemoveContainerRequest`].
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct RemoveContainerResponse {}

/// Where in its life a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum ContainerState {
    /// Created, never started.
    Created = 0,
    /// Running.
    Running = 1,
    /// Ended.
    Exited = 2,
    /// The runtime cannot tell.
    Unknown = 3,
}

/// A state that may be absent.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct ContainerStateValue {
    /// 1, v1.
    #[prost(enumeration = "ContainerState", tag = "1")]
    pub state: i32,
}

/// Asks for containers.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ListContainersRequest {
    /// 1, v1: absent: all.
    #[prost(message, optional, tag = "1")]
    pub filter: Option<ContainerFilter>,
}

/// Which containers to list: those that satisfy every field that is set.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ContainerFilter {
    /// 1, v1.
    #[prost(string, tag = "1")]
    pub id: String,
    /// 2, v1.
    #[prost(message, optional, tag = "2")]
    pub state: Option<ContainerStateValue>,
    /// 3, v1.
    #[prost(string, tag = "3")]
    pub pod_sandbox_id: String,
    /// 4, v1.
    #[prost(btree_map = "string, string", tag = "4")]
    pub label_selector: BTreeMap<String, String>,
}

/// Answer to [`ListContainersRequest`].
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ListContainersResponse {
    /// 1, v1.
    #[prost(message, repeated, tag = "1")]
    pub containers: Vec<Container>,
}

/// A container in a list.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Container {
    /// 1, v1.
    #[prost(string, tag = "1")]
    pub id: String,
    /// 2, v1.
    #[prost(string, tag = "2")]
    pub pod_sandbox_id: String,
    /// 3, v1.
    #[prost(message, optional, tag = "3")]
    pub metadata: Option<ContainerMetadata>,
    /// 4, v1: as it was asked for.
    #[prost(message, optional, tag = "4")]
    pub image: Option<ImageSpec>,
    /// 5, v1: on containerd the image ID.
    #[prost(string, tag = "5")]
    pub image_ref: String,
    /// 6, v1.
    #[prost(enumeration = "ContainerState", tag = "6")]
    pub state: i32,
    /// 7, v1: nanoseconds since 1970.
    #[prost(int64, tag = "7")]
    pub created_at: i64,
    /// 8, v1.
    #[prost(btree_map = "string, string", tag = "8")]
    pub labels: BTreeMap<String, String>,
    /// 9, v1.
    #[prost(btree_map = "string, string", tag = "9")]
    pub annotations: BTreeMap<String, String>,
    /// 10, 0.30: image ID; empty from older runtimes.
    #[prost(string, tag = "10")]
    pub image_id: String,
}

/// Asks about one container.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ContainerStatusRequest {
    /// 1, v1.
    #[prost(string, tag = "1")]
    pub container_id: String,
    /// 2, v1: fill [`ContainerStatusResponse::info`].
    #[prost(bool, tag = "2")]
    pub verbose: bool,
}

/// Answer to [`ContainerStatusRequest`].
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ContainerStatusResponse {
    /// 1, v1.
    #[prost(message, optional, tag = "1")]
    pub status: Option<ContainerStatus>,
    /// 2, v1: runtime-specific JSON by key.
    #[prost(btree_map = "string, string", tag = "2")]
    pub info: BTreeMap<String, String>,
}

/// A container as the runtime knows it.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ContainerStatus {
    /// 1, v1.
    #[prost(string, tag = "1")]
    pub id: String,
    /// 2, v1.
    #[prost(message, optional, tag = "2")]
    pub metadata: Option<ContainerMetadata>,
    /// 3, v1.
    #[prost(enumeration = "ContainerState", tag = "3")]
    pub state: i32,
    /// 4, v1: nanoseconds since 1970.
    #[prost(int64, tag = "4")]
    pub created_at: i64,
    /// 5, v1: nanoseconds since 1970; 0 if it was never started.
    #[prost(int64, tag = "5")]
    pub started_at: i64,
    /// 6, v1: nanoseconds since 1970; 0 if it has not ended.
    #[prost(int64, tag = "6")]
    pub finished_at: i64,
    /// 8, v1: on containerd the first tag, where there is one.
    #[prost(message, optional, tag = "8")]
    pub image: Option<ImageSpec>,
    /// 9, v1: on containerd the first of `repo_digests`.
    #[prost(string, tag = "9")]
    pub image_ref: String,
    /// 12, v1.
    #[prost(btree_map = "string, string", tag = "12")]
    pub labels: BTreeMap<String, String>,
    /// 13, v1.
    #[prost(btree_map = "string, string", tag = "13")]
    pub annotations: BTreeMap<String, String>,
    /// 14, v1.
    #[prost(message, repeated, tag = "14")]
    pub mounts: Vec<Mount>,
    /// 17, 0.30: image ID; empty from older runtimes.
    #[prost(string, tag = "17")]
    pub image_id: String,
}
