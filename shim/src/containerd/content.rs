//! containerd's content store. Nothing leaves here that does not hash to its digest.

use bytes::Bytes;
use containerd_client::services::v1::content_client::ContentClient;
use containerd_client::services::v1::{InfoRequest, ReadContentRequest};
use portcullis_policy::Digest;
use tokio::time::Instant;
use tonic::transport::Channel;

use super::channel::{MAX_ANSWER, found, namespaced, read};
use super::{Containerd, ContainerdError};

impl Containerd {
    fn content(&self) -> ContentClient<Channel> {
        ContentClient::new(self.upstream.channel()).max_decoding_message_size(MAX_ANSWER)
    }

    /// A blob of at most `limit` bytes, hashed and compared with its digest.
    pub async fn blob(
        &self,
        digest: &Digest,
        limit: usize,
        deadline: Instant,
    ) -> Result<Bytes, ContainerdError> {
        let unusable = |cause| ContainerdError::Content {
            digest: *digest,
            cause,
        };
        let info = read("Content.Info", deadline, || {
            let mut client = self.content();
            let request = InfoRequest {
                digest: digest.to_string(),
            };
            async move { client.info(namespaced(request)).await }
        });
        let info = found(info.await)?.and_then(|answer| answer.into_inner().info);
        let size = info.ok_or_else(|| unusable("missing"))?.size;
        if usize::try_from(size).map_or(true, |size| size > limit) {
            return Err(unusable("larger than the limit"));
        }
        let bytes = read("Content.Read", deadline, || {
            self.read_content(*digest, limit)
        });
        let bytes = found(bytes.await)?
            .ok_or_else(|| unusable("missing"))?
            .ok_or_else(|| unusable("larger than the limit"))?;
        if Digest::of(&bytes) != *digest {
            return Err(unusable("does not hash to its digest"));
        }
        Ok(bytes)
    }

    /// The bytes as they come; `None`: more than `limit`.
    async fn read_content(
        &self,
        digest: Digest,
        limit: usize,
    ) -> Result<Option<Bytes>, tonic::Status> {
        let request = ReadContentRequest {
            digest: digest.to_string(),
            offset: 0,
            size: 0,
        };
        let mut parts = self.content().read(namespaced(request)).await?.into_inner();
        let mut bytes = Vec::new();
        while let Some(part) = parts.message().await? {
            if bytes.len().saturating_add(part.data.len()) > limit {
                return Ok(None);
            }
            bytes.extend_from_slice(&part.data);
        }
        Ok(Some(bytes.into()))
    }
}
