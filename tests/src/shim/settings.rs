//! config.yaml and bootstrap.yaml of the daemon under test.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::policy::NotaryServer;

/// What config.yaml says.
#[derive(Debug, Clone)]
pub struct Settings {
    /// containerd's socket, or that of a tap before it.
    pub upstream: PathBuf,
    /// Where the gate finds registries; containerd has its own directory.
    pub certs_dir: PathBuf,
    /// containerd's configuration, for the sandbox image.
    pub containerd_config: PathBuf,
    /// `registry.credentials.dockerConfig`.
    pub docker_config: Option<PathBuf>,
    /// `registry.credentials.credentialProviders`: configuration and directory of the programs.
    pub providers: Option<(PathBuf, PathBuf)>,
    /// Notary servers.
    pub notary: Vec<NotaryServer>,
    /// `mode`: enforce or audit.
    pub mode: &'static str,
    /// `budget`, such as `5s`.
    pub budget: &'static str,
    /// `NAME@DIGEST` of the bootstrap list, allowed in every namespace.
    pub bootstrap: Vec<String>,
}

impl Settings {
    /// config.yaml of a daemon that keeps everything in `dir`.
    pub(super) fn config(&self, dir: &Path) -> String {
        let dir = dir.display();
        let mut text = format!(
            "mode: {}\nlisten: {dir}/cri.sock\nupstream: {}\npolicyDir: {dir}/policy.d\nstateDir: {dir}/state\nadminSocket: {dir}/admin.sock\nbudget: {}\nregistry:\n  certsDir: {}\n  containerdConfig: {}\n",
            self.mode,
            self.upstream.display(),
            self.budget,
            self.certs_dir.display(),
            self.containerd_config.display(),
        );
        if self.docker_config.is_some() || self.providers.is_some() {
            text.push_str("  credentials:\n");
        }
        if let Some(path) = &self.docker_config {
            let _ = writeln!(text, "    dockerConfig: {}", path.display());
        }
        if let Some((config, programs)) = &self.providers {
            let (config, programs) = (config.display(), programs.display());
            let _ = writeln!(
                text,
                "    credentialProviders: {{config: {config}, binDir: {programs}}}"
            );
        }
        if !self.notary.is_empty() {
            text.push_str("notary:\n");
        }
        for server in &self.notary {
            text.push_str(&server.yaml());
        }
        text
    }

    /// bootstrap.yaml.
    pub(super) fn bootstrap(&self) -> String {
        if self.bootstrap.is_empty() {
            return "images: []\n".to_owned();
        }
        let mut text = "images:\n".to_owned();
        for image in &self.bootstrap {
            let _ = writeln!(text, "- {{image: \"{image}\", namespaces: [\"*\"]}}");
        }
        text
    }
}
