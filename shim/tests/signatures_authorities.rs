//! Certificate authorities that are asked about revocation, and what images say about themselves.

mod registry_common;
mod signatures_common;

use portcullis::registry::{Auth, ProxyConfig, RemoteError, cause};
use portcullis::signatures::SignatureClient;
use portcullis_policy::Digest;
use portcullis_trust::evidence::{ImageDescription, RevocationAnswer, RevocationWant};
use registry_common::{Client, Node, Reply, Sent, Server, at_once, reference, soon};
use signatures_common::{INDEX, MANIFEST, Shelf, now};

fn crl(url: impl Into<String>) -> RevocationWant {
    RevocationWant::Crl { url: url.into() }
}

fn ocsp(url: impl Into<String>) -> RevocationWant {
    RevocationWant::Ocsp {
        url: url.into(),
        request: b"question".to_vec(),
    }
}

/// A client that may ask this node.
fn local() -> SignatureClient {
    SignatureClient::with_local_authorities(&Node::new().registry())
}

async fn ask(
    client: &SignatureClient,
    want: &RevocationWant,
) -> Result<RevocationAnswer, RemoteError> {
    client.revocation(want, now(), soon()).await
}

#[tokio::test]
async fn crls_are_fetched_and_ocsp_is_asked_without_credentials() {
    let server = Server::start(|seen| {
        if seen.method == "POST" {
            assert_eq!(
                seen.header("content-type"),
                Some("application/ocsp-request")
            );
            return Reply::text(200, format!("answer to {}", seen.body));
        }
        Reply::text(200, "list")
    })
    .await;
    let wants = [crl(format!("{}/a.crl", server.http())), ocsp(server.http())];
    for (want, bytes) in wants.iter().zip(["list", "answer to question"]) {
        let answer = ask(&local(), want).await.unwrap();
        assert_eq!(answer.want, *want);
        assert_eq!(answer.bytes, bytes.as_bytes());
        assert_eq!(answer.gathered_at, now());
    }
    assert!(
        server
            .seen()
            .iter()
            .all(|seen| seen.header("authorization").is_none())
    );
}

#[tokio::test]
async fn certificates_cannot_send_this_node_to_itself_or_to_a_metadata_service() {
    let here = Server::start(|_| Reply::text(200, "secret")).await;
    let client = SignatureClient::new(&Node::new().registry());
    let port = here.address.port();
    for address in [
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://[fd00:ec2::254]/".to_owned(),
        "http://[::ffff:169.254.169.254]/".to_owned(),
        "http://0.0.0.0/".to_owned(),
        format!("http://127.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        // What a resolver makes of it is what counts.
        format!("http://127.1:{port}/"),
        format!("http://2130706433:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("https://127.0.0.1:{port}/"),
    ] {
        for want in [crl(&address), ocsp(&address)] {
            let result = ask(&client, &want).await;
            assert!(
                matches!(
                    &result,
                    Err(RemoteError::Unreachable {
                        cause: cause::LOCAL_ADDRESS,
                        ..
                    })
                ),
                "{address} {result:?}"
            );
        }
    }
    assert_eq!(here.count(), 0);
}

#[tokio::test]
async fn a_redirect_cannot_do_it_either() {
    let here = Server::start(|_| Reply::text(200, "secret")).await;
    let to = format!("{}/secret", here.http());
    // The proxy is the operator's and may be on this node; it answers for a host that is not.
    let proxy = Server::start(move |_| Reply::redirect(to.clone())).await;
    let proxies = ProxyConfig {
        http: proxy.http(),
        ..ProxyConfig::default()
    };
    let client = SignatureClient::new(&Node::new().registry_behind(proxies));
    let result = ask(&client, &crl("http://ca.test/a.crl")).await;
    assert!(
        matches!(
            &result,
            Err(RemoteError::Unreachable {
                cause: cause::LOCAL_ADDRESS,
                ..
            })
        ),
        "{result:?}"
    );
    assert_eq!((proxy.count(), here.count()), (1, 0));
    assert_eq!(proxy.seen()[0].target, "http://ca.test/a.crl");
}

#[tokio::test]
async fn other_schemes_are_refused_and_the_strangers_text_is_not_repeated() {
    for url in [
        "ldap://ca.test/cn=x",
        "file:///etc/shadow",
        "http://u:p@ca.test/",
        "x\n\u{1b}[0m",
        "",
    ] {
        let result = ask(&local(), &crl(url)).await;
        let error = result.unwrap_err();
        assert!(
            matches!(error, RemoteError::Invalid { .. }),
            "{url} {error:?}"
        );
        let text = error.to_string();
        assert!(url.is_empty() || !text.contains(url), "{text}");
    }
}

#[tokio::test]
async fn redirects_are_few_and_keep_the_question() {
    let server = Server::start(|seen| match &*seen.target {
        "/loop" => Reply::redirect("/loop"),
        "/once" => Reply::redirect("/end"),
        "/found" => Reply::status(302).with("location", "/end"),
        "/file" => Reply::redirect("file:///etc/shadow"),
        _ => Reply::text(200, format!("{} {}", seen.method, seen.body)),
    })
    .await;
    let url = |path: &str| format!("{}{path}", server.http());
    let answer = ask(&local(), &ocsp(url("/once"))).await.unwrap();
    assert_eq!(answer.bytes, b"POST question");
    assert_eq!(
        ask(&local(), &crl(url("/found"))).await.unwrap().bytes,
        b"GET "
    );
    for want in [ocsp(url("/found")), crl(url("/file")), crl(url("/loop"))] {
        let result = ask(&local(), &want).await;
        assert!(
            matches!(result, Err(RemoteError::Invalid { .. })),
            "{result:?}"
        );
    }
    let loops = server
        .seen()
        .iter()
        .filter(|seen| seen.target == "/loop")
        .count();
    assert_eq!(loops, 4);
}

#[tokio::test]
async fn answers_are_bounded_in_size_and_time() {
    let server = Server::start(|seen| match &*seen.target {
        "/silent" => Reply {
            status: 200,
            body: Sent::Stalls(bytes::Bytes::new()),
            ..Reply::default()
        },
        _ => Reply {
            status: 200,
            body: Sent::Endless,
            ..Reply::default()
        },
    })
    .await;
    for (want, cap) in [
        (crl(server.http()), 32 * 1024 * 1024),
        (ocsp(server.http()), 64 * 1024),
    ] {
        let result = ask(&local(), &want).await;
        assert!(
            matches!(result, Err(RemoteError::TooLarge { limit, .. }) if limit == cap),
            "{result:?}"
        );
    }
    let want = crl(format!("{}/silent", server.http()));
    let result = local().revocation(&want, now(), at_once()).await;
    assert!(
        matches!(result, Err(RemoteError::Timeout { .. })),
        "{result:?}"
    );
}

#[tokio::test]
async fn an_authority_that_has_nothing_to_say_is_an_error() {
    for status in [204, 404, 500] {
        let server = Server::start(move |_| Reply::text(status, "secret")).await;
        let error = ask(&local(), &crl(server.http())).await.unwrap_err();
        assert!(!error.to_string().contains("secret"));
    }
}

async fn describe(client: &Client, subject: &Digest) -> Result<ImageDescription, RemoteError> {
    SignatureClient::new(client)
        .describe(
            &reference("r.test/app"),
            subject,
            &Auth::Anonymous,
            now(),
            soon(),
        )
        .await
}

/// An image whose config is `config`. Its manifest.
fn put_image(shelf: &mut Shelf, config: &str) -> String {
    let config = shelf.blob(
        "application/vnd.oci.image.config.v1+json",
        config.as_bytes(),
    );
    let text = format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{config}}},"layers":[]}}"#
    );
    shelf.manifest(&text);
    text
}

fn put_index(shelf: &mut Shelf, of: &[(&str, &str)]) -> Digest {
    let manifests: Vec<String> = of
        .iter()
        .map(|(architecture, text)| {
            let descriptor = shelf.manifest(text);
            format!(r#"{descriptor},"platform":{{"os":"linux","architecture":"{architecture}"}}}}"#)
        })
        .collect();
    let text = signatures_common::index(&manifests);
    let digest = Digest::of(text.as_bytes());
    shelf.put(format!("/v2/app/manifests/{digest}"), INDEX, text);
    digest
}

/// This node's architecture as images name it.
fn native() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[tokio::test]
async fn an_image_is_described_from_its_index_down_to_the_config_of_this_node() {
    let mut shelf = Shelf::default();
    let foreign = put_image(&mut shelf, "foreign");
    let ours = put_image(&mut shelf, "ours");
    let index = put_index(&mut shelf, &[("s390x-not", &foreign), (native(), &ours)]);
    let server = Server::start(move |seen| shelf.answer(seen)).await;
    let client = Node::serving(&server).registry();
    let description = describe(&client, &index).await.unwrap();
    assert_eq!(description.subject, index);
    assert_eq!(Digest::of(description.index.as_ref().unwrap()), index);
    assert_eq!(description.manifest, ours.as_bytes());
    assert_eq!(description.config, b"ours");
    assert_eq!(server.count(), 3);
    let manifest = Digest::of(ours.as_bytes());
    let description = describe(&client, &manifest).await.unwrap();
    assert_eq!(
        (description.index, description.config),
        (None, b"ours".to_vec())
    );
}

#[tokio::test]
async fn a_description_that_does_not_hash_together_is_refused() {
    let mut good = Shelf::default();
    let manifest = put_image(&mut good, "config");
    let index = put_index(&mut good, &[(native(), &manifest)]);
    let lies = [
        (format!("blobs/{}", Digest::of(b"config")), MANIFEST),
        (
            format!("manifests/{}", Digest::of(manifest.as_bytes())),
            MANIFEST,
        ),
        (format!("manifests/{index}"), INDEX),
    ];
    for (path, media_type) in lies {
        let mut shelf = good.clone();
        shelf.put(format!("/v2/app/{path}"), media_type, "evil!!");
        let server = Server::start(move |seen| shelf.answer(seen)).await;
        let result = describe(&Node::serving(&server).registry(), &index).await;
        assert!(
            matches!(result, Err(RemoteError::Invalid { .. })),
            "{path} {result:?}"
        );
    }
}

#[tokio::test]
async fn an_image_that_this_node_cannot_run_is_not_described_by_another() {
    let mut shelf = Shelf::default();
    let foreign = put_image(&mut shelf, "foreign");
    let index = put_index(&mut shelf, &[("foreign", &foreign)]);
    let server = Server::start(move |seen| shelf.answer(seen)).await;
    let result = describe(&Node::serving(&server).registry(), &index).await;
    assert!(
        matches!(result, Err(RemoteError::Invalid { .. })),
        "{result:?}"
    );
}
