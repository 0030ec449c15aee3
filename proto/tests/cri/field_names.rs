//! Every field of our messages has the number that the published definition gives to its name.

use k8s_cri::v1;
use portcullis_proto::cri::*;
use prost::Message;
use serde::Serialize;
use serde_json::Value;

use crate::samples;

/// Encodes `ours`, lets `k8s-cri` decode it, and compares the names it gives to the values; then back again, so that
/// a field that `k8s-cri` does not know shows by its loss.
fn check<O, K>(ours: &O)
where
    O: Message + Default + std::fmt::Debug,
    K: Message + Default + Serialize,
{
    let theirs = K::decode(ours.encode_to_vec().as_slice()).expect("k8s-cri decodes it");
    names(
        "",
        &serde_json::to_value(&theirs).expect("it is plain data"),
    );

    let back = O::decode(theirs.encode_to_vec().as_slice()).expect("we decode it");
    assert_eq!(
        without_newer(&format!("{ours:#?}")),
        without_newer(&format!("{back:#?}"))
    );
}

/// The lines of a `Debug` output without the fields that came after the release `k8s-cri` is made from.
fn without_newer(text: &str) -> Vec<&str> {
    let mut enclosing = Vec::new();
    let mut lines = Vec::new();
    for line in text.lines() {
        let (name, _) = line.trim().split_once(": ").unwrap_or_default();
        let newer = match enclosing.last() {
            Some(&"ImageSpec {") => name == "image_ref",
            Some(&"Mount {") => name == "image_sub_path",
            _ => false,
        };
        if !newer {
            lines.push(line);
        }
        let last = line.trim().rsplit(": ").next().unwrap_or_default();
        if last.ends_with(['{', '(', '[']) {
            enclosing.push(last);
        } else if last.starts_with(['}', ')', ']']) {
            enclosing.pop();
        }
    }
    lines
}

/// Every value that is set is the sample value of the name it stands under.
fn names(key: &str, value: &Value) {
    match value {
        Value::String(text) => assert!(text.is_empty() || text == key, "{key} holds {text}"),
        Value::Number(value) if key == "state" => assert_eq!(value.as_i64(), Some(1)),
        Value::Number(value) => {
            let value = value.as_i64().expect("an integer");
            assert!(
                value == 0 || value == i64::from(samples::number(key)),
                "{key} holds {value}"
            );
        }
        Value::Array(values) => values.iter().for_each(|value| names(key, value)),
        Value::Object(values) => values
            .iter()
            .for_each(|(key, value)| names(key.trim_start_matches("r#"), value)),
        Value::Null | Value::Bool(_) => {}
    }
}

#[test]
fn gated_and_learnt_requests() {
    check::<_, v1::PullImageRequest>(&samples::pull_image());
    check::<_, v1::CreateContainerRequest>(&samples::create_container());
    check::<_, v1::StartContainerRequest>(&samples::start_container());
    check::<_, v1::RunPodSandboxRequest>(&samples::run_pod_sandbox());
    check::<_, v1::RemovePodSandboxRequest>(&samples::remove_pod_sandbox());
    check::<_, v1::RemoveImageRequest>(&samples::remove_image());
    check::<_, v1::ImageStatusRequest>(&samples::image_status());
}

#[test]
fn answers_that_are_learnt_from() {
    check::<_, v1::PullImageResponse>(&PullImageResponse {
        image_ref: "image_ref".into(),
    });
    check::<_, v1::CreateContainerResponse>(&CreateContainerResponse {
        container_id: "container_id".into(),
    });
    check::<_, v1::RunPodSandboxResponse>(&RunPodSandboxResponse {
        pod_sandbox_id: "pod_sandbox_id".into(),
    });
}

#[test]
fn questions_to_containerd() {
    check::<_, v1::ListImagesRequest>(&samples::list_images());
    check::<_, v1::ListPodSandboxRequest>(&samples::list_pod_sandbox());
    check::<_, v1::ListContainersRequest>(&samples::list_containers());
    check::<_, v1::VersionRequest>(&VersionRequest {
        version: "version".into(),
    });
    check::<_, v1::StatusRequest>(&StatusRequest { verbose: true });
    check::<_, v1::PodSandboxStatusRequest>(&PodSandboxStatusRequest {
        pod_sandbox_id: "pod_sandbox_id".into(),
        verbose: true,
    });
    check::<_, v1::ContainerStatusRequest>(&ContainerStatusRequest {
        container_id: "container_id".into(),
        verbose: true,
    });
    check::<_, v1::RemoveContainerRequest>(&RemoveContainerRequest {
        container_id: "container_id".into(),
    });
    check::<_, v1::StopContainerRequest>(&StopContainerRequest {
        container_id: "container_id".into(),
        timeout: samples::number("timeout").into(),
    });
}

#[test]
fn answers_of_containerd() {
    check::<_, v1::ImageStatusResponse>(&samples::image_status_response());
    check::<_, v1::ListImagesResponse>(&ListImagesResponse {
        images: vec![samples::image()],
    });
    check::<_, v1::PodSandboxStatusResponse>(&samples::pod_sandbox_status_response());
    check::<_, v1::ListPodSandboxResponse>(&samples::list_pod_sandbox_response());
    check::<_, v1::ListContainersResponse>(&samples::list_containers_response());
    check::<_, v1::ContainerStatusResponse>(&samples::container_status_response());
    check::<_, v1::VersionResponse>(&samples::version_response());
    check::<_, v1::StatusResponse>(&samples::status_response());
}

#[test]
fn states_have_the_published_numbers() {
    assert_eq!(
        ContainerState::Exited as i32,
        v1::ContainerState::ContainerExited as i32
    );
    assert_eq!(
        ContainerState::Running as i32,
        v1::ContainerState::ContainerRunning as i32
    );
    assert_eq!(
        ContainerState::Created as i32,
        v1::ContainerState::ContainerCreated as i32
    );
    assert_eq!(
        ContainerState::Unknown as i32,
        v1::ContainerState::ContainerUnknown as i32
    );
    assert_eq!(
        PodSandboxState::Ready as i32,
        v1::PodSandboxState::SandboxReady as i32
    );
    assert_eq!(
        PodSandboxState::NotReady as i32,
        v1::PodSandboxState::SandboxNotready as i32
    );
}
