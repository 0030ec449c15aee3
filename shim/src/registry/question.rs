//! A question about one manifest, and what counts as an answer to it.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use portcullis_policy::{Digest, ImageReference};
use tokio::time::Instant;

use super::auth::Auth;
use super::error::RemoteError;
use super::fetch::{Fetch, Fetcher};
use super::hosts::Host;
use super::manifest;
use super::token::TokenOrder;
use super::transport::Answer;
use super::{Descriptor, USER_AGENT};

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted<'a> {
    /// Whatever a tag means.
    Tag(&'a str),
    /// One manifest.
    Digest(&'a Digest),
}

/// A question about one manifest, to whichever host can answer it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    pub reference: &'a ImageReference,
    pub wanted: Wanted<'a>,
    pub auth: &'a Auth,
    pub deadline: Instant,
    /// Whether the bytes are wanted too.
    pub content: bool,
}

/// The same to one host.
pub(super) struct HostQuestion<'a> {
    question: Question<'a>,
    host: &'a Host,
    fetcher: &'a Fetcher,
    deadline: Instant,
}

impl<'a> Question<'a> {
    /// The question to `host`, to be answered until `deadline`.
    pub(super) fn to(
        self,
        host: &'a Host,
        fetcher: &'a Fetcher,
        deadline: Instant,
    ) -> HostQuestion<'a> {
        HostQuestion {
            question: self,
            host,
            fetcher,
            deadline,
        }
    }
}

impl HostQuestion<'_> {
    /// Asks, and reads the answer. The bytes are empty unless they were wanted.
    pub(super) async fn ask(&self) -> Result<(Descriptor, Bytes), RemoteError> {
        if self.question.content {
            self.get().await
        } else {
            self.describe().await
        }
    }

    /// By HEAD; by GET where the registry knows no HEAD or its answer to it lacks digest or length.
    async fn describe(&self) -> Result<(Descriptor, Bytes), RemoteError> {
        let answer = match self.send(Method::HEAD).await {
            Ok(answer) => answer,
            Err(RemoteError::Status { status: 405, .. }) => return self.get().await,
            Err(error) => return Err(error),
        };
        let media_type = self.checked(manifest::media_type(&answer.headers))?;
        let size = answer
            .headers
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        let digest = self.checked(manifest::digest(&answer.headers))?;
        let (Some(digest), Some(size)) = (digest, size) else {
            return self.get().await;
        };
        self.confirm(&digest)?;
        if size > u64::try_from(manifest::MAX_MANIFEST).unwrap_or(u64::MAX) {
            return Err(RemoteError::TooLarge {
                host: self.host.base.authority.clone(),
                limit: manifest::MAX_MANIFEST,
            });
        }
        let descriptor = Descriptor {
            digest,
            media_type: media_type.to_owned(),
            size,
        };
        Ok((descriptor, Bytes::new()))
    }

    /// By GET: the digest is that of the bytes, whatever the headers say.
    async fn get(&self) -> Result<(Descriptor, Bytes), RemoteError> {
        let answer = self.send(Method::GET).await?;
        let media_type = self.checked(manifest::media_type(&answer.headers))?;
        let digest = Digest::of(&answer.body);
        self.confirm(&digest)?;
        if let Some(declared) = self.checked(manifest::digest(&answer.headers))?
            && declared != digest
        {
            return Err(self.invalid("a body that does not hash to its Docker-Content-Digest"));
        }
        self.checked(manifest::check_body(media_type, &answer.body))?;
        let descriptor = Descriptor {
            digest,
            media_type: media_type.to_owned(),
            size: u64::try_from(answer.body.len()).unwrap_or(u64::MAX),
        };
        Ok((descriptor, answer.body))
    }

    /// Refuses another digest than the one asked for.
    fn confirm(&self, digest: &Digest) -> Result<(), RemoteError> {
        match self.question.wanted {
            Wanted::Digest(wanted) if wanted != digest => {
                Err(self.invalid("another digest than the one asked for"))
            }
            _ => Ok(()),
        }
    }

    async fn send(&self, method: Method) -> Result<Answer, RemoteError> {
        let path = self.question.reference.path();
        let below = match self.question.wanted {
            Wanted::Tag(tag) => format!("{path}/manifests/{tag}"),
            Wanted::Digest(digest) => format!("{path}/manifests/{digest}"),
        };
        let url = self
            .host
            .url(&below)
            .ok_or_else(|| self.invalid("an address that is none"))?;
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(manifest::ACCEPT));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        self.fetcher
            .fetch(&Fetch {
                method,
                url,
                headers,
                cap: manifest::MAX_MANIFEST,
                scope: &format!("repository:{path}:pull"),
                auth: self.host.auth(self.question.auth),
                access: &self.host.access,
                order: TokenOrder::PostFirst,
                deadline: self.deadline,
            })
            .await
    }

    fn checked<T>(&self, result: Result<T, &'static str>) -> Result<T, RemoteError> {
        result.map_err(|cause| self.invalid(cause))
    }

    fn invalid(&self, cause: &'static str) -> RemoteError {
        RemoteError::Invalid {
            host: self.host.base.authority.clone(),
            cause,
        }
    }
}
