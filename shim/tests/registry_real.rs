//! Against the real docker-registry: open, with htpasswd, and with signed tokens.

mod registry_common;

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use portcullis::registry::{Auth, Registry, RemoteError, RemoteErrorKind};
use portcullis_policy::Digest;
use rcgen::{CertificateParams, KeyPair, SigningKey as _};
use registry_common::distribution::Distribution;
use registry_common::{MANIFEST, MANIFEST_TYPE, Node, Reply, Seen, Server, reference, soon};

const INDEX: &str =
    r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

/// htpasswd line of `alice` with the password `p&w` (bcrypt).
const HTPASSWD: &str = "alice:$2b$04$H426bLBYUF2enUIH3R1dH.6oWmX51SifShj5/U.LQv5YiLu0vS0TK\n";

fn alice(password: &str) -> Auth {
    Auth::Basic {
        username: "alice".into(),
        password: password.into(),
    }
}

async fn head(
    registry: &Registry,
    distribution: &Distribution,
    image: &str,
    auth: &Auth,
) -> Result<(Digest, String), RemoteError> {
    let image = reference(&format!("{}/{image}", distribution.address));
    let descriptor = registry.head(&image, auth, soon()).await?;
    Ok((descriptor.digest, descriptor.media_type))
}

#[tokio::test]
async fn manifests_and_indexes_are_found_by_tag_and_digest() {
    let distribution = Distribution::start("", &[]);
    let manifest = distribution.store("team/app", "v1", MANIFEST);
    let index = distribution.store("team/app", "multi", INDEX);
    let registry = Node::new().registry();
    let ask = |image: String| {
        let (registry, distribution) = (&registry, &distribution);
        async move { head(registry, distribution, &image, &Auth::Anonymous).await }
    };
    let manifest_type = MANIFEST_TYPE.to_owned();
    assert_eq!(
        ask("team/app:v1".into()).await,
        Ok((manifest, manifest_type.clone()))
    );
    assert_eq!(
        ask(format!("team/app@{manifest}")).await,
        Ok((manifest, manifest_type))
    );
    let (digest, media_type) = ask("team/app:multi".into()).await.unwrap();
    assert_eq!(digest, index);
    assert!(media_type.contains("index"));
    for absent in ["team/app:v2", "team/other:v1"] {
        let error = ask(absent.into()).await.unwrap_err();
        assert_eq!(error.kind(), RemoteErrorKind::Absent, "{absent}");
    }
    let image = reference(&format!("{}/team/app", distribution.address));
    let got = registry
        .manifest(&image, &index, &Auth::Anonymous, soon())
        .await
        .unwrap();
    assert_eq!(got.bytes, INDEX);
}

#[tokio::test]
async fn a_tampered_store_is_noticed() {
    let distribution = Distribution::start("", &[]);
    let digest = distribution.store("app", "v1", MANIFEST);
    let other = distribution.store("app", "v2", INDEX);
    let registry = Node::new().registry();
    // The registry answers by the link's digest without looking at the bytes; so does its Docker-Content-Digest.
    std::fs::write(distribution.blob(&digest), MANIFEST.replace("[]", "[1]")).unwrap();
    let image = reference(&format!("{}/app", distribution.address));
    let result = registry
        .manifest(&image, &digest, &Auth::Anonymous, soon())
        .await;
    assert!(result.is_err(), "{result:?}");
    let result = registry
        .manifest(&image, &other, &Auth::Anonymous, soon())
        .await;
    assert!(result.is_ok(), "{result:?}");
}

#[tokio::test]
async fn htpasswd_accepts_the_right_password_only() {
    let distribution = Distribution::start(
        "auth: {htpasswd: {realm: x, path: DIR/htpasswd}}",
        &[("htpasswd", HTPASSWD)],
    );
    let digest = distribution.store("app", "v1", MANIFEST);
    let registry = Node::new().registry();
    let found = head(&registry, &distribution, "app:v1", &alice("p&w")).await;
    assert_eq!(found.map(|(digest, _)| digest), Ok(digest));
    for auth in [Auth::Anonymous, alice("wrong")] {
        let error = head(&registry, &distribution, "app:v1", &auth)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), RemoteErrorKind::Auth);
    }
}

/// A token server as the distribution specification has it: JWTs signed by a certificate the registry knows.
struct TokenServer {
    key: KeyPair,
    certificate: rcgen::Certificate,
}

impl TokenServer {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["tokens".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { key, certificate }
    }

    /// alice may pull `team/app` and nothing else.
    fn answer(&self, seen: &Seen) -> Reply {
        let basic = format!("Basic {}", STANDARD.encode("alice:p&w"));
        // docker's own token servers know GET only.
        if seen.method != "GET" {
            return Reply::status(405);
        }
        if seen.header("authorization") != Some(&basic) {
            return Reply::status(401);
        }
        let actions = if seen.target.contains("scope=repository%3Ateam%2Fapp%3Apull") {
            "\"pull\""
        } else {
            ""
        };
        Reply::json(format!(
            "{{\"token\":\"{}\",\"expires_in\":300}}",
            self.token(actions)
        ))
    }

    fn token(&self, actions: &str) -> String {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let header = format!(
            r#"{{"typ":"JWT","alg":"ES256","x5c":["{}"]}}"#,
            STANDARD.encode(self.certificate.der())
        );
        let claims = format!(
            r#"{{"iss":"issuer","sub":"alice","aud":"service","exp":{},"nbf":{},"iat":{now},"jti":"1","access":[{{"type":"repository","name":"team/app","actions":[{actions}]}}]}}"#,
            now + 300,
            now - 10,
        );
        let message = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims)
        );
        let signature = raw_signature(&self.key.sign(message.as_bytes()).unwrap());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// `r || s` of a DER ECDSA signature over P-256.
fn raw_signature(der: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 2;
    for _ in 0..2 {
        let length = usize::from(der[at + 1]);
        let number = &der[at + 2..at + 2 + length];
        let number = &number[number.len().saturating_sub(32)..];
        out.extend(std::iter::repeat_n(0, 32 - number.len()));
        out.extend_from_slice(number);
        at += 2 + length;
    }
    out
}

#[tokio::test]
async fn signed_tokens_open_the_repository_they_are_for() {
    let tokens = TokenServer::new();
    let pem = tokens.certificate.pem();
    let server = Server::start(move |seen| tokens.answer(seen)).await;
    let auth = format!(
        "auth: {{token: {{realm: '{}/token', service: service, issuer: issuer, rootcertbundle: DIR/tokens.crt}}}}",
        server.http()
    );
    let distribution = Distribution::start(&auth, &[("tokens.crt", &pem)]);
    let digest = distribution.store("team/app", "v1", MANIFEST);
    distribution.store("team/secret", "v1", MANIFEST);
    let registry = Node::new().registry();
    for _ in 0..3 {
        let found = head(&registry, &distribution, "team/app:v1", &alice("p&w")).await;
        assert_eq!(found.map(|(digest, _)| digest), Ok(digest));
    }
    // One POST that is refused, one GET, and the token serves from then on.
    assert_eq!(server.count(), 2);
    for (image, auth) in [
        ("team/secret:v1", alice("p&w")),
        ("team/app:v1", alice("wrong")),
        ("team/app:v1", Auth::Anonymous),
    ] {
        let error = head(&registry, &distribution, image, &auth)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), RemoteErrorKind::Auth, "{image}");
    }
}
