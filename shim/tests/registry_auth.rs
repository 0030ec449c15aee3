//! Credentials: who gets to see them, and what is done with a challenge.

mod registry_common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use portcullis::registry::{
    Auth, AuthFields, CredentialsConfig, ProxyConfig, Registry, RemoteError, RemoteErrorKind,
};
use registry_common::pki::Ca;
use registry_common::{Node, Reply, Seen, Server, reference, soon};

fn alice() -> Auth {
    Auth::Basic {
        username: "alice".into(),
        password: "p&w".into(),
    }
}

/// `alice:p&w`.
const ALICE_BASIC: &str = "Basic YWxpY2U6cCZ3";

async fn head(registry: &Registry, auth: &Auth) -> Result<(), RemoteError> {
    let image = reference("r.test/team/app:v1");
    registry.head(&image, auth, soon()).await.map(|_| ())
}

/// A registry that wants the token `good` and names `realm`.
async fn registry_wanting_token(realm: String) -> Server {
    Server::start(move |seen| match seen.header("authorization") {
        Some("Bearer good") => Reply::manifest(),
        _ => Reply::challenge(format!(
            "Bearer realm=\"{realm}\",service=\"the registry\",scope=\"repository:team/app:pull\""
        )),
    })
    .await
}

fn token(text: &str) -> Reply {
    Reply::json(format!("{{\"token\":\"{text}\",\"expires_in\":300}}"))
}

fn form<'a>(seen: &'a Seen, name: &str) -> Option<&'a str> {
    seen.body
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

#[tokio::test]
async fn an_anonymous_pull_gets_an_anonymous_token_once() {
    let tokens = Server::start(|_| token("good")).await;
    let server = registry_wanting_token(format!("{}/token?a=b", tokens.http())).await;
    let registry = Node::serving(&server).registry();
    head(&registry, &Auth::Anonymous).await.unwrap();
    head(&registry, &Auth::Anonymous).await.unwrap();
    let seen = tokens.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].method, "GET");
    assert_eq!(
        seen[0].target,
        "/token?a=b&service=the%20registry&scope=repository%3Ateam%2Fapp%3Apull"
    );
    assert_eq!(seen[0].header("authorization"), None);
    // Challenge, answer, and then the token without being asked.
    assert_eq!(server.count(), 3);
    assert_eq!(registry.requests_sent(), 4);
}

#[tokio::test]
async fn a_user_name_is_posted_as_containerd_does() {
    let tokens = Server::start(|_| Reply::json(r#"{"access_token":"good"}"#)).await;
    let server = registry_wanting_token(tokens.http()).await;
    head(&Node::serving(&server).registry(), &alice())
        .await
        .unwrap();
    let seen = &tokens.seen()[0];
    assert_eq!(seen.method, "POST");
    assert_eq!(form(seen, "grant_type"), Some("password"));
    assert_eq!(form(seen, "username"), Some("alice"));
    assert_eq!(form(seen, "password"), Some("p%26w"));
    assert_eq!(form(seen, "scope"), Some("repository%3Ateam%2Fapp%3Apull"));
    assert_eq!(seen.header("authorization"), None);
}

#[tokio::test]
async fn a_server_without_post_is_asked_with_get() {
    for status in [400, 401, 404, 405] {
        let tokens = Server::start(move |seen| match seen.header("authorization") {
            _ if seen.method == "POST" => Reply::status(status),
            Some(ALICE_BASIC) => token("good"),
            _ => Reply::status(401),
        })
        .await;
        let server = registry_wanting_token(tokens.http()).await;
        let result = head(&Node::serving(&server).registry(), &alice()).await;
        assert_eq!(result, Ok(()), "{status}");
    }
}

#[tokio::test]
async fn an_identity_token_is_a_refresh_token() {
    let tokens = Server::start(|seen| match form(seen, "refresh_token") {
        Some("identity") if form(seen, "grant_type") == Some("refresh_token") => token("good"),
        _ => Reply::status(400),
    })
    .await;
    let server = registry_wanting_token(tokens.http()).await;
    let auth = Auth::IdentityToken("identity".into());
    assert_eq!(
        head(&Node::serving(&server).registry(), &auth).await,
        Ok(())
    );
}

#[tokio::test]
async fn a_registry_token_is_shown_as_it_is_and_no_token_server_is_asked() {
    let tokens = Server::start(|_| token("good")).await;
    let server = registry_wanting_token(tokens.http()).await;
    let auth = Auth::RegistryToken("good".into());
    assert_eq!(
        head(&Node::serving(&server).registry(), &auth).await,
        Ok(())
    );
    assert_eq!(tokens.count(), 0);
}

#[tokio::test]
async fn basic_is_answered_with_a_user_name_only() {
    let server = Server::start(|seen| match seen.header("authorization") {
        Some(ALICE_BASIC) => Reply::manifest(),
        _ => Reply::challenge("Basic realm=\"x\""),
    })
    .await;
    let registry = Node::serving(&server).registry();
    assert_eq!(head(&registry, &alice()).await, Ok(()));
    for auth in [Auth::Anonymous, Auth::IdentityToken("t".into())] {
        let error = head(&registry, &auth).await.unwrap_err();
        assert_eq!(error.kind(), RemoteErrorKind::Auth);
    }
    assert!(server.seen()[0].header("authorization").is_none());
}

#[tokio::test]
async fn nobody_rides_on_the_token_of_another() {
    let tokens = Server::start(|seen| match form(seen, "username") {
        Some("alice") => token("good"),
        _ => token("poor"),
    })
    .await;
    let server = registry_wanting_token(tokens.http()).await;
    let registry = Node::serving(&server).registry();
    assert_eq!(head(&registry, &alice()).await, Ok(()));
    for auth in [
        Auth::Anonymous,
        Auth::Basic {
            username: "mallory".into(),
            password: "p&w".into(),
        },
    ] {
        let error = head(&registry, &auth).await.unwrap_err();
        assert_eq!(error.kind(), RemoteErrorKind::Auth);
    }
}

#[tokio::test]
async fn a_wrong_password_is_an_error_about_the_registry_and_not_a_loop() {
    let tokens = Server::start(|_| Reply::text(401, "no such user: alice")).await;
    let server = registry_wanting_token(tokens.http()).await;
    let error = head(&Node::serving(&server).registry(), &alice())
        .await
        .unwrap_err();
    assert_eq!(
        error,
        RemoteError::Unauthorized {
            host: server.address.to_string()
        }
    );
    let useless = Server::start(|_| token("useless")).await;
    let server = registry_wanting_token(useless.http()).await;
    let error = head(&Node::serving(&server).registry(), &alice())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), RemoteErrorKind::Auth);
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_token_that_is_no_longer_accepted_is_replaced_once() {
    let round = Arc::new(AtomicUsize::new(0));
    let tokens = {
        let round = Arc::clone(&round);
        Server::start(move |_| token(&format!("t{}", round.load(Ordering::SeqCst)))).await
    };
    let realm = tokens.http();
    let server = {
        let round = Arc::clone(&round);
        Server::start(move |seen| {
            let wanted = format!("Bearer t{}", round.load(Ordering::SeqCst));
            if seen.header("authorization") == Some(&wanted) {
                Reply::manifest()
            } else {
                Reply::challenge(format!("Bearer realm=\"{realm}\",error=\"invalid_token\""))
            }
        })
        .await
    };
    let registry = Node::serving(&server).registry();
    assert_eq!(head(&registry, &Auth::Anonymous).await, Ok(()));
    round.store(1, Ordering::SeqCst);
    assert_eq!(head(&registry, &Auth::Anonymous).await, Ok(()));
    assert_eq!(tokens.count(), 2);
}

#[tokio::test]
async fn a_token_server_that_is_broken_says_nothing_about_the_image() {
    for reply in [
        || Reply::status(404),
        || Reply::status(500),
        || Reply::text(200, "<html>welcome</html>"),
        || Reply::json("{}"),
        || Reply::json("{\"token\":\"a\\nb\"}"),
        || Reply::redirect("http://127.0.0.1:1/"),
    ] {
        let tokens = Server::start(move |_| reply()).await;
        let server = registry_wanting_token(tokens.http()).await;
        let error = head(&Node::serving(&server).registry(), &Auth::Anonymous)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), RemoteErrorKind::Transient, "{error:?}");
        assert!(!error.to_string().contains("welcome"));
    }
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect_to_another_host() {
    let cdn = Server::start(|_| Reply::manifest()).await;
    let to = format!("{}/elsewhere", cdn.http());
    let server = Server::start(move |seen| match seen.header("authorization") {
        Some(ALICE_BASIC) => Reply::redirect(to.clone()),
        _ => Reply::challenge("Basic realm=x"),
    })
    .await;
    assert_eq!(
        head(&Node::serving(&server).registry(), &alice()).await,
        Ok(())
    );
    assert_eq!(cdn.count(), 1);
    assert_eq!(cdn.seen()[0].header("authorization"), None);
}

#[tokio::test]
async fn the_challenge_of_a_redirect_target_is_not_answered() {
    let cdn = Server::start(|_| Reply::challenge("Basic realm=x")).await;
    let to = cdn.http();
    let server = Server::start(move |_| Reply::redirect(to.clone())).await;
    let error = head(&Node::serving(&server).registry(), &alice())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), RemoteErrorKind::Auth);
    assert_eq!(cdn.count(), 1);
}

#[tokio::test]
async fn credentials_for_one_server_are_not_shown_to_a_mirror() {
    let mirror = Server::start(|_| Reply::challenge("Basic realm=x")).await;
    let upstream = Server::start(|seen| match seen.header("authorization") {
        Some(ALICE_BASIC) => Reply::manifest(),
        _ => Reply::challenge("Basic realm=x"),
    })
    .await;
    let node = Node::new();
    let toml = format!("server = '{}'\n[host.'{}']", upstream.http(), mirror.http());
    node.hosts("r.test", &toml);
    let auth = Auth::from_cri(&AuthFields {
        username: "alice",
        password: "p&w",
        server_address: &upstream.http(),
        ..AuthFields::default()
    })
    .unwrap();
    assert_eq!(head(&node.registry(), &auth).await, Ok(()));
    assert!(
        mirror
            .seen()
            .iter()
            .all(|seen| seen.header("authorization").is_none())
    );
}

#[tokio::test]
async fn a_password_is_not_sent_to_a_token_server_without_tls() {
    let ca = Ca::new();
    let server = Server::start_tls(ca.server("127.0.0.1"), |_| {
        Reply::challenge("Bearer realm=\"http://tokens.test/\"")
    })
    .await;
    let proxy = Server::start(|_| token("good")).await;
    let node = Node::new();
    node.write("certs.d/r.test/ca.pem", &ca.pem());
    node.hosts(
        "r.test",
        &format!("server = '{}'\nca = 'ca.pem'", server.https()),
    );
    let registry = node.registry_behind(ProxyConfig {
        http: proxy.http(),
        ..ProxyConfig::default()
    });
    let error = head(&registry, &alice()).await.unwrap_err();
    assert!(
        matches!(&error, RemoteError::Invalid { cause, .. } if *cause == "a token realm without TLS"),
        "{error:?}"
    );
    assert_eq!(proxy.count(), 0);
}

#[tokio::test]
async fn no_error_shows_a_secret() {
    let tokens = Server::start(|seen| Reply::text(403, seen.body.clone())).await;
    let server = registry_wanting_token(format!("{}/?x=sesame", tokens.http())).await;
    let registry = Node::serving(&server).registry();
    let error = head(&registry, &alice()).await.unwrap_err();
    let text = format!("{error} {error:?} {:?}", registry.registry);
    for secret in ["p&w", "p%26w", "alice", "sesame"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[tokio::test]
async fn the_nodes_docker_config_is_used_and_read_again_when_it_rotates() {
    let node = Node::new();
    let write = |node: &Node, user: &str| {
        let text =
            format!(r#"{{"auths":{{"https://r.test":{{"username":"{user}","password":"p"}}}}}}"#);
        node.write("docker.json", &text)
    };
    let path = write(&node, "one");
    let mut config = node.config();
    config.credentials = CredentialsConfig {
        docker_config: Some(path),
        credential_providers: None,
    };
    let registry = node.registry_with(config, ProxyConfig::default());
    let image = reference("r.test/app");
    for user in ["one", "another"] {
        write(&registry.node, user);
        let auth = registry.node_auth(&image, soon()).await;
        assert!(matches!(&auth, Auth::Basic { username, .. } if username == user));
    }
    let other = registry
        .node_auth(&reference("other.test/app"), soon())
        .await;
    assert_eq!(other, Auth::Anonymous);
}
