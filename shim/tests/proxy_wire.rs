//! Attacks on the framing of gated requests: containerd is lenient where the proxy must not be (it ignores what follows
//! the first message), so none of these may reach it.

mod proxy_support;

use std::time::Duration;

use bytes::Bytes;
use portcullis::proxy::Limits;
use portcullis_proto::code;
use proxy_support::*;

const MIB16: u32 = 16 * 1024 * 1024;

async fn refused(body: Body) -> Answer {
    refused_with(Limits::default(), body).await
}

/// Sends `body` to every kind of gated method.
async fn refused_with(limits: Limits, body: Body) -> Answer {
    let world = World::with_limits(Gate::open(), limits, |_| async { ok(b"") });
    let answer = world
        .client()
        .await
        .send(request(PULL, body))
        .await
        .unwrap();
    assert!(answer.is_trailers_only());
    assert!(answer.message().starts_with("portcullis: "), "{answer:?}");
    assert_eq!(world.upstream.called(), Vec::<String>::new());
    answer
}

#[tokio::test]
async fn a_compressed_request_is_unimplemented() {
    let answer = refused(full(frame_with(1, 3, b"abc"))).await;
    assert_eq!(answer.code(), code::UNIMPLEMENTED);
}

#[tokio::test]
async fn an_unknown_flag_is_refused() {
    let answer = refused(full(frame_with(2, 3, b"abc"))).await;
    assert_eq!(answer.code(), code::INVALID_ARGUMENT);
}

#[tokio::test]
async fn a_second_message_is_refused() {
    let two = [framed(b"good"), framed(b"evil")];
    assert_eq!(
        refused(full(two.concat())).await.code(),
        code::INVALID_ARGUMENT
    );
    assert_eq!(refused(pieces(two)).await.code(), code::INVALID_ARGUMENT);
}

#[tokio::test]
async fn trailing_bytes_are_refused() {
    let body = [framed(b"good"), Bytes::from_static(b"\0\0\0")];
    assert_eq!(
        refused(full(body.concat())).await.code(),
        code::INVALID_ARGUMENT
    );
    assert_eq!(refused(pieces(body)).await.code(), code::INVALID_ARGUMENT);
}

#[tokio::test]
async fn request_trailers_are_refused() {
    let body = frames([framed(b"good")], header_map(&[("x-late", "1")]));
    assert_eq!(refused(body).await.code(), code::INVALID_ARGUMENT);
}

#[tokio::test]
async fn a_truncated_message_is_refused() {
    for bytes in [
        frame_with(0, 4, b"abc"),
        Bytes::from_static(b"\0\0\0"),
        Bytes::new(),
    ] {
        assert_eq!(refused(full(bytes)).await.code(), code::INVALID_ARGUMENT);
    }
}

#[tokio::test]
async fn an_announced_oversize_is_refused_before_it_is_read() {
    let mut call = request(PULL, endless([], ()));
    call.headers_mut()
        .insert("content-length", "16777222".parse().unwrap());
    let world = World::new(Gate::open(), |_| async { ok(b"") });
    let answer = world.client().await.send(call).await.unwrap();
    assert_eq!(answer.code(), code::RESOURCE_EXHAUSTED);

    // Only the prefix comes; the rest never does.
    let body = endless([frame_with(0, MIB16 + 1, b"")], ());
    assert_eq!(refused(body).await.code(), code::RESOURCE_EXHAUSTED);
    let body = endless([frame_with(0, u32::MAX, b"")], ());
    assert_eq!(refused(body).await.code(), code::RESOURCE_EXHAUSTED);
}

#[tokio::test]
async fn a_message_of_exactly_the_limit_passes_in_pieces() {
    let world = World::new(Gate::open(), |request| async move {
        ok(collect(request).await.1.len().to_string().as_bytes())
    });
    let message = vec![b'x'; MIB16 as usize];
    let answer = world.client().await.unary(PULL, &message).await;
    assert_eq!(answer.data, framed((MIB16 + 5).to_string().as_bytes()));
}

#[tokio::test]
async fn a_request_that_never_arrives_is_refused() {
    let limits = Limits {
        request_body: Duration::from_millis(100),
        ..Limits::default()
    };
    let half = frame_with(0, 10, b"half");
    let answer = refused_with(limits.clone(), endless([half.slice(..3)], ())).await;
    assert_eq!(answer.code(), code::INVALID_ARGUMENT);
    let answer = refused_with(limits, endless([half], ())).await;
    assert_eq!(answer.code(), code::INVALID_ARGUMENT);
}

#[tokio::test]
async fn requests_beyond_the_buffer_budget_are_refused_and_small_ones_served() {
    let limits = Limits {
        request_body: Duration::from_millis(200),
        buffered: 1024 * 1024,
        ..Limits::default()
    };
    let world = World::with_limits(Gate::open(), limits, |_| async { ok(b"") });
    let mut client = world.client().await;
    let answer = client.unary(PULL, &vec![0; 2 * 1024 * 1024]).await;
    assert_eq!(answer.code(), code::RESOURCE_EXHAUSTED);
    assert_eq!(world.upstream.called(), Vec::<String>::new());
    // The share of an earlier call was given back, again and again.
    for _ in 0..4 {
        assert_eq!(client.unary(PULL, &vec![0; 1_000_000]).await.code(), 0);
    }
    assert_eq!(world.proxy.counts().overloaded, 1);
}
