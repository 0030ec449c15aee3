//! Mirrors, capabilities, headers, TLS files and proxies of containerd's configuration.

mod registry_common;

use std::fmt::Write as _;

use portcullis::registry::{Auth, ProxyConfig, Registry, RemoteError, cause};
use portcullis_policy::Digest;
use registry_common::pki::Ca;
use registry_common::proxy::ConnectProxy;
use registry_common::{MANIFEST, Node, Reply, Server, digest, reference, soon};

async fn by_tag(registry: &Registry) -> Result<Digest, RemoteError> {
    let image = reference("r.test/team/app:v1");
    let result = registry.head(&image, &Auth::Anonymous, soon()).await;
    result.map(|descriptor| descriptor.digest)
}

async fn by_digest(registry: &Registry) -> Result<Digest, RemoteError> {
    let image = reference("r.test/team/app");
    let result = registry
        .manifest(&image, &digest(), &Auth::Anonymous, soon())
        .await;
    result.map(|manifest| Digest::of(&manifest.bytes))
}

fn mirrors(mirrors: &[&Server], server: &Server) -> Node {
    let node = Node::new();
    let mut toml = format!("server = '{}'\n", server.http());
    for mirror in mirrors {
        writeln!(toml, "[host.'{}']", mirror.http()).unwrap();
    }
    node.hosts("r.test", &toml);
    node
}

fn unreachable(result: Result<Digest, RemoteError>) -> &'static str {
    match result {
        Err(RemoteError::Unreachable { cause, .. }) => cause,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_first_mirror_that_has_it_answers_and_no_other_is_asked() {
    let (first, second, upstream) = (
        Server::start(|_| Reply::status(404)).await,
        Server::start(|_| Reply::manifest()).await,
        Server::start(|_| Reply::manifest()).await,
    );
    let registry = mirrors(&[&first, &second], &upstream).registry();
    assert_eq!(by_tag(&registry).await, Ok(digest()));
    assert_eq!((first.count(), second.count(), upstream.count()), (1, 1, 0));
    assert_eq!(
        second.seen()[0].target,
        "/v2/team/app/manifests/v1?ns=r.test"
    );
}

#[tokio::test]
async fn a_mirror_that_fails_or_lies_is_passed_over() {
    for reply in [
        || Reply::status(500),
        || Reply::status(429),
        || Reply::text(200, "<html>login</html>").with("content-type", "text/html"),
        || {
            Reply::text(200, MANIFEST.replace("[]", "[{}]"))
                .with("content-type", registry_common::MANIFEST_TYPE)
        },
        || Reply::challenge("Basic realm=x"),
    ] {
        let mirror = Server::start(move |_| reply()).await;
        let upstream = Server::start(|_| Reply::manifest()).await;
        let registry = mirrors(&[&mirror], &upstream).registry();
        assert_eq!(by_digest(&registry).await, Ok(digest()));
        assert_eq!(mirror.count(), 1);
    }
}

#[tokio::test]
async fn a_mirror_that_never_answers_leaves_time_for_the_upstream() {
    let mirror = Server::start_async(None, |_| std::future::pending()).await;
    let upstream = Server::start(|_| Reply::manifest()).await;
    let registry = mirrors(&[&mirror], &upstream).registry();
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(2);
    let result = registry
        .head(&reference("r.test/app"), &Auth::Anonymous, deadline)
        .await;
    assert!(result.is_ok(), "{result:?}");
}

#[tokio::test]
async fn an_image_is_absent_only_if_every_host_says_so() {
    let (absent, broken) = (
        Server::start(|_| Reply::status(404)).await,
        Server::start(|_| Reply::status(503)).await,
    );
    let both_absent = mirrors(&[&absent], &absent).registry();
    assert!(matches!(
        by_tag(&both_absent).await,
        Err(RemoteError::NotFound { .. })
    ));
    for (mirror, upstream) in [(&absent, &broken), (&broken, &absent)] {
        let result = by_tag(&mirrors(&[mirror], upstream).registry()).await;
        assert!(
            matches!(result, Err(RemoteError::Status { status: 503, .. })),
            "{result:?}"
        );
    }
}

#[tokio::test]
async fn a_mirror_without_the_resolve_capability_is_never_asked_what_a_tag_means() {
    let mirror = Server::start(|_| Reply::manifest()).await;
    let upstream = Server::start(|_| Reply::manifest()).await;
    let node = Node::new();
    node.hosts(
        "r.test",
        &format!(
            "server = '{}'\n[host.'{}']\ncapabilities = ['pull']",
            upstream.http(),
            mirror.http()
        ),
    );
    let registry = node.registry();
    assert_eq!(by_tag(&registry).await, Ok(digest()));
    assert_eq!((mirror.count(), upstream.count()), (0, 1));
    assert_eq!(by_digest(&registry).await, Ok(digest()));
    assert_eq!((mirror.count(), upstream.count()), (1, 1));
}

#[tokio::test]
async fn a_name_whose_hosts_may_only_be_pushed_to_is_not_asked_at_all() {
    let server = Server::start(|_| Reply::manifest()).await;
    let node = Node::new();
    let toml = format!("server = '{}'\ncapabilities = ['push']", server.http());
    node.hosts("r.test", &toml);
    assert_eq!(unreachable(by_tag(&node.registry()).await), cause::NO_HOST);
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn headers_of_the_configuration_go_to_their_host_and_not_along_a_redirect() {
    let cdn = Server::start(|_| Reply::manifest()).await;
    let to = format!("{}/blob", cdn.http());
    let mirror = Server::start(move |_| Reply::redirect(to.clone())).await;
    let node = Node::new();
    node.hosts(
        "r.test",
        &format!(
            "server = '{}'\n[header]\nx-key = 'secret'\nx-many = ['a', 'b']",
            mirror.http()
        ),
    );
    assert_eq!(by_digest(&node.registry()).await, Ok(digest()));
    let seen = &mirror.seen()[0];
    assert_eq!(seen.header("x-key"), Some("secret"));
    assert_eq!(seen.headers.get_all("x-many").iter().count(), 2);
    let seen = &cdn.seen()[0];
    assert_eq!(seen.header("x-key"), None);
    assert!(seen.header("accept").is_some());
}

#[tokio::test]
async fn older_mirrors_are_used_with_the_credentials_of_their_host() {
    let mirror = Server::start(|seen| match seen.header("authorization") {
        Some("Basic dTpw") => Reply::manifest(),
        _ => Reply::challenge("Basic realm=\"x\""),
    })
    .await;
    let node = Node::new();
    node.write(
        "config.toml",
        &format!(
            "version = 2\n[plugins.'io.containerd.grpc.v1.cri'.registry.mirrors.'r.test']\nendpoint = ['{}']\n\
             [plugins.'io.containerd.grpc.v1.cri'.registry.configs.'{}'.auth]\nusername = 'u'\npassword = 'p'\n",
            mirror.http(),
            mirror.address
        ),
    );
    let registry = node.registry();
    assert_eq!(by_tag(&registry).await, Ok(digest()));
    let given = Auth::Basic {
        username: "other".into(),
        password: "x".into(),
    };
    // Credentials of the call win, right or wrong.
    let image = reference(
        "r.test/team/app@sha256:0000000000000000000000000000000000000000000000000000000000000000",
    );
    let result = registry.head(&image, &given, soon()).await;
    assert!(result.is_err());
    let sent = mirror
        .seen()
        .last()
        .unwrap()
        .header("authorization")
        .map(str::to_owned);
    assert_eq!(sent.as_deref(), Some("Basic b3RoZXI6eA=="));
}

#[tokio::test]
async fn a_broken_containerd_configuration_is_said_so_and_nothing_is_asked() {
    let node = Node::new();
    node.write("config.toml", "[plugins");
    assert_eq!(
        unreachable(by_tag(&node.registry()).await),
        cause::HOST_CONFIG
    );
}

#[tokio::test]
async fn a_server_is_believed_with_its_ca_and_only_with_it() {
    let (ours, theirs) = (Ca::new(), Ca::new());
    let server = Server::start_tls(ours.server("127.0.0.1"), |_| Reply::manifest()).await;
    let with_ca = |ca: &Ca| {
        let node = Node::new();
        node.write("certs.d/r.test/ca.pem", &ca.pem());
        node.hosts(
            "r.test",
            &format!("server = '{}'\nca = 'ca.pem'", server.https()),
        );
        node.registry()
    };
    assert_eq!(by_tag(&with_ca(&ours)).await, Ok(digest()));
    assert_eq!(unreachable(by_tag(&with_ca(&theirs)).await), cause::TLS);
    let node = Node::new();
    node.hosts("r.test", &format!("server = '{}'", server.https()));
    assert_eq!(unreachable(by_tag(&node.registry()).await), cause::TLS);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let ca = Ca::new();
    let server = Server::start_tls(ca.server("other.test"), |_| Reply::manifest()).await;
    let node = Node::new();
    node.write("certs.d/r.test/ca.pem", &ca.pem());
    node.hosts(
        "r.test",
        &format!("server = '{}'\nca = 'ca.pem'", server.https()),
    );
    assert_eq!(unreachable(by_tag(&node.registry()).await), cause::TLS);
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn skip_verify_of_the_operator_is_honoured() {
    let server = Server::start_tls(Ca::new().server("x"), |_| Reply::manifest()).await;
    let node = Node::new();
    node.hosts(
        "r.test",
        &format!("server = '{}'\nskip_verify = true", server.https()),
    );
    assert_eq!(by_tag(&node.registry()).await, Ok(digest()));
}

#[tokio::test]
async fn a_client_certificate_is_shown_and_a_new_one_is_used_at_once() {
    let ca = Ca::new();
    let server =
        Server::start_tls(ca.server_wanting_client("127.0.0.1"), |_| Reply::manifest()).await;
    let node = Node::new();
    let install = |node: &Node, issuer: &Ca| {
        let (certificate, key) = issuer.client_pem();
        node.write("certs.d/r.test/client.pem", &certificate);
        node.write("certs.d/r.test/client.key", &key);
    };
    node.write("certs.d/r.test/ca.pem", &ca.pem());
    install(&node, &Ca::new());
    node.hosts(
        "r.test",
        &format!(
            "server = '{}'\nca = ['ca.pem']\nclient = [['client.pem', 'client.key']]",
            server.https()
        ),
    );
    let registry = node.registry();
    assert!(by_tag(&registry).await.is_err());
    install(&registry.node, &ca);
    assert_eq!(by_tag(&registry).await, Ok(digest()));
}

#[tokio::test]
async fn dockers_certificate_files_work_without_a_hosts_toml() {
    let ca = Ca::new();
    let server =
        Server::start_tls(ca.server_wanting_client("localhost"), |_| Reply::manifest()).await;
    let node = Node::new();
    let name = format!("localhost:{}", server.address.port());
    let (certificate, key) = ca.client_pem();
    node.write(&format!("certs.d/{name}/ca.crt"), &ca.pem());
    node.write(&format!("certs.d/{name}/client.cert"), &certificate);
    node.write(&format!("certs.d/{name}/client.key"), &key);
    let image = reference(&format!("{name}/app"));
    let result = node.registry().head(&image, &Auth::Anonymous, soon()).await;
    assert!(result.is_ok(), "{result:?}");
}

#[tokio::test]
async fn a_missing_ca_file_stops_the_request_instead_of_weakening_it() {
    let server = Server::start_tls(Ca::new().server("127.0.0.1"), |_| Reply::manifest()).await;
    let node = Node::new();
    node.hosts(
        "r.test",
        &format!("server = '{}'\nca = 'gone.pem'", server.https()),
    );
    assert_eq!(
        unreachable(by_tag(&node.registry()).await),
        cause::TLS_FILES
    );
}

#[tokio::test]
async fn loopback_without_configuration_works_with_and_without_tls() {
    let plain = Server::start(|_| Reply::manifest()).await;
    let tls = Server::start_tls(Ca::new().server("whatever"), |_| Reply::manifest()).await;
    for server in [&plain, &tls] {
        let registry = Node::new().registry();
        let image = reference(&format!("{}/app", server.address));
        for _ in 0..2 {
            let result = registry.head(&image, &Auth::Anonymous, soon()).await;
            assert!(result.is_ok(), "{result:?}");
        }
        // No `ns` for the name's own host.
        assert_eq!(server.seen()[0].target, "/v2/app/manifests/latest");
    }
}

#[tokio::test]
async fn a_host_configured_for_https_never_falls_back_to_http() {
    let server = Server::start(|_| Reply::manifest()).await;
    let node = Node::new();
    node.hosts(
        "r.test",
        &format!("server = '{}'\nskip_verify = true", server.https()),
    );
    assert_eq!(unreachable(by_tag(&node.registry()).await), cause::NOT_TLS);
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn a_redirect_from_https_to_http_is_refused() {
    let plain = Server::start(|_| Reply::manifest()).await;
    let to = plain.http();
    let ca = Ca::new();
    let server =
        Server::start_tls(ca.server("127.0.0.1"), move |_| Reply::redirect(to.clone())).await;
    let node = Node::new();
    node.write("certs.d/r.test/ca.pem", &ca.pem());
    node.hosts(
        "r.test",
        &format!("server = '{}'\nca = 'ca.pem'", server.https()),
    );
    let result = by_digest(&node.registry()).await;
    assert!(
        matches!(result, Err(RemoteError::Invalid { cause, .. }) if cause == "a redirect from https to http"),
        "{result:?}"
    );
    assert_eq!(plain.count(), 0);
}

fn behind(node: Node, proxy: &str) -> registry_common::Client {
    node.registry_behind(ProxyConfig {
        http: proxy.to_owned(),
        https: proxy.to_owned(),
        no_proxy: "direct.test".to_owned(),
    })
}

#[tokio::test]
async fn https_goes_through_a_tunnel_and_is_verified_inside_it() {
    let ca = Ca::new();
    let server = Server::start_tls(ca.server("r.test"), |_| Reply::manifest()).await;
    let proxy = ConnectProxy::start(200, server.address).await;
    let node = Node::new();
    node.write("certs.d/r.test/ca.pem", &ca.pem());
    node.hosts("r.test", "ca = 'ca.pem'");
    let registry = behind(node, &format!("http://bob:pw@{}", proxy.address));
    assert_eq!(by_tag(&registry).await, Ok(digest()));
    let head = &proxy.heads()[0];
    assert!(
        head.starts_with("connect r.test:443 http/1.1\r\n"),
        "{head}"
    );
    assert!(head.contains("proxy-authorization: basic"), "{head}");
    assert_eq!(server.seen()[0].header("proxy-authorization"), None);
    assert_eq!(server.seen()[0].header("host"), Some("r.test"));
}

#[tokio::test]
async fn plain_http_is_sent_to_the_proxy_in_absolute_form() {
    let proxy = Server::start(|_| Reply::manifest()).await;
    let node = Node::new();
    node.hosts("r.test", "server = 'http://r.test:5000'");
    let registry = behind(node, &format!("http://bob:pw@{}", proxy.address));
    assert_eq!(by_tag(&registry).await, Ok(digest()));
    let seen = &proxy.seen()[0];
    assert!(
        seen.target.starts_with("http://r.test:5000/v2/"),
        "{}",
        seen.target
    );
    assert!(seen.header("proxy-authorization").is_some());
}

#[tokio::test]
async fn a_proxy_that_refuses_or_is_down_is_named_and_not_walked_around() {
    let ca = Ca::new();
    let server = Server::start_tls(ca.server("r.test"), |_| Reply::manifest()).await;
    for status in [407, 502] {
        let proxy = ConnectProxy::start(status, server.address).await;
        let registry = behind(Node::new(), &proxy.address.to_string());
        assert_eq!(unreachable(by_tag(&registry).await), cause::PROXY);
    }
    for proxy in ["127.0.0.1:1", "socks5://127.0.0.1:1"] {
        let registry = behind(Node::new(), proxy);
        assert_eq!(unreachable(by_tag(&registry).await), cause::PROXY);
    }
    assert_eq!(server.count(), 0);
}
