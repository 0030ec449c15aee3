//! One HTTP exchange with every bound there is: deadline, body cap, requests per host, circuit breaker, pooled
//! connections. Knows nothing of registries, credentials or redirects.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::breaker::Breaker;
use super::connect::{ConnectError, Connector};
use super::error::{RemoteError, cause};
use super::files::Stamp;
use super::health;
use super::proxy::ProxyConfig;
use super::reach::Reach;
use super::retry_after;
use super::tls::TlsSettings;
use super::url::{Scheme, Url};

/// Requests under way to one host.
const PER_HOST: usize = 8;
/// Hosts remembered; the idle and healthy ones are forgotten first.
const MAX_HOSTS: usize = 256;
/// TLS configurations with their connection pools.
const MAX_CLIENTS: usize = 16;
/// How long a connection is kept for the next request, as in containerd.
const IDLE: Duration = Duration::from_secs(30);
/// Largest response head.
const MAX_HEAD: usize = 64 * 1024;
/// The least time a host must have had for its silence to count against it: a caller whose budget is nearly used up
/// says nothing about the host.
const FAIR: Duration = Duration::from_secs(1);
/// Largest body of an error answer that is read, unseen, to keep its connection.
const MAX_DISCARD: u64 = 16 * 1024;

/// One request.
#[derive(Debug)]
pub(crate) struct Exchange<'a> {
    pub method: Method,
    pub url: &'a Url,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub tls: &'a TlsSettings,
    /// Longest wait for a TCP connection.
    pub dial_timeout: Option<Duration>,
    /// Largest body accepted with status 200, in bytes.
    pub cap: usize,
    /// When the whole exchange must be over.
    pub deadline: Instant,
}

/// An answer with its body in memory. Only bodies of 200 answers to other methods than HEAD are kept.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

type HttpClient = Client<Connector, Full<Bytes>>;

#[derive(Debug, PartialEq, Eq)]
struct ClientKey {
    tls: TlsSettings,
    stamps: Vec<Option<Stamp>>,
    dial_timeout: Option<Duration>,
}

struct HostState {
    permits: Semaphore,
    breaker: Breaker,
}

/// Sends requests.
pub(crate) struct Transport {
    proxies: Arc<ProxyConfig>,
    reach: Reach,
    hosts: Mutex<HashMap<String, Arc<HostState>>>,
    /// Most recently used first.
    clients: Mutex<Vec<(ClientKey, HttpClient)>>,
    sent: AtomicU64,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("sent", &self.sent)
            .finish_non_exhaustive()
    }
}

impl Transport {
    pub(crate) fn new(proxies: ProxyConfig) -> Self {
        Self::reaching(proxies, Reach::Anywhere)
    }

    /// One whose connections lead no further than `reach`.
    pub(crate) fn reaching(proxies: ProxyConfig, reach: Reach) -> Self {
        Self {
            proxies: Arc::new(proxies),
            reach,
            hosts: Mutex::default(),
            clients: Mutex::default(),
            sent: AtomicU64::new(0),
        }
    }

    /// The proxies it was made with.
    pub(crate) fn proxies(&self) -> ProxyConfig {
        (*self.proxies).clone()
    }

    /// Requests sent so far, token requests and redirects included.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Hosts whose circuit breaker is open, sorted.
    pub(crate) fn open_circuits(&self) -> Vec<String> {
        let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut open: Vec<String> = hosts
            .iter()
            .filter(|(_, state)| state.breaker.is_open())
            .map(|(host, _)| host.clone())
            .collect();
        open.sort_unstable();
        open
    }

    /// Sends one request and reads its answer. Every status is an answer; errors are what kept one from coming.
    pub(crate) async fn exchange(&self, exchange: Exchange<'_>) -> Result<Answer, RemoteError> {
        let host = exchange.url.authority.clone();
        let state = self.host(exchange.url);
        if state.breaker.refuses() {
            return Err(RemoteError::CircuitOpen { host });
        }
        let deadline = exchange.deadline;
        let timeout = || RemoteError::Timeout { host: host.clone() };
        let permit = timeout_at(deadline, state.permits.acquire()).await;
        // Never closed, so only the deadline can keep a permit away.
        let Ok(Ok(_permit)) = permit else {
            return Err(timeout());
        };
        let client = self.client(&exchange).await?;
        let Some(pass) = state.breaker.enter() else {
            return Err(RemoteError::CircuitOpen { host });
        };
        let fair = deadline.saturating_duration_since(Instant::now()) >= FAIR;
        let result = match timeout_at(deadline, self.send(&client, exchange)).await {
            Ok(result) => result,
            Err(_elapsed) => Err(timeout()),
        };
        health::note(&host, pass, &result, fair);
        result
    }

    async fn send(
        &self,
        client: &HttpClient,
        exchange: Exchange<'_>,
    ) -> Result<Answer, RemoteError> {
        let Exchange {
            method, url, cap, ..
        } = exchange;
        let host = || url.authority.clone();
        let mut request = Request::new(Full::new(exchange.body));
        *request.method_mut() = method.clone();
        *request.uri_mut() = url.to_string().parse().map_err(|_| RemoteError::Invalid {
            host: host(),
            cause: "an address that is none",
        })?;
        *request.headers_mut() = exchange.headers;
        let headers = request.headers_mut();
        // Bodies are hashed as they come; nothing is inflated, so there is no bomb.
        headers.insert(
            header::ACCEPT_ENCODING,
            HeaderValue::from_static("identity"),
        );
        if url.scheme == Scheme::Http
            && let Ok(Some(proxy)) = self.proxies.proxy_for(url)
            && let Some(authorization) = proxy.authorization
        {
            headers.insert(header::PROXY_AUTHORIZATION, authorization);
        }
        self.sent.fetch_add(1, Ordering::Relaxed);
        let response = client
            .request(request)
            .await
            .map_err(|error| failure(&error, host()))?;
        let (head, mut body) = response.into_parts();
        tracing::debug!(host = %url.authority, %method, status = head.status.as_u16(), "registry answered");
        let bytes = if head.status == StatusCode::OK && method != Method::HEAD {
            if head
                .headers
                .get(header::CONTENT_ENCODING)
                .is_some_and(|encoding| encoding != "identity")
            {
                return Err(RemoteError::Invalid {
                    host: host(),
                    cause: "a compressed body",
                });
            }
            collect(&mut body, cap, &host).await?
        } else {
            discard(body).await;
            Bytes::new()
        };
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body: bytes,
        })
    }

    fn host(&self, url: &Url) -> Arc<HostState> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.len() >= MAX_HOSTS && !hosts.contains_key(&url.authority) {
            hosts.retain(|_, state| Arc::strong_count(state) > 1 || !state.breaker.is_untouched());
            if hosts.len() >= MAX_HOSTS {
                // All of them failing: better to forget that than to grow without end.
                hosts.retain(|_, state| Arc::strong_count(state) > 1);
            }
        }
        let state = hosts.entry(url.authority.clone()).or_insert_with(|| {
            Arc::new(HostState {
                permits: Semaphore::new(PER_HOST),
                breaker: Breaker::default(),
            })
        });
        Arc::clone(state)
    }

    async fn client(&self, exchange: &Exchange<'_>) -> Result<HttpClient, RemoteError> {
        let key = ClientKey {
            tls: exchange.tls.clone(),
            stamps: exchange.tls.stamps(),
            dial_timeout: exchange.dial_timeout,
        };
        if let Some(client) = self.pooled(&key) {
            return Ok(client);
        }
        let unusable = || RemoteError::Unreachable {
            host: exchange.url.authority.clone(),
            cause: cause::TLS_FILES,
        };
        let settings = key.tls.clone();
        let loaded = tokio::task::spawn_blocking(move || settings.load());
        let config = match timeout_at(exchange.deadline, loaded).await {
            Ok(Ok(Ok(config))) => config,
            Ok(Ok(Err(error))) => {
                tracing::warn!(host = %exchange.url.authority, %error, "TLS files of a registry host");
                return Err(unusable());
            }
            Ok(Err(_panicked)) => return Err(unusable()),
            Err(_elapsed) => {
                return Err(RemoteError::Timeout {
                    host: exchange.url.authority.clone(),
                });
            }
        };
        let connector = Connector::new(
            Arc::new(config),
            Arc::clone(&self.proxies),
            exchange.dial_timeout,
            self.reach,
        );
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(PER_HOST)
            .http1_max_buf_size(MAX_HEAD)
            .build(connector);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.insert(0, (key, client.clone()));
        clients.truncate(MAX_CLIENTS);
        Ok(client)
    }

    fn pooled(&self, key: &ClientKey) -> Option<HttpClient> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let at = clients.iter().position(|(known, _)| known == key)?;
        let used = clients.remove(at);
        let client = used.1.clone();
        clients.insert(0, used);
        Some(client)
    }
}

async fn collect(
    body: &mut Incoming,
    cap: usize,
    host: &impl Fn() -> String,
) -> Result<Bytes, RemoteError> {
    let too_large = || RemoteError::TooLarge {
        host: host(),
        limit: cap,
    };
    let lost = || RemoteError::Unreachable {
        host: host(),
        cause: cause::LOST,
    };
    if body.size_hint().lower() > u64::try_from(cap).unwrap_or(u64::MAX) {
        return Err(too_large());
    }
    let mut out = BytesMut::new();
    while let Some(frame) = body.frame().await {
        // Trailers carry nothing that is used.
        let Ok(data) = frame.map_err(|_| lost())?.into_data() else {
            continue;
        };
        if out.len().saturating_add(data.len()) > cap {
            return Err(too_large());
        }
        out.extend_from_slice(&data);
    }
    Ok(out.freeze())
}

/// Reads a small body that nobody wants, so that its connection can be used again.
async fn discard(body: Incoming) {
    let small = body
        .size_hint()
        .upper()
        .is_some_and(|size| size <= MAX_DISCARD);
    if small {
        // A body that does not come costs the connection, not the answer.
        let _unwanted = tokio::time::timeout(Duration::from_millis(250), body.collect()).await;
    }
}

fn failure(error: &hyper_util::client::legacy::Error, host: String) -> RemoteError {
    let mut source: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(ConnectError(cause)) = error.downcast_ref() {
            return RemoteError::Unreachable { host, cause };
        }
        if error
            .downcast_ref::<hyper::Error>()
            .is_some_and(|error| error.is_parse() || error.is_parse_too_large())
        {
            return RemoteError::Invalid {
                host,
                cause: "not HTTP",
            };
        }
        source = error.source();
    }
    RemoteError::Unreachable {
        host,
        cause: cause::LOST,
    }
}

/// The error that a status means. `None`: it is 200.
pub(crate) fn status_error(answer: &Answer, host: &str) -> Option<RemoteError> {
    let host = host.to_owned();
    Some(match answer.status.as_u16() {
        200 => return None,
        401 => RemoteError::Unauthorized { host },
        403 => RemoteError::Forbidden { host },
        404 => RemoteError::NotFound { host },
        429 => RemoteError::RateLimited {
            host,
            retry_after: retry_after::parse(&answer.headers),
        },
        status => RemoteError::Status { host, status },
    })
}
