//! Random requests, made with `k8s-cri`'s types, and what we should read from them.

use std::collections::HashMap;

use k8s_cri::v1;
use portcullis_proto::cri::{self, Entry};
use proptest::collection::{hash_map, vec};
use proptest::option;
use proptest::prelude::*;
use prost::Message;

fn text() -> impl Strategy<Value = String> {
    // Around 127 bytes a length takes a second byte.
    prop_oneof![4 => "\\PC{0,12}", 1 => "[a-z]{120,140}"]
}

fn map() -> impl Strategy<Value = HashMap<String, String>> {
    hash_map(text(), text(), 0..3)
}

pub(crate) fn image_spec() -> impl Strategy<Value = v1::ImageSpec> {
    (text(), map(), text(), text()).prop_map(
        |(image, annotations, user_specified_image, runtime_handler)| v1::ImageSpec {
            image,
            annotations,
            user_specified_image,
            runtime_handler,
        },
    )
}

fn auth() -> impl Strategy<Value = v1::AuthConfig> {
    (text(), text(), text(), text(), text(), text()).prop_map(
        |(username, password, auth, server_address, identity_token, registry_token)| {
            v1::AuthConfig {
                username,
                password,
                auth,
                server_address,
                identity_token,
                registry_token,
            }
        },
    )
}

fn sandbox_config() -> impl Strategy<Value = v1::PodSandboxConfig> {
    let metadata =
        (text(), text(), text(), any::<u32>()).prop_map(|(name, uid, namespace, attempt)| {
            v1::PodSandboxMetadata {
                name,
                uid,
                namespace,
                attempt,
            }
        });
    let dns = vec(text(), 0..3).prop_map(|servers| v1::DnsConfig {
        servers,
        ..Default::default()
    });
    let ports = vec(
        (any::<i32>(), any::<i32>()).prop_map(|(container_port, host_port)| v1::PortMapping {
            container_port,
            host_port,
            ..Default::default()
        }),
        0..3,
    );
    let linux = text().prop_map(|cgroup_parent| v1::LinuxPodSandboxConfig {
        cgroup_parent,
        ..Default::default()
    });
    let ours = (option::of(metadata), map(), map());
    let others = (text(), text(), option::of(dns), ports, option::of(linux));
    (ours, others).prop_map(
        |(
            (metadata, labels, annotations),
            (hostname, log_directory, dns_config, port_mappings, linux),
        )| {
            v1::PodSandboxConfig {
                metadata,
                hostname,
                log_directory,
                dns_config,
                port_mappings,
                labels,
                annotations,
                linux,
                windows: None,
            }
        },
    )
}

pub(crate) fn pull_image() -> impl Strategy<Value = v1::PullImageRequest> {
    (
        option::of(image_spec()),
        option::of(auth()),
        option::of(sandbox_config()),
    )
        .prop_map(|(image, auth, sandbox_config)| v1::PullImageRequest {
            image,
            auth,
            sandbox_config,
        })
}

pub(crate) fn run_pod_sandbox() -> impl Strategy<Value = v1::RunPodSandboxRequest> {
    (option::of(sandbox_config()), text()).prop_map(|(config, runtime_handler)| {
        v1::RunPodSandboxRequest {
            config,
            runtime_handler,
        }
    })
}

fn mount() -> impl Strategy<Value = v1::Mount> {
    let ids = vec((any::<u32>(), any::<u32>()), 0..2).prop_map(|ids| {
        ids.into_iter()
            .map(|(host_id, container_id)| v1::IdMapping {
                host_id,
                container_id,
                length: 1,
            })
            .collect()
    });
    (
        text(),
        text(),
        any::<bool>(),
        0..3_i32,
        ids,
        option::of(image_spec()),
    )
        .prop_map(
            |(container_path, host_path, readonly, propagation, uid_mappings, image)| v1::Mount {
                container_path,
                host_path,
                readonly,
                propagation,
                uid_mappings,
                image,
                ..Default::default()
            },
        )
}

fn linux_container() -> impl Strategy<Value = v1::LinuxContainerConfig> {
    (
        any::<i64>(),
        any::<i64>(),
        any::<bool>(),
        vec(any::<i64>(), 0..4),
    )
        .prop_map(|(value, oom_score_adj, privileged, supplemental_groups)| {
            v1::LinuxContainerConfig {
                resources: Some(v1::LinuxContainerResources {
                    oom_score_adj,
                    ..Default::default()
                }),
                security_context: Some(v1::LinuxContainerSecurityContext {
                    privileged,
                    run_as_user: Some(v1::Int64Value { value }),
                    supplemental_groups,
                    ..Default::default()
                }),
            }
        })
}

fn container_config() -> impl Strategy<Value = v1::ContainerConfig> {
    let metadata =
        (text(), any::<u32>()).prop_map(|(name, attempt)| v1::ContainerMetadata { name, attempt });
    let envs = vec(
        (text(), text()).prop_map(|(key, value)| v1::KeyValue { key, value }),
        0..3,
    );
    let devices = vec(
        text().prop_map(|host_path| v1::Device {
            host_path,
            ..Default::default()
        }),
        0..2,
    );
    let ours = (
        option::of(metadata),
        option::of(image_spec()),
        vec(mount(), 0..4),
        map(),
        map(),
    );
    let others = (
        vec(text(), 0..3),
        text(),
        envs,
        devices,
        any::<bool>(),
        option::of(linux_container()),
    );
    (ours, others).prop_map(
        |(
            (metadata, image, mounts, labels, annotations),
            (args, log_path, envs, devices, tty, linux),
        )| {
            v1::ContainerConfig {
                metadata,
                image,
                command: args.clone(),
                args,
                envs,
                mounts,
                devices,
                labels,
                annotations,
                log_path,
                tty,
                linux,
                ..Default::default()
            }
        },
    )
}

pub(crate) fn create_container() -> impl Strategy<Value = v1::CreateContainerRequest> {
    (
        text(),
        option::of(container_config()),
        option::of(sandbox_config()),
    )
        .prop_map(
            |(pod_sandbox_id, config, sandbox_config)| v1::CreateContainerRequest {
                pod_sandbox_id,
                config,
                sandbox_config,
            },
        )
}

/// Fields that neither we nor `k8s-cri` know, as a newer client may send them.
pub(crate) fn unknown_fields() -> impl Strategy<Value = Vec<u8>> {
    let one = (1000..1_u32 << 29, 0..4, vec(any::<u8>(), 0..200)).prop_map(
        |(number, wire_type, bytes)| {
            let mut field = Vec::new();
            let start = [0, 1, 2, 5][wire_type as usize];
            prost::encoding::encode_varint(u64::from(number) << 3 | start, &mut field);
            match start {
                0 => prost::encoding::encode_varint(bytes.len() as u64, &mut field),
                1 => field.extend([7; 8]),
                5 => field.extend([7; 4]),
                _ => {
                    prost::encoding::encode_varint(bytes.len() as u64, &mut field);
                    field.extend(bytes);
                }
            }
            field
        },
    );
    vec(one, 0..4).prop_map(|fields| fields.concat())
}

/// A PullImageRequest with unknown fields at both levels of the image.
pub(crate) fn pull_image_with_unknown_fields() -> impl Strategy<Value = Vec<u8>> {
    let image = (
        image_spec(),
        unknown_fields(),
        unknown_fields(),
        unknown_fields(),
    );
    (pull_image(), image).prop_map(|(request, (spec, inner, before, behind))| {
        let spec = [spec.encode_to_vec(), inner].concat();
        let rest = v1::PullImageRequest {
            image: None,
            ..request
        };
        let mut message = before;
        prost::encoding::encode_varint(0x0a, &mut message);
        prost::encoding::encode_varint(spec.len() as u64, &mut message);
        [message, spec, behind, rest.encode_to_vec()].concat()
    })
}

// What we read from what k8s-cri wrote. Maps have no order: compare after `sorted`.

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
