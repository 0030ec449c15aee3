//! A token server as Docker's registries and notary servers trust it: a user name and a password, or an identity token,
//! give a signed token for what was asked.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};

use crate::daemon::run;
use crate::liar::{Asked, Liar, Reply, status};

/// Who issues the tokens.
pub const ISSUER: &str = "tests";
/// What they are for.
pub const SERVICE: &str = "shop";

/// Who may get tokens.
#[derive(Debug, Clone)]
pub struct Account {
    /// User name.
    pub user: &'static str,
    /// Password.
    pub password: &'static str,
    /// Identity token that stands for both.
    pub identity: &'static str,
    /// Actions granted, where asked for.
    pub actions: &'static [&'static str],
}

/// The server. It listens on loopback in plain http.
#[derive(Debug)]
pub struct TokenServer {
    front: Liar,
    guard: Guard,
}

/// What a server that trusts the tokens must know, and what signs them.
#[derive(Clone)]
pub struct Guard {
    /// Where tokens are given.
    pub realm: String,
    /// PEM certificate of the issuer.
    pub certificate: PathBuf,
    chain: String,
    key: Arc<EcdsaKeyPair>,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard")
            .field("realm", &self.realm)
            .finish_non_exhaustive()
    }
}

impl TokenServer {
    /// Starts one whose key lies in `dir`.
    pub fn start(dir: &Path, accounts: &'static [Account]) -> Result<Self> {
        let (key, certificate) = (dir.join("token.key"), dir.join("token.crt"));
        let mut openssl = Command::new("openssl");
        openssl.args([
            "req",
            "-x509",
            "-days",
            "30",
            "-nodes",
            "-subj",
            "/CN=tokens",
        ]);
        openssl.args([
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-keyout",
        ]);
        openssl.arg(&key).arg("-out").arg(&certificate);
        run(&mut openssl)?;
        let key = PrivateKeyDer::from_pem_file(&key)?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.secret_der());
        // Nothing is behind this front.
        let front = Liar::start(0, None)?;
        let guard = Guard {
            realm: format!("http://127.0.0.1:{}/token", front.port()),
            chain: STANDARD.encode(CertificateDer::from_pem_file(&certificate)?),
            certificate,
            key: Arc::new(pair.ok().context("a key that is none")?),
        };
        let signer = guard.clone();
        front.says(move |asked| answer(asked, accounts, &signer));
        Ok(Self { front, guard })
    }

    /// What a server that trusts its tokens must know.
    pub fn guard(&self) -> Guard {
        self.guard.clone()
    }

    /// The front: what was asked, and lies.
    pub fn front(&self) -> &Liar {
        &self.front
    }
}

impl Guard {
    /// The `token` options of a registry's or notary server's `auth`.
    pub fn options(&self) -> Value {
        json!({
            "realm": self.realm, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": self.certificate,
        })
    }

    /// A token for scopes such as `repository:app:pull,push`.
    pub fn token(&self, scopes: &[String]) -> Result<String> {
        let access: Vec<Value> = scopes
            .iter()
            .filter_map(|scope| {
                let (kind, rest) = scope.split_once(':')?;
                let (name, actions) = rest.rsplit_once(':')?;
                let actions: Vec<&str> = actions
                    .split(',')
                    .filter(|action| !action.is_empty())
                    .collect();
                Some(json!({"type": kind, "name": name, "actions": actions}))
            })
            .collect();
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let head = json!({"typ": "JWT", "alg": "ES256", "x5c": [self.chain]});
        let claims = json!({
            "iss": ISSUER, "sub": "user", "aud": SERVICE, "exp": now + 300, "nbf": now - 5, "iat": now,
            "jti": now.to_string(), "access": access,
        });
        let mut token = URL_SAFE_NO_PAD.encode(head.to_string());
        let _ = write!(token, ".{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = self.key.sign(&SystemRandom::new(), token.as_bytes());
        let signature = signature.ok().context("no signature")?;
        let _ = write!(token, ".{}", URL_SAFE_NO_PAD.encode(signature));
        Ok(token)
    }
}

fn answer(asked: &Asked, accounts: &[Account], guard: &Guard) -> Reply {
    let query = asked.path.split_once('?').map_or("", |(_, query)| query);
    let fields: Vec<(String, String)> = form(query).chain(form(&asked.body)).collect();
    let field = |name: &str| {
        let found = fields.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    };
    let basic = asked.authorization.as_deref().and_then(|value| {
        let text = STANDARD.decode(value.strip_prefix("Basic ")?).ok()?;
        String::from_utf8(text).ok()
    });
    let basic = basic.as_deref().and_then(|text| text.split_once(':'));
    let given = basic.or_else(|| Some((field("username")?, field("password")?)));
    let identity = field("refresh_token");
    let account = accounts.iter().find(|account| {
        given == Some((account.user, account.password)) || identity == Some(account.identity)
    });
    if account.is_none() && (given.is_some() || identity.is_some()) {
        return Reply::Lie(status(401));
    }
    let actions = account.map_or(&[][..], |account| account.actions);
    let granted: Vec<String> = fields
        .iter()
        .filter(|(key, _)| key == "scope")
        .flat_map(|(_, value)| value.split(' '))
        .filter_map(|scope| {
            let (name, wanted) = scope.rsplit_once(':')?;
            let wanted: Vec<&str> = wanted
                .split(',')
                .filter(|action| actions.contains(action))
                .collect();
            Some(format!("{name}:{}", wanted.join(",")))
        })
        .collect();
    match guard.token(&granted) {
        Ok(token) => Reply::Lie(crate::liar::json(
            json!({"token": token, "access_token": token, "expires_in": 300}).to_string(),
        )),
        Err(_) => Reply::Lie(status(500)),
    }
}

fn form(text: &str) -> impl Iterator<Item = (String, String)> {
    text.split('&').filter_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        Some((decoded(key), decoded(value)))
    })
}

fn decoded(text: &str) -> String {
    let text = text.replace('+', " ");
    percent_encoding::percent_decode_str(&text)
        .decode_utf8_lossy()
        .into_owned()
}
