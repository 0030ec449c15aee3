//! Messages of the image service.

use std::collections::BTreeMap;
use std::fmt;

use prost::Message;

use super::common::{ImageSpec, PodSandboxConfig};
use super::schema::strict_read;

/// Gated: asks for an image to be pulled.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct PullImageRequest {
    /// 1, v1.
    #[prost(message, optional, tag = "1")]
    pub image: Option<ImageSpec>,
    /// 2, v1: registry credentials of this attempt.
    #[prost(message, optional, tag = "2")]
    pub auth: Option<AuthConfig>,
    /// 3, v1: the pod that the image is for; always set by the kubelet, absent from crictl.
    #[prost(message, optional, tag = "3")]
    pub sandbox_config: Option<PodSandboxConfig>,
}
strict_read!(PullImageRequest, PULL_IMAGE_REQUEST);

/// Credentials for a registry. Its `Debug` says only which fields are set.
#[derive(Clone, PartialEq, Eq, Message)]
#[prost(skip_debug)]
pub struct AuthConfig {
    /// 1, v1.
    #[prost(string, tag = "1")]
    pub username: String,
    /// 2, v1.
    #[prost(string, tag = "2")]
    pub password: String,
    /// 3, v1: base64 of `username:password`.
    #[prost(string, tag = "3")]
    pub auth: String,
    /// 4, v1: the registry they are meant for.
    #[prost(string, tag = "4")]
    pub server_address: String,
    /// 5, v1: `OAuth2` refresh token.
    #[prost(string, tag = "5")]
    pub identity_token: String,
    /// 6, v1: bearer token.
    #[prost(string, tag = "6")]
    pub registry_token: String,
}

impl fmt::Debug for AuthConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Secrets stay in memory: a request may be logged, its credentials never.
        let secret = |value: &str| if value.is_empty() { "" } else { "[redacted]" };
        f.debug_struct("AuthConfig")
            .field("username", &secret(&self.username))
            .field("password", &secret(&self.password))
            .field("auth", &secret(&self.auth))
            .field("server_address", &self.server_address)
            .field("identity_token", &secret(&self.identity_token))
            .field("registry_token", &secret(&self.registry_token))
            .finish()
    }
}

/// Answer to [`PullImageRequest`].
#[derive(Clone, PartialEq, Eq, Message)]
pub struct PullImageResponse {
    /// 1, v1: image ID (since 0.36 by contract, before that on containerd).
    #[prost(string, tag = "1")]
    pub image_ref: String,
}

/// Asks about one image.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ImageStatusRequest {
    /// 1, v1: reference or image ID.
    #[prost(message, optional, tag = "1")]
    pub image: Option<ImageSpec>,
    /// 2, v1: fill [`ImageStatusResponse::info`].
    #[prost(bool, tag = "2")]
    pub verbose: bool,
}
strict_read!(ImageStatusRequest, IMAGE_STATUS_REQUEST);

/// Answer to [`ImageStatusRequest`].
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ImageStatusResponse {
    /// 1, v1: absent if the node does not have the image.
    #[prost(message, optional, tag = "1")]
    pub image: Option<Image>,
    /// 2, v1: runtime-specific JSON by key.
    #[prost(btree_map = "string, string", tag = "2")]
    pub info: BTreeMap<String, String>,
}

/// An image on the node.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Image {
    /// 1, v1: image ID, on containerd the digest of the config.
    #[prost(string, tag = "1")]
    pub id: String,
    /// 2, v1: `repository:tag` records. Labels, not proof.
    #[prost(string, repeated, tag = "2")]
    pub repo_tags: Vec<String>,
    /// 3, v1: `repository@digest` record names. Labels, not proof.
    #[prost(string, repeated, tag = "3")]
    pub repo_digests: Vec<String>,
    /// 4, v1: bytes.
    #[prost(uint64, tag = "4")]
    pub size: u64,
    /// 5, v1: numeric user of the config, where it has one.
    #[prost(message, optional, tag = "5")]
    pub uid: Option<Int64Value>,
    /// 6, v1: user name of the config, where it has no number.
    #[prost(string, tag = "6")]
    pub username: String,
    /// 7, v1: the image as it was asked for.
    #[prost(message, optional, tag = "7")]
    pub spec: Option<ImageSpec>,
    /// 8, v1: never collected as garbage.
    #[prost(bool, tag = "8")]
    pub pinned: bool,
}

/// A number that may be absent.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Int64Value {
    /// 1, v1.
    #[prost(int64, tag = "1")]
    pub value: i64,
}

/// Asks for the images of the node.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ListImagesRequest {
    /// 1, v1: absent: all.
    #[prost(message, optional, tag = "1")]
    pub filter: Option<ImageFilter>,
}

/// Which images to list.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ImageFilter {
    /// 1, v1.
    #[prost(message, optional, tag = "1")]
    pub image: Option<ImageSpec>,
}

/// Answer to [`ListImagesRequest`].
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ListImagesResponse {
    /// 1, v1.
    #[prost(message, repeated, tag = "1")]
    pub images: Vec<Image>,
}

/// Learnt from: removes an image with every reference to it.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct RemoveImageRequest {
    /// 1, v1: from the kubelet an image ID.
    #[prost(message, optional, tag = "1")]
    pub image: Option<ImageSpec>,
}
strict_read!(RemoveImageRequest, REMOVE_IMAGE_REQUEST);

/// Answer to [`RemoveImageRequest`].
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct RemoveImageResponse {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_not_in_debug_output() {
        let secret = || "s3cret".to_owned();
        let auth = AuthConfig {
            username: secret(),
            password: secret(),
            auth: secret(),
            server_address: "registry.example.com".into(),
            identity_token: secret(),
            registry_token: secret(),
        };
        let request = PullImageRequest {
            auth: Some(auth),
            ..PullImageRequest::default()
        };
        let text = format!("{request:?} {request:#?}");
        assert!(!text.contains("s3cret"), "{text}");
        assert!(text.contains("registry.example.com"), "{text}");
    }
}
