//! Containers: created, started, restarted, watched.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use anyhow::Result;
use k8s_cri::v1::{
    ContainerConfig, ContainerMetadata, ContainerState, ContainerStatusRequest,
    CreateContainerRequest, ImageSpec, Int64Value, LinuxContainerConfig,
    LinuxContainerSecurityContext, ListContainersRequest, RemoveContainerRequest,
    StartContainerRequest, StopContainerRequest,
};

use super::{ATTEMPT, Kubelet, KubeletError, Pod, Reason, Running, Sandbox, namespaces, timed};
use crate::daemon::wait_until;

impl Kubelet {
    /// `CreateContainer` alone, from the image `image_ref`. Returns the id and the log file.
    pub async fn create(
        &mut self,
        pod: &Pod,
        sandbox: &Sandbox,
        image_ref: &str,
        user: (Option<i64>, String),
    ) -> Result<(String, PathBuf), KubeletError> {
        let request = self.create_request(pod, sandbox, image_ref, user);
        let log_path = request
            .config
            .as_ref()
            .map(|config| config.log_path.clone())
            .unwrap_or_default();
        // Boxed: the request is large, and would make every future around it so.
        let reply = Box::pin(self.runtime.create_container(timed(request)))
            .await
            .map_err(|status| KubeletError::new(Reason::CreateContainer, &status))?;
        let log = Path::new(&sandbox.config.log_directory).join(log_path);
        Ok((reply.into_inner().container_id, log))
    }

    /// The request that [`Kubelet::create`] sends.
    pub fn create_request(
        &self,
        pod: &Pod,
        sandbox: &Sandbox,
        image_ref: &str,
        user: (Option<i64>, String),
    ) -> CreateContainerRequest {
        let attempt = ATTEMPT.fetch_add(1, Ordering::Relaxed);
        let labels = HashMap::from([
            ("io.kubernetes.container.name".to_owned(), "main".to_owned()),
            ("io.kubernetes.pod.name".to_owned(), pod.name.clone()),
            (
                "io.kubernetes.pod.namespace".to_owned(),
                pod.namespace.clone(),
            ),
            ("io.kubernetes.pod.uid".to_owned(), pod.uid.clone()),
        ]);
        CreateContainerRequest {
            pod_sandbox_id: sandbox.id.clone(),
            config: Some(ContainerConfig {
                metadata: Some(ContainerMetadata {
                    name: "main".into(),
                    attempt,
                }),
                image: Some(ImageSpec {
                    image: image_ref.to_owned(),
                    user_specified_image: pod.image.clone(),
                    ..ImageSpec::default()
                }),
                command: pod.command.clone(),
                labels,
                mounts: pod.image_volumes.clone(),
                log_path: format!("main_{attempt}.log"),
                linux: Some(LinuxContainerConfig {
                    resources: None,
                    security_context: Some(LinuxContainerSecurityContext {
                        namespace_options: Some(namespaces()),
                        run_as_user: user.0.map(|value| Int64Value { value }),
                        run_as_username: user.1,
                        ..LinuxContainerSecurityContext::default()
                    }),
                }),
                ..ContainerConfig::default()
            }),
            sandbox_config: Some(sandbox.config.clone()),
        }
    }

    /// `StartContainer`.
    pub async fn start(&mut self, container: &str) -> Result<(), KubeletError> {
        let request = StartContainerRequest {
            container_id: container.into(),
        };
        self.runtime
            .start_container(timed(request))
            .await
            .map_err(|status| KubeletError::new(Reason::RunContainer, &status))?;
        Ok(())
    }

    /// Stops the container and starts it again as kubelet does after a crash: a new container in the same sandbox.
    pub async fn restart_container(
        &mut self,
        pod: &Pod,
        running: &Running,
    ) -> Result<Running, KubeletError> {
        self.stop_container(&running.container).await?;
        let next = self.start_container(pod, &running.sandbox).await?;
        let request = RemoveContainerRequest {
            container_id: running.container.clone(),
        };
        let _ = self.runtime.remove_container(timed(request)).await;
        Ok(next)
    }

    /// `StopContainer` without grace.
    pub async fn stop_container(&mut self, container: &str) -> Result<(), KubeletError> {
        let request = StopContainerRequest {
            container_id: container.into(),
            timeout: 0,
        };
        self.runtime
            .stop_container(timed(request))
            .await
            .map_err(|status| KubeletError::new(Reason::KillContainer, &status))?;
        Ok(())
    }

    /// Ids of the containers that run now.
    pub async fn running_containers(&mut self) -> Result<Vec<String>> {
        self.containers_in(ContainerState::ContainerRunning).await
    }

    /// Ids of the containers that were created and never started.
    pub async fn created_containers(&mut self) -> Result<Vec<String>> {
        self.containers_in(ContainerState::ContainerCreated).await
    }

    async fn containers_in(&mut self, state: ContainerState) -> Result<Vec<String>> {
        let request = timed(ListContainersRequest { filter: None });
        let reply = self.runtime.list_containers(request).await?;
        Ok(reply
            .into_inner()
            .containers
            .into_iter()
            .filter(|container| container.state == state as i32)
            .map(|container| container.id)
            .collect())
    }

    /// Whether a container runs.
    pub async fn is_running(&mut self, container: &str) -> Result<bool> {
        Ok(self
            .running_containers()
            .await?
            .iter()
            .any(|id| id == container))
    }

    /// The exit code of a container, once it has ended.
    pub async fn exit_code(&mut self, container: &str) -> Result<i32> {
        wait_until("the container to end", async || {
            let request = ContainerStatusRequest {
                container_id: container.into(),
                verbose: false,
            };
            let reply = self
                .runtime
                .container_status(timed(request))
                .await?
                .into_inner();
            Ok(reply
                .status
                .filter(|status| status.state == ContainerState::ContainerExited as i32)
                .map(|status| status.exit_code))
        })
        .await
    }

    /// The first line of a container's output.
    pub async fn output(&self, running: &Running) -> Result<String> {
        wait_until("output of the container", async || {
            let log = std::fs::read_to_string(&running.log).unwrap_or_default();
            // CRI's log format: time, stream, full or partial, text.
            Ok(log
                .lines()
                .next()
                .and_then(|line| line.splitn(4, ' ').nth(3))
                .map(str::to_owned))
        })
        .await
    }
}
