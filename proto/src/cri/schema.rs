//! What is validated in requests before they are decoded: one [`Schema`] for each message type on the way.
//!
//! Every field of a request's prost struct stands here too, with the same number; a test compares the two.

use crate::wire::{Field, Schema};

/// Gives a request type its `read`.
macro_rules! strict_read {
    ($request:ident, $schema:ident) => {
        impl $request {
            /// Validates an unframed request message and decodes it: any decoder reads these values from it.
            ///
            /// # Errors
            /// [`WireError`](crate::wire::WireError) naming the field that is not strictly encoded.
            pub fn read(message: &[u8]) -> Result<Self, crate::wire::WireError> {
                crate::wire::strict(&crate::cri::schema::$schema, message)
            }
        }
    };
}
pub(super) use strict_read;

/// An entry of a `map<string, string>`.
pub static ENTRY: Schema = Schema::new(
    "Entry",
    &[Field::string(1, "key"), Field::string(2, "value")],
);

/// `ImageSpec`.
pub static IMAGE_SPEC: Schema = Schema::new(
    "ImageSpec",
    &[
        Field::string(1, "image"),
        Field::message(2, "annotations", &ENTRY).repeated(),
        Field::string(18, "user_specified_image"),
        Field::string(19, "runtime_handler"),
        Field::string(20, "image_ref"),
    ],
);

/// `AuthConfig`.
pub static AUTH_CONFIG: Schema = Schema::new(
    "AuthConfig",
    &[
        Field::string(1, "username"),
        Field::string(2, "password"),
        Field::string(3, "auth"),
        Field::string(4, "server_address"),
        Field::string(5, "identity_token"),
        Field::string(6, "registry_token"),
    ],
);

/// `PodSandboxMetadata`.
pub static POD_SANDBOX_METADATA: Schema = Schema::new(
    "PodSandboxMetadata",
    &[
        Field::string(1, "name"),
        Field::string(2, "uid"),
        Field::string(3, "namespace"),
        Field::uint32(4, "attempt"),
    ],
);

/// `PodSandboxConfig`.
pub static POD_SANDBOX_CONFIG: Schema = Schema::new(
    "PodSandboxConfig",
    &[
        Field::message(1, "metadata", &POD_SANDBOX_METADATA),
        Field::message(6, "labels", &ENTRY).repeated(),
        Field::message(7, "annotations", &ENTRY).repeated(),
    ],
);

/// `ContainerMetadata`.
pub static CONTAINER_METADATA: Schema = Schema::new(
    "ContainerMetadata",
    &[Field::string(1, "name"), Field::uint32(2, "attempt")],
);

/// `Mount`.
pub static MOUNT: Schema = Schema::new(
    "Mount",
    &[
        Field::string(1, "container_path"),
        Field::message(9, "image", &IMAGE_SPEC),
        Field::string(10, "image_sub_path"),
    ],
);

/// `ContainerConfig`.
pub static CONTAINER_CONFIG: Schema = Schema::new(
    "ContainerConfig",
    &[
        Field::message(1, "metadata", &CONTAINER_METADATA),
        Field::message(2, "image", &IMAGE_SPEC),
        Field::message(7, "mounts", &MOUNT).repeated(),
        Field::message(9, "labels", &ENTRY).repeated(),
        Field::message(10, "annotations", &ENTRY).repeated(),
    ],
);

/// `PullImageRequest`.
pub static PULL_IMAGE_REQUEST: Schema = Schema::new(
    "PullImageRequest",
    &[
        Field::message(1, "image", &IMAGE_SPEC),
        Field::message(2, "auth", &AUTH_CONFIG),
        Field::message(3, "sandbox_config", &POD_SANDBOX_CONFIG),
    ],
);

/// `ImageStatusRequest`.
pub static IMAGE_STATUS_REQUEST: Schema = Schema::new(
    "ImageStatusRequest",
    &[
        Field::message(1, "image", &IMAGE_SPEC),
        Field::bool(2, "verbose"),
    ],
);

/// `RemoveImageRequest`.
pub static REMOVE_IMAGE_REQUEST: Schema = Schema::new(
    "RemoveImageRequest",
    &[Field::message(1, "image", &IMAGE_SPEC)],
);

/// `CreateContainerRequest`.
pub static CREATE_CONTAINER_REQUEST: Schema = Schema::new(
    "CreateContainerRequest",
    &[
        Field::string(1, "pod_sandbox_id"),
        Field::message(2, "config", &CONTAINER_CONFIG),
        Field::message(3, "sandbox_config", &POD_SANDBOX_CONFIG),
    ],
);

/// `StartContainerRequest`.
pub static START_CONTAINER_REQUEST: Schema =
    Schema::new("StartContainerRequest", &[Field::string(1, "container_id")]);

/// `RunPodSandboxRequest`.
pub static RUN_POD_SANDBOX_REQUEST: Schema = Schema::new(
    "RunPodSandboxRequest",
    &[
        Field::message(1, "config", &POD_SANDBOX_CONFIG),
        Field::string(2, "runtime_handler"),
    ],
);

/// `RemovePodSandboxRequest`.
pub static REMOVE_POD_SANDBOX_REQUEST: Schema = Schema::new(
    "RemovePodSandboxRequest",
    &[Field::string(1, "pod_sandbox_id")],
);
