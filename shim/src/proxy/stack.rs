//! The tower stack around the router.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http::{Request, Response};
use hyper::body::Incoming;
use portcullis_proto::code;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::{BoxError, Layer, Service, ServiceBuilder};

use super::body::ReplyBody;
use super::connection::Tasks;
use super::metrics::Outcome;
use super::route::Router;
use super::shared::Shared;
use super::status;
use super::upstream::Upstream;
use crate::intercept::Refusal;

/// The service of one connection: count and answer ([`Observe`]), shed what is beyond the limit on calls, route.
pub(super) fn build(
    shared: &Arc<Shared>,
    upstream: &Arc<Upstream>,
    tasks: &Tasks,
) -> impl Service<
    Request<Incoming>,
    Response = Response<ReplyBody>,
    Error = Infallible,
    Future: Send + 'static,
> + Clone
+ use<> {
    ServiceBuilder::new()
        .layer(ObserveLayer(Arc::clone(shared)))
        .load_shed()
        .layer(GlobalConcurrencyLimitLayer::with_semaphore(Arc::clone(
            &shared.calls,
        )))
        .service(Router::new(
            Arc::clone(shared),
            Arc::clone(upstream),
            tasks.clone(),
        ))
}

/// Counts calls in flight and turns an overload into an answer.
#[derive(Debug, Clone)]
struct ObserveLayer(Arc<Shared>);

impl<S> Layer<S> for ObserveLayer {
    type Service = Observe<S>;

    fn layer(&self, inner: S) -> Observe<S> {
        Observe {
            inner,
            shared: Arc::clone(&self.0),
        }
    }
}

/// See [`ObserveLayer`].
#[derive(Debug, Clone)]
struct Observe<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Service<Request<Incoming>> for Observe<S>
where
    S: Service<Request<Incoming>, Response = Response<ReplyBody>, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = Response<ReplyBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // LoadShed is always ready and reports an overload as the error of the call.
        let _ = self.inner.poll_ready(cx);
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        let answer = self.inner.call(request);
        Box::pin(async move {
            let _call = shared.metrics.call();
            Ok(answer.await.unwrap_or_else(|_overloaded| {
                shared.metrics.count(Outcome::Overloaded);
                status::answer(&Refusal {
                    code: code::RESOURCE_EXHAUSTED,
                    message: "portcullis: too many calls in flight".into(),
                })
            }))
        })
    }
}
