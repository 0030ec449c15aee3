//! Simple-signing signatures in lookaside stores and by the registry's extension.

mod registry_common;
mod signatures_common;

use bytes::Bytes;
use portcullis::registry::{Auth, RemoteError, RemoteErrorKind, cause};
use portcullis_policy::model::Password;
use portcullis_trust::evidence::{ArtefactKind, SignatureSource};
use registry_common::{Node, Reply, Sent, Server};
use signatures_common::{Looker, image, texts};

/// A client for `r.test:5000/team/app`, and the path of its first signatures.
fn looker(node: Node) -> Looker {
    let mut looker = Looker::new(node.registry());
    looker.image = String::from("r.test:5000/team/app");
    looker
}

fn path(number: usize) -> String {
    format!(
        "/store/team/app@sha256={}/signature-{number}",
        image().hex()
    )
}

fn lookaside(base: impl Into<String>) -> SignatureSource {
    SignatureSource::Lookaside(base.into())
}

#[tokio::test]
async fn signatures_are_read_until_the_first_that_is_missing() {
    let server = Server::start(|seen| match &seen.target {
        target if *target == path(1) => Reply::text(200, "one"),
        target if *target == path(2) => Reply::text(200, "two"),
        target if *target == path(4) => Reply::text(200, "four"),
        _ => Reply::status(404),
    })
    .await;
    for (base, asked) in [("/store", 3), ("/store/", 6)] {
        let source = lookaside(format!("{}{base}", server.http()));
        let gathered = looker(Node::new()).one(source).await;
        assert_eq!(texts(&gathered), ["one", "two"]);
        let set = gathered.unwrap();
        assert!(!set.truncated);
        assert_eq!(set.artefacts[0].kind, ArtefactKind::SimpleSigning);
        assert_eq!(server.count(), asked);
    }
}

#[tokio::test]
async fn a_store_without_end_is_read_up_to_the_cap() {
    let server = Server::start(|seen| Reply::text(200, seen.target.clone())).await;
    let set = looker(Node::new())
        .one(lookaside(server.http()))
        .await
        .unwrap();
    assert_eq!((set.artefacts.len(), set.truncated), (64, true));
    assert_eq!(server.count(), 64);
}

#[tokio::test]
async fn a_store_that_fails_has_not_said_that_there_is_nothing() {
    for status in [401, 403, 429, 500] {
        let server = Server::start(move |_| Reply::text(status, "secret-from-the-server")).await;
        let result = looker(Node::new()).one(lookaside(server.http())).await;
        assert!(result.is_err(), "{status} {result:?}");
    }
    let server = Server::start(|seen| {
        if seen.target.ends_with("signature-1") {
            Reply::text(200, "one")
        } else {
            Reply::status(500)
        }
    })
    .await;
    let gathered = looker(Node::new()).one(lookaside(server.http())).await;
    assert_eq!(texts(&gathered), ["one"]);
    assert!(gathered.unwrap().truncated);
}

#[tokio::test]
async fn a_huge_signature_does_not_hide_the_next() {
    let server = Server::start(|seen| match seen.target.rsplit_once('-').unwrap().1 {
        "1" => Reply {
            status: 200,
            body: Sent::Endless,
            ..Reply::default()
        },
        "2" => Reply::text(200, "two"),
        _ => Reply::status(404),
    })
    .await;
    let gathered = looker(Node::new()).one(lookaside(server.http())).await;
    assert_eq!(texts(&gathered), ["two"]);
    assert!(gathered.unwrap().truncated);
}

#[tokio::test]
async fn the_password_is_for_its_store_alone_and_not_for_where_it_sends_us() {
    let elsewhere = Server::start(|_| Reply::text(200, "moved")).await;
    let to = elsewhere.http();
    let store = Server::start(move |seen| {
        if seen.target.ends_with("signature-1") {
            Reply::redirect(format!("{to}/x"))
        } else {
            Reply::status(404)
        }
    })
    .await;
    let other = Server::start(|_| Reply::status(404)).await;
    let mut looker = looker(Node::new());
    let password = Password {
        username: "u".into(),
        password: "p".into(),
    };
    looker.passwords.push((store.http(), password));
    looker.auth = Auth::Basic {
        username: "pull".into(),
        password: "secret".into(),
    };
    let all = looker
        .all(&[lookaside(store.http()), lookaside(other.http())])
        .await;
    assert_eq!(texts(&all[0]), ["moved"]);
    for seen in store.seen() {
        assert_eq!(seen.header("authorization"), Some("Basic dTpw"));
    }
    for seen in elsewhere.seen().into_iter().chain(other.seen()) {
        assert_eq!(seen.header("authorization"), None);
    }
    assert_eq!((elsewhere.count(), other.count()), (1, 1));
}

#[tokio::test]
async fn a_store_that_wants_a_password_gets_no_pull_credentials() {
    let store = Server::start(|_| Reply::challenge("Basic realm=x")).await;
    let mut looker = looker(Node::new());
    looker.auth = Auth::Basic {
        username: "pull".into(),
        password: "secret".into(),
    };
    let result = looker.one(lookaside(store.http())).await;
    assert!(
        matches!(result, Err(RemoteError::Unauthorized { .. })),
        "{result:?}"
    );
    assert!(
        store
            .seen()
            .iter()
            .all(|seen| seen.header("authorization").is_none())
    );
}

#[tokio::test]
async fn a_store_may_be_a_directory_and_must_be_there() {
    let node = Node::new();
    let name = format!("store/team/app@sha256={}/signature-1", image().hex());
    node.write(&name, "one");
    let base = format!("file://{}/store", node.path().display());
    let missing = format!("file://{}/not-mounted", node.path().display());
    let looker = looker(node);
    let all = looker
        .all(&[
            lookaside(base),
            lookaside(missing),
            lookaside("file://relative"),
        ])
        .await;
    assert_eq!(texts(&all[0]), ["one"]);
    for refused in &all[1..] {
        assert!(
            matches!(
                refused,
                Err(RemoteError::Unreachable {
                    cause: cause::FILES,
                    ..
                })
            ),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn a_store_without_signatures_for_the_image_has_nothing() {
    let node = Node::new();
    node.write("store/other", "x");
    let base = format!("file://{}/store", node.path().display());
    assert!(texts(&looker(node).one(lookaside(base)).await).is_empty());
}

#[tokio::test]
async fn addresses_that_are_none_are_refused() {
    for base in [
        "",
        "ftp://store.test",
        "store.test",
        "http://u:p@store.test",
    ] {
        let result = looker(Node::new()).one(lookaside(base)).await;
        assert!(
            matches!(result, Err(RemoteError::Invalid { .. })),
            "{base} {result:?}"
        );
    }
}

const LIST: &str = r#"{"signatures":[
    {"schemaVersion":2,"type":"atomic","name":"sha256:x@one","content":"b25l"},
    {"schemaVersion":2,"type":"other","name":"x","content":"b25l"},
    {"schemaVersion":3,"type":"atomic","name":"x","content":"b25l"},
    {"schemaVersion":2,"type":"atomic","name":"x","content":"not base64"},
    {"schemaVersion":2,"type":"atomic","name":"sha256:x@two","content":"dHdv"}]}"#;

/// A registry whose extension gives `list`, if it has one.
async fn extended(header: Option<&'static str>, list: fn() -> Reply) -> (Server, Looker) {
    let server = Server::start(move |seen| {
        let path = seen.target.split('?').next().unwrap();
        if path == "/v2/" {
            let reply = Reply::text(200, "{}");
            return match header {
                Some(value) => reply.with("x-registry-supports-signatures", value),
                None => reply,
            };
        }
        if path == format!("/extensions/v2/app/signatures/{}", image()) {
            return list();
        }
        Reply::status(404)
    })
    .await;
    let looker = Looker::new(Node::serving(&server).registry());
    (server, looker)
}

#[tokio::test]
async fn the_extension_is_asked_only_where_the_registry_has_it() {
    let list = || Reply::json(LIST);
    let (server, looker) = extended(Some("1"), list).await;
    let gathered = looker.one(SignatureSource::RegistryExtension).await;
    assert_eq!(texts(&gathered), ["one", "two"]);
    assert_eq!(server.count(), 2);
    for header in [None, Some("0")] {
        let (server, looker) = extended(header, list).await;
        assert!(texts(&looker.one(SignatureSource::RegistryExtension).await).is_empty());
        assert_eq!(server.count(), 1);
    }
}

#[tokio::test]
async fn an_extension_that_knows_no_such_image_has_nothing_and_one_that_fails_is_an_error() {
    let source = || SignatureSource::RegistryExtension;
    let (_server, looker) = extended(Some("1"), || Reply::status(404)).await;
    assert!(texts(&looker.one(source()).await).is_empty());
    let failing: [fn() -> Reply; 4] = [
        || Reply::status(500),
        || Reply::status(403),
        || Reply::json("[]"),
        || Reply::json(r#"{"signatures":[{"schemaVersion":2}]}"#),
    ];
    for reply in failing {
        let (_server, looker) = extended(Some("1"), reply).await;
        let result = looker.one(source()).await;
        assert!(result.is_err(), "{result:?}");
    }
    let endless = || Reply {
        status: 200,
        body: Sent::Endless,
        ..Reply::default()
    };
    let (_server, looker) = extended(Some("1"), endless).await;
    let set = looker.one(source()).await.unwrap();
    assert!(set.truncated && set.artefacts.is_empty());
    for status in [401, 404, 500] {
        let server = Server::start(move |_| Reply::status(status)).await;
        let looker = Looker::new(Node::serving(&server).registry());
        let error = looker.one(source()).await.unwrap_err();
        assert!(
            error.kind() != RemoteErrorKind::Absent,
            "{status} {error:?}"
        );
    }
}

#[tokio::test]
async fn every_source_answers_for_itself() {
    let store = Server::start(|seen| {
        if seen.target.ends_with("signature-1") {
            Reply {
                status: 200,
                body: Sent::Whole(Bytes::from_static(b"one")),
                ..Reply::default()
            }
        } else {
            Reply::status(404)
        }
    })
    .await;
    let (_server, looker) = extended(None, || Reply::status(404)).await;
    let all = looker
        .all(&[
            lookaside("https://store.invalid"),
            SignatureSource::RegistryExtension,
            lookaside(store.http()),
        ])
        .await;
    assert!(all[0].is_err());
    assert!(texts(&all[1]).is_empty());
    assert_eq!(texts(&all[2]), ["one"]);
}
