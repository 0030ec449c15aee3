//! Attacks on the router: what is not in the table never reaches containerd.

mod proxy_support;

use http::Method;
use portcullis_proto::code;
use proxy_support::*;

#[tokio::test]
async fn methods_outside_the_table_are_unimplemented_and_containerd_sees_nothing() {
    let world = World::new(Gate::open(), |_| async { ok(b"") });
    let mut client = world.client().await;
    let paths = [
        "/runtime.v1.RuntimeService/RestorePodFromNowhere",
        "/runtime.v1alpha2.ImageService/PullImage",
        "/runtime.v1alpha2.RuntimeService/CreateContainer",
        "/containerd.services.images.v1.Images/Create",
        "/containerd.services.tasks.v1.Tasks/Exec",
        "/containerd.services.content.v1.Content/Write",
        "/grpc.health.v1.Health/Check",
        // Spellings of a method in the table that a lenient router would pass on.
        "/runtime.v1.ImageService/PullImage?",
        "/runtime.v1.ImageService/PullImage?a=b",
        "/runtime.v1.ImageService/PullImage/",
        "//runtime.v1.ImageService/PullImage",
        "/runtime.v1.ImageService/./PullImage",
        "/runtime.v1.ImageService/Pull%49mage",
        "/runtime.v1.ImageService/pullImage",
        "/",
    ];
    for path in paths {
        let answer = client.unary(path, b"").await;
        assert!(answer.is_trailers_only(), "{path}");
        assert_eq!(answer.code(), code::UNIMPLEMENTED, "{path}");
        assert!(
            answer.message().starts_with("portcullis: unknown method /"),
            "{path}"
        );
    }
    assert_eq!(world.upstream.called(), Vec::<String>::new());
    let counts = world.proxy.counts();
    assert_eq!(counts.unimplemented, paths.len() as u64);
    assert_eq!(counts.upstream_connects, 0);
}

#[tokio::test]
async fn what_is_not_grpc_is_answered_as_grpc_go_does() {
    let world = World::new(Gate::open(), |_| async { ok(b"") });
    let mut client = world.client().await;

    let mut get = request(VERSION, full(framed(b"")));
    *get.method_mut() = Method::GET;
    assert_eq!(client.send(get).await.unwrap().http, 405);

    for content_type in [None, Some("application/json"), Some("application/grpcish")] {
        let mut call = request(PULL, full(framed(b"")));
        call.headers_mut().remove("content-type");
        if let Some(value) = content_type {
            call.headers_mut()
                .insert("content-type", value.parse().unwrap());
        }
        let answer = client.send(call).await.unwrap();
        assert_eq!(
            (answer.http.as_u16(), answer.code()),
            (415, code::INVALID_ARGUMENT)
        );
    }
    assert_eq!(world.upstream.called(), Vec::<String>::new());
    assert_eq!(world.proxy.counts().malformed, 4);
}
