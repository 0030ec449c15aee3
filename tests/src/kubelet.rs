//! A kubelet, as far as images and containers go: the same CRI calls in the same order with the same fields as the
//! kubelets 1.34 and 1.36 were traced to send.

mod container;
mod error;
mod image;
mod pod;
mod sandbox;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use anyhow::{Context, Result};
use hyper_util::rt::TokioIo;
use k8s_cri::v1::image_service_client::ImageServiceClient;
use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use k8s_cri::v1::{
    Image, ImageSpec, ImageStatusRequest, NamespaceMode, NamespaceOption, PodSandboxConfig,
    VersionRequest,
};
use tokio::net::UnixStream;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};

pub use error::{KubeletError, Reason};
pub use pod::{Pod, PullPolicy, Source};

/// kubelet's `runtimeRequestTimeout`, which every call but a pull has; here a pull has it too, or a test would hang.
const DEADLINE: Duration = Duration::from_mins(2);

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
}

fn namespaces() -> NamespaceOption {
    NamespaceOption {
        network: NamespaceMode::Pod as i32,
        pid: NamespaceMode::Container as i32,
        ipc: NamespaceMode::Pod as i32,
        ..NamespaceOption::default()
    }
}
