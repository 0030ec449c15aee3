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
mod hosts;
mod limits;
mod manifest;
mod question;
mod retry_after;
pub(crate) mod tls;
pub(crate) mod token;
mod transport;
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
use self::hosts::{Host, HostTable};
use self::question::{Question, Wanted};

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

    /// What sends requests, for the notary client.
    pub(crate) fn fetcher(&self) -> Arc<Fetcher> {
        Arc::clone(&self.inner.fetcher)
    }

    /// Asks host after host until one answers.
    async fn over_hosts(
        &self,
        question: &Question<'_>,
    ) -> Result<(Descriptor, Bytes), RemoteError> {
        let deadline = question.deadline;
        let name = question.reference.domain();
        let unreachable = |cause| RemoteError::Unreachable {
            host: name.to_owned(),
            cause,
        };
        let timeout = || RemoteError::Timeout {
            host: name.to_owned(),
        };
        let table = Arc::clone(&self.inner.hosts);
        let lookup = {
            let name = name.to_owned();
            tokio::task::spawn_blocking(move || table.hosts(&name))
        };
        let hosts = timeout_at(deadline, lookup)
            .await
            .map_err(|_| timeout())?
            .map_err(|_| unreachable(cause::HOST_CONFIG))?;
        let Ok(hosts) = &*hosts else {
            return Err(unreachable(cause::HOST_CONFIG));
        };
        let able: Vec<&Host> = hosts
            .iter()
            .filter(|host| {
                host.pull && (host.resolve || matches!(question.wanted, Wanted::Digest(_)))
            })
            .collect();
        let mut worst: Option<RemoteError> = None;
        for (at, host) in able.iter().enumerate() {
            let now = Instant::now();
            if now >= deadline {
                break;
            }
            // A slow mirror must leave time for the host behind it.
            let is_last = at.saturating_add(1) == able.len();
            let until = if is_last {
                deadline
            } else {
                now + deadline.duration_since(now) / 2
            };
            match question.to(host, &self.inner.fetcher, until).ask().await {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    tracing::debug!(registry = name, %error, "host asked");
                    worst = Some(match worst {
                        Some(earlier) => earlier.or_more_telling(error),
                        None => error,
                    });
                }
            }
        }
        Err(match worst {
            Some(error) => error,
            None if able.is_empty() => unreachable(cause::NO_HOST),
            None => timeout(),
        })
    }
}
