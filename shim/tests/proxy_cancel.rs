//! A client that goes away: what ends with it, and what must not.

mod proxy_support;

use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use portcullis::intercept::{After, Before};
use proxy_support::*;
use tokio::sync::{mpsc, oneshot};

/// Something that can be taken once.
fn once<T>(value: T) -> Mutex<Option<T>> {
    Mutex::new(Some(value))
}

/// A world whose containerd says when a call arrived and when it was cancelled, and never answers.
fn silent(gate: Gate) -> (World, mpsc::Receiver<()>, impl Future<Output = ()>) {
    let (arrived, arrival) = mpsc::channel(1);
    let (held, dropped) = guard();
    let held = once(held);
    let world = World::new(gate, move |_| {
        let held = held.lock().unwrap().take();
        let arrived = arrived.clone();
        async move {
            let _held = held;
            arrived.send(()).await.unwrap();
            std::future::pending().await
        }
    });
    (world, arrival, dropped)
}

#[tokio::test]
async fn a_cancel_before_the_answer_reaches_containerd() {
    // `PullImage` has no deadline: a cancel is all that ends it.
    for (path, gate) in [
        (VERSION, Gate::open()),
        (CREATE, Gate::open()),
        (PULL, Gate::ticketed()),
    ] {
        let (world, mut arrival, cancelled) = silent(gate);
        let mut client = world.client().await;
        let call = tokio::spawn(async move { client.unary(path, b"").await });
        arrival.recv().await.unwrap();
        call.abort();
        cancelled.await;
    }
}

#[tokio::test]
async fn a_client_that_disconnects_cancels_its_calls_upstream() {
    let (world, mut arrival, cancelled) = silent(Gate::open());
    let stream = std::os::unix::net::UnixStream::connect(&world.proxy.socket).unwrap();
    let kept = stream.try_clone().unwrap();
    let mut client = Client::over(stream).await;
    let call = tokio::spawn(async move { client.send(request(VERSION, full(framed(b"")))).await });
    arrival.recv().await.unwrap();
    kept.shutdown(std::net::Shutdown::Both).unwrap();
    cancelled.await;
    assert!(call.await.unwrap().is_err());
}

#[tokio::test]
async fn a_cancel_in_mid_stream_reaches_containerd() {
    let (held, cancelled) = guard();
    let held = once(held);
    let world = World::new(Gate::open(), move |_| {
        let held = held.lock().unwrap().take();
        async move { reply(endless([framed(b"event")], once(held))) }
    });
    let mut client = world.client().await;
    let mut body = client
        .begin(request(EVENTS, full(framed(b""))))
        .await
        .unwrap()
        .into_body();
    assert!(body.frame().await.unwrap().unwrap().is_data());
    drop(body);
    cancelled.await;
    assert_eq!(client.unary("/nowhere", b"").await.code(), 12);
}

#[tokio::test]
async fn a_cancel_while_the_gate_decides_drops_the_decision_and_containerd_sees_nothing() {
    let (asked, question) = oneshot::channel();
    let asked = once(asked);
    let (held, dropped) = guard();
    let held = once(held);
    let gate = Gate::before(move |_, _| {
        let held = held.lock().unwrap().take();
        asked.lock().unwrap().take().unwrap().send(()).unwrap();
        async move {
            let _held = held;
            std::future::pending::<Before>().await
        }
        .boxed()
    });
    let world = World::new(gate, |_| async { ok(b"") });
    let mut client = world.client().await;
    let call = tokio::spawn(async move { client.unary(CREATE, b"").await });
    question.await.unwrap();
    call.abort();
    dropped.await;
    assert_eq!(world.upstream.called(), Vec::<String>::new());
}

/// A container may exist by then: its answer must be judged although nobody waits for it.
#[tokio::test]
async fn a_create_whose_client_left_is_still_completed_and_judged() {
    let (arrived, mut arrival) = mpsc::channel(1);
    let (go_on, may_go_on) = oneshot::channel::<()>();
    let may_go_on = once(may_go_on);
    let (judged, judgement) = oneshot::channel();
    let judged = once(judged);
    let gate = Gate::ticketed().after(move |_, reply| {
        let judged = judged.lock().unwrap().take().unwrap();
        async move {
            judged.send(reply).unwrap();
            After::Pass
        }
        .boxed()
    });
    let world = World::new(gate, move |_| {
        let may_go_on = may_go_on.lock().unwrap().take().unwrap();
        let arrived = arrived.clone();
        async move {
            arrived.send(()).await.unwrap();
            may_go_on.await.unwrap();
            ok(b"container id")
        }
    });
    let stream = std::os::unix::net::UnixStream::connect(&world.proxy.socket).unwrap();
    let kept = stream.try_clone().unwrap();
    let mut client = Client::over(stream).await;
    let call = tokio::spawn(async move { client.send(request(CREATE, full(framed(b"")))).await });
    arrival.recv().await.unwrap();
    kept.shutdown(std::net::Shutdown::Both).unwrap();
    assert!(call.await.unwrap().is_err());
    go_on.send(()).unwrap();
    let reply = judgement.await.unwrap();
    assert_eq!(
        (reply.code, reply.message.unwrap()),
        (0, "container id".into())
    );
}

#[tokio::test]
async fn a_pull_whose_client_left_while_it_is_judged_is_judged_to_the_end() {
    let (asked, question) = oneshot::channel();
    let asked = once(asked);
    let (go_on, may_go_on) = oneshot::channel::<()>();
    let may_go_on = once(may_go_on);
    let ended = Arc::new(tokio::sync::Notify::new());
    let end = Arc::clone(&ended);
    let gate = Gate::ticketed().after(move |_, _| {
        asked.lock().unwrap().take().unwrap().send(()).unwrap();
        let may_go_on = may_go_on.lock().unwrap().take().unwrap();
        let end = Arc::clone(&end);
        async move {
            may_go_on.await.unwrap();
            end.notify_one();
            After::Pass
        }
        .boxed()
    });
    let world = World::new(gate, |_| async { ok(b"image id") });
    let mut client = world.client().await;
    let call = tokio::spawn(async move { client.unary(PULL, b"").await });
    question.await.unwrap();
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    go_on.send(()).unwrap();
    ended.notified().await;
}
