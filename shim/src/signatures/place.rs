//! One repository at one host, and what is asked of it on behalf of one caller.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use portcullis_policy::Digest;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::registry::fetch::{Fetch, Fetcher};
use crate::registry::hosts::Host;
use crate::registry::manifest;
use crate::registry::token::TokenOrder;
use crate::registry::transport::Answer;
use crate::registry::url::Url;
use crate::registry::{Auth, RemoteError, USER_AGENT};

use super::media;

/// A repository at a host.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub host: &'a Host,
    pub fetcher: &'a Fetcher,
    /// Path of the repository, without the registry's name.
    pub repository: &'a str,
    /// The image.
    pub subject: &'a Digest,
    pub auth: &'a Auth,
    /// Bounds the requests of one gathering under way at once.
    pub permits: &'a Semaphore,
    pub until: Instant,
}

/// What `Content-Type` says, without parameters, in lower case.
pub(super) fn content_type(headers: &HeaderMap) -> String {
    let text = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let text = text.split(';').next().unwrap_or_default().trim();
    text.to_ascii_lowercase()
}

/// Headers of every request.
pub(super) fn headers(accept: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    headers
}

impl Place<'_> {
    /// An answer that is not what the protocol says.
    pub(super) fn invalid(&self, cause: &'static str) -> RemoteError {
        RemoteError::Invalid {
            host: self.host.base.authority.clone(),
            cause,
        }
    }

    /// The address of something below the repository.
    pub(super) fn url(&self, below: &str) -> Result<Url, RemoteError> {
        self.host
            .url(&format!("{}/{below}", self.repository))
            .ok_or_else(|| self.invalid("an address that is none"))
    }

    /// GET; the answer has status 200.
    pub(super) async fn get(
        &self,
        url: Url,
        accept: &'static str,
        cap: usize,
    ) -> Result<Answer, RemoteError> {
        // Never closed; whoever holds a permit gives it back by the deadline.
        let _permit = self.permits.acquire().await;
        self.fetcher
            .fetch(&Fetch {
                method: Method::GET,
                url,
                headers: headers(accept),
                cap,
                scope: &format!("repository:{}:pull", self.repository),
                auth: self.host.auth(self.auth),
                access: &self.host.access,
                order: TokenOrder::PostFirst,
                deadline: self.until,
            })
            .await
    }

    /// The manifest or index under a tag, whose media type the caller checks. `None`: there is no such tag.
    pub(super) async fn tagged(
        &self,
        tag: &str,
        accept: &'static str,
    ) -> Result<Option<Answer>, RemoteError> {
        let url = self.url(&format!("manifests/{tag}"))?;
        let answer = match self.get(url, accept, manifest::MAX_MANIFEST).await {
            Err(RemoteError::NotFound { .. }) => return Ok(None),
            answer => answer?,
        };
        let declared = manifest::digest(&answer.headers).map_err(|cause| self.invalid(cause))?;
        if declared.is_some_and(|declared| declared != Digest::of(&answer.body)) {
            return Err(self.invalid("a body that does not hash to its Docker-Content-Digest"));
        }
        Ok(Some(answer))
    }

    /// A manifest of an artefact by digest, of at most `size` bytes.
    pub(super) async fn manifest(
        &self,
        digest: &Digest,
        size: usize,
    ) -> Result<Bytes, RemoteError> {
        let url = self.url(&format!("manifests/{digest}"))?;
        self.hashed(url, media::MANIFESTS, digest, size).await
    }

    /// A blob of at most `size` bytes.
    pub(super) async fn blob(&self, digest: &Digest, size: usize) -> Result<Bytes, RemoteError> {
        let url = self.url(&format!("blobs/{digest}"))?;
        self.hashed(url, media::ANY, digest, size).await
    }

    async fn hashed(
        &self,
        url: Url,
        accept: &'static str,
        digest: &Digest,
        size: usize,
    ) -> Result<Bytes, RemoteError> {
        let answer = self.get(url, accept, size).await?;
        if Digest::of(&answer.body) != *digest {
            return Err(self.invalid("another digest than the one asked for"));
        }
        Ok(answer.body)
    }
}
