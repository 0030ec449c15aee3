//! The registry, reached exactly as containerd reaches it (DESIGN §6).

use std::time::Duration;

use bytes::Bytes;
use portcullis_policy::{Digest, ImageReference};
use tokio::time::Instant;

/// Credentials of one call. Never printed, never written.
#[derive(Clone, Default)]
pub enum Auth {
    /// None were given.
    #[default]
    Anonymous,
    /// User name and password.
    Basic {
        /// User.
        username: String,
        /// Password.
        password: String,
    },
    /// An identity (refresh) token for the token server.
    IdentityToken(String),
    /// A token to be sent to the registry as it is.
    RegistryToken(String),
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Basic { .. } => "Basic(…)",
            Self::IdentityToken(_) => "IdentityToken(…)",
            Self::RegistryToken(_) => "RegistryToken(…)",
        })
    }
}

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

/// Why the registry (or a notary server) gave no answer to use. The texts are fixed per cause: nothing of a remote
/// body is echoed (DESIGN §3 rule 13).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// 401 after authentication was tried, or no credentials to try with.
    #[error("{host} wants credentials that were not given or not accepted")]
    Unauthorized {
        /// Host asked.
        host: String,
    },
    /// 403.
    #[error("{host} refuses access with these credentials")]
    Forbidden {
        /// Host asked.
        host: String,
    },
    /// 404: a definite answer.
    #[error("{host} does not have it")]
    NotFound {
        /// Host asked.
        host: String,
    },
    /// 429.
    #[error("{host} limits the request rate")]
    RateLimited {
        /// Host asked.
        host: String,
        /// Retry-After, at most 60 s.
        retry_after: Option<Duration>,
    },
    /// Any other status.
    #[error("{host} answered with HTTP status {status}")]
    Status {
        /// Host asked.
        host: String,
        /// The status.
        status: u16,
    },
    /// DNS, connect, TLS or a broken connection.
    #[error("{host} cannot be reached: {cause}")]
    Unreachable {
        /// Host asked.
        host: String,
        /// `name resolution`, `connection refused`, `TLS`, `connection lost`.
        cause: &'static str,
    },
    /// The budget of the call is used up.
    #[error("{host} did not answer in time")]
    Timeout {
        /// Host asked.
        host: String,
    },
    /// The circuit breaker for the host is open.
    #[error("{host} failed repeatedly and is not asked for the moment")]
    CircuitOpen {
        /// Host not asked.
        host: String,
    },
    /// Larger than the cap.
    #[error("{host} sent more than {limit} bytes")]
    TooLarge {
        /// Host asked.
        host: String,
        /// The cap.
        limit: usize,
    },
    /// An answer that is not what the protocol says.
    #[error("{host} sent an invalid answer: {cause}")]
    Invalid {
        /// Host asked.
        host: String,
        /// What is wrong, in fixed words.
        cause: &'static str,
    },
}

/// The registry client. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Registry {}

impl Registry {
    /// HEAD of the manifest a reference names: the digest where it has one, else the tag.
    pub async fn head(
        &self,
        _reference: &ImageReference,
        _auth: &Auth,
        _deadline: Instant,
    ) -> Result<Descriptor, RemoteError> {
        todo!()
    }

    /// HEAD of a manifest by digest in the repository of `reference`.
    pub async fn head_digest(
        &self,
        _reference: &ImageReference,
        _digest: &Digest,
        _auth: &Auth,
        _deadline: Instant,
    ) -> Result<Descriptor, RemoteError> {
        todo!()
    }

    /// GET of a manifest by digest in the repository of `reference`; the body is hashed and compared.
    pub async fn manifest(
        &self,
        _reference: &ImageReference,
        _digest: &Digest,
        _auth: &Auth,
        _deadline: Instant,
    ) -> Result<Manifest, RemoteError> {
        todo!()
    }

    /// The node's own credentials for a reference (`registry.credentials` of config.yaml), for calls that bring none.
    pub async fn node_auth(&self, _reference: &ImageReference, _deadline: Instant) -> Auth {
        todo!()
    }
}
