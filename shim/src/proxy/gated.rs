//! A gated call: its request is read and judged; what is forwarded is what the gate says.

use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::{HeaderName, Request, Response};
use hyper::body::Incoming;
use portcullis_proto::frame;
use portcullis_proto::method::Method;

use super::body::{ReplyBody, RequestBody};
use super::complete;
use super::metrics::Outcome;
use super::read;
use super::route::Router;
use super::status;
use crate::intercept::{Before, Refusal};

/// `grpc-accept-encoding`.
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// Serves a call of a method whose `gate` or `learn` flag is set. Dropped (the client went away) before the request is
/// forwarded, nothing is forwarded.
pub(super) async fn call(
    router: &Router,
    method: &'static Method,
    parts: Parts,
    body: Incoming,
) -> Response<ReplyBody> {
    judged(router, method, parts, body)
        .await
        .unwrap_or_else(|(outcome, refusal)| {
            router.shared.metrics.count(outcome);
            status::answer(&refusal)
        })
}

async fn judged(
    router: &Router,
    method: &'static Method,
    mut parts: Parts,
    body: Incoming,
) -> Result<Response<ReplyBody>, (Outcome, Refusal)> {
    let shared = &router.shared;
    let read::Message { bytes, share } = read::request(shared, &parts.headers, body).await?;
    let (message, ticket) = match shared.interceptor.before(method, bytes).await {
        Before::Refuse(refusal) => return Err((Outcome::Refused, refusal)),
        Before::Forward { message, ticket } => (message, ticket),
    };
    parts.headers.remove(CONTENT_LENGTH);
    let body = RequestBody::Message(Some(frame::encode(&message)));
    drop(message);
    match ticket {
        None => {
            let request = Request::from_parts(parts, body);
            // Its failure is counted where it happens.
            let answer = router.forward(request, false).await;
            drop(share);
            if answer.is_ok() {
                shared.metrics.count(Outcome::GatedForwarded);
            }
            Ok(answer.unwrap_or_else(|refusal| status::answer(&refusal)))
        }
        Some(ticket) => {
            // The gate reads the answer, and nothing here inflates.
            parts.headers.remove(GRPC_ACCEPT_ENCODING);
            let request = Request::from_parts(parts, body);
            complete::call(router, method, request, ticket, share).await
        }
    }
}
