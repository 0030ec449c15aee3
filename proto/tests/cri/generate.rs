//! Random requests, made with `k8s-cri`'s types.

use std::collections::HashMap;

use k8s_cri::v1;
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
    let one = (1000..1_u32 << 29, 0..4_usize, vec(any::<u8>(), 0..200)).prop_map(
        |(number, wire_type, bytes)| {
            let mut field = Vec::new();
            let start = [0, 1, 2, 5][wire_type];
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

/// A pull with unknown fields at both levels of the image.
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
