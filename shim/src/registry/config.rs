//! The part of config.yaml that says where containerd's registry configuration and the node's credentials are
//! (docs/configuration.md, key `registry`).

use std::path::PathBuf;

use serde::Deserialize;

/// `registry:` of config.yaml. Every key has a default; unknown keys are errors.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RegistryConfig {
    /// Directory with `<host>/hosts.toml`. Used where containerd's own configuration neither names a `config_path`
    /// nor holds mirrors of the older generation.
    pub certs_dir: PathBuf,
    /// containerd's configuration file; missing is the same as empty.
    pub containerd_config: PathBuf,
    /// The node's own credentials, for calls that bring none.
    pub credentials: CredentialsConfig,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self {
            certs_dir: PathBuf::from("/etc/containerd/certs.d"),
            containerd_config: PathBuf::from("/etc/containerd/config.toml"),
            credentials: CredentialsConfig::default(),
        }
    }
}

/// `registry.credentials:` of config.yaml.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CredentialsConfig {
    /// A docker `config.json`. Its `auths` are used; credential helpers are not run.
    pub docker_config: Option<PathBuf>,
    /// The kubelet's credential provider plugins.
    pub credential_providers: Option<CredentialProvidersConfig>,
}

/// `registry.credentials.credentialProviders:` of config.yaml: the two flags of the kubelet.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CredentialProvidersConfig {
    /// `--image-credential-provider-config`: a `CredentialProviderConfig`.
    pub config: PathBuf,
    /// `--image-credential-provider-bin-dir`.
    pub bin_dir: PathBuf,
}

/// A key of [`RegistryConfig`] that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryConfigError {
    /// A path is relative: it would depend on the directory the daemon was started in.
    #[error("`{key}` is `{path}`: give an absolute path")]
    RelativePath {
        /// Key in config.yaml.
        key: &'static str,
        /// Its value.
        path: PathBuf,
    },
}

impl RegistryConfig {
    /// Checks what the types cannot say.
    pub(crate) fn check(&self) -> Result<(), RegistryConfigError> {
        let providers = self.credentials.credential_providers.as_ref();
        let paths = [
            ("registry.certsDir", Some(&self.certs_dir)),
            ("registry.containerdConfig", Some(&self.containerd_config)),
            (
                "registry.credentials.dockerConfig",
                self.credentials.docker_config.as_ref(),
            ),
            (
                "registry.credentials.credentialProviders.config",
                providers.map(|providers| &providers.config),
            ),
            (
                "registry.credentials.credentialProviders.binDir",
                providers.map(|providers| &providers.bin_dir),
            ),
        ];
        for (key, path) in paths {
            if let Some(path) = path.filter(|path| !path.is_absolute()) {
                return Err(RegistryConfigError::RelativePath {
                    key,
                    path: path.clone(),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_is_read_as_written() {
        let config: RegistryConfig = serde_yaml::from_str(
            "certsDir: /c\ncontainerdConfig: /d.toml\ncredentials: {dockerConfig: /k/config.json, \
             credentialProviders: {config: /p.yaml, binDir: /bin}}",
        )
        .unwrap();
        assert_eq!(config.certs_dir, PathBuf::from("/c"));
        assert_eq!(
            config.credentials.credential_providers.unwrap().bin_dir,
            PathBuf::from("/bin")
        );
    }

    #[test]
    fn a_misspelt_key_is_an_error() {
        for text in ["certDir: /c", "credentials: {dockerconfig: /c}"] {
            assert!(
                serde_yaml::from_str::<RegistryConfig>(text).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn a_relative_path_is_named_with_its_key() {
        let config = RegistryConfig {
            certs_dir: PathBuf::from("certs.d"),
            ..RegistryConfig::default()
        };
        let message = config.check().unwrap_err().to_string();
        assert!(message.contains("registry.certsDir"), "{message}");
    }
}
