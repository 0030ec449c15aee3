//! A real Notary v1: server and signer with a certificate authority of their own, and the client that signs.

mod tls;

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::daemon::{Daemon, free_port, run};
use crate::image::{Image, digest};
use crate::liar::Tls;
use crate::tokens::Guard;

/// Passphrases of the client's keys: nothing here guards anything.
const PASSPHRASES: [&str; 4] = [
    "NOTARY_ROOT_PASSPHRASE",
    "NOTARY_TARGETS_PASSPHRASE",
    "NOTARY_SNAPSHOT_PASSPHRASE",
    "NOTARY_DELEGATION_PASSPHRASE",
];

/// The delegation whose targets clients believe.
pub const RELEASES: &str = "targets/releases";

/// Server and signer. Both keep everything in memory: what is stopped is gone.
#[derive(Debug)]
pub struct Notary {
    dir: PathBuf,
    port: u16,
    server: Option<Daemon>,
    signer: Option<Daemon>,
    signers: BTreeMap<String, PathBuf>,
    login: Option<&'static str>,
}

impl Notary {
    /// Starts both in `dir`, open to everyone.
    pub fn start(dir: &Path) -> Result<Self> {
        Self::start_behind(dir, None, None)
    }

    /// Starts both in `dir`; the server wants tokens. `login` is the `user:password` of the client that signs.
    pub fn start_with_tokens(dir: &Path, guard: &Guard, login: &'static str) -> Result<Self> {
        Self::start_behind(dir, Some(guard), Some(login))
    }

    fn start_behind(
        dir: &Path,
        guard: Option<&Guard>,
        login: Option<&'static str>,
    ) -> Result<Self> {
        fs::create_dir_all(dir.join("client"))?;
        tls::make(dir)?;
        let mut last = None;
        // Another process may take a port between the look and the use.
        for _ in 0..3 {
            match Self::launch(dir, guard) {
                Ok(notary) => return Ok(Self { login, ..notary }),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| anyhow::anyhow!("notary did not start")))
    }

    fn launch(dir: &Path, guard: Option<&Guard>) -> Result<Self> {
        let (port, signer_port) = (free_port()?, free_port()?);
        write_json(
            &dir.join("signer.json"),
            &json!({
                "server": {
                    "grpc_addr": format!("127.0.0.1:{signer_port}"),
                    "tls_cert_file": "signer.crt", "tls_key_file": "signer.key", "client_ca_file": "ca.crt",
                },
                "logging": {"level": "info"}, "storage": {"backend": "memory"},
            }),
        )?;
        let mut server = json!({
                "server": {
                    "http_addr": format!("127.0.0.1:{port}"),
                    "tls_cert_file": "server.crt", "tls_key_file": "server.key",
                },
                "trust_service": {
                    "type": "remote", "hostname": "127.0.0.1", "port": signer_port.to_string(),
                    "key_algorithm": "ecdsa", "tls_ca_file": "ca.crt",
                    "tls_client_cert": "server.crt", "tls_client_key": "server.key",
                },
                "logging": {"level": "info"}, "storage": {"backend": "memory"},
        });
        if let Some(guard) = guard {
            server["auth"] = json!({"type": "token", "options": guard.options()});
        }
        write_json(&dir.join("server.json"), &server)?;
        write_json(
            &dir.join("client.json"),
            &json!({
                "trust_dir": dir.join("client"),
                "remote_server": {"url": format!("https://127.0.0.1:{port}"), "root_ca": "ca.crt"},
            }),
        )?;
        let mut signer = Self::daemon("notary-signer", dir, "signer")?;
        signer.ready(|| TcpStream::connect(("127.0.0.1", signer_port)).is_ok())?;
        let mut server = Self::daemon("notary-server", dir, "server")?;
        server.ready(|| TcpStream::connect(("127.0.0.1", port)).is_ok())?;
        Ok(Self {
            dir: dir.to_owned(),
            port,
            server: Some(server),
            signer: Some(signer),
            signers: BTreeMap::new(),
            login: None,
        })
    }

    fn daemon(program: &str, dir: &Path, name: &str) -> Result<Daemon> {
        let mut command = Command::new(program);
        command
            .arg(format!(
                "-config={}",
                dir.join(name).with_extension("json").display()
            ))
            .arg("-logf=logfmt");
        Daemon::start(program, &command, &dir.join(name).with_extension("log"))
    }

    /// The loopback port of the server.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The certificate authority of the server, PEM.
    pub fn ca(&self) -> PathBuf {
        self.dir.join("ca.crt")
    }

    /// What a front before the server shows and believes.
    pub fn front_tls(&self) -> Tls {
        Tls {
            certificate: self.dir.join("server.crt"),
            key: self.dir.join("server.key"),
            ca: Some(self.ca()),
        }
    }

    /// Stops both for good.
    pub fn stop(&mut self) -> Result<()> {
        for mut daemon in [self.server.take(), self.signer.take()]
            .into_iter()
            .flatten()
        {
            daemon.kill()?;
        }
        Ok(())
    }

    fn client(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("notary");
        command.arg("-c").arg(self.dir.join("client.json"));
        command.args(arguments);
        for name in PASSPHRASES {
            command.env(name, "passphrase");
        }
        if let Some(login) = self.login {
            command.env("NOTARY_AUTH", STANDARD.encode(login));
        }
        run(&mut command)
    }

    /// Makes the collection `gun` with the delegations `targets/releases` and `targets/<signer>`, both held by the signer.
    pub fn init(&mut self, gun: &str, signer: &str) -> Result<()> {
        self.client(&["init", gun])?;
        self.delegate(gun, RELEASES, signer)?;
        self.delegate(gun, &format!("targets/{signer}"), signer)?;
        self.client(&["publish", gun])?;
        Ok(())
    }

    /// Adds a delegation, staged until the next publish. Makes the signer's key if there is none.
    pub fn delegate(&mut self, gun: &str, role: &str, signer: &str) -> Result<()> {
        let key = self.signer_key(signer)?;
        let certificate = key.with_extension("crt");
        let certificate = certificate.to_string_lossy();
        self.client(&["delegation", "add", gun, role, &certificate, "--all-paths"])?;
        Ok(())
    }

    fn signer_key(&mut self, signer: &str) -> Result<PathBuf> {
        if let Some(key) = self.signers.get(signer) {
            return Ok(key.clone());
        }
        let key = self.dir.join(format!("signer-{signer}.key"));
        tls::signer(&key, signer)?;
        let path = key.to_string_lossy();
        self.client(&["key", "import", &path, "--role", signer])?;
        self.signers.insert(signer.to_owned(), key.clone());
        Ok(key)
    }

    /// Signs `tag` of `gun` as the digest and size of `image`, in the releases and in the signer's own delegation.
    pub fn sign(&self, gun: &str, tag: &str, image: &Image, signer: &str) -> Result<()> {
        let own = format!("targets/{signer}");
        self.sign_in(gun, tag, image, &[RELEASES, &own])
    }

    /// Signs `tag` in the given roles alone.
    pub fn sign_in(&self, gun: &str, tag: &str, image: &Image, roles: &[&str]) -> Result<()> {
        self.sign_target(gun, tag, image.size(), image.digest(), roles)
    }

    /// As [`Notary::sign`], for a manifest given by its bytes.
    pub fn sign_bytes(&self, gun: &str, tag: &str, manifest: &[u8], signer: &str) -> Result<()> {
        let own = format!("targets/{signer}");
        self.sign_target(
            gun,
            tag,
            manifest.len(),
            &digest(manifest),
            &[RELEASES, &own],
        )
    }

    fn sign_target(
        &self,
        gun: &str,
        tag: &str,
        size: usize,
        digest: &str,
        roles: &[&str],
    ) -> Result<()> {
        let size = size.to_string();
        let hex = digest.trim_start_matches("sha256:");
        for role in roles {
            self.client(&["addhash", gun, tag, &size, "--sha256", hex, "-r", role])?;
        }
        self.client(&["publish", gun])?;
        Ok(())
    }

    /// The signer's certificate, PEM: what a policy names as its public key.
    pub fn certificate(&self, signer: &str) -> Result<String> {
        let path = self.dir.join(format!("signer-{signer}.crt"));
        fs::read_to_string(&path).with_context(|| format!("no signer {signer}"))
    }

    /// The signer's public key, PEM.
    pub fn public_key(&self, signer: &str) -> Result<String> {
        tls::public_key(&self.dir.join(format!("signer-{signer}.key")))
    }

    /// What the client has fetched of `gun`: role and file.
    pub fn published(&self, gun: &str) -> Result<BTreeMap<String, Vec<u8>>> {
        self.client(&["list", gun])?;
        let dir = self.dir.join("client/tuf").join(gun).join("metadata");
        let mut files = BTreeMap::new();
        for role in [
            "root",
            "timestamp",
            "snapshot",
            "targets",
            "targets/releases",
        ] {
            let path = dir.join(format!("{role}.json"));
            let bytes = fs::read(&path).with_context(|| format!("no {role} of {gun}"))?;
            files.insert(role.to_owned(), bytes);
        }
        Ok(files)
    }

    /// TUF key id of the root key of `gun`: what a node pins.
    pub fn pin(&self, gun: &str) -> Result<String> {
        let path = self
            .dir
            .join("client/tuf")
            .join(gun)
            .join("metadata/root.json");
        let text = fs::read(&path).with_context(|| format!("no root of {gun}"))?;
        let root: Value = serde_json::from_slice(&text)?;
        let id = root
            .pointer("/signed/roles/root/keyids/0")
            .and_then(Value::as_str);
        Ok(id.context("a root without a key")?.to_owned())
    }
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    Ok(fs::write(path, serde_json::to_vec_pretty(value)?)?)
}
