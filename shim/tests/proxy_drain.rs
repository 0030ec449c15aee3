//! Stopping, and being replaced, without failing calls.

mod proxy_support;

use std::os::unix::net::UnixListener as StdListener;
use std::sync::Mutex;
use std::time::Duration;

use http_body_util::BodyExt as _;
use portcullis::proxy::Limits;
use portcullis_proto::code;
use proxy_support::*;
use tokio::sync::{mpsc, oneshot};

/// A containerd whose unary calls end when told to, and whose event stream never does.
fn slow(gate: Gate, limits: Limits) -> (World, mpsc::Receiver<()>, oneshot::Sender<()>) {
    let (arrived, arrival) = mpsc::channel(1);
    let (go_on, may_go_on) = oneshot::channel();
    let may_go_on = Mutex::new(Some(may_go_on));
    let world = World::with_limits(gate, limits, move |request| {
        let events = request.uri().path() == EVENTS;
        let may_go_on = (!events).then(|| may_go_on.lock().unwrap().take().unwrap());
        let arrived = arrived.clone();
        async move {
            match may_go_on {
                None => reply(endless([framed(b"event")], ())),
                Some(may_go_on) => {
                    arrived.send(()).await.unwrap();
                    let _ = may_go_on.await;
                    ok(b"slow")
                }
            }
        }
    });
    (world, arrival, go_on)
}

#[tokio::test]
async fn a_drain_lets_calls_finish_then_cuts_endless_streams_with_a_status() {
    let limits = Limits {
        drain: Duration::from_hours(1),
        ..Limits::default()
    };
    for (path, gate) in [
        (VERSION, Gate::open()),
        (CREATE, Gate::open()),
        (CREATE, Gate::ticketed()),
    ] {
        let (world, mut arrival, go_on) = slow(gate, limits.clone());
        let mut client = world.client().await;
        let mut events = client
            .begin(request(EVENTS, full(framed(b""))))
            .await
            .unwrap()
            .into_body();
        assert!(events.frame().await.unwrap().unwrap().is_data());
        let mut second = world.client().await;
        let call = tokio::spawn(async move { second.unary(path, b"").await });
        arrival.recv().await.unwrap();

        let drained = world.proxy.stop();
        go_on.send(()).unwrap();
        assert_eq!(call.await.unwrap().data, framed(b"slow"));
        let end = events
            .frame()
            .await
            .unwrap()
            .unwrap()
            .into_trailers()
            .unwrap();
        assert_eq!(end["grpc-status"], "14");
        drained.await.unwrap();
    }
}

#[tokio::test]
async fn a_drain_that_runs_out_of_time_answers_what_is_left_unavailable() {
    let limits = Limits {
        drain: Duration::from_millis(50),
        ..Limits::default()
    };
    for (path, gate) in [
        (VERSION, Gate::open()),
        (CREATE, Gate::ticketed()),
        (PULL, Gate::ticketed()),
    ] {
        let (world, mut arrival, go_on) = slow(gate, limits.clone());
        let mut client = world.client().await;
        let call = tokio::spawn(async move { client.unary(path, b"").await });
        arrival.recv().await.unwrap();
        world.proxy.stop().await.unwrap();
        let answer = call.await.unwrap();
        assert_eq!(answer.code(), code::UNAVAILABLE, "{path}");
        assert_eq!(answer.message(), "portcullis is being restarted");
        drop(go_on);
    }
}

#[tokio::test]
async fn idle_connections_do_not_delay_a_drain() {
    let limits = Limits {
        drain: Duration::from_hours(1),
        ..Limits::default()
    };
    let world = World::with_limits(Gate::open(), limits, |_| async { ok(b"") });
    let mut client = world.client().await;
    assert_eq!(client.unary(VERSION, b"").await.code(), 0);
    let socket = world.proxy.socket.clone();
    world.proxy.stop().await.unwrap();
    assert!(!socket.exists());
    assert!(
        client
            .send(request(VERSION, full(framed(b""))))
            .await
            .is_err()
    );
}

/// What systemd does: the listening descriptor outlives the process. A client that dials anew after each closed
/// connection, as grpc-go does on a GOAWAY, sees no error over many restarts.
#[tokio::test]
async fn restarts_on_a_kept_descriptor_fail_no_call() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(&dir.path().join("containerd.sock"), |_| async { ok(b"") });
    let socket = dir.path().join("cri.sock");
    let kept = StdListener::bind(&socket).unwrap();
    let limits = Limits {
        drain: Duration::from_hours(1),
        ..Limits::default()
    };

    let (stop, mut stopped) = oneshot::channel::<()>();
    let dialed = socket.clone();
    let caller = tokio::spawn(async move {
        let mut client = Client::connect(&dialed).await;
        let mut calls = 0_u32;
        while stopped.try_recv().is_err() {
            match client.send(request(VERSION, full(framed(b"")))).await {
                Ok(answer) => {
                    assert_eq!(answer.code(), 0, "{answer:?}");
                    calls += 1;
                }
                // Only a request that was never sent may be tried again.
                Err(error) if error.is_closed() || error.is_canceled() || is_refused(&error) => {
                    client = Client::connect(&dialed).await;
                }
                Err(error) => panic!("a call failed: {error:?}"),
            }
        }
        calls
    });
    for _ in 0..10 {
        let proxy = Running::kept(&kept, &socket, &upstream.path, limits.clone());
        while proxy.counts().passed < 20 {
            assert!(!caller.is_finished());
            tokio::task::yield_now().await;
        }
        proxy.stop().await.unwrap();
        assert!(socket.exists());
    }
    let last = Running::kept(&kept, &socket, &upstream.path, limits);
    stop.send(()).unwrap();
    assert!(caller.await.unwrap() >= 200);
    last.stop().await.unwrap();
}

/// A stream beyond the last one that the GOAWAY promises to serve.
fn is_refused(error: &hyper::Error) -> bool {
    std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<h2::Error>())
        .is_some_and(|error| {
            error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR)
        })
}
