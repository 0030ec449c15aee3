//! What passes through is not changed, in either direction.

mod proxy_support;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Version};
use http_body_util::BodyExt as _;
use proxy_support::*;

/// Bytes that no schema knows: unknown fields, a field out of order, a non-minimal varint.
const ODD: &[u8] = b"\x8a\x00\x01x\xfa\xff\xff\x7f\x02ab\x0a\x81\x00z\x0a\x01a";

#[tokio::test]
async fn unknown_fields_and_their_order_survive_both_ways() {
    for path in [VERSION, CREATE, REMOVE] {
        let world = World::new(Gate::open(), |request| async move {
            ok(&collect(request).await.1[5..])
        });
        let answer = world.client().await.unary(path, ODD).await;
        assert_eq!(answer.data, framed(ODD), "{path}");
    }
}

#[tokio::test]
async fn metadata_survives_both_ways() {
    let seen = Arc::new(Mutex::new(None));
    let record = Arc::clone(&seen);
    let world = World::new(Gate::open(), move |request| {
        *record.lock().unwrap() = Some(request.headers().clone());
        let mut answer = ok(b"");
        answer
            .headers_mut()
            .extend(header_map(&[("x-reply", "1"), ("x-reply-bin", "AAEC")]));
        async move { answer }
    });
    for path in [VERSION, CREATE] {
        let mut call = request(path, full(framed(ODD)));
        call.headers_mut().extend(header_map(&[
            ("grpc-timeout", "119998m"),
            ("grpc-accept-encoding", "gzip"),
            (
                "traceparent",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            ),
            ("x-two-bin", "AAEC"),
        ]));
        call.headers_mut()
            .append("x-two-bin", "AwQF".parse().unwrap());
        let mut sent = call.headers().clone();
        let answer = world.client().await.send(call).await.unwrap();
        assert_eq!(answer.headers["x-reply"], "1");
        assert_eq!(answer.headers["x-reply-bin"], "AAEC");
        assert!(!answer.headers.contains_key("date"));

        let mut received = seen.lock().unwrap().take().unwrap();
        received.remove("content-length");
        sent.remove("content-length");
        assert_eq!(received, sent, "{path}");
    }
}

#[tokio::test]
async fn a_custom_trailer_on_ok_is_kept() {
    let trailers = header_map(&[
        ("grpc-status", "0"),
        ("x-cost", "3"),
        ("grpc-status-details-bin", "AAEC"),
    ]);
    let sent = trailers.clone();
    let world = World::new(Gate::open(), move |_| {
        let trailers = sent.clone();
        async move { reply(frames([framed(b"m")], trailers)) }
    });
    let answer = world.client().await.unary(VERSION, b"").await;
    assert_eq!(answer.trailers, Some(trailers));
}

#[tokio::test]
async fn a_trailers_only_error_stays_trailers_only_with_its_text() {
    let text = "failed%20to pull: n%C3%A4h %F0%9F%90%B3";
    let world = World::new(Gate::open(), move |_| async move {
        trailers_only(&[
            ("grpc-status", "5"),
            ("grpc-message", text),
            ("grpc-status-details-bin", "CAU"),
        ])
    });
    let answer = world.client().await.unary(VERSION, b"").await;
    assert!(answer.is_trailers_only());
    assert_eq!((answer.code(), answer.message()), (5, text));
    assert_eq!(answer.headers["grpc-status-details-bin"], "CAU");
}

#[tokio::test]
async fn an_error_text_longer_than_hypers_default_limit_arrives() {
    let text = "x".repeat(200_000);
    let sent = text.clone();
    let world = World::new(Gate::open(), move |_| {
        let trailers = header_map(&[("grpc-status", "2"), ("grpc-message", &sent)]);
        async move { reply(frames([], trailers)) }
    });
    let answer = world.client().await.unary(VERSION, b"").await;
    assert_eq!(answer.message(), text);
}

#[tokio::test]
async fn a_megabyte_reply_arrives_whole() {
    let list = Bytes::from(
        (0..1_048_576_u32)
            .map(|i| i.to_le_bytes()[0])
            .collect::<Vec<_>>(),
    );
    let sent = list.clone();
    let world = World::new(Gate::open(), move |_| {
        let list = sent.clone();
        async move { ok(&list) }
    });
    let answer = world.client().await.unary(LIST, b"").await;
    assert_eq!(answer.data, framed(&list));
    assert_eq!(answer.code(), 0);
}

/// h2 ends a whole connection that receives too many unread DATA frames under 256 bytes (RUSTSEC-2026-0258). One stream
/// is read after the other, so that all others stall with full windows.
#[tokio::test]
async fn sixteen_streams_of_ten_thousand_small_events_arrive_on_one_connection() {
    const EVENTS_EACH: usize = 10_000;
    let event = framed(&[7; 136]);
    let size = event.len();
    let world = World::new(Gate::open(), move |_| {
        let events = std::iter::repeat_n(event.clone(), EVENTS_EACH);
        async move { reply(frames(events, header_map(&[("grpc-status", "0")]))) }
    });
    let mut client = world.client().await;
    let mut streams = Vec::new();
    for _ in 0..16 {
        let call = request(EVENTS, full(framed(b"")));
        streams.push(client.begin(call).await.unwrap().into_body());
    }
    for body in streams {
        let collected = body.collect().await.unwrap();
        assert_eq!(collected.trailers().unwrap()["grpc-status"], "0");
        assert_eq!(collected.to_bytes().len(), EVENTS_EACH * size);
    }
    assert_eq!(world.proxy.counts().upstream_connects, 1);
}

#[tokio::test]
async fn a_request_without_authority_reaches_containerd_with_one() {
    let world = World::new(Gate::open(), |request| async move {
        ok(request.uri().authority().unwrap().as_str().as_bytes())
    });
    let call = Request::post(VERSION)
        // h2's client leaves :authority out of a request that claims to be HTTP/1.1.
        .version(Version::HTTP_11)
        .header("content-type", "application/grpc")
        .body(full(framed(b"")))
        .unwrap();
    let answer = world.client().await.send(call).await.unwrap();
    assert_eq!(answer.data, framed(b"localhost"));
    let answer = world.client().await.unary(VERSION, b"").await;
    assert_eq!(answer.data, framed(b"localhost"));
}

#[tokio::test]
async fn two_clients_do_not_share_an_upstream_connection() {
    let world = World::new(Gate::open(), |_| async { ok(b"") });
    let (mut one, mut two) = (world.client().await, world.client().await);
    for client in [&mut one, &mut two] {
        assert_eq!(client.unary(VERSION, b"").await.code(), 0);
        assert_eq!(client.unary(VERSION, b"").await.code(), 0);
    }
    assert_eq!(world.proxy.counts().upstream_connects, 2);
    assert_eq!(world.proxy.counts().passed, 4);
}
