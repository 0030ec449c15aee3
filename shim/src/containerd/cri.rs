//! The questions asked over CRI.

use http::uri::PathAndQuery;
use portcullis_proto::cri;
use prost::Message;
use tokio::time::Instant;
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

use super::channel::{MAX_ANSWER, call, found, read};
use super::{Containerd, ContainerdError, CriContainer, CriImage, Sandbox};

/// One CRI method: its name in errors, and its path.
struct Question {
    name: &'static str,
    path: &'static str,
}

macro_rules! question {
    ($service:literal, $method:literal) => {
        Question {
            name: $method,
            path: concat!("/runtime.v1.", $service, "/", $method),
        }
    };
}

const IMAGE_STATUS: Question = question!("ImageService", "ImageStatus");
const LIST_IMAGES: Question = question!("ImageService", "ListImages");
const POD_SANDBOX_STATUS: Question = question!("RuntimeService", "PodSandboxStatus");
const LIST_POD_SANDBOX: Question = question!("RuntimeService", "ListPodSandbox");
const LIST_CONTAINERS: Question = question!("RuntimeService", "ListContainers");
const REMOVE_CONTAINER: Question = question!("RuntimeService", "RemoveContainer");
const VERSION: Question = question!("RuntimeService", "Version");

impl Containerd {
    async fn unary<Q, A>(&self, question: &Question, message: Q) -> Result<A, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut client =
            tonic::client::Grpc::new(self.upstream.channel()).max_decoding_message_size(MAX_ANSWER);
        client
            .ready()
            .await
            .map_err(|error| Status::from_error(Box::new(error)))?;
        let path = PathAndQuery::from_static(question.path);
        let codec = ProstCodec::<Q, A>::default();
        let answer = client.unary(Request::new(message), path, codec).await?;
        Ok(answer.into_inner())
    }

    async fn ask<Q, A>(
        &self,
        question: &Question,
        message: Q,
        deadline: Instant,
    ) -> Result<A, ContainerdError>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        read(question.name, deadline, || {
            self.unary(question, message.clone())
        })
        .await
    }

    /// CRI `ImageStatus` of a name or ID.
    pub async fn image_status(
        &self,
        name: &str,
        deadline: Instant,
    ) -> Result<Option<CriImage>, ContainerdError> {
        let message = cri::ImageStatusRequest {
            image: Some(cri::ImageSpec {
                image: name.to_owned(),
                ..cri::ImageSpec::default()
            }),
            verbose: false,
        };
        let answer = self.ask::<_, cri::ImageStatusResponse>(&IMAGE_STATUS, message, deadline);
        let answer = found(answer.await)?;
        Ok(answer.and_then(|answer| answer.image).and_then(image))
    }

    /// CRI `ListImages`.
    pub async fn images_in_view(
        &self,
        deadline: Instant,
    ) -> Result<Vec<CriImage>, ContainerdError> {
        let message = cri::ListImagesRequest::default();
        let answer: cri::ListImagesResponse = self.ask(&LIST_IMAGES, message, deadline).await?;
        Ok(answer.images.into_iter().filter_map(image).collect())
    }

    /// CRI `PodSandboxStatus`.
    pub async fn sandbox(
        &self,
        id: &str,
        deadline: Instant,
    ) -> Result<Option<Sandbox>, ContainerdError> {
        let message = cri::PodSandboxStatusRequest {
            pod_sandbox_id: id.to_owned(),
            verbose: false,
        };
        let answer =
            self.ask::<_, cri::PodSandboxStatusResponse>(&POD_SANDBOX_STATUS, message, deadline);
        let status = found(answer.await)?.and_then(|answer| answer.status);
        // containerd takes a unique prefix for an ID; only the very sandbox counts.
        Ok(status
            .filter(|status| status.id == id)
            .and_then(|status| sandbox(status.id, status.metadata, status.runtime_handler)))
    }

    /// CRI `ListPodSandbox`.
    pub async fn sandboxes(&self, deadline: Instant) -> Result<Vec<Sandbox>, ContainerdError> {
        let message = cri::ListPodSandboxRequest::default();
        let answer: cri::ListPodSandboxResponse =
            self.ask(&LIST_POD_SANDBOX, message, deadline).await?;
        Ok(answer
            .items
            .into_iter()
            .filter_map(|item| sandbox(item.id, item.metadata, item.runtime_handler))
            .collect())
    }

    async fn list_containers(
        &self,
        filter: Option<cri::ContainerFilter>,
        deadline: Instant,
    ) -> Result<Vec<CriContainer>, ContainerdError> {
        let message = cri::ListContainersRequest { filter };
        let answer: cri::ListContainersResponse =
            self.ask(&LIST_CONTAINERS, message, deadline).await?;
        Ok(answer.containers.into_iter().map(container).collect())
    }

    /// CRI `ListContainers`.
    pub async fn containers(
        &self,
        deadline: Instant,
    ) -> Result<Vec<CriContainer>, ContainerdError> {
        self.list_containers(None, deadline).await
    }

    /// One container with the image as stored. Asked by `ListContainers`, because `ContainerStatus` has no sandbox and
    /// puts the image's first tag in place of what was stored.
    pub async fn container(
        &self,
        id: &str,
        deadline: Instant,
    ) -> Result<Option<CriContainer>, ContainerdError> {
        let filter = cri::ContainerFilter {
            id: id.to_owned(),
            ..cri::ContainerFilter::default()
        };
        let listed = self.list_containers(Some(filter), deadline).await?;
        Ok(listed.into_iter().find(|container| container.id == id))
    }

    /// CRI `RemoveContainer`, which kills it if it runs. Removing what is gone succeeds.
    pub async fn remove_container(
        &self,
        id: &str,
        deadline: Instant,
    ) -> Result<(), ContainerdError> {
        let message = cri::RemoveContainerRequest {
            container_id: id.to_owned(),
        };
        let answer = self.unary::<_, cri::RemoveContainerResponse>(&REMOVE_CONTAINER, message);
        found(call(REMOVE_CONTAINER.name, deadline, answer).await).map(|_| ())
    }

    /// CRI Version of the runtime behind the socket: (name, version).
    pub async fn version(&self, deadline: Instant) -> Result<(String, String), ContainerdError> {
        let message = cri::VersionRequest {
            version: String::new(),
        };
        let answer: cri::VersionResponse = self.ask(&VERSION, message, deadline).await?;
        Ok((answer.runtime_name, answer.runtime_version))
    }
}

fn image(image: cri::Image) -> Option<CriImage> {
    Some(CriImage {
        id: image.id.parse().ok()?,
        repo_tags: image.repo_tags,
        repo_digests: image.repo_digests,
    })
}

fn sandbox(
    id: String,
    metadata: Option<cri::PodSandboxMetadata>,
    runtime_handler: String,
) -> Option<Sandbox> {
    let metadata = metadata?;
    Some(Sandbox {
        id,
        namespace: metadata.namespace,
        name: metadata.name,
        uid: metadata.uid,
        runtime_handler,
    })
}

fn container(container: cri::Container) -> CriContainer {
    let spec = container.image.unwrap_or_default();
    // Before CRI 0.30 there is no image_id; containerd gives the same value as image_ref in lists.
    let id = [&container.image_id, &container.image_ref];
    CriContainer {
        running: container.state == cri::ContainerState::Running as i32,
        image_id: id.into_iter().find_map(|id| id.parse().ok()),
        id: container.id,
        sandbox_id: container.pod_sandbox_id,
        image: spec.image,
        user_specified_image: spec.user_specified_image,
    }
}
