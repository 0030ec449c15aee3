//! Messages about the runtime itself.

use std::collections::BTreeMap;

use prost::Message;

/// Asks which runtime answers.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct VersionRequest {
    /// 1, v1: version of the CRI that the client speaks.
    #[prost(string, tag = "1")]
    pub version: String,
}

/// Answer to [`VersionRequest`].
#[derive(Clone, PartialEq, Eq, Message)]
pub struct VersionResponse {
    /// 1, v1.
    #[prost(string, tag = "1")]
    pub version: String,
    /// 2, v1: such as `containerd`.
    #[prost(string, tag = "2")]
    pub runtime_name: String,
    /// 3, v1: such as `v2.1.9`.
    #[prost(string, tag = "3")]
    pub runtime_version: String,
    /// 4, v1.
    #[prost(string, tag = "4")]
    pub runtime_api_version: String,
}

/// Asks how the runtime is.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct StatusRequest {
    /// 1, v1: fill [`StatusResponse::info`].
    #[prost(bool, tag = "1")]
    pub verbose: bool,
}

/// Answer to [`StatusRequest`].
#[derive(Clone, PartialEq, Eq, Message)]
pub struct StatusResponse {
    /// 1, v1.
    #[prost(message, optional, tag = "1")]
    pub status: Option<RuntimeStatus>,
    /// 2, v1: runtime-specific JSON by key; `config` names the pause image up to containerd 1.7.
    #[prost(btree_map = "string, string", tag = "2")]
    pub info: BTreeMap<String, String>,
}

/// How the runtime is.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct RuntimeStatus {
    /// 1, v1.
    #[prost(message, repeated, tag = "1")]
    pub conditions: Vec<RuntimeCondition>,
}

/// One aspect of how the runtime is.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct RuntimeCondition {
    /// 1, v1: `RuntimeReady` or `NetworkReady`, or the runtime's own.
    #[prost(string, tag = "1")]
    pub r#type: String,
    /// 2, v1.
    #[prost(bool, tag = "2")]
    pub status: bool,
    /// 3, v1.
    #[prost(string, tag = "3")]
    pub reason: String,
    /// 4, v1.
    #[prost(string, tag = "4")]
    pub message: String,
}
