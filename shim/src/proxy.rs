//! The proxy: hyper in, hyper out, bodies passed as frames (docs/architecture.md).
//!
//! It routes on `:path`, hands the requests of gated methods to an [`Interceptor`], and passes everything else through
//! without reading it. It must never decide anything about an image, and never forward a method that is not in the
//! table of [`portcullis_proto::method`].
//!
//! | part | subject |
//! |---|---|
//! | [`listener`] | the socket the kubelet connects to |
//! | `connection` | one kubelet connection and its upstream connection |
//! | `stack` | the tower stack around the router: counting, the limit on calls |
//! | `route` | which of the three paths a call takes: refused, passed, gated |
//! | `gated`, `read`, `complete` | a gated call: its request read, judged, forwarded; its answer read and judged |
//! | `upstream` | the connection to containerd, made when needed |
//! | `body`, `header`, `status` | gRPC over HTTP/2: bodies, metadata, trailers-only answers |
//! | `drain` | stopping without failing calls |
//! | [`notify`] | what systemd is told |

mod body;
mod budget;
mod complete;
mod connection;
mod drain;
mod gated;
mod header;
mod limits;
pub mod listener;
mod metrics;
pub mod notify;
mod read;
mod route;
mod shared;
mod stack;
mod status;
mod upstream;

use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::intercept::Interceptor;

pub use limits::Limits;
pub use listener::{ListenError, Listener};
pub use metrics::{ProxyMetrics, ProxySnapshot};

use shared::Shared;

/// The proxy, ready to serve.
#[derive(Debug)]
pub struct Proxy {
    shared: Shared,
}

impl Proxy {
    /// A proxy to the containerd at the socket `upstream`. Nothing is opened before the first call arrives.
    pub fn new(
        upstream: impl Into<PathBuf>,
        interceptor: Arc<dyn Interceptor>,
        metrics: Arc<ProxyMetrics>,
    ) -> Self {
        Self::with_limits(upstream, interceptor, metrics, Limits::default())
    }

    /// The same with other bounds than the default ones.
    pub fn with_limits(
        upstream: impl Into<PathBuf>,
        interceptor: Arc<dyn Interceptor>,
        metrics: Arc<ProxyMetrics>,
        limits: Limits,
    ) -> Self {
        Self {
            shared: Shared::new(upstream.into(), interceptor, metrics, limits),
        }
    }

    /// Serves until `shutdown` completes, then drains: no new connection is accepted (they wait in the backlog of a
    /// kept socket), each connection gets a GOAWAY, calls have [`Limits::drain`] to finish, endless streams are cut
    /// once no other call is left, and what then remains ends UNAVAILABLE.
    ///
    /// Meant for one current-thread runtime of its own: two workers cost 25 to 65 % more CPU for nothing.
    pub async fn serve(self, listener: Listener, shutdown: impl Future<Output = ()>) {
        let shared = Arc::new(self.shared);
        let slots = Arc::new(Semaphore::new(shared.limits.connections));
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => {}
                (stream, slot) = listener.accept(&slots) => {
                    let shared = Arc::clone(&shared);
                    connections.spawn(async move {
                        connection::serve(stream, shared).await;
                        drop(slot);
                    });
                }
            }
        }
        drop(listener);
        drain(&shared, &mut connections).await;
    }
}

async fn drain(shared: &Shared, connections: &mut JoinSet<()>) {
    let in_time = timeout(shared.limits.drain, async {
        shared.drain.start();
        tokio::select! {
            () = shared.drain.calls_done() => shared.drain.cut_streams(),
            () = all_ended(connections) => {}
        }
        all_ended(connections).await;
    })
    .await;
    if in_time.is_err() {
        tracing::warn!(
            calls = shared.drain.calls(),
            "the drain ran out of time; calls in flight end UNAVAILABLE"
        );
        shared.drain.cut_all();
        // The answers above still have to reach the client.
        let _ = timeout(FLUSH, all_ended(connections)).await;
    }
    connections.shutdown().await;
}

/// How long answers made by the end of a drain may take to be written.
const FLUSH: Duration = Duration::from_millis(250);

async fn all_ended(connections: &mut JoinSet<()>) {
    while connections.join_next().await.is_some() {}
}
