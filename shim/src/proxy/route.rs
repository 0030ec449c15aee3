//! Which path a call takes: refused, passed through, or gated.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::request::Parts;
use http::{Request, Response};
use hyper::body::Incoming;
use portcullis_proto::code;
use portcullis_proto::method::{self, Method};
use tower::Service;

use super::body::{Relay, ReplyBody, RequestBody};
use super::connection::Tasks;
use super::drain::Hold;
use super::gated;
use super::header;
use super::metrics::Outcome;
use super::shared::Shared;
use super::status;
use super::upstream::Upstream;
use crate::intercept::Refusal;

/// The innermost service of the stack. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Router {
    pub(super) shared: Arc<Shared>,
    pub(super) upstream: Arc<Upstream>,
    pub(super) tasks: Tasks,
}

impl Router {
    pub(super) fn new(shared: Arc<Shared>, upstream: Arc<Upstream>, tasks: Tasks) -> Self {
        Self {
            shared,
            upstream,
            tasks,
        }
    }
}

impl Service<Request<Incoming>> for Router {
    type Response = Response<ReplyBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let router = self.clone();
        Box::pin(async move { Ok(router.route(request).await) })
    }
}

impl Router {
    async fn route(self, request: Request<Incoming>) -> Response<ReplyBody> {
        let (mut parts, body) = request.into_parts();
        if let Err((http, refusal)) = header::check(&parts.method, &parts.headers) {
            self.shared.metrics.count(Outcome::Malformed);
            return status::answer_http(http, &refusal);
        }
        // The whole of `:path`, query included: that is what grpc-go takes for the method name.
        let path = parts.uri.path_and_query();
        let Some((method, target)) = path.and_then(|path| {
            Some((
                method::lookup(path.as_str())?,
                header::target(&parts.uri, path)?,
            ))
        }) else {
            return self.unknown(path.map_or("", |path| path.as_str()));
        };
        parts.uri = target;
        header::set_hop_by_hop(&mut parts.headers);

        let endless = is_endless(method);
        let cut = self.shared.drain.cut(endless).clone();
        let _hold = (!endless).then(|| self.shared.drain.hold());
        let answer = async {
            if method.gate || method.learn {
                gated::call(&self, method, parts, body).await
            } else {
                self.pass(parts, body, endless).await
            }
        };
        tokio::select! {
            biased;
            answer = answer => answer,
            () = cut.cancelled() => status::answer(&status::unavailable("portcullis is being restarted")),
        }
    }

    fn unknown(&self, path: &str) -> Response<ReplyBody> {
        self.shared.metrics.count(Outcome::Unimplemented);
        tracing::debug!(path, "a method outside the table was refused");
        status::answer(&Refusal {
            code: code::UNIMPLEMENTED,
            message: format!("portcullis: unknown method {path}"),
        })
    }

    async fn pass(&self, parts: Parts, body: Incoming, endless: bool) -> Response<ReplyBody> {
        let request = Request::from_parts(parts, RequestBody::Relay(body));
        let response = self.forward(request, endless).await;
        if response.is_ok() {
            self.shared.metrics.count(Outcome::Passed);
        }
        response.unwrap_or_else(|refusal| status::answer(&refusal))
    }

    /// Sends a request on and relays the answer unread.
    pub(super) async fn forward(
        &self,
        request: Request<RequestBody>,
        endless: bool,
    ) -> Result<Response<ReplyBody>, Refusal> {
        let wait = self.wait(request.headers());
        match self.upstream.call(request, wait).await {
            Ok(response) => {
                let drain = &self.shared.drain;
                let hold: Option<Hold> = (!endless).then(|| drain.hold());
                let cut = drain.cut(endless).clone();
                Ok(response.map(|body| {
                    ReplyBody::Relay(Relay::new(
                        body,
                        cut,
                        Arc::clone(&self.shared.metrics),
                        hold,
                    ))
                }))
            }
            Err(error) => {
                self.shared.metrics.count(Outcome::UpstreamUnavailable);
                Err(Refusal::from(&error))
            }
        }
    }

    /// How long a call may wait for a connection to containerd.
    pub(super) fn wait(&self, headers: &http::HeaderMap) -> Duration {
        let most = self.shared.limits.upstream_wait;
        header::grpc_timeout(headers).map_or(most, |timeout| timeout.min(most))
    }
}

/// The one CRI method whose answer never ends by itself; a drain does not wait for it.
fn is_endless(method: &Method) -> bool {
    method.name == "GetContainerEvents"
}
