//! Answers of a registry that is slow, wrong, hostile or down.

mod registry_common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use portcullis::registry::{Auth, Registry, RemoteError, cause};
use portcullis_policy::Digest;
use registry_common::{
    MANIFEST, MANIFEST_TYPE, Node, Reply, Sent, Server, at_once, digest, reference, soon,
};

async fn head(registry: &Registry, image: &str) -> Result<Digest, RemoteError> {
    registry
        .head(&reference(image), &Auth::Anonymous, soon())
        .await
        .map(|descriptor| descriptor.digest)
}

async fn get(registry: &Registry) -> Result<Bytes, RemoteError> {
    registry
        .manifest(
            &reference("r.test/app"),
            &digest(),
            &Auth::Anonymous,
            soon(),
        )
        .await
        .map(|manifest| manifest.bytes)
}

/// What a GET by digest ends in if the server always answers this.
async fn get_answered(reply: fn() -> Reply) -> Result<Bytes, RemoteError> {
    let server = Server::start(move |_| reply()).await;
    get(&Node::serving(&server).registry()).await
}

fn cause_of<T>(result: Result<T, RemoteError>) -> &'static str {
    match result {
        Err(RemoteError::Invalid { cause, .. }) => cause,
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("accepted"),
    }
}

#[tokio::test]
async fn a_tag_costs_one_head_request_that_asks_for_images_only() {
    let server = Server::start(|_| Reply::manifest()).await;
    let registry = Node::serving(&server).registry();
    let descriptor = registry
        .head(&reference("r.test/app:v1"), &Auth::Anonymous, soon())
        .await
        .unwrap();
    assert_eq!(descriptor.digest, digest());
    assert_eq!(descriptor.media_type, MANIFEST_TYPE);
    assert_eq!(descriptor.size, MANIFEST.len() as u64);
    let seen = server.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].method, "HEAD");
    assert_eq!(seen[0].target, "/v2/app/manifests/v1?ns=r.test");
    let accept = seen[0].header("accept").unwrap();
    assert!(accept.contains("image.index") && accept.contains("manifest.list"));
    assert!(!accept.contains("distribution.manifest.v1") && !accept.contains('*'));
    assert_eq!(seen[0].header("accept-encoding"), Some("identity"));
    assert_eq!(registry.requests_sent(), 1);
}

#[tokio::test]
async fn a_body_that_never_ends_in_time_is_a_timeout() {
    for body in ["", "{\"schemaVersion\""] {
        let server = Server::start(move |_| Reply {
            body: Sent::Stalls(Bytes::from(body)),
            ..Reply::manifest()
        })
        .await;
        let registry = Node::serving(&server).registry();
        let result = registry
            .manifest(
                &reference("r.test/app"),
                &digest(),
                &Auth::Anonymous,
                at_once(),
            )
            .await;
        assert!(
            matches!(result, Err(RemoteError::Timeout { .. })),
            "{result:?}"
        );
    }
}

#[tokio::test]
async fn a_server_that_never_answers_is_a_timeout() {
    let server = Server::start_async(None, |_| std::future::pending()).await;
    let registry = Node::serving(&server).registry();
    let result = registry
        .head(&reference("r.test/app"), &Auth::Anonymous, at_once())
        .await;
    assert!(
        matches!(result, Err(RemoteError::Timeout { .. })),
        "{result:?}"
    );
}

#[tokio::test]
async fn a_body_over_the_cap_is_not_read_whether_announced_or_not() {
    let announced = get_answered(|| Reply {
        body: Sent::Whole(Bytes::from(vec![b'0'; 4 * 1024 * 1024 + 1])),
        ..Reply::manifest()
    });
    let endless = get_answered(|| Reply {
        body: Sent::Endless,
        ..Reply::manifest()
    });
    for result in [announced.await, endless.await] {
        assert!(
            matches!(
                result,
                Err(RemoteError::TooLarge {
                    limit: 4_194_304,
                    ..
                })
            ),
            "{result:?}"
        );
    }
}

#[tokio::test]
async fn a_manifest_announced_as_huge_is_refused_at_its_head() {
    let server = Server::start(|_| Reply {
        body: Sent::Whole(Bytes::from(vec![b'0'; 4 * 1024 * 1024 + 1])),
        ..Reply::manifest()
    })
    .await;
    let result = head(&Node::serving(&server).registry(), "r.test/app").await;
    assert!(
        matches!(result, Err(RemoteError::TooLarge { .. })),
        "{result:?}"
    );
}

#[tokio::test]
async fn bytes_that_are_not_those_asked_for_are_refused_whatever_the_header_says() {
    let result = get_answered(|| Reply {
        body: Sent::Whole(Bytes::from(MANIFEST.replace("[]", "[ ]"))),
        ..Reply::manifest()
    });
    assert_eq!(
        cause_of(result.await),
        "another digest than the one asked for"
    );
}

#[tokio::test]
async fn a_head_by_digest_must_confirm_that_digest() {
    let other = Digest::of(b"other");
    let server = Server::start(move |_| Reply::manifest()).await;
    let registry = Node::serving(&server).registry();
    let image = reference(&format!("r.test/app@{other}"));
    let result = registry.head(&image, &Auth::Anonymous, soon()).await;
    assert_eq!(cause_of(result), "another digest than the one asked for");
    let result = registry
        .head_digest(&reference("r.test/app"), &other, &Auth::Anonymous, soon())
        .await;
    assert_eq!(cause_of(result), "another digest than the one asked for");
}

#[tokio::test]
async fn without_a_digest_header_or_without_head_the_body_is_hashed() {
    for head_status in [200, 405] {
        let server = Server::start(move |seen| {
            if seen.method == "HEAD" && head_status != 200 {
                return Reply::status(head_status);
            }
            Reply::text(200, MANIFEST).with("content-type", MANIFEST_TYPE)
        })
        .await;
        let result = head(&Node::serving(&server).registry(), "r.test/app").await;
        assert_eq!(result, Ok(digest()));
        assert_eq!(server.seen()[1].method, "GET");
    }
}

#[tokio::test]
async fn a_digest_that_is_none_is_refused() {
    let server = Server::start(|_| {
        Reply::text(200, MANIFEST)
            .with("content-type", MANIFEST_TYPE)
            .with("docker-content-digest", "sha256:../../etc")
    })
    .await;
    let result = head(&Node::serving(&server).registry(), "r.test/app").await;
    assert_eq!(cause_of(result), "a digest that is no sha256 digest");
}

#[tokio::test]
async fn schema_1_and_foreign_types_are_refused() {
    for (media_type, wanted) in [
        (
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            "schema 1 manifest",
        ),
        ("text/plain", "schema 1 manifest"),
        (
            "text/html",
            "not the media type of an image manifest or index",
        ),
    ] {
        let server = Server::start(move |_| {
            Reply::text(200, MANIFEST)
                .with("content-type", media_type)
                .with("docker-content-digest", digest().to_string())
        })
        .await;
        let registry = Node::serving(&server).registry();
        assert_eq!(cause_of(head(&registry, "r.test/app").await), wanted);
        assert_eq!(cause_of(get(&registry).await), wanted);
    }
}

#[tokio::test]
async fn a_compressed_body_is_not_inflated() {
    let result = get_answered(|| Reply::manifest().with("content-encoding", "gzip"));
    assert_eq!(cause_of(result.await), "a compressed body");
}

#[tokio::test]
async fn each_status_has_its_error_and_no_text_of_the_body_is_echoed() {
    for (status, wanted) in [
        (401, "wants credentials"),
        (403, "refuses access"),
        (404, "does not have it"),
        (429, "limits the request rate"),
        (500, "HTTP status 500"),
        (503, "HTTP status 503"),
        (418, "HTTP status 418"),
        (204, "HTTP status 204"),
    ] {
        let server = Server::start(move |_| {
            Reply::text(status, "<h1>evil \u{1b}[31m words</h1>").with("retry-after", "7")
        })
        .await;
        let error = get(&Node::serving(&server).registry()).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(wanted), "{status}: {text}");
        assert!(
            !text.contains("evil") && !format!("{error:?}").contains("evil"),
            "{text}"
        );
        if let RemoteError::RateLimited { retry_after, .. } = error {
            assert_eq!(retry_after, Some(Duration::from_secs(7)));
        }
    }
}

#[tokio::test]
async fn a_redirect_loop_ends() {
    let server = Server::start(|seen| Reply::redirect(seen.target.clone())).await;
    let result = get(&Node::serving(&server).registry()).await;
    assert_eq!(cause_of(result), "too many redirects");
    assert_eq!(server.count(), 4);
}

#[tokio::test]
async fn three_redirects_are_followed() {
    let server = Server::start(|seen| match seen.target.as_str() {
        "/a" => Reply::redirect("b"),
        "/b" => Reply::redirect("/c"),
        "/c" => Reply::manifest(),
        _ => Reply::redirect("/a"),
    })
    .await;
    assert!(get(&Node::serving(&server).registry()).await.is_ok());
}

#[tokio::test]
async fn a_redirect_to_a_file_or_to_nowhere_is_refused() {
    for location in ["file:///etc/shadow", "http://", ""] {
        let server = Server::start(move |_| Reply::redirect(location)).await;
        let result = get(&Node::serving(&server).registry()).await;
        assert_eq!(cause_of(result), "a redirect to no address", "{location}");
    }
}

#[tokio::test]
async fn nobody_listening_is_said_so() {
    let node = Node::new();
    node.hosts("r.test", "server = 'http://127.0.0.1:1'");
    let registry = node.registry();
    let result = get(&registry).await;
    assert!(
        matches!(result, Err(RemoteError::Unreachable { cause, .. }) if cause == cause::REFUSED),
        "{result:?}"
    );
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_said_so() {
    let node = Node::new();
    node.hosts("r.test", "server = 'http://does-not-exist.invalid'");
    let registry = node.registry();
    let result = get(&registry).await;
    assert!(
        matches!(result, Err(RemoteError::Unreachable { cause, .. }) if cause == cause::RESOLUTION),
        "{result:?}"
    );
}

#[tokio::test]
async fn five_failures_open_the_circuit_and_a_probe_after_thirty_seconds_closes_it() {
    let healthy = Arc::new(AtomicUsize::new(0));
    let flag = Arc::clone(&healthy);
    let server = Server::start(move |_| match flag.load(Ordering::SeqCst) {
        0 => Reply::status(502),
        _ => Reply::manifest(),
    })
    .await;
    let registry = Node::serving(&server).registry();
    for _ in 0..5 {
        let result = get(&registry).await;
        assert!(matches!(
            result,
            Err(RemoteError::Status { status: 502, .. })
        ));
    }
    for _ in 0..3 {
        let result = get(&registry).await;
        assert!(
            matches!(result, Err(RemoteError::CircuitOpen { .. })),
            "{result:?}"
        );
    }
    assert_eq!(server.count(), 5);
    healthy.store(1, Ordering::SeqCst);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(30)).await;
    tokio::time::resume();
    assert!(get(&registry).await.is_ok());
    assert!(get(&registry).await.is_ok());
}

#[tokio::test]
async fn callers_in_a_hurry_do_not_open_the_circuit() {
    let server = Server::start_async(None, |seen| async move {
        if seen.method == "HEAD" {
            std::future::pending::<()>().await;
        }
        Reply::manifest()
    })
    .await;
    let registry = Node::serving(&server).registry();
    for _ in 0..6 {
        let deadline = tokio::time::Instant::now() + Duration::from_millis(20);
        let result = registry
            .head(&reference("r.test/app"), &Auth::Anonymous, deadline)
            .await;
        assert!(
            matches!(result, Err(RemoteError::Timeout { .. })),
            "{result:?}"
        );
    }
    assert!(get(&registry).await.is_ok());
}

#[tokio::test]
async fn a_404_never_opens_the_circuit() {
    let server = Server::start(|_| Reply::status(404)).await;
    let registry = Node::serving(&server).registry();
    for _ in 0..10 {
        let result = get(&registry).await;
        assert!(
            matches!(result, Err(RemoteError::NotFound { .. })),
            "{result:?}"
        );
    }
}

#[tokio::test]
async fn at_most_eight_requests_are_under_way_to_one_host() {
    let current = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let barrier = Arc::new(tokio::sync::Barrier::new(8));
    let server = {
        let (current, most) = (Arc::clone(&current), Arc::clone(&most));
        Server::start_async(None, move |_| {
            let (current, most, barrier) = (
                Arc::clone(&current),
                Arc::clone(&most),
                Arc::clone(&barrier),
            );
            async move {
                let now = current.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                // Eight do get here together, or this never ends.
                barrier.wait().await;
                current.fetch_sub(1, Ordering::SeqCst);
                Reply::manifest()
            }
        })
        .await
    };
    let registry = Node::serving(&server).registry();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let registry = registry.registry.clone();
        calls.spawn(async move { get(&registry).await.is_ok() });
    }
    assert!(calls.join_all().await.into_iter().all(|ok| ok));
    assert_eq!(most.load(Ordering::SeqCst), 8);
}
