//! Credentials of one call: the forms CRI sends them in, and whom they may be shown to.

use std::fmt;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use sha2::{Digest as _, Sha256};

/// Credentials of one call. Never printed, never written.
#[derive(Clone, Default, PartialEq, Eq)]
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
    /// Credentials that named the one host they are for (`server_address`): other hosts see [`Auth::Anonymous`].
    Only {
        /// `host[:port]`.
        host: String,
        /// What that host may see.
        auth: Box<Auth>,
    },
}

/// The fields of CRI's `AuthConfig`, or of a containerd `configs."host".auth` table.
#[derive(Clone, Copy, Default)]
pub struct AuthFields<'a> {
    /// User name.
    pub username: &'a str,
    /// Password.
    pub password: &'a str,
    /// base64 of `user:password`.
    pub auth: &'a str,
    /// The registry the credentials are for; empty: the one being asked.
    pub server_address: &'a str,
    /// Refresh token.
    pub identity_token: &'a str,
    /// Bearer token.
    pub registry_token: &'a str,
}

/// Credentials that cannot be understood. Says nothing about their content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the `auth` field of the credentials is not base64 of `user:password`")]
pub struct AuthError;

/// A name for credentials that says nothing about them and is different in every process. For keys of flights and
/// caches in memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(…)")
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("Anonymous"),
            Self::Basic { .. } => f.write_str("Basic(…)"),
            Self::IdentityToken(_) => f.write_str("IdentityToken(…)"),
            Self::RegistryToken(_) => f.write_str("RegistryToken(…)"),
            Self::Only { host, auth } => write!(f, "Only({host}, {auth:?})"),
        }
    }
}

impl fmt::Debug for AuthFields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthFields(…)")
    }
}

impl Auth {
    /// The credentials in a CRI `AuthConfig`, by containerd's rules (`ParseAuth`): user name first, then identity
    /// token, then `auth`; a `server_address` restricts them to that host. The registry token, which containerd
    /// ignores, comes last. No field at all: [`Auth::Anonymous`].
    ///
    /// # Errors
    /// [`AuthError`] if `auth` has to be read and cannot be: containerd refuses such a pull too.
    pub fn from_cri(fields: &AuthFields<'_>) -> Result<Self, AuthError> {
        let auth = if !fields.username.is_empty() {
            Self::Basic {
                username: fields.username.to_owned(),
                password: fields.password.to_owned(),
            }
        } else if !fields.identity_token.is_empty() {
            Self::IdentityToken(fields.identity_token.to_owned())
        } else if !fields.auth.is_empty() {
            Self::from_encoded(fields.auth)?
        } else if !fields.registry_token.is_empty() {
            Self::RegistryToken(fields.registry_token.to_owned())
        } else {
            return Ok(Self::Anonymous);
        };
        if fields.server_address.is_empty() {
            return Ok(auth);
        }
        Ok(Self::Only {
            host: host_of(fields.server_address).to_owned(),
            auth: Box::new(auth),
        })
    }

    /// The credentials in base64 of `user:password`, as docker's config.json has them too.
    pub(crate) fn from_encoded(text: &str) -> Result<Self, AuthError> {
        let bytes = STANDARD.decode(text.trim()).map_err(|_| AuthError)?;
        let text = String::from_utf8(bytes).map_err(|_| AuthError)?;
        let (username, password) = text.split_once(':').ok_or(AuthError)?;
        Ok(Self::Basic {
            username: username.to_owned(),
            // docker pads with NUL.
            password: password.trim_matches('\0').to_owned(),
        })
    }

    /// What `authority` (`host[:port]`) may see of these credentials.
    pub(crate) fn shown_to(&self, authority: &str) -> &Self {
        match self {
            Self::Only { host, auth } if host.eq_ignore_ascii_case(authority) => {
                auth.shown_to(authority)
            }
            Self::Only { .. } => &Self::Anonymous,
            other => other,
        }
    }

    /// A name for these credentials, for keys in memory: equal for equal credentials of this process, useless
    /// outside it.
    pub fn fingerprint(&self) -> Fingerprint {
        /// A key the process keeps to itself, so that a fingerprint cannot be used to test a guessed password.
        static KEY: LazyLock<Option<[u8; 32]>> = LazyLock::new(|| {
            let mut key = [0_u8; 32];
            rustls::crypto::aws_lc_rs::default_provider()
                .secure_random
                .fill(&mut key)
                .ok()
                .map(|()| key)
        });
        /// Without randomness no two credentials may look equal: every fingerprint is then a new one.
        static UNIQUE: AtomicU64 = AtomicU64::new(0);

        let mut hash = Sha256::new();
        match &*KEY {
            Some(key) => hash.update(key),
            None => hash.update(UNIQUE.fetch_add(1, Ordering::Relaxed).to_be_bytes()),
        }
        self.feed(&mut hash);
        Fingerprint(hash.finalize().into())
    }

    fn feed(&self, hash: &mut Sha256) {
        let mut part = |text: &str| {
            hash.update(text.len().to_be_bytes());
            hash.update(text.as_bytes());
        };
        match self {
            Self::Anonymous => part("anonymous"),
            Self::Basic { username, password } => {
                part("basic");
                part(username);
                part(password);
            }
            Self::IdentityToken(token) => {
                part("identity");
                part(token);
            }
            Self::RegistryToken(token) => {
                part("registry");
                part(token);
            }
            Self::Only { host, auth } => {
                part("only");
                part(host);
                auth.feed(hash);
            }
        }
    }
}

/// An `Authorization: Basic` value, marked so that it is not logged.
pub(crate) fn basic(username: &str, password: &str) -> Option<HeaderValue> {
    sensitive(&format!(
        "Basic {}",
        STANDARD.encode(format!("{username}:{password}"))
    ))
}

/// An `Authorization: Bearer` value, marked so that it is not logged. `None`: not a token that fits a header.
pub(crate) fn bearer(token: &str) -> Option<HeaderValue> {
    if token.is_empty() {
        return None;
    }
    sensitive(&format!("Bearer {token}"))
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The host of a URL, or of a text without a scheme.
fn host_of(address: &str) -> &str {
    let rest = address
        .split_once("://")
        .map_or(address, |(_scheme, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(fields: AuthFields<'_>) -> Auth {
        Auth::from_cri(&fields).unwrap()
    }

    #[test]
    fn the_user_name_wins_over_every_other_form() {
        let auth = parse(AuthFields {
            username: "u",
            password: "p",
            auth: "!!! not base64",
            identity_token: "i",
            registry_token: "r",
            ..AuthFields::default()
        });
        assert_eq!(
            auth,
            Auth::Basic {
                username: "u".into(),
                password: "p".into()
            }
        );
    }

    #[test]
    fn an_encoded_pair_keeps_colons_of_the_password() {
        let auth = parse(AuthFields {
            auth: &STANDARD.encode("u:p:q\0"),
            ..AuthFields::default()
        });
        assert_eq!(
            auth,
            Auth::Basic {
                username: "u".into(),
                password: "p:q".into()
            }
        );
    }

    #[test]
    fn broken_credentials_are_an_error_and_not_an_anonymous_pull() {
        for auth in ["%%%", &STANDARD.encode("no colon")] {
            let fields = AuthFields {
                auth,
                ..AuthFields::default()
            };
            assert_eq!(Auth::from_cri(&fields), Err(AuthError), "{auth}");
        }
    }

    #[test]
    fn credentials_for_one_server_are_not_shown_to_another() {
        let auth = parse(AuthFields {
            username: "u",
            password: "p",
            server_address: "https://r.example:5000/v2/",
            ..AuthFields::default()
        });
        assert!(matches!(
            auth.shown_to("R.example:5000"),
            Auth::Basic { .. }
        ));
        for other in ["r.example", "evil.example", "r.example:5000.evil.example"] {
            assert_eq!(auth.shown_to(other), &Auth::Anonymous, "{other}");
        }
    }

    #[test]
    fn nothing_secret_is_printed() {
        let auth = parse(AuthFields {
            username: "alice",
            password: "hunter2",
            server_address: "https://r.example",
            ..AuthFields::default()
        });
        let fields = AuthFields {
            password: "hunter2",
            ..AuthFields::default()
        };
        let printed = format!(
            "{auth:?} {:?} {:?} {:?} {fields:?}",
            auth.fingerprint(),
            Auth::RegistryToken("hunter2".into()),
            basic("alice", "hunter2"),
        );
        for secret in ["hunter2", "alice", &STANDARD.encode("alice:hunter2")] {
            assert!(!printed.contains(secret), "{printed}");
        }
    }

    #[test]
    fn fingerprints_tell_credentials_apart_and_are_stable() {
        let pair = |username: &str, password: &str| Auth::Basic {
            username: username.into(),
            password: password.into(),
        };
        assert_eq!(pair("a", "bc").fingerprint(), pair("a", "bc").fingerprint());
        let all = [
            pair("a", "bc"),
            pair("ab", "c"),
            Auth::Anonymous,
            Auth::IdentityToken("abc".into()),
            Auth::RegistryToken("abc".into()),
        ];
        let distinct: std::collections::HashSet<_> = all.iter().map(Auth::fingerprint).collect();
        assert_eq!(distinct.len(), all.len());
    }
}
