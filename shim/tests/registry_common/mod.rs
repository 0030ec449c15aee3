//! Small servers that say whatever a test wants, and a node's configuration in a temporary directory.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

pub mod distribution;
pub mod pki;
pub mod proxy;

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt as _, Collected};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use portcullis::registry::{ProxyConfig, Registry, RegistryConfig};
use portcullis_policy::{Digest, ImageReference};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// A manifest that is one.
pub const MANIFEST: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{},"layers":[]}"#;
/// Its media type.
pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// A request that a server saw.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: Method,
    /// Path and query; the absolute form where a proxy is asked.
    pub target: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// What a server answers.
#[derive(Debug, Default)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Sent,
}

/// The body of a reply.
#[derive(Debug, Default)]
pub enum Sent {
    #[default]
    Nothing,
    Whole(Bytes),
    /// These bytes, and then nothing for ever.
    Stalls(Bytes),
    /// Zeros for ever, without a length.
    Endless,
}

impl Reply {
    pub fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    pub fn text(status: u16, text: impl Into<String>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Sent::Whole(Bytes::from(text.into())),
        }
    }

    pub fn json(text: impl Into<String>) -> Self {
        Self::text(200, text).with("content-type", "application/json")
    }

    /// [`MANIFEST`] as a registry sends it.
    pub fn manifest() -> Self {
        Self::text(200, MANIFEST)
            .with("content-type", MANIFEST_TYPE)
            .with("docker-content-digest", digest().to_string())
    }

    pub fn redirect(to: impl Into<String>) -> Self {
        Self::status(307).with("location", to)
    }

    /// 401 with a challenge.
    pub fn challenge(challenge: impl Into<String>) -> Self {
        Self::text(401, "<html>secret-from-the-server</html>").with("www-authenticate", challenge)
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// Digest of [`MANIFEST`].
pub fn digest() -> Digest {
    Digest::of(MANIFEST.as_bytes())
}

pub fn reference(text: &str) -> ImageReference {
    ImageReference::parse(text).unwrap()
}

/// Long enough for anything that is going to happen.
pub fn soon() -> Instant {
    Instant::now() + Duration::from_mins(1)
}

/// Short, for what is never going to happen.
pub fn at_once() -> Instant {
    Instant::now() + Duration::from_millis(300)
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = match &mut *self {
            Self::Nothing => return Poll::Ready(None),
            Self::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Nothing;
                bytes
            }
            Self::Stalls(bytes) if bytes.is_empty() => return Poll::Pending,
            Self::Stalls(bytes) => std::mem::take(bytes),
            Self::Endless => Bytes::from_static(&[b'0'; 16 * 1024]),
        };
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Nothing => SizeHint::with_exact(0),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stalls(_) | Self::Endless => SizeHint::default(),
        }
    }
}

/// A server on a port of its own, gone when dropped.
pub struct Server {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Plain http; `answer` is asked for every request.
    pub async fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_async(None, move |seen| {
            let reply = answer(&seen);
            async move { reply }
        })
        .await
    }

    /// https.
    pub async fn start_tls(
        tls: Arc<rustls::ServerConfig>,
        answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start_async(Some(tls), move |seen| {
            let reply = answer(&seen);
            async move { reply }
        })
        .await
    }

    pub async fn start_async<F>(
        tls: Option<Arc<rustls::ServerConfig>>,
        answer: impl Fn(Seen) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(answer);
        let log = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            // Its connections end with it.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(
                    stream,
                    tls.clone(),
                    Arc::clone(&answer),
                    Arc::clone(&log),
                ));
            }
        });
        Self {
            address,
            seen,
            task,
        }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    pub fn http(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn https(&self) -> String {
        format!("https://{}", self.address)
    }
}

async fn serve<F>(
    stream: TcpStream,
    tls: Option<Arc<rustls::ServerConfig>>,
    answer: Arc<impl Fn(Seen) -> F + Send + Sync + 'static>,
    log: Arc<Mutex<Vec<Seen>>>,
) where
    F: Future<Output = Reply> + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.map(Collected::to_bytes);
            let seen = Seen {
                method: head.method,
                target: head.uri.to_string(),
                headers: head.headers,
                body: String::from_utf8_lossy(&body.unwrap_or_default()).into_owned(),
            };
            log.lock().unwrap().push(seen.clone());
            let reply = answer(seen).await;
            let mut response = Response::builder().status(reply.status);
            for (name, value) in reply.headers {
                response = response.header(name, value);
            }
            Ok::<_, Infallible>(response.body(reply.body).unwrap())
        }
    });
    let http = hyper::server::conn::http1::Builder::new();
    // Clients that go away are part of the tests.
    let _ended = match tls {
        None => http.serve_connection(TokioIo::new(stream), service).await,
        Some(tls) => match tokio_rustls::TlsAcceptor::from(tls).accept(stream).await {
            Ok(stream) => http.serve_connection(TokioIo::new(stream), service).await,
            Err(_) => return,
        },
    };
}

/// A node's configuration files.
pub struct Node {
    dir: tempfile::TempDir,
}

impl Node {
    pub fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes `certs.d/<name>/hosts.toml`.
    pub fn hosts(&self, name: &str, toml: &str) -> &Self {
        self.write(&format!("certs.d/{name}/hosts.toml"), toml);
        self
    }

    pub fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn config(&self) -> RegistryConfig {
        RegistryConfig {
            certs_dir: self.path().join("certs.d"),
            containerd_config: self.path().join("config.toml"),
            ..RegistryConfig::default()
        }
    }

    pub fn registry(self) -> Client {
        self.registry_behind(ProxyConfig::default())
    }

    pub fn registry_behind(self, proxies: ProxyConfig) -> Client {
        let config = self.config();
        self.registry_with(config, proxies)
    }

    pub fn registry_with(self, config: RegistryConfig, proxies: ProxyConfig) -> Client {
        Client {
            registry: Registry::new(config, proxies).unwrap(),
            node: self,
        }
    }

    /// A node on which `r.test` is served by `server` in plain http.
    pub fn serving(server: &Server) -> Self {
        let node = Self::new();
        node.hosts("r.test", &format!("server = '{}'", server.http()));
        node
    }
}

/// A client with the files it reads.
pub struct Client {
    pub node: Node,
    pub registry: Registry,
}

impl std::ops::Deref for Client {
    type Target = Registry;

    fn deref(&self) -> &Registry {
        &self.registry
    }
}
