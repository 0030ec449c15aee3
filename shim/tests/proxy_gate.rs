//! What the gate says is what happens.

mod proxy_support;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::FutureExt as _;
use portcullis::intercept::{After, Reply};
use portcullis_proto::{code, method};
use proxy_support::*;

#[tokio::test]
async fn a_refusal_reaches_the_client_percent_encoded_and_containerd_sees_nothing() {
    let gate = Gate::shut(
        code::UNKNOWN,
        "SignatureValidationFailed: 100% sicher:\nnäh",
    );
    let world = World::new(gate, |_| async { ok(b"") });
    let answer = world.client().await.unary(PULL, b"m").await;
    assert_eq!(answer.http, 200);
    assert!(answer.is_trailers_only());
    assert_eq!(answer.headers["content-type"], "application/grpc");
    assert!(!answer.headers.contains_key("grpc-encoding"));
    assert_eq!(answer.code(), code::UNKNOWN);
    assert_eq!(
        answer.message(),
        "SignatureValidationFailed: 100%25 sicher:%0An%C3%A4h"
    );
    assert_eq!(world.upstream.called(), Vec::<String>::new());
    assert_eq!(world.proxy.counts().refused, 1);
}

#[tokio::test]
async fn every_gated_or_learned_method_asks_the_gate_and_no_other_does() {
    let world = World::new(Gate::shut(code::UNKNOWN, "no"), |_| async { ok(b"") });
    let mut client = world.client().await;
    let mut read = 0;
    for method in method::METHODS {
        let answer = client.unary(method.path, b"").await;
        if method.gate || method.learn {
            assert_eq!(answer.message(), "no", "{}", method.path);
            read += 1;
        } else {
            assert_eq!(answer.code(), 0, "{}", method.path);
        }
    }
    assert_eq!(world.proxy.counts().refused, read);
    assert_eq!(
        world.proxy.counts().passed,
        method::METHODS.len() as u64 - read
    );
}

#[tokio::test]
async fn what_the_gate_rewrote_is_what_containerd_gets_with_all_other_metadata() {
    let seen = Arc::new(Mutex::new(None));
    let record = Arc::clone(&seen);
    let gate = Gate::before(|_, message| {
        assert_eq!(message, "image:tag");
        ticket(Bytes::from_static(b"image@sha256:long")).boxed()
    });
    let world = World::new(gate, move |request| {
        let record = Arc::clone(&record);
        async move {
            *record.lock().unwrap() = Some(collect(request).await);
            ok(b"")
        }
    });
    let mut call = request(PULL, full(framed(b"image:tag")));
    call.headers_mut().extend(header_map(&[
        ("grpc-accept-encoding", "gzip"),
        ("x-kept", "1"),
        ("grpc-timeout", "1H"),
    ]));
    assert_eq!(world.client().await.send(call).await.unwrap().code(), 0);
    let (headers, body) = seen.lock().unwrap().take().unwrap();
    assert_eq!(body, framed(b"image@sha256:long"));
    // The announced length was that of the other message; hyper and h2 would end the stream over it.
    assert!(!headers.contains_key("content-length"));
    // The answer will be read here, uncompressed.
    assert!(!headers.contains_key("grpc-accept-encoding"));
    assert_eq!(
        (&headers["x-kept"], &headers["grpc-timeout"]),
        (&"1".parse().unwrap(), &"1H".parse().unwrap())
    );
}

/// A gate that records what it is told after the call, and answers it with `after`.
fn recording(after: After) -> (Gate, Arc<Mutex<Vec<Reply>>>) {
    let replies = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&replies);
    let after = Mutex::new(Some(after));
    let gate = Gate::ticketed().after(move |ticket, reply| {
        assert_eq!(ticket.0.downcast_ref::<u8>(), Some(&7));
        record.lock().unwrap().push(reply);
        std::future::ready(after.lock().unwrap().take().unwrap()).boxed()
    });
    (gate, replies)
}

#[tokio::test]
async fn a_passed_answer_is_replayed_exactly() {
    let trailers = header_map(&[("grpc-status", "0"), ("x-cost", "3")]);
    let sent = trailers.clone();
    let (gate, replies) = recording(After::Pass);
    let world = World::new(gate, move |_| {
        let frame = framed(b"container id");
        let mut answer = reply(frames([frame.slice(..4), frame.slice(4..)], sent.clone()));
        answer.headers_mut().extend(header_map(&[("x-kept", "1")]));
        async move { answer }
    });
    let answer = world.client().await.unary(CREATE, b"").await;
    assert_eq!(
        answer.headers,
        header_map(&[("content-type", "application/grpc"), ("x-kept", "1")])
    );
    assert_eq!(answer.data, framed(b"container id"));
    assert_eq!(answer.trailers, Some(trailers));
    let expected = Reply {
        code: 0,
        message: Some(Bytes::from_static(b"container id")),
    };
    assert_eq!(*replies.lock().unwrap(), [expected]);
}

#[tokio::test]
async fn an_error_is_replayed_trailers_only_and_the_gate_learns_its_code() {
    let (gate, replies) = recording(After::Pass);
    let world = World::new(gate, |_| async {
        trailers_only(&[
            ("grpc-status", "5"),
            ("grpc-message", "not%20found"),
            ("grpc-status-details-bin", "CAU"),
        ])
    });
    let answer = world.client().await.unary(CREATE, b"").await;
    assert!(answer.is_trailers_only());
    assert_eq!((answer.code(), answer.message()), (5, "not%20found"));
    assert_eq!(answer.headers["grpc-status-details-bin"], "CAU");
    assert_eq!(
        *replies.lock().unwrap(),
        [Reply {
            code: 5,
            message: None
        }]
    );
}

#[tokio::test]
async fn a_refusal_afterwards_replaces_the_answer() {
    let (gate, _) = recording(After::Refuse(refusal(
        code::UNKNOWN,
        "SignatureValidationFailed: swapped",
    )));
    let world = World::new(gate, |_| async { ok(b"container id") });
    let answer = world.client().await.unary(CREATE, b"").await;
    assert!(answer.is_trailers_only());
    assert_eq!(answer.code(), code::UNKNOWN);
    assert_eq!(answer.message(), "SignatureValidationFailed: swapped");
    let counts = world.proxy.counts();
    assert_eq!((counts.gated_forwarded, counts.refused), (1, 1));
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_not_passed_as_a_success() {
    let bodies: [fn() -> Body; 4] = [
        || {
            frames(
                [frame_with(1, 3, b"abc")],
                header_map(&[("grpc-status", "0")]),
            )
        },
        || {
            frames(
                [framed(b"a"), framed(b"b")],
                header_map(&[("grpc-status", "0")]),
            )
        },
        || frames([], header_map(&[("grpc-status", "0")])),
        || frames([framed(b"a")], header_map(&[])),
    ];
    for (index, body) in bodies.into_iter().enumerate() {
        let (gate, replies) = recording(After::Pass);
        let world = World::new(gate, move |_| async move { reply(body()) });
        let client = world.client().await.unary(CREATE, b"").await;
        assert_ne!(replies.lock().unwrap()[0].code, 0, "case {index}");
        if index < 3 {
            assert_eq!(client.code(), code::INTERNAL, "case {index}");
        }
    }
}

#[tokio::test]
async fn an_answer_larger_than_a_message_may_be_is_refused() {
    let (gate, replies) = recording(After::Pass);
    let world = World::new(gate, |_| async {
        let piece = Bytes::from(vec![0; 1024 * 1024]);
        reply(frames(
            std::iter::repeat_n(piece, 17),
            header_map(&[("grpc-status", "0")]),
        ))
    });
    let answer = world.client().await.unary(CREATE, b"").await;
    assert_eq!(answer.code(), code::RESOURCE_EXHAUSTED);
    assert_eq!(replies.lock().unwrap()[0].code, code::RESOURCE_EXHAUSTED);
}

#[tokio::test]
async fn a_lost_upstream_is_told_to_the_gate_and_its_refusal_is_honoured() {
    for (after, expected) in [
        (After::Pass, code::UNAVAILABLE),
        (
            After::Refuse(refusal(code::UNKNOWN, "removed")),
            code::UNKNOWN,
        ),
    ] {
        let (gate, replies) = recording(after);
        let world = World::new(gate, |_| async {
            reply(torn([framed(b"half")], std::future::ready(()).boxed()))
        });
        let answer = world.client().await.unary(CREATE, b"").await;
        assert_eq!(answer.code(), expected);
        let told = Reply {
            code: code::UNAVAILABLE,
            message: None,
        };
        assert_eq!(*replies.lock().unwrap(), [told]);
    }
}
