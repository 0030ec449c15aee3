//! The connection to containerd's socket, and what every call has in common: a deadline, a size limit, and one
//! meaning per error.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout_at};
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tower::service_fn;

use super::ContainerdError;

/// Largest answer taken: containerd's own limit for one message, and room for its framing.
pub(super) const MAX_ANSWER: usize = 17 * 1024 * 1024;

/// The namespace of containerd's CRI plugin.
const NAMESPACE: &str = "k8s.io";

/// Flow control windows in bytes: whole lists of images and containers arrive without a pause.
const WINDOW: u32 = 4 * 1024 * 1024;

/// A connection that is made when needed, and made again after it broke.
#[derive(Debug, Clone)]
pub(super) struct Upstream {
    path: Arc<PathBuf>,
    /// Made at the first call, because a tonic channel belongs to the runtime it is made in.
    channel: Arc<OnceLock<Channel>>,
}

impl Upstream {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: Arc::new(path.to_owned()),
            channel: Arc::default(),
        }
    }

    /// The channel. Must be called inside a tokio runtime.
    pub(super) fn channel(&self) -> Channel {
        self.channel
            .get_or_init(|| {
                let path = Arc::clone(&self.path);
                // The authority is never resolved; it becomes the `:authority` header.
                Endpoint::from_static("http://localhost")
                    .initial_stream_window_size(WINDOW)
                    .initial_connection_window_size(WINDOW)
                    .connect_with_connector_lazy(service_fn(move |_| {
                        let path = Arc::clone(&path);
                        async move { UnixStream::connect(path.as_path()).await.map(TokioIo::new) }
                    }))
            })
            .clone()
    }
}

/// A request in containerd's CRI namespace.
pub(super) fn namespaced<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert(
        "containerd-namespace",
        MetadataValue::from_static(NAMESPACE),
    );
    request
}

/// Runs one call until its deadline.
pub(super) async fn call<T>(
    name: &'static str,
    deadline: Instant,
    work: impl Future<Output = Result<T, Status>>,
) -> Result<T, ContainerdError> {
    match timeout_at(deadline, work).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(status)) => Err(failure(name, &status)),
        Err(_) => Err(ContainerdError::Timeout { call: name }),
    }
}

/// Runs a call that changes nothing, once more if the connection was lost: after a restart of containerd the first
/// call may still meet the old connection.
pub(super) async fn read<T, F>(
    name: &'static str,
    deadline: Instant,
    work: impl Fn() -> F,
) -> Result<T, ContainerdError>
where
    F: Future<Output = Result<T, Status>>,
{
    match call(name, deadline, work()).await {
        Err(ContainerdError::Unavailable) => call(name, deadline, work()).await,
        other => other,
    }
}

/// `None` where containerd says that there is no such thing.
pub(super) fn found<T>(answer: Result<T, ContainerdError>) -> Result<Option<T>, ContainerdError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(ContainerdError::Status { code, .. }) if code == Code::NotFound as i32 => Ok(None),
        Err(other) => Err(other),
    }
}

/// Whether containerd answered with `code`.
pub(super) fn is(error: &ContainerdError, expected: Code) -> bool {
    matches!(error, ContainerdError::Status { code, .. } if *code == expected as i32)
}

fn failure(call: &'static str, status: &Status) -> ContainerdError {
    // A status that carries a source was made here, by the transport; one from the wire has none.
    let local = std::error::Error::source(status).is_some();
    match status.code() {
        Code::Unavailable => ContainerdError::Unavailable,
        Code::DeadlineExceeded => ContainerdError::Timeout { call },
        Code::Unknown | Code::Cancelled | Code::Internal if local => ContainerdError::Unavailable,
        code => ContainerdError::Status {
            call,
            code: code as i32,
            message: status.message().to_owned(),
        },
    }
}
