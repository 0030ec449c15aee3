//! The CRI messages the gate reads or sends: only the fields it needs, each with its number and the cri-api release
//! that brought it (`v1` if it is older than 0.27).
//!
//! Two kinds, told apart by how they are decoded:
//!
//! - *Requests that pass the gate* have a `read` function, which validates before it decodes ([`crate::wire`]). Maps
//!   in them are lists of [`Entry`], so that a key given twice is noticed ([`value_of`]).
//! - *Questions to containerd and its answers* are plain prost messages: containerd is not the one we guard against,
//!   and its answers may grow.
//!
//! A message decoded here is never encoded again in place of the original: fields that are not listed would be lost.
//! [`crate::wire::replace`] edits the original.

mod common;
mod container;
mod image;
mod runtime;
mod sandbox;
pub mod schema;

pub use common::{
    ContainerMetadata, Entry, ImageSpec, Mount, PodSandboxConfig, PodSandboxMetadata, value_of,
};
pub use container::{
    Container, ContainerConfig, ContainerFilter, ContainerState, ContainerStateValue,
    ContainerStatus, ContainerStatusRequest, ContainerStatusResponse, CreateContainerRequest,
    CreateContainerResponse, ListContainersRequest, ListContainersResponse, RemoveContainerRequest,
    RemoveContainerResponse, StartContainerRequest, StartContainerResponse, StopContainerRequest,
    StopContainerResponse,
};
pub use image::{
    AuthConfig, Image, ImageFilter, ImageStatusRequest, ImageStatusResponse, Int64Value,
    ListImagesRequest, ListImagesResponse, PullImageRequest, PullImageResponse, RemoveImageRequest,
    RemoveImageResponse,
};
pub use runtime::{
    RuntimeCondition, RuntimeStatus, StatusRequest, StatusResponse, VersionRequest, VersionResponse,
};
pub use sandbox::{
    ListPodSandboxRequest, ListPodSandboxResponse, PodSandbox, PodSandboxFilter, PodSandboxState,
    PodSandboxStateValue, PodSandboxStatus, PodSandboxStatusRequest, PodSandboxStatusResponse,
    RemovePodSandboxRequest, RemovePodSandboxResponse, RunPodSandboxRequest, RunPodSandboxResponse,
};

/// Where the fields are that the gate rewrites: paths for [`crate::wire::replace`].
pub mod path {
    use crate::wire::Step;

    /// `PullImageRequest.image.image`.
    pub const PULL_IMAGE: &[u32] = &[1, 1];
    /// `CreateContainerRequest.config.image.image`.
    pub const CREATE_IMAGE: &[u32] = &[2, 2, 1];
    /// `CreateContainerRequest.config.image.image_ref`.
    pub const CREATE_IMAGE_REF: &[u32] = &[2, 2, 20];
    /// `CreateContainerRequest.config.image.user_specified_image`.
    pub const CREATE_USER_SPECIFIED: &[u32] = &[2, 2, 18];

    /// `CreateContainerRequest.config.mounts[index].image.image`, for [`crate::wire::replace_at`].
    pub const fn create_mount_image(index: usize) -> [Step; 4] {
        [
            Step::Only(2),
            Step::Nth(7, index),
            Step::Only(9),
            Step::Only(1),
        ]
    }
}
