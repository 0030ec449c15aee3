//! A fetch with authentication and redirects, for the registry and the notary client alike.
//!
//! Credentials go to the host that was asked and to the token server it names, never to where a redirect leads.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use tokio::time::Instant;

use super::auth::{self, Auth};
use super::challenge::{self, Challenge};
use super::error::{RemoteError, cause};
use super::limits::Limits;
use super::proxy::ProxyConfig;
use super::tls::TlsSettings;
use super::token::{self, TokenCache, TokenKey, TokenOrder, TokenRequest};
use super::transport::{Answer, Exchange, Transport, status_error};
use super::url::{Scheme, Url};

/// Redirects followed for one request.
const MAX_REDIRECTS: usize = 3;
/// How long it is remembered that a host wants Basic.
const BASIC_LIFE: Duration = Duration::from_mins(5);
/// How long it is remembered that a host speaks plain http behind an ambiguous configuration.
const PLAIN_LIFE: Duration = Duration::from_mins(1);
/// Hosts for which that is remembered.
const MAX_PLAIN: usize = 64;

/// How a host is reached: what containerd's configuration, or config.yaml, says about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Access {
    /// TLS settings.
    pub tls: TlsSettings,
    /// Headers sent to this host and no other.
    pub headers: HeaderMap,
    /// Longest wait for a TCP connection.
    pub dial_timeout: Option<Duration>,
    /// Whether plain http is tried if the server turns out not to speak TLS (containerd: `NewHTTPFallback`).
    pub plain_fallback: bool,
}

/// What is wanted.
#[derive(Debug)]
pub(crate) struct Fetch<'a> {
    pub method: Method,
    pub url: Url,
    /// Headers of the request, sent along redirects too.
    pub headers: HeaderMap,
    /// Largest body, in bytes.
    pub cap: usize,
    /// Scope of the token, such as `repository:library/nginx:pull`.
    pub scope: &'a str,
    pub auth: &'a Auth,
    pub access: &'a Access,
    pub order: TokenOrder,
    pub deadline: Instant,
}

/// Fetches. Shared by everything that leaves the node.
#[derive(Debug)]
pub(crate) struct Fetcher {
    transport: Transport,
    tokens: TokenCache,
    limits: Limits,
    plain: Mutex<HashMap<String, Instant>>,
}

impl Fetcher {
    pub(crate) fn new(proxies: ProxyConfig) -> Self {
        Self {
            transport: Transport::new(proxies),
            tokens: TokenCache::default(),
            limits: Limits::default(),
            plain: Mutex::default(),
        }
    }

    /// The proxies it was made with.
    pub(crate) fn proxies(&self) -> ProxyConfig {
        self.transport.proxies()
    }

    /// Requests sent so far.
    pub(crate) fn requests_sent(&self) -> u64 {
        self.transport.sent()
    }

    /// Hosts whose circuit breaker is open.
    pub(crate) fn open_circuits(&self) -> Vec<String> {
        self.transport.open_circuits()
    }

    /// Fetches: the answer has status 200. A host that limits the rate is not asked before the time it named.
    pub(crate) async fn fetch(&self, fetch: &Fetch<'_>) -> Result<Answer, RemoteError> {
        let host = fetch.url.authority.as_str();
        let auth = fetch.auth.shown_to(host);
        let key = TokenKey {
            origin: format!("{:?} {host}", fetch.url.scheme),
            scope: fetch.scope.to_owned(),
            credentials: auth.fingerprint(),
        };
        let limited = (key.origin.clone(), key.credentials);
        if let Some(wait) = self.limits.wait(&limited) {
            return Err(RemoteError::RateLimited {
                host: host.to_owned(),
                retry_after: Some(wait),
            });
        }
        let result = self.authenticated(fetch, auth, key).await;
        if let Err(RemoteError::RateLimited {
            retry_after: Some(wait),
            ..
        }) = &result
        {
            self.limits.remember(limited, *wait);
        }
        result
    }

    async fn authenticated(
        &self,
        fetch: &Fetch<'_>,
        auth: &Auth,
        key: TokenKey,
    ) -> Result<Answer, RemoteError> {
        let mut authorization = self.tokens.get(&key);
        let mut answered = false;
        loop {
            let (answer, at) = self.follow(fetch, authorization.as_ref()).await?;
            let Some(error) = status_error(&answer, &at.authority) else {
                return Ok(answer);
            };
            let challenged = matches!(error, RemoteError::Unauthorized { .. });
            // A challenge is answered once, and only to the host that was asked.
            if !challenged || answered || at.authority != fetch.url.authority {
                if challenged {
                    self.tokens.remove(&key);
                }
                return Err(error);
            }
            answered = true;
            self.tokens.remove(&key);
            let challenge = challenge::best(&answer.headers).ok_or(error)?;
            let (value, life) = self.authorize(fetch, &at, auth, challenge).await?;
            self.tokens.put(key.clone(), value.clone(), life);
            authorization = Some(value);
        }
    }

    /// The `Authorization` that answers a challenge of `at`, and how long it may be used.
    async fn authorize(
        &self,
        fetch: &Fetch<'_>,
        at: &Url,
        auth: &Auth,
        challenge: Challenge,
    ) -> Result<(HeaderValue, Duration), RemoteError> {
        let unauthorized = || RemoteError::Unauthorized {
            host: at.authority.clone(),
        };
        let (realm, service, mut scopes) = match (challenge, auth) {
            (Challenge::Basic, Auth::Basic { username, password }) => {
                let value = auth::basic(username, password).ok_or_else(unauthorized)?;
                return Ok((value, BASIC_LIFE));
            }
            (Challenge::Basic, _) => return Err(unauthorized()),
            (Challenge::Bearer { .. }, Auth::RegistryToken(token)) => {
                let value = auth::bearer(token).ok_or_else(unauthorized)?;
                return Ok((value, BASIC_LIFE));
            }
            (
                Challenge::Bearer {
                    realm,
                    service,
                    scopes,
                },
                _,
            ) => (realm, service, scopes),
        };
        let invalid = |cause| RemoteError::Invalid {
            host: at.authority.clone(),
            cause,
        };
        let realm =
            Url::parse(&realm).ok_or_else(|| invalid("a token realm that is no address"))?;
        if realm.scheme == Scheme::Http && at.scheme != Scheme::Http && !realm.is_loopback() {
            return Err(invalid("a token realm without TLS"));
        }
        scopes.push(fetch.scope.to_owned());
        scopes.sort();
        scopes.dedup();
        let same_host = realm.host == at.host;
        let no_headers = HeaderMap::new();
        let tls = if same_host {
            fetch.access.tls.clone()
        } else {
            fetch.access.tls.for_other_host()
        };
        let token = token::fetch(
            &self.transport,
            &TokenRequest {
                asked_by: &at.authority,
                realm: &realm,
                service: service.as_deref(),
                scopes: &scopes,
                auth,
                headers: if same_host {
                    &fetch.access.headers
                } else {
                    &no_headers
                },
                tls: &tls,
                dial_timeout: fetch.access.dial_timeout,
                order: fetch.order,
                deadline: fetch.deadline,
            },
        )
        .await?;
        Ok((token.authorization, token.life))
    }

    /// Sends the request and follows redirects. Returns the last answer and where it came from.
    async fn follow(
        &self,
        fetch: &Fetch<'_>,
        authorization: Option<&HeaderValue>,
    ) -> Result<(Answer, Url), RemoteError> {
        let (mut answer, start) = self.first(fetch, authorization).await?;
        let mut url = start.clone();
        for _ in 0..MAX_REDIRECTS {
            let Some(next) = redirect(&answer, &url)? else {
                return Ok((answer, url));
            };
            let (headers, tls) = if next.same_origin(&start) {
                (own_headers(fetch, authorization), fetch.access.tls.clone())
            } else {
                (fetch.headers.clone(), fetch.access.tls.for_other_host())
            };
            answer = self.exchange(fetch, &next, headers, &tls).await?;
            url = next;
        }
        match redirect(&answer, &url)? {
            None => Ok((answer, url)),
            Some(_) => Err(RemoteError::Invalid {
                host: start.authority,
                cause: "too many redirects",
            }),
        }
    }

    /// The first request: to the host itself, in plain http where that is what it turns out to speak.
    async fn first(
        &self,
        fetch: &Fetch<'_>,
        authorization: Option<&HeaderValue>,
    ) -> Result<(Answer, Url), RemoteError> {
        let headers = || own_headers(fetch, authorization);
        let tls = &fetch.access.tls;
        let plain = fetch
            .access
            .plain_fallback
            .then(|| fetch.url.with_scheme(Scheme::Http))
            .flatten();
        if let Some(plain) = &plain
            && self.is_plain(&fetch.url.authority)
        {
            let answer = self.exchange(fetch, plain, headers(), tls).await?;
            return Ok((answer, plain.clone()));
        }
        let result = self.exchange(fetch, &fetch.url, headers(), tls).await;
        match (result, plain) {
            (Err(RemoteError::Unreachable { cause, .. }), Some(plain))
                if cause == cause::NOT_TLS =>
            {
                self.remember_plain(&fetch.url.authority);
                let answer = self.exchange(fetch, &plain, headers(), tls).await?;
                Ok((answer, plain))
            }
            (result, _) => Ok((result?, fetch.url.clone())),
        }
    }

    async fn exchange(
        &self,
        fetch: &Fetch<'_>,
        url: &Url,
        headers: HeaderMap,
        tls: &TlsSettings,
    ) -> Result<Answer, RemoteError> {
        self.transport
            .exchange(Exchange {
                method: fetch.method.clone(),
                url,
                headers,
                body: Bytes::new(),
                tls,
                dial_timeout: fetch.access.dial_timeout,
                cap: fetch.cap,
                deadline: fetch.deadline,
            })
            .await
    }

    fn is_plain(&self, authority: &str) -> bool {
        let plain = self.plain.lock().unwrap_or_else(PoisonError::into_inner);
        plain
            .get(authority)
            .is_some_and(|until| Instant::now() < *until)
    }

    fn remember_plain(&self, authority: &str) {
        let now = Instant::now();
        let mut plain = self.plain.lock().unwrap_or_else(PoisonError::into_inner);
        plain.retain(|_, until| *until > now);
        if plain.len() < MAX_PLAIN {
            plain.insert(authority.to_owned(), now + PLAIN_LIFE);
        }
    }
}

/// Headers for the host that was asked: the request's, the configuration's, and the authorization.
fn own_headers(fetch: &Fetch<'_>, authorization: Option<&HeaderValue>) -> HeaderMap {
    let mut headers = fetch.headers.clone();
    for name in fetch.access.headers.keys() {
        for value in fetch.access.headers.get_all(name) {
            headers.append(name, value.clone());
        }
    }
    if let Some(authorization) = authorization {
        headers.insert(header::AUTHORIZATION, authorization.clone());
    }
    headers
}

/// Where an answer sends us; `None`: it is no redirect.
pub(super) fn redirect(answer: &Answer, from: &Url) -> Result<Option<Url>, RemoteError> {
    if !matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let invalid = |cause| RemoteError::Invalid {
        host: from.authority.clone(),
        cause,
    };
    let next = answer
        .headers
        .get(header::LOCATION)
        .and_then(|location| location.to_str().ok())
        .and_then(|location| from.join(location))
        .ok_or_else(|| invalid("a redirect to no address"))?;
    if from.scheme == Scheme::Https && next.scheme == Scheme::Http {
        return Err(invalid("a redirect from https to http"));
    }
    Ok(Some(next))
}
