//! Lookaside stores of simple-signing signatures: `<base>/<repository>@sha256=<hex>/signature-<n>`, n from 1 until one is
//! missing (containers/image `docs/signature-protocols.md`). The repository is the path without the registry's name.

mod file;

use std::path::PathBuf;

use http::{HeaderMap, Method, header};
use portcullis_policy::Digest;
use portcullis_policy::ImageReference;
use portcullis_policy::model::Password;
use portcullis_trust::evidence::{Artefact, ArtefactKind};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::registry::fetch::{Access, Fetch, Fetcher};
use crate::registry::token::TokenOrder;
use crate::registry::url::Url;
use crate::registry::{Auth, RemoteError, auth, cause};

use super::found::Found;
use super::limits::{MAX_SIGNATURE, MAX_SIGNATURES};
use super::place::headers;

/// A lookaside store, and what is asked of it.
pub(super) struct Store<'a> {
    pub base: &'a str,
    /// Shown to the store, and not to where a redirect leads.
    pub password: Option<&'a Password>,
    pub reference: &'a ImageReference,
    pub subject: &'a Digest,
    pub fetcher: &'a Fetcher,
    pub permits: &'a Semaphore,
    pub deadline: Instant,
}

impl Store<'_> {
    /// What the store has, at most `room` bytes of it.
    pub(super) async fn gather(&self, room: usize) -> Result<Found, RemoteError> {
        match self.base.strip_prefix("file://") {
            Some(base) => self.read_directory(PathBuf::from(base), room).await,
            None => self.ask_server(room).await,
        }
    }

    /// Path of the n-th signature below the base.
    fn below(&self, number: usize) -> String {
        format!(
            "{}@sha256={}/signature-{number}",
            self.reference.path(),
            self.subject.hex()
        )
    }

    async fn read_directory(&self, base: PathBuf, room: usize) -> Result<Found, RemoteError> {
        let names: Vec<String> = (1..=MAX_SIGNATURES.saturating_add(1))
            .map(|number| self.below(number))
            .collect();
        let read = tokio::task::spawn_blocking(move || file::read_all(&base, &names, room));
        let host = || self.base.to_owned();
        match timeout_at(self.deadline, read).await {
            Err(_elapsed) => Err(RemoteError::Timeout { host: host() }),
            Ok(Ok(Ok(found))) => Ok(found),
            Ok(Ok(Err(file::Unreadable)) | Err(_)) => Err(RemoteError::Unreachable {
                host: host(),
                cause: cause::FILES,
            }),
        }
    }

    async fn ask_server(&self, room: usize) -> Result<Found, RemoteError> {
        let access = Access {
            headers: self.authorization()?,
            ..Access::default()
        };
        let mut found = Found::default();
        let mut left = room;
        for number in 1..=MAX_SIGNATURES.saturating_add(1) {
            if number > MAX_SIGNATURES || left == 0 {
                found.truncated = true;
                break;
            }
            match self
                .signature(number, &access, left.min(MAX_SIGNATURE))
                .await
            {
                Ok(bytes) => {
                    left = left.saturating_sub(bytes.len());
                    found.add(simple_signing(bytes));
                }
                Err(RemoteError::NotFound { .. }) => break,
                // The next one may be small.
                Err(error @ RemoteError::TooLarge { .. }) => found.missed(error),
                Err(error) => {
                    found.missed(error);
                    break;
                }
            }
        }
        Ok(found)
    }

    async fn signature(
        &self,
        number: usize,
        access: &Access,
        cap: usize,
    ) -> Result<Vec<u8>, RemoteError> {
        let address = format!("{}/{}", self.base.trim_end_matches('/'), self.below(number));
        let url = Url::parse(&address).ok_or_else(|| self.invalid("an address that is none"))?;
        let _permit = self.permits.acquire().await;
        let answer = self
            .fetcher
            .fetch(&Fetch {
                method: Method::GET,
                url,
                headers: headers("*/*"),
                cap,
                scope: &format!("repository:{}:pull", self.reference.path()),
                auth: &Auth::Anonymous,
                access,
                order: TokenOrder::GetFirst,
                deadline: self.deadline,
            })
            .await?;
        Ok(answer.body.into())
    }

    /// Sent unasked, as containers/image does: many stores answer a stranger with 404.
    fn authorization(&self) -> Result<HeaderMap, RemoteError> {
        let mut headers = HeaderMap::new();
        if let Some(Password { username, password }) = self.password {
            let value = auth::basic(username, password)
                .ok_or_else(|| self.invalid("a password that fits no header"))?;
            headers.insert(header::AUTHORIZATION, value);
        }
        Ok(headers)
    }

    fn invalid(&self, cause: &'static str) -> RemoteError {
        RemoteError::Invalid {
            host: self.base.to_owned(),
            cause,
        }
    }
}

/// A signature as it came.
pub(super) fn simple_signing(bytes: Vec<u8>) -> Artefact {
    Artefact {
        kind: ArtefactKind::SimpleSigning,
        bytes,
        annotations: std::collections::BTreeMap::new(),
    }
}
