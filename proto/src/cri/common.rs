//! Messages that stand inside several requests and answers.

use prost::Message;

use crate::wire::{Defect, WireError};

/// One entry of a `map<string, string>`, which on the wire is a repeated message.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Entry {
    /// 1, v1.
    #[prost(string, tag = "1")]
    pub key: String,
    /// 2, v1.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// The value of `key` in a map.
///
/// # Errors
/// [`Defect::Repeated`] if the key is given twice: decoders of maps take the last, readers of lists the first.
pub fn value_of<'a>(map: &'a [Entry], key: &str) -> Result<Option<&'a str>, WireError> {
    let mut values = map.iter().filter(|entry| entry.key == key);
    let value = values.next();
    if values.next().is_some() {
        return Err(WireError {
            at: format!("map key {key}"),
            defect: Defect::Repeated,
        });
    }
    Ok(value.map(|entry| entry.value.as_str()))
}

/// An image as a request names it.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ImageSpec {
    /// 1, v1: reference or, from the kubelet at create, image ID.
    #[prost(string, tag = "1")]
    pub image: String,
    /// 2, v1: from the kubelet at pull all annotations of the pod.
    #[prost(message, repeated, tag = "2")]
    pub annotations: Vec<Entry>,
    /// 18, 0.28: the string of the pod spec, at create and in image volumes.
    #[prost(string, tag = "18")]
    pub user_specified_image: String,
    /// 19, 0.29: runtime class handler (alpha in the kubelet, off).
    #[prost(string, tag = "19")]
    pub runtime_handler: String,
    /// 20, 0.36: image ID that the runtime reported.
    #[prost(string, tag = "20")]
    pub image_ref: String,
}

/// Who a sandbox is for.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct PodSandboxMetadata {
    /// 1, v1: pod name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// 2, v1: pod UID; for static pods 32 hexadecimal digits.
    #[prost(string, tag = "2")]
    pub uid: String,
    /// 3, v1: pod namespace.
    #[prost(string, tag = "3")]
    pub namespace: String,
    /// 4, v1: how often the sandbox has been created anew.
    #[prost(uint32, tag = "4")]
    pub attempt: u32,
}

/// A sandbox as a request describes it. At `RunPodSandbox` it is what is created; in other requests a claim.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct PodSandboxConfig {
    /// 1, v1.
    #[prost(message, optional, tag = "1")]
    pub metadata: Option<PodSandboxMetadata>,
    /// 6, v1: labels of the pod, and `io.kubernetes.pod.{name,namespace,uid}` from the kubelet.
    #[prost(message, repeated, tag = "6")]
    pub labels: Vec<Entry>,
    /// 7, v1: annotations of the pod; `kubernetes.io/config.source` is the kubelet's own.
    #[prost(message, repeated, tag = "7")]
    pub annotations: Vec<Entry>,
}

/// Which container of a pod.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ContainerMetadata {
    /// 1, v1: container name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// 2, v1: how often the container has been created anew.
    #[prost(uint32, tag = "2")]
    pub attempt: u32,
}

/// A mount; the gate reads only what an image volume needs.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Mount {
    /// 1, v1: path in the container.
    #[prost(string, tag = "1")]
    pub container_path: String,
    /// 9, 0.31: the image of an image volume; absent in any other mount.
    #[prost(message, optional, tag = "9")]
    pub image: Option<ImageSpec>,
    /// 10, 0.33: directory in the image that is mounted.
    #[prost(string, tag = "10")]
    pub image_sub_path: String,
}
