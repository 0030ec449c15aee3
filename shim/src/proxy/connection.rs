//! One connection of a client: an HTTP/2 server, the stack, and the upstream connection that belongs to it.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use super::shared::Shared;
use super::stack;
use super::upstream::Upstream;

/// Connection-level flow-control window in bytes, both ways. h2 takes half of it as its budget for DATA frames under
/// 256 bytes and ends the whole connection beyond it; containerd's events are such frames. With the defaults half of
/// the runs of 16 streams × 10 000 events failed, with 16 MiB none (never `adaptive_window`: it starts at 64 KiB).
pub(super) const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;
/// Stream-level window in bytes: 64 KiB makes 1 MiB lists 1.6 times slower, more than 256 KiB gains nothing.
pub(super) const STREAM_WINDOW: u32 = 256 * 1024;
/// Metadata a client may send, in bytes.
const MAX_METADATA: u32 = 1024 * 1024;

/// The tasks of one connection: streams, the upstream connection, calls that outlive their client.
#[derive(Debug, Clone, Default)]
pub(super) struct Tasks(TaskTracker);

impl Tasks {
    pub(super) fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.spawn(task)
    }
}

impl<F> Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}

/// Serves one connection until it and every call that must be completed has ended.
pub(super) async fn serve(stream: UnixStream, shared: Arc<Shared>) {
    let _open = shared.metrics.connection();
    let tasks = Tasks::default();
    let upstream = Arc::new(Upstream::new(
        &shared.upstream,
        tasks.clone(),
        Arc::clone(&shared.metrics),
    ));
    let service = stack::build(&shared, &upstream, &tasks);
    let connection = http2::Builder::new(tasks.clone())
        .initial_connection_window_size(CONNECTION_WINDOW)
        .initial_stream_window_size(STREAM_WINDOW)
        .max_header_list_size(MAX_METADATA)
        .max_concurrent_streams(shared.limits.streams)
        // A client that cancels all its calls at once is no attack on a socket that only root may open.
        .max_pending_accept_reset_streams(usize::try_from(shared.limits.streams).ok())
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shared.drain.started() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a client connection ended");
    }
    upstream.close();
    tasks.0.close();
    tasks.0.wait().await;
}
