//! `registry:`: where containerd's own registry configuration is, and the node's credentials.

use std::path::PathBuf;

use serde::Deserialize;

use super::field;

/// How registries are reached: exactly as containerd reaches them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct RegistryConfig {
    /// Directory with `<host>/hosts.toml`.
    #[serde(deserialize_with = "field::absolute_path")]
    pub certs_dir: PathBuf,
    /// containerd's own configuration: older mirrors and the sandbox image are read from it.
    #[serde(deserialize_with = "field::absolute_path")]
    pub containerd_config: PathBuf,
    /// Credentials for calls that bring none.
    pub credentials: CredentialsConfig,
}

/// Where the node's credentials are. The files are re-read when they rotate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct CredentialsConfig {
    /// A docker `config.json`.
    #[serde(deserialize_with = "field::optional_path")]
    pub docker_config: Option<PathBuf>,
    /// Kubelet credential providers.
    pub credential_providers: Option<CredentialProvidersConfig>,
}

/// Kubelet's own pair of flags.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CredentialProvidersConfig {
    /// `--image-credential-provider-config`.
    #[serde(deserialize_with = "field::absolute_path")]
    pub config: PathBuf,
    /// `--image-credential-provider-bin-dir`.
    #[serde(deserialize_with = "field::absolute_path")]
    pub bin_dir: PathBuf,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self {
            certs_dir: "/etc/containerd/certs.d".into(),
            containerd_config: "/etc/containerd/config.toml".into(),
            credentials: CredentialsConfig::default(),
        }
    }
}
