//! What we should read from a request that `k8s-cri` wrote. Its maps have no order: compare after [`Sorted::sorted`].

use std::collections::HashMap;

use k8s_cri::v1;
use portcullis_proto::cri::{self, Entry};

fn entries(map: &HashMap<String, String>) -> Vec<Entry> {
    let mut entries: Vec<_> = map
        .iter()
        .map(|(key, value)| Entry {
            key: key.clone(),
            value: value.clone(),
        })
        .collect();
    sort(&mut entries);
    entries
}

fn sort(entries: &mut [Entry]) {
    entries.sort_by(|a, b| a.key.cmp(&b.key));
}

fn sort_spec(spec: Option<&mut cri::ImageSpec>) {
    if let Some(spec) = spec {
        sort(&mut spec.annotations);
    }
}

fn sort_sandbox(config: Option<&mut cri::PodSandboxConfig>) {
    if let Some(config) = config {
        sort(&mut config.labels);
        sort(&mut config.annotations);
    }
}

/// A message whose maps are put into order.
pub(crate) trait Sorted {
    fn sorted(self) -> Self;
}

impl Sorted for cri::PullImageRequest {
    fn sorted(mut self) -> Self {
        sort_spec(self.image.as_mut());
        sort_sandbox(self.sandbox_config.as_mut());
        self
    }
}

impl Sorted for cri::RunPodSandboxRequest {
    fn sorted(mut self) -> Self {
        sort_sandbox(self.config.as_mut());
        self
    }
}

impl Sorted for cri::CreateContainerRequest {
    fn sorted(mut self) -> Self {
        sort_sandbox(self.sandbox_config.as_mut());
        if let Some(config) = &mut self.config {
            sort_spec(config.image.as_mut());
            config
                .mounts
                .iter_mut()
                .for_each(|mount| sort_spec(mount.image.as_mut()));
            sort(&mut config.labels);
            sort(&mut config.annotations);
        }
        self
    }
}

/// Some map in a sorted request has a key twice.
pub(crate) fn has_key_twice(request: &cri::PullImageRequest) -> bool {
    let spec = request.image.iter().map(|spec| &spec.annotations);
    let sandbox = request
        .sandbox_config
        .iter()
        .flat_map(|config| [&config.labels, &config.annotations]);
    spec.chain(sandbox)
        .any(|map| map.windows(2).any(|pair| pair[0].key == pair[1].key))
}

fn read_spec(spec: &v1::ImageSpec) -> cri::ImageSpec {
    cri::ImageSpec {
        image: spec.image.clone(),
        annotations: entries(&spec.annotations),
        user_specified_image: spec.user_specified_image.clone(),
        runtime_handler: spec.runtime_handler.clone(),
        image_ref: String::new(),
    }
}

fn read_sandbox(config: &v1::PodSandboxConfig) -> cri::PodSandboxConfig {
    cri::PodSandboxConfig {
        metadata: config
            .metadata
            .as_ref()
            .map(|metadata| cri::PodSandboxMetadata {
                name: metadata.name.clone(),
                uid: metadata.uid.clone(),
                namespace: metadata.namespace.clone(),
                attempt: metadata.attempt,
            }),
        labels: entries(&config.labels),
        annotations: entries(&config.annotations),
    }
}

pub(crate) fn read_pull(request: &v1::PullImageRequest) -> cri::PullImageRequest {
    cri::PullImageRequest {
        image: request.image.as_ref().map(read_spec),
        auth: request.auth.as_ref().map(|auth| cri::AuthConfig {
            username: auth.username.clone(),
            password: auth.password.clone(),
            auth: auth.auth.clone(),
            server_address: auth.server_address.clone(),
            identity_token: auth.identity_token.clone(),
            registry_token: auth.registry_token.clone(),
        }),
        sandbox_config: request.sandbox_config.as_ref().map(read_sandbox),
    }
}

pub(crate) fn read_run(request: &v1::RunPodSandboxRequest) -> cri::RunPodSandboxRequest {
    cri::RunPodSandboxRequest {
        config: request.config.as_ref().map(read_sandbox),
        runtime_handler: request.runtime_handler.clone(),
    }
}

pub(crate) fn read_create(request: &v1::CreateContainerRequest) -> cri::CreateContainerRequest {
    cri::CreateContainerRequest {
        pod_sandbox_id: request.pod_sandbox_id.clone(),
        config: request.config.as_ref().map(|config| cri::ContainerConfig {
            metadata: config
                .metadata
                .as_ref()
                .map(|metadata| cri::ContainerMetadata {
                    name: metadata.name.clone(),
                    attempt: metadata.attempt,
                }),
            image: config.image.as_ref().map(read_spec),
            mounts: config
                .mounts
                .iter()
                .map(|mount| cri::Mount {
                    container_path: mount.container_path.clone(),
                    image: mount.image.as_ref().map(read_spec),
                    image_sub_path: String::new(),
                })
                .collect(),
            labels: entries(&config.labels),
            annotations: entries(&config.annotations),
        }),
        sandbox_config: request.sandbox_config.as_ref().map(read_sandbox),
    }
}
