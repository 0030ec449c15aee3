//! config.yaml: strict, every key with a default (docs/configuration.md).
//!
//! This module only reads and checks the node's configuration. It must never touch the policy, and no secret stands
//! in it: credentials are named by the files that hold them.

mod duration;
mod error;
mod field;
mod load;
mod notary;
mod snapshotters;

use std::path::{Path, PathBuf};
use std::time::Duration;

use portcullis_policy::load::LoadOptions;
use portcullis_policy::model::Mode;
use serde::Deserialize;

use crate::registry::RegistryConfig;

pub use error::ConfigError;
pub use load::{DEFAULT_PATH, load, load_unowned, parse};
pub use notary::NotaryEntry;
pub use snapshotters::LazySnapshotters;

/// The node's configuration. [`Config::default`] is what an absent file means.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Config {
    /// What rules without a mode of their own mean; `audit` covers "no rule" too (docs/rules.md rule 4).
    pub mode: Mode,
    /// The socket the kubelet is pointed at. Ignored under socket activation.
    #[serde(deserialize_with = "field::absolute_path")]
    pub listen: PathBuf,
    /// containerd's socket.
    #[serde(deserialize_with = "field::absolute_path")]
    pub upstream: PathBuf,
    /// Directory with the policy documents.
    #[serde(deserialize_with = "field::absolute_path")]
    pub policy_dir: PathBuf,
    /// Directory of the evidence store.
    #[serde(deserialize_with = "field::absolute_path")]
    pub state_dir: PathBuf,
    /// Socket of the commands that ask the daemon; root only.
    #[serde(deserialize_with = "field::absolute_path")]
    pub admin_socket: PathBuf,
    /// All outside work of one gated call, between 100 ms and 2 min (kubelet's own `runtimeRequestTimeout`).
    #[serde(deserialize_with = "field::budget")]
    pub budget: Duration,
    /// How registries are reached.
    pub registry: RegistryConfig,
    /// Trust servers, which Portieris documents cannot describe; the first match wins.
    pub notary: Vec<NotaryEntry>,
    /// What becomes of containers that were not judged here.
    pub foreign_containers: ForeignContainers,
    /// Snapshotters that do not check diff IDs on use (docs/rules.md).
    pub lazy_snapshotters: LazySnapshotters,
    /// Form of the log; `None`: human on a terminal, else JSON.
    pub log_format: Option<LogFormat>,
}

/// What becomes of a running container that the gate did not judge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ForeignContainers {
    /// It is logged and counted.
    #[default]
    Report,
    /// It is stopped.
    Kill,
    /// Nothing.
    Ignore,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line for a person.
    Human,
    /// One JSON object per line.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            mode: Mode::Enforce,
            listen: "/run/portcullis/cri.sock".into(),
            upstream: "/run/containerd/containerd.sock".into(),
            policy_dir: "/etc/portcullis/policy.d".into(),
            state_dir: "/var/lib/portcullis".into(),
            admin_socket: "/run/portcullis/admin.sock".into(),
            budget: Duration::from_secs(20),
            registry: RegistryConfig::default(),
            notary: Vec::new(),
            foreign_containers: ForeignContainers::default(),
            lazy_snapshotters: LazySnapshotters::default(),
            log_format: None,
        }
    }
}

impl Config {
    /// What this configuration adds to the policy documents.
    pub fn load_options(&self) -> LoadOptions {
        LoadOptions {
            notary: self
                .notary
                .iter()
                .map(|entry| (entry.pattern.clone(), entry.server()))
                .collect(),
        }
    }
}

/// bootstrap.yaml stands beside the configuration file, so that a private configuration brings its own.
pub fn bootstrap_path(config: &Path) -> PathBuf {
    config.with_file_name("bootstrap.yaml")
}

#[cfg(test)]
mod tests;
