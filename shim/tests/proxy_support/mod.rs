//! A scripted containerd, a scripted gate, a raw gRPC client, and the proxy between them.
#![allow(dead_code, unreachable_pub, reason = "every test file uses a part")]

use std::convert::Infallible;
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use hyper::client::conn::http2 as client;
use hyper::server::conn::http2 as server;
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis::intercept::{After, Before, Interceptor, Refusal, Reply, Ticket};
use portcullis::proxy::{Limits, Listener, Proxy, ProxyMetrics, ProxySnapshot};
use portcullis_proto::method::Method;
use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

pub type Error = Box<dyn std::error::Error + Send + Sync>;
pub type Body = BoxBody<Bytes, Error>;
pub type Handler =
    Arc<dyn Fn(Request<Incoming>) -> BoxFuture<'static, Response<Body>> + Send + Sync>;

pub const VERSION: &str = "/runtime.v1.RuntimeService/Version";
pub const EVENTS: &str = "/runtime.v1.RuntimeService/GetContainerEvents";
pub const LIST: &str = "/runtime.v1.ImageService/ListImages";
pub const CREATE: &str = "/runtime.v1.RuntimeService/CreateContainer";
pub const PULL: &str = "/runtime.v1.ImageService/PullImage";
pub const REMOVE: &str = "/runtime.v1.ImageService/RemoveImage";

/// A framed message.
pub fn framed(message: &[u8]) -> Bytes {
    frame_with(0, u32::try_from(message.len()).unwrap(), message)
}

/// A frame whose prefix says what the test wants.
pub fn frame_with(flag: u8, length: u32, message: &[u8]) -> Bytes {
    let mut frame = vec![flag];
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(message);
    frame.into()
}

pub fn header_map(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
        .collect()
}

// === containerd's part ===

/// The frames of an answer, then its trailers.
pub fn frames(data: impl IntoIterator<Item = Bytes>, trailers: HeaderMap) -> Body {
    let frames: Vec<_> = data
        .into_iter()
        .map(Frame::data)
        .chain([Frame::trailers(trailers)])
        .map(Ok)
        .collect();
    BodyExt::boxed(StreamBody::new(stream::iter(frames)))
}

/// Frames, then nothing more until the guard in it is dropped with the body.
pub fn endless(data: impl IntoIterator<Item = Bytes>, guard: impl Send + Sync + 'static) -> Body {
    let frames: Vec<_> = data.into_iter().map(|d| Ok(Frame::data(d))).collect();
    let tail = stream::poll_fn(move |_| {
        let _held = &guard;
        std::task::Poll::Pending
    });
    BodyExt::boxed(StreamBody::new(stream::iter(frames).chain(tail)))
}

/// Frames, then a reset when told to: hyper would throw away what it has not sent by then.
pub fn torn(data: impl IntoIterator<Item = Bytes>, when: BoxFuture<'static, ()>) -> Body {
    let frames: Vec<_> = data.into_iter().map(|d| Ok(Frame::data(d))).collect();
    let tear = stream::once(when.map(|()| Err(Error::from("torn"))));
    let body = StreamBody::new(stream::iter(frames).chain(tear));
    // The body is Send but, because of the future, not Sync.
    BodyExt::boxed(SyncBody(Mutex::new(Box::pin(body))))
}

struct SyncBody<B>(Mutex<std::pin::Pin<Box<B>>>);

impl<B: http_body::Body> http_body::Body for SyncBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.get_mut().0.get_mut().unwrap().as_mut().poll_frame(cx)
    }
}

/// An answer with a body.
pub fn reply(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.headers_mut() = header_map(&[("content-type", "application/grpc")]);
    response
}

/// OK with one message.
pub fn ok(message: &[u8]) -> Response<Body> {
    reply(frames(
        [framed(message)],
        header_map(&[("grpc-status", "0")]),
    ))
}

/// A trailers-only answer.
pub fn trailers_only(pairs: &[(&'static str, &str)]) -> Response<Body> {
    let mut response = reply(BodyExt::boxed(
        http_body_util::Empty::new().map_err(|e| match e {}),
    ));
    response.headers_mut().extend(header_map(pairs));
    response
}

/// Tells when it was dropped.
pub fn guard() -> (oneshot::Sender<Infallible>, BoxFuture<'static, ()>) {
    let (sender, receiver) = oneshot::channel();
    (sender, receiver.map(|_| ()).boxed())
}

/// A scripted containerd.
pub struct Upstream {
    pub path: PathBuf,
    pub calls: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Upstream {
    /// Answers every call with what `handler` makes of it.
    pub fn start<F, R>(path: &Path, handler: F) -> Self
    where
        F: Fn(Request<Incoming>) -> R + Send + Sync + 'static,
        R: Future<Output = Response<Body>> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |request| handler(request).boxed());
        let _ = std::fs::remove_file(path);
        let listener = UnixListener::bind(path).unwrap();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&calls);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let handler = Arc::clone(&handler);
                let seen = Arc::clone(&seen);
                let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                    seen.lock().unwrap().push(request.uri().path().to_owned());
                    handler(request).map(Ok::<_, Infallible>)
                });
                connections.spawn(
                    server::Builder::new(TokioExecutor::new())
                        .max_concurrent_streams(None)
                        .auto_date_header(false)
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self {
            path: path.to_owned(),
            calls,
            task,
        }
    }

    /// Paths called so far.
    pub fn called(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    /// Closes the socket and all connections, as a killed process does.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

// === the gate's part ===

type BeforeFn = dyn Fn(&'static Method, Bytes) -> BoxFuture<'static, Before> + Send + Sync;
type AfterFn = dyn Fn(Ticket, Reply) -> BoxFuture<'static, After> + Send + Sync;

/// A scripted gate.
pub struct Gate {
    before: Box<BeforeFn>,
    after: Box<AfterFn>,
}

impl Gate {
    /// Forwards everything unread.
    pub fn open() -> Self {
        Self::before(|_, message| forward(message).boxed())
    }

    /// Forwards everything with a ticket, and passes every answer.
    pub fn ticketed() -> Self {
        Self::before(|_, message| ticket(message).boxed())
    }

    /// Refuses everything.
    pub fn shut(code: i32, message: &'static str) -> Self {
        Self::before(move |_, _| std::future::ready(Before::Refuse(refusal(code, message))).boxed())
    }

    pub fn before(
        before: impl Fn(&'static Method, Bytes) -> BoxFuture<'static, Before> + Send + Sync + 'static,
    ) -> Self {
        Self {
            before: Box::new(before),
            after: Box::new(|_, _| std::future::ready(After::Pass).boxed()),
        }
    }

    pub fn after(
        mut self,
        after: impl Fn(Ticket, Reply) -> BoxFuture<'static, After> + Send + Sync + 'static,
    ) -> Self {
        self.after = Box::new(after);
        self
    }
}

pub fn refusal(code: i32, message: &str) -> Refusal {
    Refusal {
        code,
        message: message.to_owned(),
    }
}

pub fn forward(message: Bytes) -> std::future::Ready<Before> {
    std::future::ready(Before::Forward {
        message,
        ticket: None,
    })
}

pub fn ticket(message: Bytes) -> std::future::Ready<Before> {
    std::future::ready(Before::Forward {
        message,
        ticket: Some(Ticket(Box::new(7_u8))),
    })
}

impl Interceptor for Gate {
    fn before(&self, method: &'static Method, message: Bytes) -> BoxFuture<'static, Before> {
        (self.before)(method, message)
    }

    fn after(&self, ticket: Ticket, reply: Reply) -> BoxFuture<'static, After> {
        (self.after)(ticket, reply)
    }
}

// === the proxy ===

/// A running proxy.
pub struct Running {
    pub socket: PathBuf,
    pub metrics: Arc<ProxyMetrics>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    pub fn start(dir: &Path, upstream: &Path, gate: Gate) -> Self {
        Self::with_limits(dir, upstream, gate, Limits::default())
    }

    pub fn with_limits(dir: &Path, upstream: &Path, gate: Gate, limits: Limits) -> Self {
        let socket = dir.join("cri.sock");
        let listener = Listener::bind(&socket).unwrap();
        Self::on(listener, socket, upstream, gate, limits)
    }

    /// On a listening descriptor that stays open elsewhere, as under systemd.
    pub fn kept(listener: &StdListener, socket: &Path, upstream: &Path, limits: Limits) -> Self {
        let listener = Listener::from_std(listener.try_clone().unwrap()).unwrap();
        Self::on(listener, socket.to_owned(), upstream, Gate::open(), limits)
    }

    fn on(
        listener: Listener,
        socket: PathBuf,
        upstream: &Path,
        gate: Gate,
        limits: Limits,
    ) -> Self {
        let metrics = Arc::new(ProxyMetrics::default());
        let proxy = Proxy::with_limits(upstream, Arc::new(gate), Arc::clone(&metrics), limits);
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(proxy.serve(listener, async {
            let _ = stopped.await;
        }));
        Self {
            socket,
            metrics,
            stop,
            task,
        }
    }

    pub fn counts(&self) -> ProxySnapshot {
        self.metrics.snapshot()
    }

    /// Begins the drain; the handle ends with it.
    pub fn stop(self) -> JoinHandle<()> {
        self.stop.send(()).unwrap();
        self.task
    }
}

/// A directory with a scripted containerd and a proxy to it.
pub struct World {
    pub dir: TempDir,
    pub upstream: Upstream,
    pub proxy: Running,
}

impl World {
    pub fn new<F, R>(gate: Gate, handler: F) -> Self
    where
        F: Fn(Request<Incoming>) -> R + Send + Sync + 'static,
        R: Future<Output = Response<Body>> + Send + 'static,
    {
        Self::with_limits(gate, Limits::default(), handler)
    }

    pub fn with_limits<F, R>(gate: Gate, limits: Limits, handler: F) -> Self
    where
        F: Fn(Request<Incoming>) -> R + Send + Sync + 'static,
        R: Future<Output = Response<Body>> + Send + 'static,
    {
        let dir = tempfile::tempdir().unwrap();
        let upstream = Upstream::start(&dir.path().join("containerd.sock"), handler);
        let proxy = Running::with_limits(dir.path(), &upstream.path, gate, limits);
        Self {
            dir,
            upstream,
            proxy,
        }
    }

    pub async fn client(&self) -> Client {
        Client::connect(&self.proxy.socket).await
    }
}

// === the kubelet's part ===

/// A gRPC client that says exactly what it is told.
#[derive(Clone)]
pub struct Client(client::SendRequest<Body>);

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub http: StatusCode,
    pub headers: HeaderMap,
    pub data: Bytes,
    pub trailers: Option<HeaderMap>,
}

impl Answer {
    /// `grpc-status`, wherever it stands.
    pub fn code(&self) -> i32 {
        self.status("grpc-status").parse().unwrap()
    }

    /// `grpc-message`, still encoded.
    pub fn message(&self) -> &str {
        self.status("grpc-message")
    }

    fn status(&self, name: &str) -> &str {
        let headers = self.trailers.as_ref().unwrap_or(&self.headers);
        headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// Whether it had headers alone.
    pub fn is_trailers_only(&self) -> bool {
        self.data.is_empty() && self.trailers.is_none()
    }
}

/// A request with the headers kubelet sends.
pub fn request(path: &str, body: Body) -> Request<Body> {
    Request::post(format!("http://localhost{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", "grpc-go/1.83")
        .body(body)
        .unwrap()
}

/// A body of one piece, whose length hyper announces.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    BodyExt::boxed(Full::new(bytes.into()).map_err(|e| match e {}))
}

/// A body of pieces, whose length is not announced.
pub fn pieces(pieces: impl IntoIterator<Item = Bytes>) -> Body {
    let frames: Vec<_> = pieces.into_iter().map(|d| Ok(Frame::data(d))).collect();
    BodyExt::boxed(StreamBody::new(stream::iter(frames)))
}

impl Client {
    pub async fn connect(socket: &Path) -> Self {
        Self::over(StdStream::connect(socket).unwrap()).await
    }

    pub async fn over(stream: StdStream) -> Self {
        stream.set_nonblocking(true).unwrap();
        let stream = UnixStream::from_std(stream).unwrap();
        let (sender, connection) = client::Builder::new(TokioExecutor::new())
            .initial_connection_window_size(16 * 1024 * 1024)
            .initial_stream_window_size(256 * 1024)
            .max_header_list_size(16 * 1024 * 1024)
            .handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    /// Begins a call: its headers have arrived.
    pub async fn begin(&mut self, request: Request<Body>) -> hyper::Result<Response<Incoming>> {
        self.0.ready().await?;
        self.0.send_request(request).await
    }

    /// A call to its end.
    pub async fn send(&mut self, request: Request<Body>) -> hyper::Result<Answer> {
        let (head, body) = self.begin(request).await?.into_parts();
        let collected = body.collect().await?;
        let trailers = collected.trailers().cloned();
        Ok(Answer {
            http: head.status,
            headers: head.headers,
            data: collected.to_bytes(),
            trailers,
        })
    }

    /// A call with one message.
    pub async fn unary(&mut self, path: &str, message: &[u8]) -> Answer {
        self.send(request(path, full(framed(message))))
            .await
            .unwrap()
    }
}

/// Collects a request in a handler.
pub async fn collect(request: Request<Incoming>) -> (HeaderMap, Bytes) {
    let (head, body) = request.into_parts();
    (head.headers, body.collect().await.unwrap().to_bytes())
}
