//! A registry with the referrers API (OCI distribution-spec 1.1), in memory: Debian's docker-registry has none.
//!
//! Small, and real enough for oras, cosign, notation, skopeo and containerd to push to it and pull from it.

mod answer;
mod route;
mod storage;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use self::storage::{Manifest, Storage};
use crate::image::{Image, MANIFEST};

type Shared = Arc<Mutex<State>>;

#[derive(Debug, Default)]
struct State {
    storage: Storage,
    /// Method, path and query of every request.
    asked: Vec<String>,
    /// Referrers on one page; 0: all.
    page: usize,
}

/// The registry. It lives on a thread of its own until it is dropped, and its content with it.
#[derive(Debug)]
pub struct Referrers {
    port: u16,
    state: Shared,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Referrers {
    /// Starts one on a free loopback port, open to everyone.
    pub fn start() -> Result<Self> {
        let state = Shared::default();
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
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    () = accept(listener, shared) => {}
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

    /// Takes an image in under a tag.
    ///
    /// # Errors
    /// When the image does not hang together.
    pub fn push(&self, repository: &str, tag: &str, image: &Image) -> Result<()> {
        let storage = &mut lock(&self.state).storage;
        for blob in image.blobs() {
            storage.put_blob(repository, &blob.digest, blob.bytes.clone().into());
        }
        let (root, root_type) = image.root_with_type();
        let children = image.child_manifests().into_iter();
        let children = children.map(|child| (child.digest.as_str(), child, MANIFEST));
        for (name, blob, media_type) in children.chain([(tag, root, root_type)]) {
            let manifest = Manifest {
                media_type: media_type.to_owned(),
                bytes: blob.bytes.clone().into(),
            };
            storage
                .put_manifest(repository, name, manifest)
                .context("an image whose parts are missing")?;
        }
        Ok(())
    }

    /// From now on a page of referrers has at most `of` entries; 0: all are on one.
    pub fn paginate(&self, of: usize) {
        lock(&self.state).page = of;
    }

    /// The tags of a repository, sorted.
    pub fn tags(&self, repository: &str) -> Vec<String> {
        lock(&self.state).storage.tags(repository)
    }

    /// Every request so far: method, path and query.
    pub fn asked(&self) -> Vec<String> {
        lock(&self.state).asked.clone()
    }

    /// Forgets the requests so far.
    pub fn clear(&self) {
        lock(&self.state).asked.clear();
    }
}

impl Drop for Referrers {
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

async fn accept(listener: TcpListener, state: Shared) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, Arc::clone(&state)));
    }
}

async fn serve(stream: TcpStream, state: Shared) {
    let service = service_fn(move |request| answer(request, Arc::clone(&state)));
    // Clients that go away are part of the tests.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    request: Request<Incoming>,
    state: Shared,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let mut state = lock(&state);
    state.asked.push(format!("{} {}", head.method, head.uri));
    Ok(answer::answer(&head, &body, &mut state).map(Full::new))
}
