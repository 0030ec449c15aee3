//! HTTP/1.1 on the admin socket: bounded connections, bounded bodies, a deadline on everything.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::error::AdminError;
use super::peer;
use super::route::{Endpoint, MAX_BODY};
use super::service::Admin;
use crate::proxy::Listener;
use crate::telemetry::metrics;

/// Bounds of the server.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at a time; more wait in the backlog.
    pub connections: usize,
    /// To receive a request's head and body.
    pub receive: Duration,
    /// To answer it: longer than the largest budget of a gated call.
    pub answer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 32,
            receive: Duration::from_secs(10),
            answer: Duration::from_secs(150),
        }
    }
}

/// The server.
#[derive(Debug)]
pub struct AdminServer {
    admin: Arc<Admin>,
    limits: Limits,
}

impl AdminServer {
    /// A server of `admin`.
    pub fn new(admin: Arc<Admin>, limits: Limits) -> Self {
        Self { admin, limits }
    }

    /// Serves until `shutdown` completes; what is being answered then is cut off.
    pub async fn serve(self, listener: Listener, shutdown: impl Future<Output = ()>) {
        let slots = Arc::new(Semaphore::new(self.limits.connections));
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => {}
                (stream, slot) = listener.accept(&slots) => {
                    let (admin, limits) = (self.admin.clone(), self.limits);
                    connections.spawn(async move {
                        connection(stream, admin, limits).await;
                        drop(slot);
                    });
                }
            }
        }
        drop(listener);
        connections.shutdown().await;
    }
}

/// One connection carries one request: a script has no use for more, and none can be held open.
async fn connection(stream: UnixStream, admin: Arc<Admin>, limits: Limits) {
    let allowed = peer::check(&stream);
    let service = service_fn(move |request| {
        let (admin, allowed) = (admin.clone(), allowed.clone());
        async move {
            let answer = match allowed {
                Ok(()) => answer(&admin, request, limits).await,
                Err(error) => Err(error),
            };
            Ok::<_, Infallible>(answer.unwrap_or_else(|error| refusal(&error)))
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.receive)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    let longest = limits.receive * 2 + limits.answer;
    if let Ok(Err(error)) = timeout(longest, connection).await {
        tracing::debug!(%error, "a connection to the admin socket broke off");
    }
}

async fn answer(
    admin: &Admin,
    request: Request<Incoming>,
    limits: Limits,
) -> Result<Response<Full<Bytes>>, AdminError> {
    let endpoint = Endpoint::find(request.method(), request.uri().path())?;
    let body = timeout(limits.receive, receive(request.into_body()))
        .await
        .map_err(|_| AdminError::Timeout)??;
    let work = async {
        match endpoint {
            Endpoint::Status => json(&admin.status().await),
            Endpoint::Check => json(&admin.check(parse(&body)?).await?),
            Endpoint::Explain => json(&admin.explain(&parse(&body)?)?),
            Endpoint::Adopt => json(&admin.adopt(parse(&body)?).await?),
            Endpoint::PolicyReset => json(&admin.reset_policy().await?),
            Endpoint::Metrics => Ok(response(
                StatusCode::OK,
                metrics::CONTENT_TYPE,
                admin.metrics(),
            )),
        }
    };
    timeout(limits.answer, work)
        .await
        .map_err(|_| AdminError::Timeout)?
}

async fn receive(body: Incoming) -> Result<Bytes, AdminError> {
    // A body that announces too much is not read at all.
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Err(AdminError::TooLarge(MAX_BODY));
    }
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(AdminError::TooLarge(MAX_BODY)),
        Err(_) => Err(AdminError::Invalid(
            "the request's body broke off".to_owned(),
        )),
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, AdminError> {
    serde_json::from_slice(body)
        .map_err(|error| AdminError::Invalid(format!("the request's body: {error}")))
}

fn json(value: &impl Serialize) -> Result<Response<Full<Bytes>>, AdminError> {
    let text = serde_json::to_string(value)
        .map_err(|error| AdminError::Unavailable(format!("the answer: {error}")))?;
    Ok(response(StatusCode::OK, "application/json", text))
}

fn refusal(error: &AdminError) -> Response<Full<Bytes>> {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let text = serde_json::to_string(&error.report()).unwrap_or_default();
    response(status, "application/json", text)
}

fn response(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
