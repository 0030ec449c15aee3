//! A kubelet, as far as images and containers go: the same CRI calls in the same order with the same fields as the
//! kubelets 1.34 and 1.36 were traced to send.

mod error;
mod pod;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use hyper_util::rt::TokioIo;
use k8s_cri::v1::image_service_client::ImageServiceClient;
use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use k8s_cri::v1::{
    AuthConfig, ContainerConfig, ContainerMetadata, ContainerState, ContainerStatusRequest,
    CreateContainerRequest, Image, ImageSpec, ImageStatusRequest, Int64Value, LinuxContainerConfig,
    LinuxContainerSecurityContext, LinuxPodSandboxConfig, ListContainersRequest, NamespaceMode,
    NamespaceOption, PodSandboxConfig, PodSandboxMetadata, PullImageRequest,
    RemoveContainerRequest, RemovePodSandboxRequest, RunPodSandboxRequest, StartContainerRequest,
    StopContainerRequest, StopPodSandboxRequest, VersionRequest,
};
use tokio::net::UnixStream;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};

use crate::daemon::wait_until;

pub use error::{KubeletError, Reason};
pub use pod::{Pod, PullPolicy, Source};

/// kubelet's `runtimeRequestTimeout`, which every call but a pull has; here a pull has it too, or a test would hang.
const DEADLINE: Duration = Duration::from_secs(120);

/// What kubelet accepts as an answer.
const MAX_REPLY: usize = 16 * 1024 * 1024;

static ATTEMPT: AtomicU32 = AtomicU32::new(0);

/// The kubelet.
#[derive(Debug, Clone)]
pub struct Kubelet {
    runtime: RuntimeServiceClient<Channel>,
    images: ImageServiceClient<Channel>,
    logs: PathBuf,
    cgroup_parent: String,
}

/// A sandbox that runs.
#[derive(Debug, Clone)]
pub struct Sandbox {
    /// Its id.
    pub id: String,
    /// Its configuration, which kubelet repeats in later calls.
    pub config: PodSandboxConfig,
}

/// A pod of one container that was started.
#[derive(Debug, Clone)]
pub struct Running {
    /// Its sandbox.
    pub sandbox: Sandbox,
    /// Its container.
    pub container: String,
    /// Where the container's output goes.
    pub log: PathBuf,
}

fn timed<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(DEADLINE);
    request
}

/// Connects to a unix socket with `:authority` localhost, as kubelet since 1.31 does.
pub async fn connect(socket: &Path) -> Result<Channel> {
    let path = socket.to_owned();
    Endpoint::from_static("http://localhost")
        .connect_with_connector(tower::service_fn(move |_| {
            let path = path.clone();
            async move { Ok::<_, std::io::Error>(TokioIo::new(UnixStream::connect(path).await?)) }
        }))
        .await
        .with_context(|| format!("cannot connect to {}", socket.display()))
}

impl Kubelet {
    /// Connects to `socket`. Pod logs go below `logs`, pods into the cgroup `cgroup_parent`.
    pub async fn connect(socket: &Path, logs: &Path, cgroup_parent: &str) -> Result<Self> {
        // Two connections, as kubelet has them.
        let runtime = RuntimeServiceClient::new(connect(socket).await?);
        let images = ImageServiceClient::new(connect(socket).await?);
        Ok(Self {
            runtime: runtime.max_decoding_message_size(MAX_REPLY),
            images: images.max_decoding_message_size(MAX_REPLY),
            logs: logs.to_owned(),
            cgroup_parent: cgroup_parent.to_owned(),
        })
    }

    /// The plain CRI client of the runtime service.
    pub fn runtime(&mut self) -> &mut RuntimeServiceClient<Channel> {
        &mut self.runtime
    }

    /// The plain CRI client of the image service.
    pub fn images(&mut self) -> &mut ImageServiceClient<Channel> {
        &mut self.images
    }

    /// Name and version of the runtime.
    pub async fn version(&mut self) -> Result<(String, String)> {
        let request = VersionRequest {
            version: "0.1.0".into(),
        };
        let reply = self.runtime.version(timed(request)).await?.into_inner();
        Ok((reply.runtime_name, reply.runtime_version))
    }

    /// The image that CRI shows for a name or id.
    pub async fn image_status(&mut self, spec: ImageSpec) -> Result<Option<Image>, tonic::Status> {
        let request = ImageStatusRequest {
            image: Some(spec),
            verbose: false,
        };
        Ok(self
            .images
            .image_status(timed(request))
            .await?
            .into_inner()
            .image)
    }

    /// The id of the image that CRI shows for a name.
    pub async fn image_id(&mut self, name: &str) -> Result<Option<String>> {
        let spec = ImageSpec {
            image: name.into(),
            ..ImageSpec::default()
        };
        Ok(self.image_status(spec).await?.map(|image| image.id))
    }

    /// Everything kubelet does to get a pod of one container running.
    pub async fn run_pod(&mut self, pod: &Pod) -> Result<Running, KubeletError> {
        let sandbox = self.run_sandbox(pod).await?;
        match self.start_container(pod, &sandbox).await {
            Ok(running) => Ok(running),
            Err(error) => {
                // kubelet keeps the sandbox and tries again; a test has no use for it.
                let _ = self.remove_sandbox(&sandbox.id).await;
                Err(error)
            }
        }
    }

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

    /// What kubelet does at every start and restart of a container in its sandbox: image, create, start.
    pub async fn start_container(
        &mut self,
        pod: &Pod,
        sandbox: &Sandbox,
    ) -> Result<Running, KubeletError> {
        let image_ref = self.ensure_image(pod, &sandbox.config).await?;
        let user = self.image_user(pod).await?;
        let (container, log) = self.create(pod, sandbox, &image_ref, user).await?;
        self.start(&container).await?;
        Ok(Running {
            sandbox: sandbox.clone(),
            container,
            log,
        })
    }

    /// kubelet's `EnsureImageExists`: the image reference to create from, which on containerd is the image ID.
    pub async fn ensure_image(
        &mut self,
        pod: &Pod,
        sandbox: &PodSandboxConfig,
    ) -> Result<String, KubeletError> {
        let spec = ImageSpec {
            image: pod.image_with_tag(),
            annotations: pod.all_annotations(),
            ..ImageSpec::default()
        };
        if pod.pull != PullPolicy::Always {
            let present = self
                .image_status(spec.clone())
                .await
                .map_err(|status| KubeletError::new(Reason::ImageInspect, &status))?;
            match present {
                Some(image) => return Ok(image.id),
                None if pod.pull == PullPolicy::Never => {
                    return Err(KubeletError::never(&pod.image));
                }
                None => {}
            }
        }
        let image_ref = self.pull(pod, &spec, sandbox).await?;
        // Since 1.30, for the size in the "Pulled" event.
        let _ = self.image_status(spec).await;
        Ok(image_ref)
    }

    async fn pull(
        &mut self,
        pod: &Pod,
        spec: &ImageSpec,
        sandbox: &PodSandboxConfig,
    ) -> Result<String, KubeletError> {
        let credentials: Vec<Option<AuthConfig>> = if pod.credentials.is_empty() {
            vec![None]
        } else {
            pod.credentials.iter().cloned().map(Some).collect()
        };
        let mut refusals = Vec::new();
        for auth in credentials {
            let request = PullImageRequest {
                image: Some(spec.clone()),
                auth,
                sandbox_config: Some(sandbox.clone()),
            };
            match self.images.pull_image(timed(request)).await {
                Ok(reply) => return Ok(reply.into_inner().image_ref),
                Err(status) => refusals.push(status),
            }
        }
        Err(KubeletError::pull(&pod.image, &refusals))
    }

    /// kubelet's `getImageUser`: asked with the image exactly as the pod names it, without annotations. An image that is
    /// absent here gives root.
    async fn image_user(&mut self, pod: &Pod) -> Result<(Option<i64>, String), KubeletError> {
        let spec = ImageSpec {
            image: pod.image.clone(),
            ..ImageSpec::default()
        };
        let image = self
            .image_status(spec)
            .await
            .map_err(|status| KubeletError::new(Reason::ImageInspect, &status))?;
        Ok(match image {
            None => (Some(0), String::new()),
            Some(image) => match image.uid {
                Some(uid) => (Some(uid.value), String::new()),
                None if !image.username.is_empty() => (None, image.username),
                None => (Some(0), String::new()),
            },
        })
    }

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
        let reply = self
            .runtime
            .create_container(timed(request))
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

    /// Ids of the containers that run now.
    pub async fn running_containers(&mut self) -> Result<Vec<String>> {
        let reply = self
            .runtime
            .list_containers(timed(ListContainersRequest { filter: None }))
            .await?;
        Ok(reply
            .into_inner()
            .containers
            .into_iter()
            .filter(|container| container.state == ContainerState::ContainerRunning as i32)
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
                security_context: Some(k8s_cri::v1::LinuxSandboxSecurityContext {
                    namespace_options: Some(namespaces()),
                    ..Default::default()
                }),
                ..LinuxPodSandboxConfig::default()
            }),
            ..PodSandboxConfig::default()
        }
    }
}

fn namespaces() -> NamespaceOption {
    NamespaceOption {
        network: NamespaceMode::Pod as i32,
        pid: NamespaceMode::Container as i32,
        ipc: NamespaceMode::Pod as i32,
        ..NamespaceOption::default()
    }
}
