//! Messages with every field set. There is no `..Default::default()` here: a new field must be filled to compile.
//!
//! A string holds the name of its field, a number the [`number`] of it, so that a swapped field number shows.

use std::collections::BTreeMap;

use portcullis_proto::cri::*;

pub(crate) fn number(name: &str) -> u32 {
    name.bytes().fold(1000, |sum, byte| sum + u32::from(byte))
}

fn text(name: &str) -> String {
    name.to_owned()
}

fn entries(name: &str) -> Vec<Entry> {
    vec![Entry {
        key: text(name),
        value: text(name),
    }]
}

fn map(name: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(text(name), text(name))])
}

pub(crate) fn image_spec() -> ImageSpec {
    ImageSpec {
        image: text("image"),
        annotations: entries("annotations"),
        user_specified_image: text("user_specified_image"),
        runtime_handler: text("runtime_handler"),
        image_ref: text("image_ref"),
    }
}

fn sandbox_metadata() -> PodSandboxMetadata {
    PodSandboxMetadata {
        name: text("name"),
        uid: text("uid"),
        namespace: text("namespace"),
        attempt: number("attempt"),
    }
}

pub(crate) fn sandbox_config() -> PodSandboxConfig {
    PodSandboxConfig {
        metadata: Some(sandbox_metadata()),
        labels: entries("labels"),
        annotations: entries("annotations"),
    }
}

fn mount() -> Mount {
    Mount {
        container_path: text("container_path"),
        image: Some(image_spec()),
        image_sub_path: text("image_sub_path"),
    }
}

fn container_metadata() -> ContainerMetadata {
    ContainerMetadata {
        name: text("name"),
        attempt: number("attempt"),
    }
}

pub(crate) fn pull_image() -> PullImageRequest {
    PullImageRequest {
        image: Some(image_spec()),
        auth: Some(AuthConfig {
            username: text("username"),
            password: text("password"),
            auth: text("auth"),
            server_address: text("server_address"),
            identity_token: text("identity_token"),
            registry_token: text("registry_token"),
        }),
        sandbox_config: Some(sandbox_config()),
    }
}

pub(crate) fn create_container() -> CreateContainerRequest {
    CreateContainerRequest {
        pod_sandbox_id: text("pod_sandbox_id"),
        config: Some(ContainerConfig {
            metadata: Some(container_metadata()),
            image: Some(image_spec()),
            mounts: vec![mount()],
            labels: entries("labels"),
            annotations: entries("annotations"),
        }),
        sandbox_config: Some(sandbox_config()),
    }
}

pub(crate) fn start_container() -> StartContainerRequest {
    StartContainerRequest {
        container_id: text("container_id"),
    }
}

pub(crate) fn run_pod_sandbox() -> RunPodSandboxRequest {
    RunPodSandboxRequest {
        config: Some(sandbox_config()),
        runtime_handler: text("runtime_handler"),
    }
}

pub(crate) fn remove_pod_sandbox() -> RemovePodSandboxRequest {
    RemovePodSandboxRequest {
        pod_sandbox_id: text("pod_sandbox_id"),
    }
}

pub(crate) fn remove_image() -> RemoveImageRequest {
    RemoveImageRequest {
        image: Some(image_spec()),
    }
}

pub(crate) fn image_status() -> ImageStatusRequest {
    ImageStatusRequest {
        image: Some(image_spec()),
        verbose: true,
    }
}

pub(crate) fn image() -> Image {
    Image {
        id: text("id"),
        repo_tags: vec![text("repo_tags")],
        repo_digests: vec![text("repo_digests")],
        size: number("size").into(),
        uid: Some(Int64Value {
            value: number("value").into(),
        }),
        username: text("username"),
        spec: Some(image_spec()),
        pinned: true,
    }
}

pub(crate) fn image_status_response() -> ImageStatusResponse {
    ImageStatusResponse {
        image: Some(image()),
        info: map("info"),
    }
}

pub(crate) fn list_images() -> ListImagesRequest {
    ListImagesRequest {
        filter: Some(ImageFilter {
            image: Some(image_spec()),
        }),
    }
}

pub(crate) fn pod_sandbox_status_response() -> PodSandboxStatusResponse {
    PodSandboxStatusResponse {
        status: Some(PodSandboxStatus {
            id: text("id"),
            metadata: Some(sandbox_metadata()),
            state: PodSandboxState::NotReady.into(),
            created_at: number("created_at").into(),
            labels: map("labels"),
            annotations: map("annotations"),
            runtime_handler: text("runtime_handler"),
        }),
        info: map("info"),
    }
}

pub(crate) fn list_pod_sandbox() -> ListPodSandboxRequest {
    ListPodSandboxRequest {
        filter: Some(PodSandboxFilter {
            id: text("id"),
            state: Some(PodSandboxStateValue {
                state: PodSandboxState::NotReady.into(),
            }),
            label_selector: map("label_selector"),
        }),
    }
}

pub(crate) fn list_pod_sandbox_response() -> ListPodSandboxResponse {
    ListPodSandboxResponse {
        items: vec![PodSandbox {
            id: text("id"),
            metadata: Some(sandbox_metadata()),
            state: PodSandboxState::NotReady.into(),
            created_at: number("created_at").into(),
            labels: map("labels"),
            annotations: map("annotations"),
            runtime_handler: text("runtime_handler"),
        }],
    }
}

pub(crate) fn list_containers() -> ListContainersRequest {
    ListContainersRequest {
        filter: Some(ContainerFilter {
            id: text("id"),
            state: Some(ContainerStateValue {
                state: ContainerState::Running.into(),
            }),
            pod_sandbox_id: text("pod_sandbox_id"),
            label_selector: map("label_selector"),
        }),
    }
}

pub(crate) fn list_containers_response() -> ListContainersResponse {
    ListContainersResponse {
        containers: vec![Container {
            id: text("id"),
            pod_sandbox_id: text("pod_sandbox_id"),
            metadata: Some(container_metadata()),
            image: Some(image_spec()),
            image_ref: text("image_ref"),
            state: ContainerState::Running.into(),
            created_at: number("created_at").into(),
            labels: map("labels"),
            annotations: map("annotations"),
            image_id: text("image_id"),
        }],
    }
}

pub(crate) fn container_status_response() -> ContainerStatusResponse {
    ContainerStatusResponse {
        status: Some(ContainerStatus {
            id: text("id"),
            metadata: Some(container_metadata()),
            state: ContainerState::Running.into(),
            created_at: number("created_at").into(),
            started_at: number("started_at").into(),
            finished_at: number("finished_at").into(),
            image: Some(image_spec()),
            image_ref: text("image_ref"),
            labels: map("labels"),
            annotations: map("annotations"),
            mounts: vec![mount()],
            image_id: text("image_id"),
        }),
        info: map("info"),
    }
}

pub(crate) fn version_response() -> VersionResponse {
    VersionResponse {
        version: text("version"),
        runtime_name: text("runtime_name"),
        runtime_version: text("runtime_version"),
        runtime_api_version: text("runtime_api_version"),
    }
}

pub(crate) fn status_response() -> StatusResponse {
    StatusResponse {
        status: Some(RuntimeStatus {
            conditions: vec![RuntimeCondition {
                r#type: text("type"),
                status: true,
                reason: text("reason"),
                message: text("message"),
            }],
        }),
        info: map("info"),
    }
}
