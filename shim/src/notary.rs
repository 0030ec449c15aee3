//! The Notary v1 client: fetches what a [`portcullis_trust::notary::Session`] wants.

use std::path::PathBuf;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, header};
use portcullis_policy::model::NotaryServer;
use portcullis_trust::Timestamp;
use portcullis_trust::notary::{NotaryCollection, NotaryError, NotaryMemory, Session, Step, Want};
use tokio::time::Instant;

use crate::registry::fetch::{Access, Fetch, Fetcher};
use crate::registry::tls::TlsSettings;
use crate::registry::token::TokenOrder;
use crate::registry::url::{Scheme, Url};
use crate::registry::{Auth, Registry, RemoteError, USER_AGENT};

/// Most files of one update: a chain of roots, four roles and their delegations.
const MAX_FILES: usize = 512;

/// Why no new trust data was gathered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GatherError {
    /// The server could not be asked: says nothing about the image.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The server answered, and what it said is refused.
    #[error(transparent)]
    Notary(#[from] NotaryError),
}

/// The client. Cheap to clone.
#[derive(Debug, Clone)]
pub struct NotaryClient {
    fetcher: Arc<Fetcher>,
}

impl NotaryClient {
    /// A client that shares connections, tokens and circuit breakers with `registry`.
    pub fn new(registry: &Registry) -> Self {
        Self {
            fetcher: registry.fetcher(),
        }
    }

    /// Updates one collection. `auth` is shown to the server's token server if that asks (scope
    /// `repository:<gun>:pull`).
    ///
    /// # Errors
    /// [`GatherError::Remote`] if a file could not be fetched, [`GatherError::Notary`] if what came is refused.
    #[expect(
        clippy::too_many_arguments,
        reason = "what an update depends on, each of another kind"
    )]
    pub async fn gather(
        &self,
        trust: &NotaryServer,
        gun: &str,
        auth: &Auth,
        memory: &NotaryMemory,
        previous: Option<&NotaryCollection>,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<(NotaryCollection, NotaryMemory), GatherError> {
        let source = Source::new(trust, gun, auth, deadline)?;
        let mut session = Session::new(gun, trust, memory, previous, now);
        for _ in 0..MAX_FILES {
            match session.step() {
                Step::Done(result) => return Ok(*result?),
                Step::Fetch(want) => {
                    let body = source.fetch(&self.fetcher, &want).await?;
                    session.supply(body);
                }
            }
        }
        Err(source.invalid("more files than an update can need").into())
    }
}

/// Where the files of one collection are.
struct Source<'a> {
    base: Url,
    scope: String,
    access: Access,
    auth: &'a Auth,
    deadline: Instant,
}

impl<'a> Source<'a> {
    fn new(
        trust: &NotaryServer,
        gun: &str,
        auth: &'a Auth,
        deadline: Instant,
    ) -> Result<Self, RemoteError> {
        let address = format!(
            "{}/v2/{gun}/_trust/tuf/",
            trust.server.trim_end_matches('/')
        );
        let base = Url::parse(&address)
            .filter(|url| url.scheme == Scheme::Https)
            .ok_or_else(|| RemoteError::Invalid {
                host: trust.server.clone(),
                cause: "the server's address is not an https URL",
            })?;
        Ok(Self {
            base,
            scope: format!("repository:{gun}:pull"),
            access: Access {
                tls: TlsSettings {
                    ca_files: trust.ca.iter().map(PathBuf::from).collect(),
                    only_these_cas: trust.ca.is_some(),
                    ..TlsSettings::default()
                },
                ..Access::default()
            },
            auth,
            deadline,
        })
    }

    /// The bytes of a file; `None`: the server says it has none.
    async fn fetch(&self, fetcher: &Fetcher, want: &Want) -> Result<Option<Vec<u8>>, RemoteError> {
        let url = self.url(&want.file)?;
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        let result = fetcher
            .fetch(&Fetch {
                method: Method::GET,
                url,
                headers,
                cap: want.max_bytes,
                scope: &self.scope,
                auth: self.auth,
                access: &self.access,
                order: TokenOrder::GetFirst,
                deadline: self.deadline,
            })
            .await;
        match result {
            Ok(answer) => Ok(Some(answer.body.into())),
            Err(RemoteError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The address of a file. Its name comes from metadata: it must stay below the collection.
    fn url(&self, file: &str) -> Result<Url, RemoteError> {
        let is_name = file
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte))
            && file.split('/').all(|part| !matches!(part, "" | "." | ".."));
        is_name
            .then(|| Url::parse(&format!("{}{file}", self.base)))
            .flatten()
            .ok_or_else(|| self.invalid("a role whose name is no file name"))
    }

    fn invalid(&self, cause: &'static str) -> RemoteError {
        RemoteError::Invalid {
            host: self.base.authority.clone(),
            cause,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn source(server: &str) -> Result<Source<'static>, RemoteError> {
        let trust = NotaryServer {
            server: server.to_owned(),
            ca: None,
            pins: BTreeMap::new(),
            trust_on_first_use: false,
        };
        let gun = "127.0.0.1:5000/demo/app";
        Source::new(&trust, gun, &Auth::Anonymous, Instant::now())
    }

    #[tokio::test]
    async fn files_are_found_below_the_collection() {
        let source = source("https://notary.example:4443/").unwrap();
        assert_eq!(
            source.url("targets/alice.json").unwrap().to_string(),
            "https://notary.example:4443/v2/127.0.0.1:5000/demo/app/_trust/tuf/targets/alice.json"
        );
    }

    #[tokio::test]
    async fn a_role_name_cannot_lead_elsewhere() {
        let source = source("https://notary.example").unwrap();
        for file in [
            "../../../x",
            "a/../b",
            "/x",
            "a//b",
            "x?y=1",
            "x#y",
            "a b",
            "%2e%2e/x",
            "",
        ] {
            assert!(source.url(file).is_err(), "{file}");
        }
    }

    #[tokio::test]
    async fn a_server_without_tls_is_refused() {
        for server in ["http://notary.example", "notary.example", "https://"] {
            assert!(source(server).is_err(), "{server}");
        }
    }
}
