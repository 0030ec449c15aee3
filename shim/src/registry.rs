//! The registry, reached exactly as containerd reaches it (docs/architecture.md).
//!
//! A request goes to the hosts that containerd would ask, in its order (`hosts`), each with authentication
//! and redirects (`fetch`) over exchanges that are bounded in every way (`transport`). No answer is cached and none
//! shared between callers: that is the gate's part, which knows namespaces and policies.
//!
//! Pull credentials go where containerd sends them: to every host that its configuration names for the registry, if
//! that host asks, and to the token server it names; never to where a redirect leads.

pub mod auth;
pub mod config;
pub mod error;
pub mod proxy;

mod breaker;
mod challenge;
mod connect;
mod credentials;
mod duration;
pub(crate) mod fetch;
mod files;
mod health;
pub(crate) mod hosts;
mod limits;
pub(crate) mod manifest;
mod question;
pub(crate) mod reach;
mod retry_after;
pub(crate) mod strangers;
pub(crate) mod tls;
pub(crate) mod token;
pub(crate) mod transport;
pub(crate) mod turns;
pub(crate) mod url;

use std::sync::Arc;

use bytes::Bytes;
use portcullis_policy::{Digest, ImageReference};
use tokio::time::{Instant, timeout_at};

pub use self::auth::{Auth, AuthError, AuthFields, Fingerprint};
pub use self::config::{
    CredentialProvidersConfig, CredentialsConfig, RegistryConfig, RegistryConfigError,
};
pub use self::error::{RemoteError, RemoteErrorKind, cause};
pub use self::proxy::ProxyConfig;

use self::credentials::NodeCredentials;
use self::fetch::Fetcher;
use self::hosts::HostTable;
use self::question::{Question, Wanted};
use self::turns::{HostList, note};

/// What a registry says about a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// Its digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its size in bytes.
    pub size: u64,
}

/// A manifest whose bytes hash to the digest asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Its media type, as the registry says and the body confirms.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Bytes,
}

/// `User-Agent` of every request.
pub(crate) const USER_AGENT: &str = concat!("portcullis/", env!("CARGO_PKG_VERSION"));

/// The registry client. Cheap to clone; clones share connections, tokens and circuit breakers.
#[derive(Debug, Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    hosts: Arc<HostTable>,
    fetcher: Arc<Fetcher>,
    credentials: Arc<NodeCredentials>,
}

impl Registry {
    /// A client. Reads no file yet.
    ///
    /// # Errors
    /// A path in `config` that is not absolute.
    pub fn new(config: RegistryConfig, proxies: ProxyConfig) -> Result<Self, RegistryConfigError> {
        config.check()?;
        let credentials = NodeCredentials::new(config.credentials.clone());
        Ok(Self {
            inner: Arc::new(Inner {
                hosts: Arc::new(HostTable::new(config)),
                fetcher: Arc::new(Fetcher::new(proxies)),
                credentials: Arc::new(credentials),
            }),
        })
    }

    /// HEAD of the manifest a reference names: the digest where it has one, else the tag.
    ///
    /// # Errors
    /// [`RemoteError`], the most telling one if several hosts were asked: [`RemoteError::NotFound`] only if every
    /// host said so.
    pub async fn head(
        &self,
        reference: &ImageReference,
        auth: &Auth,
        deadline: Instant,
    ) -> Result<Descriptor, RemoteError> {
        let wanted = match (reference.digest(), reference.tag()) {
            (Some(digest), _) => Wanted::Digest(digest),
            (None, tag) => Wanted::Tag(tag.unwrap_or("latest")),
        };
        let question = Question {
            reference,
            wanted,
            auth,
            deadline,
            content: false,
        };
        Ok(self.over_hosts(&question).await?.0)
    }

    /// HEAD of a manifest by digest in the repository of `reference`.
    ///
    /// # Errors
    /// As [`Registry::head`].
    pub async fn head_digest(
        &self,
        reference: &ImageReference,
        digest: &Digest,
        auth: &Auth,
        deadline: Instant,
    ) -> Result<Descriptor, RemoteError> {
        let question = Question {
            reference,
            wanted: Wanted::Digest(digest),
            auth,
            deadline,
            content: false,
        };
        Ok(self.over_hosts(&question).await?.0)
    }

    /// GET of a manifest by digest in the repository of `reference`; the body is hashed and compared. At most 4 MiB.
    ///
    /// # Errors
    /// As [`Registry::head`].
    pub async fn manifest(
        &self,
        reference: &ImageReference,
        digest: &Digest,
        auth: &Auth,
        deadline: Instant,
    ) -> Result<Manifest, RemoteError> {
        let question = Question {
            reference,
            wanted: Wanted::Digest(digest),
            auth,
            deadline,
            content: true,
        };
        let (descriptor, bytes) = self.over_hosts(&question).await?;
        Ok(Manifest {
            media_type: descriptor.media_type,
            bytes,
        })
    }

    /// The node's own credentials for a reference (`registry.credentials` of config.yaml), for calls that bring none.
    /// [`Auth::Anonymous`] if there are none; credentials in containerd's own configuration are used without asking.
    pub async fn node_auth(&self, reference: &ImageReference, deadline: Instant) -> Auth {
        self.inner.credentials.find(reference, deadline).await
    }

    /// Requests sent since the start: token requests, redirects and those of a notary client sharing this one too.
    pub fn requests_sent(&self) -> u64 {
        self.inner.fetcher.requests_sent()
    }

    /// Hosts that failed repeatedly and are left alone until they answer again, those of a notary client included.
    pub fn open_circuits(&self) -> Vec<String> {
        self.inner.fetcher.open_circuits()
    }

    /// What sends requests, for the other clients.
    pub(crate) fn fetcher(&self) -> Arc<Fetcher> {
        Arc::clone(&self.inner.fetcher)
    }

    /// The hosts that may be asked about images of the registry `name`.
    pub(crate) async fn hosts(
        &self,
        name: &str,
        deadline: Instant,
    ) -> Result<HostList, RemoteError> {
        let table = Arc::clone(&self.inner.hosts);
        let lookup = {
            let name = name.to_owned();
            tokio::task::spawn_blocking(move || table.hosts(&name))
        };
        let hosts = timeout_at(deadline, lookup)
            .await
            .map_err(|_| RemoteError::Timeout {
                host: name.to_owned(),
            })?
            .map_err(|_| RemoteError::Unreachable {
                host: name.to_owned(),
                cause: cause::HOST_CONFIG,
            })?;
        Ok(HostList::new(name.to_owned(), hosts))
    }

    /// Asks host after host until one answers.
    async fn over_hosts(
        &self,
        question: &Question<'_>,
    ) -> Result<(Descriptor, Bytes), RemoteError> {
        let name = question.reference.domain();
        let hosts = self.hosts(name, question.deadline).await?;
        let by_name = matches!(question.wanted, Wanted::Tag(_));
        let mut turns = hosts.turns(by_name, question.deadline)?;
        let mut worst: Option<RemoteError> = None;
        while let Some((host, until)) = turns.next() {
            match question.to(host, &self.inner.fetcher, until).ask().await {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    tracing::debug!(registry = name, %error, "host asked");
                    note(&mut worst, error);
                }
            }
        }
        Err(turns.end(worst).unwrap_or_else(|| RemoteError::Timeout {
            host: name.to_owned(),
        }))
    }
}
