//! containerd away, dying, coming back.

mod proxy_support;

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use portcullis::proxy::Limits;
use portcullis_proto::code;
use proxy_support::*;

fn impatient() -> Limits {
    Limits {
        upstream_wait: Duration::from_millis(120),
        ..Limits::default()
    }
}

#[tokio::test]
async fn a_missing_socket_is_unavailable_in_grpc_gos_words() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("containerd.sock");
    for path in [VERSION, CREATE, PULL] {
        let proxy = Running::with_limits(dir.path(), &missing, Gate::ticketed(), impatient());
        let mut client = Client::connect(&proxy.socket).await;
        let answer = client.unary(path, b"").await;
        assert!(answer.is_trailers_only());
        assert_eq!(answer.code(), code::UNAVAILABLE, "{path}");
        let expected = format!(
            "connection error: desc = \"transport: Error while dialing: dial unix {}: \
             connect: no such file or directory\"",
            missing.display()
        );
        assert_eq!(answer.message(), expected);
        assert_eq!(proxy.counts().upstream_unavailable, 1);
        drop(client);
        proxy.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_dead_socket_is_unavailable_and_a_short_deadline_ends_the_wait() {
    let dir = tempfile::tempdir().unwrap();
    let dead = dir.path().join("containerd.sock");
    drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
    let limits = Limits {
        upstream_wait: Duration::from_hours(1),
        ..Limits::default()
    };
    let proxy = Running::with_limits(dir.path(), &dead, Gate::open(), limits);
    let mut call = request(VERSION, full(framed(b"")));
    call.headers_mut()
        .insert("grpc-timeout", "150m".parse().unwrap());
    let answer = Client::connect(&proxy.socket)
        .await
        .send(call)
        .await
        .unwrap();
    assert_eq!(answer.code(), code::UNAVAILABLE);
    assert!(
        answer.message().ends_with("connect: connection refused\""),
        "{}",
        answer.message()
    );
}

#[tokio::test]
async fn a_call_waits_for_a_containerd_that_starts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("containerd.sock");
    let proxy = Running::start(dir.path(), &path, Gate::open());
    let mut client = Client::connect(&proxy.socket).await;
    let call = tokio::spawn(async move { client.unary(VERSION, b"").await });
    while proxy.counts().in_flight == 0 {
        tokio::task::yield_now().await;
    }
    let _upstream = Upstream::start(&path, |_| async { ok(b"") });
    assert_eq!(call.await.unwrap().code(), 0);
}

#[tokio::test]
async fn an_answer_that_breaks_off_ends_with_trailers_not_with_a_reset() {
    let (held, tear) = guard();
    let tear = std::sync::Mutex::new(Some(tear));
    let world = World::new(Gate::open(), move |_| {
        let tear = tear.lock().unwrap().take().unwrap();
        async move { reply(torn([framed(b"one")], tear)) }
    });
    let mut client = world.client().await;
    let call = request(EVENTS, full(framed(b"")));
    let mut body = client.begin(call).await.unwrap().into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, framed(b"one"));
    drop(held);
    let end = body
        .frame()
        .await
        .unwrap()
        .unwrap()
        .into_trailers()
        .unwrap();
    assert_eq!(end["grpc-status"], "14");
    assert_eq!(world.proxy.counts().upstream_lost, 1);
}

#[tokio::test]
async fn an_answer_that_ends_without_a_status_gets_one() {
    let world = World::new(Gate::open(), |_| async { reply(full(framed(b"one"))) });
    let answer = world.client().await.unary(LIST, b"").await;
    assert_eq!(answer.code(), code::UNAVAILABLE);
}

#[tokio::test]
async fn calls_in_flight_end_unavailable_when_containerd_dies_and_the_next_call_reaches_the_new_one()
 {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("containerd.sock");
    let upstream = Upstream::start(&path, |request| async move {
        match request.uri().path() {
            EVENTS => reply(endless([framed(b"event")], ())),
            _ => std::future::pending().await,
        }
    });
    let proxy = Running::start(dir.path(), &path, Gate::open());
    let mut client = Client::connect(&proxy.socket).await;
    let mut stream = client
        .begin(request(EVENTS, full(framed(b""))))
        .await
        .unwrap()
        .into_body();
    assert!(stream.frame().await.unwrap().unwrap().is_data());
    let mut second = client.clone();
    let waiting = tokio::spawn(async move { second.unary(VERSION, b"").await });
    while upstream.called().len() < 2 {
        tokio::task::yield_now().await;
    }

    upstream.kill().await;
    let end = stream
        .frame()
        .await
        .unwrap()
        .unwrap()
        .into_trailers()
        .unwrap();
    assert_eq!(end["grpc-status"], "14");
    let answer = waiting.await.unwrap();
    assert_eq!(answer.code(), code::UNAVAILABLE);
    assert!(
        answer.message().contains("was lost"),
        "{}",
        answer.message()
    );

    let _upstream = Upstream::start(&path, |_| async { ok(b"new") });
    assert_eq!(client.unary(VERSION, b"").await.data, framed(b"new"));
    assert_eq!(proxy.counts().upstream_connects, 2);
}

#[tokio::test]
async fn a_reset_before_the_answer_is_unavailable() {
    // Bytes that are no HTTP/2 at all.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("containerd.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let server = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = tokio::io::AsyncWriteExt::write_all(
                &mut stream,
                b"HTTP/1.1 400 Bad Request\r\n\r\n",
            )
            .await;
        }
    });
    let proxy = Running::with_limits(dir.path(), &path, Gate::open(), impatient());
    let answer = Client::connect(&proxy.socket)
        .await
        .unary(VERSION, b"")
        .await;
    assert_eq!(answer.code(), code::UNAVAILABLE);
    server.abort();
}

#[tokio::test]
async fn calls_beyond_the_limit_are_shed_not_queued() {
    let limits = Limits {
        calls: 2,
        ..Limits::default()
    };
    let world = World::with_limits(Gate::open(), limits, |_| std::future::pending());
    let client = world.client().await;
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let mut client = client.clone();
        waiting.push(tokio::spawn(
            async move { client.unary(VERSION, b"").await },
        ));
    }
    while world.upstream.called().len() < 2 {
        tokio::task::yield_now().await;
    }
    let answer = client.clone().unary(VERSION, Bytes::new().as_ref()).await;
    assert_eq!(answer.code(), code::RESOURCE_EXHAUSTED);
    assert_eq!(world.proxy.counts().overloaded, 1);
    for call in waiting {
        call.abort();
    }
}
