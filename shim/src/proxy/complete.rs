//! A ticketed call: its answer is read and judged before the client gets it.
//!
//! Once such a request was sent, a container may exist, so the answer is awaited and judged even if the client goes
//! away: the call runs as a task of its connection. `PullImage` is the exception: it has no deadline of its own, so the
//! client's cancellation is what ends it, and it goes on to containerd; the ticket is dropped. But if containerd had
//! answered by then, [`Interceptor::after`] runs to its end here too.
//!
//! [`Interceptor::after`]: crate::intercept::Interceptor::after

use http::{HeaderMap, Request, Response, StatusCode};
use portcullis_proto::method::Method;
use portcullis_proto::{code, frame};
use tokio::time::timeout;

use super::body::{Replay, ReplyBody, RequestBody};
use super::budget::Share;
use super::metrics::Outcome;
use super::read::{self, Answer, Unread};
use super::route::Router;
use super::status::{self, GRPC_STATUS};
use crate::intercept::{After, Refusal, Reply, Ticket};

/// What became of the upstream call: what the gate is told, and what the client gets if the gate passes it.
struct Exchanged {
    reply: Reply,
    answer: Result<Response<ReplyBody>, Refusal>,
}

/// Forwards a request and judges its answer. `share` is what the request takes of the buffer budget.
pub(super) async fn call(
    router: &Router,
    method: &Method,
    request: Request<RequestBody>,
    ticket: Ticket,
    share: Share,
) -> Result<Response<ReplyBody>, (Outcome, Refusal)> {
    let Ok(permit) = router.shared.completions.clone().try_acquire_owned() else {
        let refusal = Refusal {
            code: code::RESOURCE_EXHAUSTED,
            message: "portcullis: too many gated calls in flight".into(),
        };
        return Err((Outcome::Overloaded, refusal));
    };
    router.shared.metrics.count(Outcome::GatedForwarded);
    let held = (permit, share, router.shared.drain.hold());
    let owned = router.clone();
    let task = if ends_with_its_client(method) {
        let exchanged = exchange(&owned, request).await;
        router.tasks.spawn(async move {
            let _held = held;
            judge(&owned, exchanged, ticket).await
        })
    } else {
        router.tasks.spawn(async move {
            let _held = held;
            let limit = owned.shared.limits.completion;
            let exchanged = timeout(limit, exchange(&owned, request))
                .await
                .unwrap_or_else(|_| {
                    failed(
                        code::DEADLINE_EXCEEDED,
                        "portcullis: containerd did not answer in time",
                    )
                });
            judge(&owned, exchanged, ticket).await
        })
    };
    task.await.unwrap_or_else(|_panicked| {
        let refusal = Refusal {
            code: code::INTERNAL,
            message: "portcullis: the answer could not be judged".into(),
        };
        Err((Outcome::Refused, refusal))
    })
}

/// Whether a client's cancellation ends the call upstream although it has a ticket.
fn ends_with_its_client(method: &Method) -> bool {
    method.name == "PullImage"
}

async fn judge(
    router: &Router,
    exchanged: Exchanged,
    ticket: Ticket,
) -> Result<Response<ReplyBody>, (Outcome, Refusal)> {
    let Exchanged { reply, answer } = exchanged;
    match router.shared.interceptor.after(ticket, reply).await {
        After::Pass => Ok(answer.unwrap_or_else(|refusal| status::answer(&refusal))),
        After::Refuse(refusal) => Err((Outcome::Refused, refusal)),
    }
}

async fn exchange(router: &Router, request: Request<RequestBody>) -> Exchanged {
    let shared = &router.shared;
    let wait = router.wait(request.headers());
    let response = match router.upstream.call(request, wait).await {
        Ok(response) => response,
        Err(error) => {
            shared.metrics.count(Outcome::UpstreamUnavailable);
            let refusal = Refusal::from(&error);
            return failed(refusal.code, refusal.message);
        }
    };
    let (head, body) = response.into_parts();
    let answer = match read::answer(shared, body).await {
        Ok(answer) => answer,
        Err(Unread::Lost) => {
            shared.metrics.count(Outcome::UpstreamLost);
            return failed(
                code::UNAVAILABLE,
                "error reading from server: the connection to containerd was lost",
            );
        }
        Err(Unread::TooLarge) => {
            shared.metrics.count(Outcome::Overloaded);
            return failed(
                code::RESOURCE_EXHAUSTED,
                "portcullis: containerd's answer is too large to be judged",
            );
        }
    };
    let code = status_of(head.status, &head.headers, answer.trailers.as_ref());
    let Ok(message) = message_of(code, &answer) else {
        return failed(
            code::INTERNAL,
            "portcullis: containerd's answer is not one gRPC message",
        );
    };
    Exchanged {
        reply: Reply { code, message },
        answer: Ok(Response::from_parts(
            head,
            ReplyBody::Replay(Replay::new(answer, shared.drain.hold())),
        )),
    }
}

fn failed(code: i32, message: impl Into<String>) -> Exchanged {
    Exchanged {
        reply: Reply {
            code,
            message: None,
        },
        answer: Err(Refusal {
            code,
            message: message.into(),
        }),
    }
}

/// The gRPC status of an answer: in its trailers, or in its headers if it has nothing else. UNKNOWN where there is
/// none, as grpc says.
fn status_of(http: StatusCode, headers: &HeaderMap, trailers: Option<&HeaderMap>) -> i32 {
    trailers
        .unwrap_or(headers)
        .get(GRPC_STATUS)
        .filter(|_| http == StatusCode::OK)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .unwrap_or(code::UNKNOWN)
}

/// The message of an answer. A success must have exactly one: an answer that cannot be read cannot be judged.
fn message_of(code: i32, answer: &Answer) -> Result<Option<bytes::Bytes>, frame::FrameError> {
    if code != code::OK && answer.data.is_empty() {
        return Ok(None);
    }
    frame::single(answer.data.clone()).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(status: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(GRPC_STATUS, http::HeaderValue::from_static(status));
        headers
    }

    #[test]
    fn an_answer_without_a_status_is_no_success() {
        let none = HeaderMap::new();
        assert_eq!(status_of(StatusCode::OK, &none, Some(&with("0"))), 0);
        assert_eq!(status_of(StatusCode::OK, &with("5"), None), 5);
        assert_eq!(status_of(StatusCode::OK, &with("0"), Some(&none)), 2);
        assert_eq!(status_of(StatusCode::OK, &none, None), 2);
        assert_eq!(status_of(StatusCode::BAD_GATEWAY, &with("0"), None), 2);
        assert_eq!(status_of(StatusCode::OK, &with("zero"), None), 2);
    }

    #[test]
    fn a_success_without_one_readable_message_is_not_judged() {
        let empty = Answer::default();
        assert!(message_of(code::OK, &empty).is_err());
        assert_eq!(message_of(code::UNAVAILABLE, &empty), Ok(None));
    }
}
