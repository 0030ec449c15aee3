//! An HTTP front before a server on loopback: it passes requests on, or says what a test wants, and remembers both what it
//! was asked and what the server told.

mod reply;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

pub use reply::{Reply, Sent, json, status};

/// A request that the front saw.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Its method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// Its `Authorization`, if it had one.
    pub authorization: Option<String>,
    /// Its body, as text.
    pub body: String,
    /// Its body.
    pub bytes: Bytes,
}

/// Certificate and key that the front shows, and the authority it believes the server by, if that speaks TLS too. PEM files.
#[derive(Debug, Clone)]
pub struct Tls {
    /// Certificate.
    pub certificate: PathBuf,
    /// Key.
    pub key: PathBuf,
    /// Authority of the server behind; without it the server speaks plain http.
    pub ca: Option<PathBuf>,
}

type Script = Arc<dyn Fn(&Asked) -> Reply + Send + Sync>;

struct State {
    asked: Vec<Asked>,
    told: BTreeMap<String, Bytes>,
    script: Script,
}

type Shared = Arc<Mutex<State>>;

/// How the server behind is reached.
#[derive(Clone)]
struct Upstream {
    port: u16,
    tls: Option<tokio_rustls::TlsConnector>,
}

/// The front. It lives on a thread of its own until it is dropped.
pub struct Liar {
    port: u16,
    state: Shared,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl std::fmt::Debug for Liar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Liar")
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl Liar {
    /// Listens on a free loopback port before `server`, and passes everything on until told otherwise.
    pub fn start(server: u16, tls: Option<&Tls>) -> Result<Self> {
        let state = Arc::new(Mutex::new(State {
            asked: Vec::new(),
            told: BTreeMap::new(),
            script: Arc::new(|_| Reply::Truth),
        }));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = {
            let _guard = runtime.enter();
            let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)?
        };
        let port = listener.local_addr()?.port();
        let acceptor = tls.map(acceptor).transpose()?;
        let upstream = Upstream {
            port: server,
            tls: tls
                .and_then(|tls| tls.ca.as_deref())
                .map(connector)
                .transpose()?,
        };
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    () = accept(listener, acceptor, upstream, shared) => {}
                    _ = stopped => {}
                }
            });
        });
        Ok(Self {
            port,
            state,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on `script` says what becomes of each request.
    pub fn says(&self, script: impl Fn(&Asked) -> Reply + Send + Sync + 'static) {
        lock(&self.state).script = Arc::new(script);
    }

    /// From now on everything is passed on.
    pub fn tells_the_truth(&self) {
        self.says(|_| Reply::Truth);
    }

    /// Every request so far.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.state).asked.clone()
    }

    /// Forgets the requests so far.
    pub fn clear(&self) {
        lock(&self.state).asked.clear();
    }

    /// The last body that the server gave for each path.
    pub fn told(&self) -> BTreeMap<String, Bytes> {
        lock(&self.state).told.clone()
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock(state: &Shared) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn acceptor(tls: &Tls) -> Result<tokio_rustls::TlsAcceptor> {
    let chain = CertificateDer::pem_file_iter(&tls.certificate)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(&tls.key)?;
    let config = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(Arc::new(config).into())
}

fn connector(ca: &Path) -> Result<tokio_rustls::TlsConnector> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca)? {
        roots.add(certificate?)?;
    }
    let config = rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config).into())
}

async fn accept(
    listener: TcpListener,
    acceptor: Option<tokio_rustls::TlsAcceptor>,
    upstream: Upstream,
    state: Shared,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, upstream, state) = (acceptor.clone(), upstream.clone(), Arc::clone(&state));
        tokio::spawn(async move {
            match acceptor {
                None => serve(stream, upstream, state).await,
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, upstream, state).await;
                    }
                }
            }
        });
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    upstream: Upstream,
    state: Shared,
) {
    let service = service_fn(move |request| answer(request, upstream.clone(), Arc::clone(&state)));
    // Clients that go away, and connections cut on purpose, are part of the tests.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    request: Request<Incoming>,
    upstream: Upstream,
    state: Shared,
) -> Result<Response<Sent>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let asked = Asked {
        method: head.method.clone(),
        path: head.uri.to_string(),
        authorization: head
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| Some(value.to_str().ok()?.to_owned())),
        body: String::from_utf8_lossy(&body).into_owned(),
        bytes: body.clone(),
    };
    let script = {
        let mut state = lock(&state);
        state.asked.push(asked.clone());
        Arc::clone(&state.script)
    };
    let edit = match script(&asked) {
        Reply::Lie(response) => return Ok(response),
        Reply::Silence => {
            std::future::pending::<Infallible>().await;
            return Err(anyhow::anyhow!("silence ended"));
        }
        // hyper closes a connection whose service fails.
        Reply::Cut => return Err(anyhow::anyhow!("cut on purpose")),
        Reply::Truth => None,
        Reply::Edited(edit) => Some(edit),
    };
    let told = upstream
        .ask(Request::from_parts(head, Full::new(body)))
        .await?;
    if told.status().is_success() && asked.method == Method::GET {
        let body = told.body().clone();
        lock(&state).told.insert(asked.path, body);
    }
    let told = match edit {
        Some(edit) => {
            let mut edited = edit(told);
            if asked.method != Method::HEAD {
                edited.headers_mut().remove(header::CONTENT_LENGTH);
            }
            edited
        }
        None => told,
    };
    Ok(told.map(|body| {
        if asked.method == Method::HEAD {
            Sent::Nothing
        } else {
            Sent::Whole(body)
        }
    }))
}

impl Upstream {
    async fn ask(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>> {
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        let stream = TcpStream::connect(address).await?;
        match &self.tls {
            None => exchange(stream, request).await,
            Some(tls) => {
                let name = ServerName::from(address.ip());
                exchange(tls.connect(name, stream).await?, request).await
            }
        }
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let response = sender
        .send_request(request)
        .await
        .context("the server behind")?;
    let (head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    driver.abort();
    Ok(Response::from_parts(head, body))
}
