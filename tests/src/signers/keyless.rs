//! cosign with certificates for minutes, as Fulcio gives them: an authority and a timestamp authority of the tests' own, and
//! no log.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use serde_json::Value;

use super::{Cosign, Subject};
use crate::daemon::run;
use crate::pki::{Pki, Profile};
use crate::tsa::Tsa;

/// Longer than a test, and much shorter than what the tests let pass.
const DAYS: u32 = 1;

/// The authority with the tool.
#[derive(Debug)]
pub struct Keyless {
    cosign: Cosign,
    pki: Pki,
    stamps: Tsa,
    dir: PathBuf,
}

impl Keyless {
    /// One in `dir`; `program` is cosign.
    pub fn new(program: PathBuf, dir: &Path) -> Result<Self> {
        let cosign = Cosign::new(program, dir)?;
        let pki = Pki::new(dir);
        pki.root("fulcio-root")?;
        pki.issue("fulcio", "fulcio-root", Profile::Intermediate, 3000)?;
        let stamps = dir.join("stamps");
        std::fs::create_dir(&stamps)?;
        let stamps = Tsa::start(&stamps)?;
        let services = format!(
            "url={},api-version=1,start-time=2020-01-01T00:00:00Z,operator=test",
            stamps.url()
        );
        run(cosign.command("signing-config").args([
            "create",
            "--tsa",
            &services,
            "--tsa-config",
            "EXACT:1",
            "--out",
            "stamped.json",
        ]))?;
        let authority = format!(
            "url=https://fulcio.example.com,certificate-chain={}",
            pki.file("fulcio", "chain").display()
        );
        let clock = format!(
            "url={},certificate-chain={}",
            stamps.url(),
            stamps.chain().display()
        );
        run(cosign.command("trusted-root").args([
            "create",
            "--fulcio",
            &authority,
            "--tsa",
            &clock,
            "--out",
            "trusted_root.json",
        ]))?;
        Ok(Self {
            cosign,
            pki,
            stamps,
            dir: dir.to_owned(),
        })
    }

    /// `trusted_root.json`.
    pub fn trusted_root(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.dir.join("trusted_root.json"))?)
    }

    /// Certifies `identity` by the word of `issuer` under a name of the test's.
    pub fn certify(&self, name: &str, identity: &str, issuer: &str) -> Result<()> {
        let profile = Profile::Keyless { identity, issuer };
        self.pki.issue(name, "fulcio", profile, DAYS)?;
        self.cosign.import(name, &self.pki.file(name, "key"))
    }

    /// Signs with what was certified under `name`, and has the signature stamped.
    pub fn sign(&self, name: &str, subject: Subject<'_>) -> Result<()> {
        self.sign_with(name, subject, "stamped.json")
    }

    /// Signs without a timestamp.
    pub fn sign_unstamped(&self, name: &str, subject: Subject<'_>) -> Result<()> {
        self.sign_with(name, subject, "services.json")
    }

    /// Attests and has the attestation stamped: `kind` is what `--type` takes.
    pub fn attest(
        &self,
        name: &str,
        subject: Subject<'_>,
        kind: &str,
        predicate: &Value,
    ) -> Result<()> {
        let path = self.dir.join("predicate.json");
        std::fs::write(&path, predicate.to_string())?;
        let mut command = self.command("attest", name, "stamped.json");
        command.args(["--type", kind, "--predicate"]).arg(path);
        run(command.arg(subject.reference()))?;
        Ok(())
    }

    fn sign_with(&self, name: &str, subject: Subject<'_>, services: &str) -> Result<()> {
        run(self
            .command("sign", name, services)
            .arg(subject.reference()))?;
        Ok(())
    }

    fn command(&self, subcommand: &str, name: &str, services: &str) -> Command {
        let mut command = self.cosign.command(subcommand);
        let key = format!("{name}-cosign.key");
        command.args(["-y", "--key", &key, "--signing-config", services]);
        command.args(["--trusted-root", "trusted_root.json"]);
        command
            .arg("--certificate")
            .arg(self.pki.file(name, "crt"))
            .arg("--certificate-chain")
            .arg(self.pki.file("fulcio", "chain"));
        command
    }

    /// How often a timestamp was asked for.
    pub fn stamped(&self) -> usize {
        self.stamps.asked()
    }
}
