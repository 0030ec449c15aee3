//! What an image says about itself: index, manifest and config, each by the hash that the one before names.

use bytes::Bytes;
use portcullis_policy::{Digest, ImageReference};
use portcullis_trust::Timestamp;
use portcullis_trust::evidence::ImageDescription;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::registry::turns::note;
use crate::registry::{Auth, Registry, RemoteError, manifest};

use super::json::Index;
use super::limits::MAX_CONFIG;
use super::place::Place;
use super::platform;

/// Who asks, about which repository.
pub(super) struct Asked<'a> {
    pub registry: &'a Registry,
    pub reference: &'a ImageReference,
    pub auth: &'a Auth,
    pub deadline: Instant,
}

#[derive(Deserialize)]
struct Image {
    config: Config,
}

#[derive(Deserialize)]
struct Config {
    digest: String,
    size: u64,
}

impl Asked<'_> {
    /// Describes `subject`, of the platform of this node if it is an index.
    pub(super) async fn describe(
        &self,
        subject: &Digest,
        now: Timestamp,
    ) -> Result<ImageDescription, RemoteError> {
        let root = self.manifest(subject).await?;
        let (index, manifest) = if manifest::is_index(&root.media_type) {
            let index = Index::parse(&root.bytes)
                .ok_or_else(|| self.invalid("an index that cannot be read"))?;
            let digest = platform::choose(&index.manifests.of)
                .and_then(super::json::Descriptor::digest)
                .ok_or_else(|| self.invalid("an index without a manifest for this node"))?;
            let child = self.manifest(&digest).await?;
            if manifest::is_index(&child.media_type) {
                return Err(self.invalid("an index in an index"));
            }
            (Some(root.bytes), child.bytes)
        } else {
            (None, root.bytes)
        };
        let image: Image = serde_json::from_slice(&manifest)
            .map_err(|_| self.invalid("a manifest whose config cannot be read"))?;
        let config: Digest = image
            .config
            .digest
            .parse()
            .map_err(|_| self.invalid("a config that has no sha256 digest"))?;
        let size = usize::try_from(image.config.size)
            .unwrap_or(usize::MAX)
            .min(MAX_CONFIG);
        let config = self.blob(subject, &config, size).await?;
        Ok(ImageDescription {
            subject: *subject,
            index: index.map(Into::into),
            manifest: manifest.into(),
            config: config.into(),
            gathered_at: now,
        })
    }

    async fn manifest(&self, digest: &Digest) -> Result<crate::registry::Manifest, RemoteError> {
        self.registry
            .manifest(self.reference, digest, self.auth, self.deadline)
            .await
    }

    async fn blob(
        &self,
        subject: &Digest,
        digest: &Digest,
        size: usize,
    ) -> Result<Bytes, RemoteError> {
        let name = self.reference.domain();
        let hosts = self.registry.hosts(name, self.deadline).await?;
        let mut turns = hosts.turns(false, self.deadline)?;
        let mut worst = None;
        let permits = Semaphore::new(1);
        let fetcher = self.registry.fetcher();
        while let Some((host, until)) = turns.next() {
            let place = Place {
                host,
                fetcher: &fetcher,
                repository: self.reference.path(),
                subject,
                auth: self.auth,
                permits: &permits,
                until,
            };
            match place.blob(digest, size).await {
                Ok(bytes) => return Ok(bytes),
                Err(error) => note(&mut worst, error),
            }
        }
        Err(turns.end(worst).unwrap_or_else(|| RemoteError::Timeout {
            host: name.to_owned(),
        }))
    }

    fn invalid(&self, cause: &'static str) -> RemoteError {
        RemoteError::Invalid {
            host: self.reference.domain().to_owned(),
            cause,
        }
    }
}
