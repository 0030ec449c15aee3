//! The Notary v1 client against servers that hand out real collections, want tokens, lie or are down.

mod registry_common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use portcullis::notary::{GatherError, NotaryClient};
use portcullis::registry::{Auth, RemoteError, RemoteErrorKind, cause};
use portcullis_policy::Digest;
use portcullis_policy::model::NotaryServer;
use portcullis_trust::Timestamp;
use portcullis_trust::notary::{NotaryCollection, NotaryError, NotaryMemory};
use registry_common::pki::Ca;
use registry_common::{Node, Reply, Seen, Server, soon};

const GUN: &str = "registry.example.com/shop/app";

/// Files of a publication by the path they are served at.
fn publication(folder: &str) -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../trust/tests/fixtures/notary")
        .join(folder);
    let mut files = BTreeMap::new();
    for sub in ["", "targets/"] {
        for entry in std::fs::read_dir(root.join(sub))
            .unwrap()
            .map(Result::unwrap)
        {
            let name = entry.file_name().into_string().unwrap();
            if let Some(role) = name.strip_suffix(".json") {
                let text = std::fs::read_to_string(entry.path()).unwrap();
                let hash = Digest::of(text.as_bytes()).hex();
                files.insert(
                    format!("/v2/{GUN}/_trust/tuf/{sub}{role}.{hash}.json"),
                    text.clone(),
                );
                files.insert(format!("/v2/{GUN}/_trust/tuf/{sub}{role}.json"), text);
            }
        }
    }
    files
}

fn serve(files: &BTreeMap<String, String>, seen: &Seen) -> Reply {
    match files.get(&seen.target) {
        Some(text) => Reply::json(text.clone()),
        None => Reply::text(404, r#"{"errors":[{"code":"METADATA_NOT_FOUND"}]}"#),
    }
}

struct Setup {
    ca: Ca,
    node: Node,
}

impl Setup {
    fn new() -> Self {
        let (ca, node) = (Ca::new(), Node::new());
        node.write("ca.pem", &ca.pem());
        Self { ca, node }
    }

    fn ca_file(&self) -> PathBuf {
        self.node.path().join("ca.pem")
    }

    async fn start(&self, answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Server {
        Server::start_tls(self.ca.server("127.0.0.1"), answer).await
    }

    async fn gather(&self, server: &Server, auth: &Auth) -> Result<NotaryCollection, GatherError> {
        let trust = NotaryServer {
            server: server.https(),
            ca: Some(self.ca_file().display().to_string()),
            pins: BTreeMap::new(),
            trust_on_first_use: true,
        };
        let registry = Node::new().registry();
        // Half a day after the fixtures were made.
        let now = Timestamp::parse("2026-11-21T00:00:00Z").unwrap();
        let memory = NotaryMemory::default();
        let client = NotaryClient::new(&registry);
        let gathered = client.gather(&trust, GUN, auth, &memory, None, now, soon());
        gathered.await.map(|(collection, _)| collection)
    }
}

fn remote(result: Result<NotaryCollection, GatherError>) -> RemoteError {
    match result {
        Err(GatherError::Remote(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_real_collection_is_gathered_whole() {
    let setup = Setup::new();
    let files = publication("app/1");
    let targets = files[&format!("/v2/{GUN}/_trust/tuf/targets.json")].clone();
    let server = setup.start(move |seen| serve(&files, seen)).await;
    let collection = setup.gather(&server, &Auth::Anonymous).await.unwrap();
    assert_eq!(collection.targets, targets);
    assert!(collection.delegations.contains_key("targets/alice"));
}

#[tokio::test]
async fn a_token_is_fetched_with_get_for_the_collections_scope_and_used_for_every_file() {
    let setup = Setup::new();
    let tokens = setup
        .start(|seen| match seen.header("authorization") {
            Some("Basic dTpw") if seen.method == "GET" => Reply::json(r#"{"token":"good"}"#),
            _ => Reply::status(401),
        })
        .await;
    let realm = tokens.https();
    let files = publication("app/1");
    let server = setup
        .start(move |seen| match seen.header("authorization") {
            Some("Bearer good") => serve(&files, seen),
            _ => Reply::challenge(format!(
                "Bearer realm=\"{realm}/token\",service=\"notary\",scope=\"repository:{GUN}:pull\""
            )),
        })
        .await;
    let auth = Auth::Basic {
        username: "u".into(),
        password: "p".into(),
    };
    setup.gather(&server, &auth).await.unwrap();
    let seen = tokens.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(
        seen[0].target,
        "/token?service=notary&scope=repository%3Aregistry.example.com%2Fshop%2Fapp%3Apull"
    );
    let error = remote(setup.gather(&server, &Auth::Anonymous).await);
    assert_eq!(error.kind(), RemoteErrorKind::Auth);
    assert_eq!(tokens.seen()[1].header("authorization"), None);
}

#[tokio::test]
async fn no_trust_data_is_unsigned_and_everything_else_is_not() {
    let setup = Setup::new();
    let server = setup.start(|_| Reply::status(404)).await;
    let result = setup.gather(&server, &Auth::Anonymous).await;
    assert!(
        matches!(
            result,
            Err(GatherError::Notary(NotaryError::NoTrustData { .. }))
        ),
        "{result:?}"
    );
    for status in [401, 403, 429, 500, 503] {
        let server = setup
            .start(move |_| Reply::text(status, "<html>METADATA_NOT_FOUND</html>"))
            .await;
        let error = remote(setup.gather(&server, &Auth::Anonymous).await);
        assert_ne!(error.kind(), RemoteErrorKind::Absent, "{status}");
        assert!(!error.to_string().contains("METADATA"), "{error}");
    }
}

#[tokio::test]
async fn a_file_that_is_too_large_ends_the_update() {
    let setup = Setup::new();
    let server = setup
        .start(|_| Reply {
            status: 200,
            headers: Vec::new(),
            body: registry_common::Sent::Endless,
        })
        .await;
    let error = remote(setup.gather(&server, &Auth::Anonymous).await);
    assert!(matches!(error, RemoteError::TooLarge { .. }), "{error:?}");
}

#[tokio::test]
async fn only_the_configured_ca_is_believed() {
    let setup = Setup::new();
    let files = publication("app/1");
    let server = Server::start_tls(Ca::new().server("127.0.0.1"), move |seen| {
        serve(&files, seen)
    })
    .await;
    let error = remote(setup.gather(&server, &Auth::Anonymous).await);
    assert!(
        matches!(error, RemoteError::Unreachable { cause, .. } if cause == cause::TLS),
        "{error:?}"
    );
    assert_eq!(server.count(), 0);
}
