//! A tap between the gate and containerd: passes HTTP/2 through unchanged and keeps what was asked.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use k8s_cri::v1::{CreateContainerRequest, PullImageRequest};
use prost::Message;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Large enough for every message; grpc-go sends small frames, for which h2's budget grows with the window.
const WINDOW: u32 = 16 * 1024 * 1024;

/// `:path` of PullImage.
pub const PULL_IMAGE: &str = "/runtime.v1.ImageService/PullImage";
/// `:path` of CreateContainer.
pub const CREATE_CONTAINER: &str = "/runtime.v1.RuntimeService/CreateContainer";
/// `:path` of StartContainer.
pub const START_CONTAINER: &str = "/runtime.v1.RuntimeService/StartContainer";

/// One call that reached containerd.
#[derive(Debug, Clone)]
pub struct Call {
    /// `:path`.
    pub path: String,
    /// Header `containerd-namespace`, which calls of containerd's own API carry.
    pub native: bool,
    /// The body as sent: flag, length, message.
    pub frame: Bytes,
}

impl Call {
    /// The message in the frame.
    pub fn message(&self) -> &[u8] {
        self.frame.get(5..).unwrap_or_default()
    }
}

/// A call that waits in the tap until it is let go.
#[derive(Debug)]
pub struct Held {
    arrived: oneshot::Receiver<()>,
    release: Option<oneshot::Sender<()>>,
}

impl Held {
    /// Waits until the call is in the tap.
    pub async fn arrived(&mut self) -> Result<()> {
        (&mut self.arrived).await.context("the tap has ended")
    }

    /// Lets it go.
    pub fn release(&mut self) {
        if let Some(release) = self.release.take() {
            let _ = release.send(());
        }
    }
}

type Hold = (oneshot::Sender<()>, oneshot::Receiver<()>);

#[derive(Debug, Default)]
struct State {
    unpinned: Vec<String>,
    calls: Vec<Call>,
    holds: HashMap<String, Hold>,
    native_down: bool,
}

/// The tap. It lives on a thread of its own until it is dropped.
#[derive(Debug)]
pub struct Tap {
    socket: PathBuf,
    state: Arc<Mutex<State>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tap {
    /// Listens on `socket` and passes everything to `upstream`.
    pub fn start(socket: &Path, upstream: &Path) -> Result<Self> {
        let state = Arc::new(Mutex::new(State::default()));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = {
            let _guard = runtime.enter();
            UnixListener::bind(socket)
                .with_context(|| format!("cannot bind {}", socket.display()))?
        };
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(&state);
        let upstream = upstream.to_owned();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    () = accept(listener, upstream, shared) => {}
                    _ = stopped => {}
                }
            });
        });
        Ok(Self {
            socket: socket.to_owned(),
            state,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Every call so far.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.state).calls.clone()
    }

    /// Forgets the calls so far, but not what pulls among them were unpinned.
    pub fn clear(&self) {
        let unpinned = self.unpinned_or_unread();
        let mut state = lock(&self.state);
        state.calls.clear();
        state.unpinned.extend(unpinned);
    }

    /// The unpinned pulls of the tap's whole life.
    pub fn unpinned_ever(&self) -> Vec<String> {
        let mut unpinned = lock(&self.state).unpinned.clone();
        unpinned.extend(self.unpinned_or_unread());
        unpinned
    }

    /// A pull that cannot be read is no pinned one.
    fn unpinned_or_unread(&self) -> Vec<String> {
        self.unpinned_pulls()
            .unwrap_or_else(|error| vec![format!("a pull that cannot be read: {error:#}")])
    }

    /// Calls of one method so far.
    pub fn calls_of(&self, path: &str) -> Vec<Call> {
        let mut calls = self.calls();
        calls.retain(|call| call.path == path);
        calls
    }

    /// Every PullImage so far.
    pub fn pulls(&self) -> Result<Vec<PullImageRequest>> {
        decode(&self.calls_of(PULL_IMAGE))
    }

    /// Every CreateContainer so far.
    pub fn creates(&self) -> Result<Vec<CreateContainerRequest>> {
        decode(&self.calls_of(CREATE_CONTAINER))
    }

    /// The names in PullImage that are not pinned by digest: rule one is that there is none.
    pub fn unpinned_pulls(&self) -> Result<Vec<String>> {
        Ok(self
            .pulls()?
            .into_iter()
            .map(|pull| pull.image.unwrap_or_default().image)
            .filter(|image| !pinned(image))
            .collect())
    }

    /// Whether containerd's own API answers UNAVAILABLE from now on. CRI goes on.
    pub fn native_down(&self, down: bool) {
        lock(&self.state).native_down = down;
    }

    /// Holds the next call of `path` until it is released.
    pub fn hold(&self, path: &str) -> Held {
        let (arrive, arrived) = oneshot::channel();
        let (release, released) = oneshot::channel();
        lock(&self.state)
            .holds
            .insert(path.to_owned(), (arrive, released));
        Held {
            arrived,
            release: Some(release),
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = std::fs::remove_file(&self.socket);
    }
}

fn decode<M: Message + Default>(calls: &[Call]) -> Result<Vec<M>> {
    calls
        .iter()
        .map(|call| M::decode(call.message()).context("containerd was sent an unreadable message"))
        .collect()
}

fn pinned(image: &str) -> bool {
    image.split_once("@sha256:").is_some_and(|(name, hex)| {
        !name.is_empty() && hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

async fn accept(listener: UnixListener, upstream: PathBuf, state: Arc<Mutex<State>>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, upstream.clone(), Arc::clone(&state)));
    }
}

async fn serve(stream: UnixStream, upstream: PathBuf, state: Arc<Mutex<State>>) {
    // One connection to containerd for each of the gate's; without one, the gate's is closed.
    let Ok((sender, gone)) = dial(&upstream).await else {
        return;
    };
    let service = service_fn(move |request| pass(request, sender.clone(), Arc::clone(&state)));
    let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_header_list_size(1024 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    // When containerd goes away the gate must see it as it would without a tap.
    tokio::select! {
        _ = serving => {}
        _ = gone => {}
    }
}

/// A connection to containerd, and what ends with it.
async fn dial(upstream: &Path) -> Result<(SendRequest<Full<Bytes>>, JoinHandle<()>)> {
    let stream = UnixStream::connect(upstream).await?;
    let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_header_list_size(1024 * 1024)
        .handshake(TokioIo::new(stream))
        .await?;
    let driver = tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok((sender, driver))
}

async fn pass(
    request: Request<Incoming>,
    mut sender: SendRequest<Full<Bytes>>,
    state: Arc<Mutex<State>>,
) -> Result<Response<BoxBody<Bytes, hyper::Error>>> {
    let (head, body) = request.into_parts();
    // No method of CRI, and none of containerd's that the gate uses, streams its request.
    let frame = body.collect().await?.to_bytes();
    let path = head.uri.path().to_owned();
    let native = head.headers.contains_key("containerd-namespace");
    let (held, refused) = {
        let mut state = lock(&state);
        state.calls.push(Call {
            path: path.clone(),
            native,
            frame: frame.clone(),
        });
        (state.holds.remove(&path), native && state.native_down)
    };
    if refused {
        let empty = Full::new(Bytes::new()).map_err(|never| match never {});
        return Ok(Response::builder()
            .header(http::header::CONTENT_TYPE, "application/grpc")
            .header("grpc-status", "14")
            .body(empty.boxed())?);
    }
    if let Some((arrive, released)) = held {
        let _ = arrive.send(());
        let _ = released.await;
    }
    let response = sender
        .send_request(Request::from_parts(head, Full::new(frame)))
        .await?;
    Ok(response.map(BodyExt::boxed))
}
