//! GnuPG keys, with signatures as skopeo writes them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::daemon::run;

/// A keyring.
#[derive(Debug)]
pub struct OpenPgp {
    dir: PathBuf,
}

impl OpenPgp {
    /// One in `dir`, which must be short: the agent's socket lies in it.
    pub fn new(dir: &Path) -> Result<Self> {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
        Ok(Self {
            dir: dir.to_owned(),
        })
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments);
        command.env("GNUPGHOME", &self.dir).env("HOME", &self.dir);
        command
    }

    /// Makes a key; `algorithm` is what `--quick-gen-key` takes, such as `rsa3072`.
    pub fn key(&self, user: &str, algorithm: &str) -> Result<()> {
        let mut arguments = vec!["--batch", "--passphrase", "", "--quick-gen-key"];
        arguments.extend([user, algorithm, "sign", "never"]);
        run(&mut self.command("gpg", &arguments))?;
        Ok(())
    }

    /// The armoured public key.
    pub fn public_key(&self, user: &str) -> Result<String> {
        run(&mut self.command("gpg", &["--batch", "--export", "--armor", user]))
    }

    fn fingerprint(&self, user: &str) -> Result<String> {
        let listing = run(&mut self.command("gpg", &["--list-keys", "--with-colons", user]))?;
        let line = listing.lines().find(|line| line.starts_with("fpr:"));
        let fingerprint = line.and_then(|line| line.split(':').nth(9));
        Ok(fingerprint
            .context("a key without a fingerprint")?
            .to_owned())
    }

    /// A signature that says that `reference` is the manifest.
    pub fn sign(&self, user: &str, reference: &str, manifest: &[u8]) -> Result<Vec<u8>> {
        let (from, to) = (self.dir.join("manifest"), self.dir.join("signature"));
        fs::write(&from, manifest)?;
        let mut command = self.command("skopeo", &["standalone-sign"]);
        command
            .arg(&from)
            .args([reference, &self.fingerprint(user)?]);
        run(command.arg("--output").arg(&to))?;
        Ok(fs::read(&to)?)
    }
}

impl Drop for OpenPgp {
    fn drop(&mut self) {
        // The agent that gpg started is this keyring's alone.
        let mut command = self.command("gpgconf", &["--kill", "gpg-agent"]);
        let _ = command.stdin(Stdio::null()).output();
    }
}
