//! Why a remote gave no answer to use: fixed words per cause, nothing of a remote body.

use std::time::Duration;

/// Why the registry (or a notary server) gave no answer to use. The texts are fixed per cause: nothing of a remote
/// body is echoed (docs/rules.md rule 13).
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
    /// 404 from every host that was asked: a definite answer.
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
    /// DNS, connect, TLS or a broken connection; or the node's own configuration for the host cannot be used.
    #[error("{host} cannot be reached: {cause}")]
    Unreachable {
        /// Host asked.
        host: String,
        /// One of [`crate::registry::cause`].
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

/// What a [`RemoteError`] says about the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RemoteErrorKind {
    /// The remote does not have it (404).
    Absent,
    /// The remote will not tell with these credentials (401, 403).
    Auth,
    /// Nothing: it may be different in a moment, or on another host.
    Transient,
}

/// The words of [`RemoteError::Unreachable`].
pub mod cause {
    /// The name does not resolve.
    pub const RESOLUTION: &str = "name resolution";
    /// Nobody listens there.
    pub const REFUSED: &str = "connection refused";
    /// No connection for another reason.
    pub const CONNECT: &str = "no connection";
    /// The handshake failed or the certificate is not trusted.
    pub const TLS: &str = "TLS";
    /// The server answered the handshake in something else than TLS.
    pub const NOT_TLS: &str = "it does not speak TLS";
    /// The connection broke before the answer was whole.
    pub const LOST: &str = "connection lost";
    /// The proxy of the environment cannot be used or refused.
    pub const PROXY: &str = "the configured proxy";
    /// A CA, certificate or key file named for the host is missing or malformed.
    pub const TLS_FILES: &str = "its certificate files cannot be used";
    /// The node's configuration names no host with the capability asked for.
    pub const NO_HOST: &str = "no configured host may be asked for this";
    /// A directory of this node, or a file in it, cannot be read.
    pub const FILES: &str = "its directory or a file in it cannot be read";
    /// The address is this node's, its link's or a cloud's metadata service's, and was named by a stranger.
    pub const LOCAL_ADDRESS: &str =
        "its address is one that certificates may not send this node to";
    /// containerd's own configuration for the host is not usable.
    pub const HOST_CONFIG: &str = "containerd's configuration for it cannot be used";
}

impl RemoteError {
    /// How long a negative result is kept (docs/rules.md): 5 s for 401, 403 and 404; for 429 its Retry-After, at
    /// most 60 s, or 5 s without one; 2 s for everything else.
    pub fn negative_ttl(&self) -> Duration {
        match self {
            Self::Unauthorized { .. } | Self::Forbidden { .. } | Self::NotFound { .. } => {
                Duration::from_secs(5)
            }
            Self::RateLimited { retry_after, .. } => retry_after
                .map_or(Duration::from_secs(5), |after| {
                    after.min(super::retry_after::CAP)
                }),
            _ => Duration::from_secs(2),
        }
    }

    /// What it says about the image.
    pub fn kind(&self) -> RemoteErrorKind {
        match self {
            Self::NotFound { .. } => RemoteErrorKind::Absent,
            Self::Unauthorized { .. } | Self::Forbidden { .. } => RemoteErrorKind::Auth,
            _ => RemoteErrorKind::Transient,
        }
    }

    /// The host it is about.
    pub fn host(&self) -> &str {
        match self {
            Self::Unauthorized { host }
            | Self::Forbidden { host }
            | Self::NotFound { host }
            | Self::RateLimited { host, .. }
            | Self::Status { host, .. }
            | Self::Unreachable { host, .. }
            | Self::Timeout { host }
            | Self::CircuitOpen { host }
            | Self::TooLarge { host, .. }
            | Self::Invalid { host, .. } => host,
        }
    }

    /// How telling an error is when several hosts failed: a lie first, then what an operator can act on, then what
    /// passes by itself. "Does not have it" is last, so that it is reported only if every host said so: a mirror
    /// without a copy beside an upstream that cannot be reached proves nothing about the image.
    fn telling(&self) -> u8 {
        match self {
            Self::NotFound { .. } => 0,
            Self::CircuitOpen { .. } => 1,
            Self::Unreachable { .. } => 2,
            Self::Timeout { .. } => 3,
            Self::Status { .. } => 4,
            Self::Unauthorized { .. } => 5,
            Self::Forbidden { .. } => 6,
            Self::RateLimited { .. } => 7,
            Self::TooLarge { .. } => 8,
            Self::Invalid { .. } => 9,
        }
    }

    /// The more telling of two; of equals the later one, which is nearer to the upstream.
    pub(crate) fn or_more_telling(self, later: Self) -> Self {
        if self.telling() > later.telling() {
            self
        } else {
            later
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> String {
        "r.example".to_owned()
    }

    #[test]
    fn a_mirror_without_a_copy_does_not_make_an_image_absent_while_the_upstream_is_down() {
        let mirror = RemoteError::NotFound { host: host() };
        let upstream = RemoteError::Timeout { host: host() };
        assert_eq!(
            mirror.clone().or_more_telling(upstream.clone()),
            upstream.clone()
        );
        assert_eq!(upstream.clone().or_more_telling(mirror), upstream);
    }

    #[test]
    fn negative_results_live_as_long_as_the_contract_says() {
        let seconds = |error: RemoteError| error.negative_ttl().as_secs();
        assert_eq!(seconds(RemoteError::NotFound { host: host() }), 5);
        assert_eq!(seconds(RemoteError::Forbidden { host: host() }), 5);
        assert_eq!(seconds(RemoteError::Timeout { host: host() }), 2);
        let limited = |after: u64| RemoteError::RateLimited {
            host: host(),
            retry_after: Some(Duration::from_secs(after)),
        };
        assert_eq!(seconds(limited(30)), 30);
        assert_eq!(seconds(limited(3600)), 60);
    }

    #[test]
    fn only_404_says_that_an_image_is_absent() {
        assert_eq!(
            RemoteError::NotFound { host: host() }.kind(),
            RemoteErrorKind::Absent
        );
        let status = RemoteError::Status {
            host: host(),
            status: 410,
        };
        assert_eq!(status.kind(), RemoteErrorKind::Transient);
    }
}
