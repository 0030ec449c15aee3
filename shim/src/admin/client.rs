//! The other end: what the commands use to ask the daemon.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::Request;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::error::ErrorReport;
use super::route::Endpoint;

/// Largest answer read.
const MAX_ANSWER: usize = 64 * 1024 * 1024;
/// How long a daemon may take: longer than it allows itself.
const DEADLINE: Duration = Duration::from_mins(3);

/// Why the daemon gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error("no daemon answers at {}: {source}", path.display())]
    NoDaemon {
        /// The socket.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The socket may not be used.
    #[error("{}: only root may ask the daemon: use sudo", path.display())]
    NotRoot {
        /// The socket.
        path: PathBuf,
    },
    /// It did not answer in time.
    #[error("the daemon at {} did not answer in time", path.display())]
    Timeout {
        /// The socket.
        path: PathBuf,
    },
    /// What it said is no answer.
    #[error("the daemon at {} gave no usable answer: {cause}", path.display())]
    Broken {
        /// The socket.
        path: PathBuf,
        /// The cause.
        cause: String,
    },
    /// It answered that it cannot.
    #[error("{}", .0.message)]
    Answer(ErrorReport),
}

/// Asks the daemon behind one socket.
#[derive(Debug, Clone)]
pub struct AdminClient {
    path: PathBuf,
}

impl AdminClient {
    /// A client of the daemon at `path`. Connects for each question.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// Asks and parses the answer.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn ask<T: DeserializeOwned>(
        &self,
        endpoint: Endpoint,
        question: Option<&(impl Serialize + Sync)>,
    ) -> Result<T, ClientError> {
        let body = match question {
            Some(question) => serde_json::to_vec(question).map_err(|error| self.broken(error))?,
            None => Vec::new(),
        };
        let answer = self.send(endpoint, body).await?;
        serde_json::from_slice(&answer).map_err(|error| self.broken(error))
    }

    async fn send(&self, endpoint: Endpoint, body: Vec<u8>) -> Result<Bytes, ClientError> {
        timeout(DEADLINE, self.exchange(endpoint, body))
            .await
            .map_err(|_| ClientError::Timeout {
                path: self.path.clone(),
            })?
    }

    async fn exchange(&self, endpoint: Endpoint, body: Vec<u8>) -> Result<Bytes, ClientError> {
        let stream = UnixStream::connect(&self.path)
            .await
            .map_err(|source| self.unreachable(source))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.broken(error))?;
        let request = Request::builder()
            .method(endpoint.method())
            .uri(endpoint.path())
            .header(HOST, "localhost")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| self.broken(error))?;
        let answer = async {
            let response = sender
                .send_request(request)
                .await
                .map_err(|error| self.broken(error))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_ANSWER)
                .collect()
                .await
                .map_err(|error| self.broken(error))?
                .to_bytes();
            if status.is_success() {
                return Ok(body);
            }
            Err(match serde_json::from_slice::<ErrorReport>(&body) {
                Ok(report) => ClientError::Answer(report),
                Err(_) => self.broken(format!("HTTP status {}", status.as_u16())),
            })
        };
        // The connection is driven beside the exchange and ends with it.
        let drive = async {
            connection.await.ok();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            answer = answer => answer,
            () = drive => Err(self.broken("the connection was closed")),
        }
    }

    fn unreachable(&self, source: io::Error) -> ClientError {
        let path = self.path.clone();
        if source.kind() == io::ErrorKind::PermissionDenied {
            ClientError::NotRoot { path }
        } else {
            ClientError::NoDaemon { path, source }
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "for errors as they come")]
    fn broken(&self, cause: impl ToString) -> ClientError {
        ClientError::Broken {
            path: self.path.clone(),
            cause: cause.to_string(),
        }
    }
}
