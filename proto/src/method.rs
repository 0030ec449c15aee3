//! The table of CRI v1 methods: every RPC up to cri-api 0.36, and nothing else.
//!
//! A method that is not here is answered UNIMPLEMENTED, which the kubelet takes as "feature absent". That closes
//! `runtime.v1alpha2` and containerd's own services on the same socket, and RPCs of the future that may start an image
//! by a way the gate does not know (`CheckpointPod` and `RestorePod`, unreleased).

/// One RPC of CRI v1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method {
    /// `RuntimeService` or `ImageService`.
    pub service: &'static str,
    /// RPC name.
    pub name: &'static str,
    /// `:path` of its requests: `/runtime.v1.<service>/<name>`.
    pub path: &'static str,
    /// Its request is read, judged and perhaps refused or rewritten.
    pub gate: bool,
    /// Its answer teaches the gate ids.
    pub learn: bool,
    /// cri-api release that brought it; `v1` if it is older than 0.28.
    pub since: &'static str,
}

/// `(gate, learn)` of a method.
type Flags = (bool, bool);
const PASS: Flags = (false, false);
const GATE: Flags = (true, false);
const LEARN: Flags = (false, true);
const GATE_AND_LEARN: Flags = (true, true);

macro_rules! rpc {
    ($service:literal, $name:literal, $flags:expr, $since:literal) => {
        Method {
            service: $service,
            name: $name,
            path: concat!("/runtime.v1.", $service, "/", $name),
            gate: $flags.0,
            learn: $flags.1,
            since: $since,
        }
    };
}

/// Every method, in ascending order of [`Method::path`].
pub const METHODS: &[Method] = &[
    rpc!("ImageService", "ImageFsInfo", PASS, "v1"),
    rpc!("ImageService", "ImageStatus", PASS, "v1"),
    rpc!("ImageService", "ListImages", PASS, "v1"),
    rpc!("ImageService", "PullImage", GATE_AND_LEARN, "v1"),
    rpc!("ImageService", "RemoveImage", LEARN, "v1"),
    rpc!("ImageService", "StreamImages", PASS, "0.36"),
    rpc!("RuntimeService", "Attach", PASS, "v1"),
    rpc!("RuntimeService", "CheckpointContainer", PASS, "v1"),
    rpc!("RuntimeService", "ContainerStats", PASS, "v1"),
    rpc!("RuntimeService", "ContainerStatus", PASS, "v1"),
    rpc!("RuntimeService", "CreateContainer", GATE_AND_LEARN, "v1"),
    rpc!("RuntimeService", "Exec", PASS, "v1"),
    rpc!("RuntimeService", "ExecSync", PASS, "v1"),
    rpc!("RuntimeService", "GetContainerEvents", PASS, "v1"),
    rpc!("RuntimeService", "ListContainerStats", PASS, "v1"),
    rpc!("RuntimeService", "ListContainers", PASS, "v1"),
    rpc!("RuntimeService", "ListMetricDescriptors", PASS, "v1"),
    rpc!("RuntimeService", "ListPodSandbox", PASS, "v1"),
    rpc!("RuntimeService", "ListPodSandboxMetrics", PASS, "v1"),
    rpc!("RuntimeService", "ListPodSandboxStats", PASS, "v1"),
    rpc!("RuntimeService", "PodSandboxStats", PASS, "v1"),
    rpc!("RuntimeService", "PodSandboxStatus", PASS, "v1"),
    rpc!("RuntimeService", "PortForward", PASS, "v1"),
    rpc!("RuntimeService", "RemoveContainer", PASS, "v1"),
    rpc!("RuntimeService", "RemovePodSandbox", LEARN, "v1"),
    rpc!("RuntimeService", "ReopenContainerLog", PASS, "v1"),
    rpc!("RuntimeService", "RunPodSandbox", GATE_AND_LEARN, "v1"),
    rpc!("RuntimeService", "RuntimeConfig", PASS, "0.28"),
    rpc!("RuntimeService", "StartContainer", GATE, "v1"),
    rpc!("RuntimeService", "Status", PASS, "v1"),
    rpc!("RuntimeService", "StopContainer", PASS, "v1"),
    rpc!("RuntimeService", "StopPodSandbox", PASS, "v1"),
    rpc!("RuntimeService", "StreamContainerStats", PASS, "0.36"),
    rpc!("RuntimeService", "StreamContainers", PASS, "0.36"),
    rpc!("RuntimeService", "StreamPodSandboxMetrics", PASS, "0.36"),
    rpc!("RuntimeService", "StreamPodSandboxStats", PASS, "0.36"),
    rpc!("RuntimeService", "StreamPodSandboxes", PASS, "0.36"),
    rpc!("RuntimeService", "UpdateContainerResources", PASS, "v1"),
    rpc!("RuntimeService", "UpdatePodSandboxResources", PASS, "0.33"),
    rpc!("RuntimeService", "UpdateRuntimeConfig", PASS, "v1"),
    rpc!("RuntimeService", "Version", PASS, "v1"),
];

/// The method at `path`, or `None`: answered UNIMPLEMENTED. Only the exact path counts.
pub fn lookup(path: &str) -> Option<&'static Method> {
    let at = METHODS
        .binary_search_by(|method| method.path.cmp(path))
        .ok()?;
    METHODS.get(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_sorted_without_duplicates() {
        assert!(METHODS.windows(2).all(|pair| pair[0].path < pair[1].path));
    }

    #[test]
    fn every_method_is_found_at_its_path() {
        for method in METHODS {
            assert_eq!(lookup(method.path), Some(method));
        }
    }

    #[test]
    fn unreleased_other_and_misspelt_methods_are_absent() {
        for path in [
            "/runtime.v1.RuntimeService/CheckpointPod",
            "/runtime.v1.RuntimeService/RestorePod",
            "/runtime.v1alpha2.ImageService/PullImage",
            "/containerd.services.images.v1.Images/Create",
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            "/runtime.v1.RuntimeService/PullImage",
            "/runtime.v1.ImageService/pullimage",
            "/runtime.v1.ImageService/PullImage/",
            "/runtime.v1.ImageService/PullImage?x",
            "//runtime.v1.ImageService/PullImage",
            "/runtime.v1.ImageService/%50ullImage",
            "/runtime.v1.ImageService/",
            "runtime.v1.ImageService/PullImage",
            "/",
            "",
        ] {
            assert_eq!(lookup(path), None, "{path}");
        }
    }

    #[test]
    fn gate_and_learn_flags_are_those_of_the_design() {
        let names = |flag: fn(&Method) -> bool| -> Vec<_> {
            METHODS
                .iter()
                .filter(|method| flag(method))
                .map(|method| method.name)
                .collect()
        };
        assert_eq!(
            names(|m| m.gate),
            [
                "PullImage",
                "CreateContainer",
                "RunPodSandbox",
                "StartContainer"
            ]
        );
        assert_eq!(
            names(|m| m.learn),
            [
                "PullImage",
                "RemoveImage",
                "CreateContainer",
                "RemovePodSandbox",
                "RunPodSandbox"
            ]
        );
    }
}
