//! containerd's own API, used behind the gate's back: to move records as an attacker would, and to see what really runs.

use std::path::Path;

use anyhow::{Context, Result, bail};
use containerd_client::services::v1::containers_client::ContainersClient;
use containerd_client::services::v1::images_client::ImagesClient;
use containerd_client::services::v1::snapshots::StatSnapshotRequest;
use containerd_client::services::v1::snapshots::snapshots_client::SnapshotsClient;
use containerd_client::services::v1::{
    CreateImageRequest, DeleteImageRequest, GetContainerRequest, GetImageRequest, Image,
    ListContainersRequest, ListImagesRequest, UpdateImageRequest,
};
use containerd_client::types::Descriptor;
use tonic::transport::Channel;
use tonic::{Code, Request};

/// A client of the namespace `k8s.io`.
#[derive(Debug, Clone)]
pub struct Native {
    channel: Channel,
}

/// A name in the image store and what it points at.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The name.
    pub name: String,
    /// Digest of its target.
    pub target: String,
    /// The whole target.
    descriptor: Descriptor,
}

fn in_k8s<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert(
        "containerd-namespace",
        tonic::metadata::MetadataValue::from_static("k8s.io"),
    );
    request
}

impl Native {
    pub(super) async fn connect(socket: &Path) -> Result<Self> {
        let channel = containerd_client::connect(socket)
            .await
            .context("cannot connect to containerd")?;
        Ok(Self { channel })
    }

    /// Every record.
    pub async fn records(&self) -> Result<Vec<Record>> {
        let reply = ImagesClient::new(self.channel.clone())
            .list(in_k8s(ListImagesRequest {
                filters: Vec::new(),
            }))
            .await?;
        Ok(reply
            .into_inner()
            .images
            .into_iter()
            .filter_map(record)
            .collect())
    }

    /// The record called `name`.
    pub async fn record(&self, name: &str) -> Result<Option<Record>> {
        let reply = ImagesClient::new(self.channel.clone())
            .get(in_k8s(GetImageRequest { name: name.into() }))
            .await;
        match reply {
            Ok(reply) => Ok(reply.into_inner().image.and_then(record)),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(status.into()),
        }
    }

    /// Makes `name` point at what `like` points at, whether or not it exists.
    pub async fn point(&self, name: &str, like: &Record) -> Result<()> {
        let image = Image {
            name: name.into(),
            target: Some(like.descriptor.clone()),
            ..Image::default()
        };
        let mut client = ImagesClient::new(self.channel.clone());
        let created = client
            .create(in_k8s(CreateImageRequest {
                image: Some(image.clone()),
                source_date_epoch: None,
            }))
            .await;
        match created {
            Err(status) if status.code() == Code::AlreadyExists => {
                client
                    .update(in_k8s(UpdateImageRequest {
                        image: Some(image),
                        update_mask: None,
                        source_date_epoch: None,
                    }))
                    .await?;
                Ok(())
            }
            other => other.map(drop).map_err(Into::into),
        }
    }

    /// Deletes a record.
    pub async fn delete(&self, name: &str) -> Result<()> {
        ImagesClient::new(self.channel.clone())
            .delete(in_k8s(DeleteImageRequest {
                name: name.into(),
                sync: true,
                target: None,
            }))
            .await?;
        Ok(())
    }

    /// Ids of every container and sandbox that exists, running or not.
    pub async fn containers(&self) -> Result<Vec<String>> {
        let reply = ContainersClient::new(self.channel.clone())
            .list(in_k8s(ListContainersRequest {
                filters: Vec::new(),
            }))
            .await?;
        Ok(reply
            .into_inner()
            .containers
            .into_iter()
            .map(|c| c.id)
            .collect())
    }

    /// The chain ID of the layers that a container's root file system stands on: what it runs, whatever any name says.
    pub async fn chain_id(&self, container: &str) -> Result<String> {
        let reply = ContainersClient::new(self.channel.clone())
            .get(in_k8s(GetContainerRequest {
                id: container.into(),
            }))
            .await?;
        let Some(container) = reply.into_inner().container else {
            bail!("containerd has no container {container}");
        };
        let reply = SnapshotsClient::new(self.channel.clone())
            .stat(in_k8s(StatSnapshotRequest {
                snapshotter: container.snapshotter,
                key: container.snapshot_key,
            }))
            .await?;
        Ok(reply.into_inner().info.unwrap_or_default().parent)
    }
}

fn record(image: Image) -> Option<Record> {
    let descriptor = image.target?;
    Some(Record {
        name: image.name,
        target: descriptor.digest.clone(),
        descriptor,
    })
}
