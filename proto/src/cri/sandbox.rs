//! Messages about pod sandboxes.

use std::collections::BTreeMap;

use prost::Message;

use super::common::{PodSandboxConfig, PodSandboxMetadata};
use super::schema::strict_read;

/// Gated and learnt from: creates and starts a sandbox, and pulls the pause image where it is absent.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct RunPodSandboxRequest {
    /// 1, v1.
    #[prost(message, optional, tag = "1")]
    pub config: Option<PodSandboxConfig>,
    /// 2, v1: runtime class handler, empty for the default.
    #[prost(string, tag = "2")]
    pub runtime_handler: String,
}
strict_read!(RunPodSandboxRequest, RUN_POD_SANDBOX_REQUEST);

/// Answer to [`RunPodSandboxRequest`].
#[derive(Clone, PartialEq, Eq, Message)]
pub struct RunPodSandboxResponse {
    /// 1, v1.
    #[prost(string, tag = "1")]
    pub pod_sandbox_id: String,
}

/// Learnt from: removes a sandbox and its containers.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct RemovePodSandboxRequest {
    /// 1, v1.
    #[prost(string, tag = "1")]
    pub pod_sandbox_id: String,
}
strict_read!(RemovePodSandboxRequest, REMOVE_POD_SANDBOX_REQUEST);

/// Answer to [`RemovePodSandboxRequest`].
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct RemovePodSandboxResponse {}

/// Whether a sandbox runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum PodSandboxState {
    /// It runs.
    Ready = 0,
    /// It does not.
    NotReady = 1,
}

/// A state that may be absent.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct PodSandboxStateValue {
    /// 1, v1.
    #[prost(enumeration = "PodSandboxState", tag = "1")]
    pub state: i32,
}

/// Asks about one sandbox.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct PodSandboxStatusRequest {
    /// 1, v1.
    #[prost(string, tag = "1")]
    pub pod_sandbox_id: String,
    /// 2, v1: fill [`PodSandboxStatusResponse::info`].
    #[prost(bool, tag = "2")]
    pub verbose: bool,
}

/// Answer to [`PodSandboxStatusRequest`].
#[derive(Clone, PartialEq, Eq, Message)]
pub struct PodSandboxStatusResponse {
    /// 1, v1.
    #[prost(message, optional, tag = "1")]
    pub status: Option<PodSandboxStatus>,
    /// 2, v1: runtime-specific JSON by key; containerd's `info` names the pause image.
    #[prost(btree_map = "string, string", tag = "2")]
    pub info: BTreeMap<String, String>,
}

/// A sandbox as the runtime knows it.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct PodSandboxStatus {
    /// 1, v1.
    #[prost(string, tag = "1")]
    pub id: String,
    /// 2, v1.
    #[prost(message, optional, tag = "2")]
    pub metadata: Option<PodSandboxMetadata>,
    /// 3, v1.
    #[prost(enumeration = "PodSandboxState", tag = "3")]
    pub state: i32,
    /// 4, v1: nanoseconds since 1970.
    #[prost(int64, tag = "4")]
    pub created_at: i64,
    /// 7, v1.
    #[prost(btree_map = "string, string", tag = "7")]
    pub labels: BTreeMap<String, String>,
    /// 8, v1.
    #[prost(btree_map = "string, string", tag = "8")]
    pub annotations: BTreeMap<String, String>,
    /// 9, v1.
    #[prost(string, tag = "9")]
    pub runtime_handler: String,
}

/// Asks for sandboxes.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ListPodSandboxRequest {
    /// 1, v1: absent: all.
    #[prost(message, optional, tag = "1")]
    pub filter: Option<PodSandboxFilter>,
}

/// Which sandboxes to list: those that satisfy every field that is set.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct PodSandboxFilter {
    /// 1, v1.
    #[prost(string, tag = "1")]
    pub id: String,
    /// 2, v1.
    #[prost(message, optional, tag = "2")]
    pub state: Option<PodSandboxStateValue>,
    /// 3, v1.
    #[prost(btree_map = "string, string", tag = "3")]
    pub label_selector: BTreeMap<String, String>,
}

/// Answer to [`ListPodSandboxRequest`].
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ListPodSandboxResponse {
    /// 1, v1.
    #[prost(message, repeated, tag = "1")]
    pub items: Vec<PodSandbox>,
}

/// A sandbox in a list.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct PodSandbox {
    /// 1, v1.
    #[prost(string, tag = "1")]
    pub id: String,
    /// 2, v1.
    #[prost(message, optional, tag = "2")]
    pub metadata: Option<PodSandboxMetadata>,
    /// 3, v1.
    #[prost(enumeration = "PodSandboxState", tag = "3")]
    pub state: i32,
    /// 4, v1: nanoseconds since 1970.
    #[prost(int64, tag = "4")]
    pub created_at: i64,
    /// 5, v1.
    #[prost(btree_map = "string, string", tag = "5")]
    pub labels: BTreeMap<String, String>,
    /// 6, v1.
    #[prost(btree_map = "string, string", tag = "6")]
    pub annotations: BTreeMap<String, String>,
    /// 7, v1.
    #[prost(string, tag = "7")]
    pub runtime_handler: String,
}
