//! cosign with plain keys and no services: no log, no timestamp, no network but the registry.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{Subject, peer};
use crate::daemon::run;

/// How a signature is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A Sigstore bundle, as a referrer.
    Bundle,
    /// The tag `sha256-<hex>.sig` or `.att`.
    Legacy,
}

impl Format {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Bundle, Self::Legacy];
}

/// The tool with its keys.
#[derive(Debug)]
pub struct Cosign {
    program: PathBuf,
    dir: PathBuf,
}

impl Cosign {
    /// Whether there is one; the reason, if not.
    pub fn find() -> Result<PathBuf, String> {
        peer("cosign")
    }

    /// The tool at `program`, whose keys lie in `dir`.
    pub fn new(program: PathBuf, dir: &Path) -> Result<Self> {
        let cosign = Self {
            program,
            dir: dir.to_owned(),
        };
        run(cosign
            .command("signing-config")
            .args(["create", "--out", "services.json"]))?;
        Ok(cosign)
    }

    pub(super) fn command(&self, subcommand: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(subcommand).current_dir(&self.dir);
        command.env("HOME", &self.dir).env("COSIGN_PASSWORD", "");
        // What cosign would fetch from the world: nothing answers there, and no proxy is asked.
        command.env("TUF_MIRROR", "http://127.0.0.1:9");
        command
    }

    /// Makes a key pair (ECDSA P-256).
    pub fn key(&self, name: &str) -> Result<()> {
        run(self
            .command("generate-key-pair")
            .args(["--output-key-prefix", name]))?;
        Ok(())
    }

    /// Takes over a key that was made otherwise, as `NAME-cosign`.
    pub fn import(&self, name: &str, key: &Path) -> Result<()> {
        let mut command = self.command("import-key-pair");
        command.arg("--key").arg(key);
        run(command.args(["--output-key-prefix", &format!("{name}-cosign")]))?;
        Ok(())
    }

    /// The public key, PEM.
    pub fn public_key(&self, name: &str) -> Result<String> {
        let path = self.dir.join(format!("{name}.pub"));
        fs::read_to_string(&path).with_context(|| format!("no key {name}"))
    }

    fn signs(&self, subcommand: &str, key: &str, format: Format) -> Command {
        let mut command = self.command(subcommand);
        command.args(["-y", "--key", &format!("{key}.key")]);
        match format {
            Format::Bundle => command.args(["--signing-config", "services.json"]),
            Format::Legacy => command.args([
                "--new-bundle-format=false",
                "--use-signing-config=false",
                "--tlog-upload=false",
            ]),
        };
        command
    }

    /// Signs, with signed annotations.
    pub fn sign(
        &self,
        key: &str,
        format: Format,
        subject: Subject<'_>,
        annotations: &[(&str, &str)],
    ) -> Result<()> {
        let mut command = self.signs("sign", key, format);
        for (name, value) in annotations {
            command.arg("-a").arg(format!("{name}={value}"));
        }
        run(command.arg(subject.reference()))?;
        Ok(())
    }

    /// Attests: `kind` is what `--type` takes.
    pub fn attest(
        &self,
        key: &str,
        format: Format,
        subject: Subject<'_>,
        kind: &str,
        predicate: &Value,
    ) -> Result<()> {
        let path = self.dir.join("predicate.json");
        fs::write(&path, serde_json::to_vec(predicate)?)?;
        let mut command = self.signs("attest", key, format);
        command.args(["--type", kind, "--predicate"]).arg(&path);
        run(command.arg(subject.reference()))?;
        Ok(())
    }
}
