//! The connection to containerd: made when a call needs it, and again when it broke.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::TokioIo;
use nix::errno::Errno;
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep_until, timeout};

use super::body::RequestBody;
use super::connection::{CONNECTION_WINDOW, STREAM_WINDOW, Tasks};
use super::metrics::{Outcome, ProxyMetrics};
use crate::intercept::Refusal;

use super::status::unavailable;

type Sender = http2::SendRequest<RequestBody>;

const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const LAST_BACKOFF: Duration = Duration::from_secs(1);

/// grpc-go's limit on what it accepts as metadata; a long `grpc-message` comes as trailers.
const MAX_METADATA: u32 = 16 * 1024 * 1024;

/// A request that found its connection closed before anything was sent goes to a new one, this often.
const TRIES: usize = 3;

/// Why containerd gave no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum UpstreamError {
    /// No connection could be made in time.
    #[error("connection error: desc = \"transport: Error while dialing: dial unix {}: {cause}\"", path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// In Go's words, for those who know them.
        cause: String,
    },
    /// The connection broke, or the stream was reset, before the answer began.
    #[error("error reading from server: the connection to containerd at {} was lost", path.display())]
    Lost {
        /// The socket.
        path: PathBuf,
    },
}

impl From<&UpstreamError> for Refusal {
    fn from(error: &UpstreamError) -> Self {
        unavailable(error.to_string())
    }
}

/// The one upstream connection of a downstream connection: a flood on one kubelet connection must not take down
/// the calls of another (h2's small-frame budget, RUSTSEC-2026-0258).
#[derive(Debug)]
pub(super) struct Upstream {
    path: PathBuf,
    tasks: Tasks,
    metrics: Arc<ProxyMetrics>,
    sender: Mutex<Option<Sender>>,
    /// Held while dialing, so that one caller dials for all.
    dialer: tokio::sync::Mutex<Dialer>,
    last_error: Mutex<Option<String>>,
}

#[derive(Debug)]
struct Dialer {
    not_before: Option<Instant>,
    backoff: Duration,
}

impl Upstream {
    pub(super) fn new(path: &Path, tasks: Tasks, metrics: Arc<ProxyMetrics>) -> Self {
        Self {
            path: path.to_owned(),
            tasks,
            metrics,
            sender: Mutex::new(None),
            dialer: tokio::sync::Mutex::new(Dialer {
                not_before: None,
                backoff: FIRST_BACKOFF,
            }),
            last_error: Mutex::new(None),
        }
    }

    /// Sends a request, waiting at most `wait` for a connection. Dropping the future cancels the call upstream.
    pub(super) async fn call(
        &self,
        mut request: Request<RequestBody>,
        wait: Duration,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let deadline = Instant::now() + wait;
        for _ in 0..TRIES {
            let mut sender = self.connected(deadline).await?;
            match sender.try_send_request(request).await {
                Ok(response) => return Ok(response),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => break,
                },
            }
        }
        Err(UpstreamError::Lost {
            path: self.path.clone(),
        })
    }

    /// Lets the connection end once its calls have.
    pub(super) fn close(&self) {
        *lock(&self.sender) = None;
    }

    async fn connected(&self, deadline: Instant) -> Result<Sender, UpstreamError> {
        if let Some(sender) = self.current() {
            return Ok(sender);
        }
        let wait = deadline.saturating_duration_since(Instant::now());
        timeout(wait, self.dial()).await.map_err(|_| {
            let cause = lock(&self.last_error).clone();
            UpstreamError::Unreachable {
                path: self.path.clone(),
                cause: cause.unwrap_or_else(|| "i/o timeout".into()),
            }
        })
    }

    fn current(&self) -> Option<Sender> {
        lock(&self.sender).clone().filter(|s| !s.is_closed())
    }

    async fn dial(&self) -> Sender {
        let mut dialer = self.dialer.lock().await;
        loop {
            if let Some(sender) = self.current() {
                return sender;
            }
            if let Some(at) = dialer.not_before {
                sleep_until(at).await;
            }
            match self.connect().await {
                Ok(sender) => {
                    dialer.not_before = None;
                    dialer.backoff = FIRST_BACKOFF;
                    *lock(&self.last_error) = None;
                    *lock(&self.sender) = Some(sender.clone());
                    self.metrics.count(Outcome::UpstreamConnected);
                    return sender;
                }
                Err(cause) => {
                    if dialer.not_before.is_none() {
                        tracing::warn!(upstream = %self.path.display(), %cause, "containerd cannot be reached; trying on");
                    }
                    *lock(&self.last_error) = Some(cause);
                    dialer.not_before = Some(Instant::now() + dialer.backoff);
                    dialer.backoff = dialer.backoff.saturating_mul(2).min(LAST_BACKOFF);
                }
            }
        }
    }

    async fn connect(&self) -> Result<Sender, String> {
        let stream = UnixStream::connect(&self.path)
            .await
            .map_err(|error| format!("connect: {}", go_text(&error)))?;
        let (sender, connection) = http2::Builder::new(self.tasks.clone())
            .initial_connection_window_size(CONNECTION_WINDOW)
            .initial_stream_window_size(STREAM_WINDOW)
            .max_header_list_size(MAX_METADATA)
            // Counted over the life of a connection: cancelled calls whose answer was under way would end it some day.
            .max_local_error_reset_streams(None)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|_| "connection closed during the HTTP/2 handshake".to_owned())?;
        self.tasks.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to containerd ended");
            }
        });
        Ok(sender)
    }
}

/// An operating system error as Go prints it.
fn go_text(error: &io::Error) -> String {
    let Some(number) = error.raw_os_error() else {
        return error.to_string();
    };
    let mut text = Errno::from_raw(number).desc().to_owned();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    text
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
