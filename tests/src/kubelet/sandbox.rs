//! Sandboxes: made, configured, removed.

use std::sync::atomic::Ordering;

use anyhow::Result;
use k8s_cri::v1::{
    LinuxPodSandboxConfig, LinuxSandboxSecurityContext, PodSandboxConfig, PodSandboxMetadata,
    RemovePodSandboxRequest, RunPodSandboxRequest, StopPodSandboxRequest,
};

use super::{ATTEMPT, Kubelet, KubeletError, Pod, Reason, Sandbox, namespaces, timed};

impl Kubelet {
    /// `RunPodSandbox`.
    pub async fn run_sandbox(&mut self, pod: &Pod) -> Result<Sandbox, KubeletError> {
        let config = self.sandbox_config(pod);
        let _ = std::fs::create_dir_all(&config.log_directory);
        let request = RunPodSandboxRequest {
            config: Some(config.clone()),
            runtime_handler: String::new(),
        };
        let reply = self
            .runtime
            .run_pod_sandbox(timed(request))
            .await
            .map_err(|status| KubeletError::new(Reason::CreatePodSandbox, &status))?;
        Ok(Sandbox {
            id: reply.into_inner().pod_sandbox_id,
            config,
        })
    }

    /// Stops and removes a sandbox with all that is in it.
    pub async fn remove_sandbox(&mut self, id: &str) -> Result<()> {
        self.runtime
            .stop_pod_sandbox(timed(StopPodSandboxRequest {
                pod_sandbox_id: id.into(),
            }))
            .await?;
        self.runtime
            .remove_pod_sandbox(timed(RemovePodSandboxRequest {
                pod_sandbox_id: id.into(),
            }))
            .await?;
        Ok(())
    }

    fn sandbox_config(&self, pod: &Pod) -> PodSandboxConfig {
        let mut labels = pod.labels.clone();
        labels.insert("io.kubernetes.pod.name".into(), pod.name.clone());
        labels.insert("io.kubernetes.pod.namespace".into(), pod.namespace.clone());
        labels.insert("io.kubernetes.pod.uid".into(), pod.uid.clone());
        let log_directory = self
            .logs
            .join(format!("{}_{}_{}", pod.namespace, pod.name, pod.uid));
        PodSandboxConfig {
            metadata: Some(PodSandboxMetadata {
                name: pod.name.clone(),
                uid: pod.uid.clone(),
                namespace: pod.namespace.clone(),
                attempt: ATTEMPT.fetch_add(1, Ordering::Relaxed),
            }),
            hostname: pod.name.clone(),
            log_directory: log_directory.display().to_string(),
            labels,
            annotations: pod.all_annotations(),
            linux: Some(LinuxPodSandboxConfig {
                cgroup_parent: self.cgroup_parent.clone(),
                security_context: Some(LinuxSandboxSecurityContext {
                    namespace_options: Some(namespaces()),
                    ..Default::default()
                }),
                ..LinuxPodSandboxConfig::default()
            }),
            ..PodSandboxConfig::default()
        }
    }
}
