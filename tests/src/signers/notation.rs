//! notation with self-signed certificates of its own making.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Subject, peer};
use crate::daemon::run;

/// How a signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Envelope {
    /// JWS.
    Jws,
    /// COSE.
    Cose,
}

impl Envelope {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Jws, Self::Cose];
}

/// The tool with its keys.
#[derive(Debug)]
pub struct Notation {
    program: PathBuf,
    dir: PathBuf,
}

impl Notation {
    /// Whether there is one; the reason, if not.
    pub fn find() -> Result<PathBuf, String> {
        peer("notation")
    }

    /// The tool at `program`, whose keys lie in `dir`.
    pub fn new(program: PathBuf, dir: &Path) -> Self {
        Self {
            program,
            dir: dir.to_owned(),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments);
        command.env("HOME", &self.dir);
        command.env("XDG_CONFIG_HOME", self.dir.join("config"));
        command.env("XDG_CACHE_HOME", self.dir.join("cache"));
        command
    }

    /// Makes a key with a self-signed certificate (RSA 2048).
    pub fn key(&self, name: &str) -> Result<()> {
        run(&mut self.command(&["cert", "generate-test", name]))?;
        Ok(())
    }

    /// Takes over a key with its certificate chain, PEM, leaf first.
    pub fn import(&self, name: &str, key: &Path, chain: &Path) -> Result<()> {
        let dir = self.dir.join("config/notation");
        fs::create_dir_all(&dir)?;
        let list = dir.join("signingkeys.json");
        let mut keys: Value = match fs::read(&list) {
            Ok(bytes) => serde_json::from_slice(&bytes)?,
            Err(_) => json!({"keys": []}),
        };
        let all = keys["keys"].as_array_mut().context("no list of keys")?;
        all.push(json!({"name": name, "keyPath": key, "certPath": chain}));
        fs::write(&list, keys.to_string())?;
        fs::set_permissions(&list, fs::Permissions::from_mode(0o600))?;
        Ok(())
    }

    /// Its certificate, PEM.
    pub fn certificate(&self, name: &str) -> Result<String> {
        let path = self.dir.join("config/notation/localkeys");
        fs::read_to_string(path.join(format!("{name}.crt")))
            .with_context(|| format!("no certificate of {name}"))
    }

    /// Signs; `more` are further arguments such as `--expiry`.
    pub fn sign(
        &self,
        key: &str,
        envelope: Envelope,
        subject: Subject<'_>,
        more: &[&str],
    ) -> Result<()> {
        let format = match envelope {
            Envelope::Jws => "jws",
            Envelope::Cose => "cose",
        };
        let mut command = self.command(&[
            "sign",
            "--insecure-registry",
            "--signature-format",
            format,
            "--key",
            key,
        ]);
        command.args(more);
        run(command.arg(subject.reference()))?;
        Ok(())
    }
}
