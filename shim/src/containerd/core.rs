//! containerd's own API: image records, containers, snapshots.

use std::collections::{BTreeMap, HashMap};

use containerd_client::services::v1::containers_client::ContainersClient;
use containerd_client::services::v1::images_client::ImagesClient;
use containerd_client::services::v1::snapshots::StatSnapshotRequest;
use containerd_client::services::v1::snapshots::snapshots_client::SnapshotsClient;
use containerd_client::services::v1::{
    CreateImageRequest, DeleteImageRequest, GetContainerRequest, GetImageRequest, Image,
    ListImagesRequest, UpdateImageRequest,
};
use containerd_client::types::Descriptor;
use tokio::time::Instant;
use tonic::Code;
use tonic::transport::Channel;

use super::channel::{MAX_ANSWER, call, found, is, namespaced, read};
use super::{Containerd, ContainerdError, CoreContainer, ImageRecord};

/// Label of the records that the CRI plugin looks after (containerd `pkg/cri/labels`).
const MANAGED_LABEL: &str = "io.cri-containerd.image";
const MANAGED: &str = "managed";

/// How often a record is looked at again because somebody else changed it in between.
const ATTEMPTS: usize = 3;

impl ImageRecord {
    fn from_wire(image: Image) -> Option<Self> {
        let target = image.target?;
        Some(Self {
            name: image.name,
            target: target.digest.parse().ok()?,
            media_type: target.media_type,
            size: target.size,
            labels: image.labels.into_iter().collect(),
        })
    }

    fn descriptor(&self) -> Descriptor {
        Descriptor {
            media_type: self.media_type.clone(),
            digest: self.target.to_string(),
            size: self.size,
            annotations: HashMap::new(),
        }
    }
}

fn wire(name: &str, target: Descriptor, labels: &BTreeMap<String, String>) -> Image {
    Image {
        name: name.to_owned(),
        labels: labels.clone().into_iter().collect(),
        target: Some(target),
        created_at: None,
        updated_at: None,
    }
}

fn managed() -> BTreeMap<String, String> {
    BTreeMap::from([(MANAGED_LABEL.to_owned(), MANAGED.to_owned())])
}

impl Containerd {
    fn images(&self) -> ImagesClient<Channel> {
        ImagesClient::new(self.upstream.channel()).max_decoding_message_size(MAX_ANSWER)
    }

    async fn get_image(
        &self,
        name: &str,
        deadline: Instant,
    ) -> Result<Option<Image>, ContainerdError> {
        let answer = read("Images.Get", deadline, || {
            let mut client = self.images();
            let name = name.to_owned();
            async move { client.get(namespaced(GetImageRequest { name })).await }
        });
        Ok(found(answer.await)?.and_then(|answer| answer.into_inner().image))
    }

    /// The record called `name`, if it exists (and its target has a SHA-256 digest).
    pub async fn image_record(
        &self,
        name: &str,
        deadline: Instant,
    ) -> Result<Option<ImageRecord>, ContainerdError> {
        let image = self.get_image(name, deadline).await?;
        Ok(image.and_then(ImageRecord::from_wire))
    }

    /// Every record of the namespace.
    pub async fn image_records(
        &self,
        deadline: Instant,
    ) -> Result<Vec<ImageRecord>, ContainerdError> {
        let answer = read("Images.List", deadline, || {
            let mut client = self.images();
            async move { client.list(namespaced(ListImagesRequest::default())).await }
        });
        let images = answer.await?.into_inner().images;
        Ok(images
            .into_iter()
            .filter_map(ImageRecord::from_wire)
            .collect())
    }

    async fn create_image(&self, image: Image, deadline: Instant) -> Result<(), ContainerdError> {
        let request = CreateImageRequest {
            image: Some(image),
            source_date_epoch: None,
        };
        let mut client = self.images();
        call(
            "Images.Create",
            deadline,
            client.create(namespaced(request)),
        )
        .await?;
        Ok(())
    }

    async fn update_image(
        &self,
        image: Image,
        fields: &[&str],
        deadline: Instant,
    ) -> Result<(), ContainerdError> {
        let request = UpdateImageRequest {
            image: Some(image),
            update_mask: Some(prost_types::FieldMask {
                paths: fields.iter().map(|&field| field.to_owned()).collect(),
            }),
            source_date_epoch: None,
        };
        let mut client = self.images();
        call(
            "Images.Update",
            deadline,
            client.update(namespaced(request)),
        )
        .await?;
        Ok(())
    }

    /// Creates or moves the record `name` so that it points where `target` points. Labels of an existing record stay;
    /// the one that makes the CRI plugin look after it is set. Returns the record it replaced.
    ///
    /// # Errors
    /// Besides those of every call: [`ContainerdError::Status`] with code 9 if the record points at a digest of
    /// another algorithm (it could not be put back), with code 10 if others keep creating and deleting it.
    pub async fn point_record(
        &self,
        name: &str,
        target: &ImageRecord,
        deadline: Instant,
    ) -> Result<Option<ImageRecord>, ContainerdError> {
        let image = wire(name, target.descriptor(), &managed());
        for _ in 0..ATTEMPTS {
            let Some(existing) = self.get_image(name, deadline).await? else {
                match self.create_image(image.clone(), deadline).await {
                    Ok(()) => return Ok(None),
                    Err(error) if is(&error, Code::AlreadyExists) => continue,
                    Err(error) => return Err(error),
                }
            };
            let Some(previous) = ImageRecord::from_wire(existing) else {
                return Err(ContainerdError::Status {
                    call: "Images.Get",
                    code: Code::FailedPrecondition as i32,
                    message: format!("the record {name} has a target other than sha256"),
                });
            };
            let label = format!("labels.{MANAGED_LABEL}");
            match self
                .update_image(image.clone(), &["target", &label], deadline)
                .await
            {
                Ok(()) => return Ok(Some(previous)),
                Err(error) if is(&error, Code::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Err(ContainerdError::Status {
            call: "Images.Update",
            code: Code::Aborted as i32,
            message: format!("the record {name} is created and deleted by somebody else"),
        })
    }

    /// Puts a record back as it was (`None`: deletes it).
    pub async fn restore_record(
        &self,
        name: &str,
        previous: Option<&ImageRecord>,
        deadline: Instant,
    ) -> Result<(), ContainerdError> {
        let Some(previous) = previous else {
            let request = DeleteImageRequest {
                name: name.to_owned(),
                ..DeleteImageRequest::default()
            };
            let mut client = self.images();
            let answer = call(
                "Images.Delete",
                deadline,
                client.delete(namespaced(request)),
            );
            return found(answer.await).map(|_| ());
        };
        let image = wire(name, previous.descriptor(), &previous.labels);
        match self
            .update_image(image.clone(), &["target", "labels"], deadline)
            .await
        {
            Err(error) if is(&error, Code::NotFound) => self.create_image(image, deadline).await,
            other => other,
        }
    }

    /// The container `id` of the core API.
    pub async fn core_container(
        &self,
        id: &str,
        deadline: Instant,
    ) -> Result<Option<CoreContainer>, ContainerdError> {
        let answer = read("Containers.Get", deadline, || {
            let mut client = ContainersClient::new(self.upstream.channel())
                .max_decoding_message_size(MAX_ANSWER);
            let id = id.to_owned();
            async move { client.get(namespaced(GetContainerRequest { id })).await }
        });
        let container = found(answer.await)?.and_then(|answer| answer.into_inner().container);
        Ok(container.map(|container| CoreContainer {
            id: container.id,
            snapshotter: container.snapshotter,
            snapshot_key: container.snapshot_key,
            labels: container.labels.into_iter().collect(),
        }))
    }

    /// Parent of a snapshot; `None`: the snapshot does not exist; empty string: it has no parent.
    pub async fn snapshot_parent(
        &self,
        snapshotter: &str,
        key: &str,
        deadline: Instant,
    ) -> Result<Option<String>, ContainerdError> {
        let answer = read("Snapshots.Stat", deadline, || {
            let mut client =
                SnapshotsClient::new(self.upstream.channel()).max_decoding_message_size(MAX_ANSWER);
            let request = StatSnapshotRequest {
                snapshotter: snapshotter.to_owned(),
                key: key.to_owned(),
            };
            async move { client.stat(namespaced(request)).await }
        });
        let info = found(answer.await)?.and_then(|answer| answer.into_inner().info);
        Ok(info.map(|info| info.parent))
    }
}
