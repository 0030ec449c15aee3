//! The kubelet's `CredentialProviderConfig` file: which plugins there are, and for which images.

use std::path::Path;

use serde::Deserialize;

use super::super::files::{self, Trace};
use super::image_match::ImageMatch;

const API_GROUP: &str = "credentialprovider.kubelet.k8s.io/";

/// One entry of the configuration. Fields that are not known are those of newer kubelets.
///
/// Not `Debug`: its environment and arguments may hold secrets.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Provider {
    pub name: String,
    #[serde(default)]
    pub match_images: Vec<String>,
    #[serde(default)]
    pub default_cache_duration: String,
    pub api_version: String,
    #[serde(default)]
    pub args: Vec<String>,
    #[serde(default)]
    pub env: Vec<EnvVar>,
    #[serde(default)]
    pub token_attributes: Option<TokenAttributes>,
}

#[derive(Clone, Deserialize)]
pub(super) struct EnvVar {
    pub name: String,
    #[serde(default)]
    pub value: String,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TokenAttributes {
    #[serde(default)]
    pub require_service_account: bool,
}

#[derive(Deserialize)]
struct File {
    kind: String,
    #[serde(default)]
    providers: Vec<Provider>,
}

/// Reads the file. One that is missing or broken has no plugins; the latter is logged.
pub(super) fn read(path: &Path, trace: &mut Trace) -> Vec<Provider> {
    trace.note(path);
    let warn = |reason: &str| {
        tracing::warn!(path = %path.display(), reason, "credential provider configuration");
        Vec::new()
    };
    let text = match files::read_text(path) {
        Ok(text) => text.unwrap_or_default(),
        Err(error) => return warn(&error.to_string()),
    };
    // The error's text would quote the file.
    let Ok(file) = serde_yaml::from_str::<File>(&text) else {
        return warn("it is not the YAML of a CredentialProviderConfig");
    };
    if file.kind != "CredentialProviderConfig" {
        return warn("its kind is not CredentialProviderConfig");
    }
    let (usable, refused): (Vec<_>, Vec<_>) =
        file.providers.into_iter().partition(Provider::is_usable);
    for provider in refused {
        tracing::warn!(
            provider = provider.name,
            "credential provider is not used: its name is no file name, its apiVersion is unknown, or it requires a \
             service account, which only the kubelet has"
        );
    }
    usable
}

impl Provider {
    fn is_usable(&self) -> bool {
        let is_file_name = !self.name.is_empty()
            && self.name != "."
            && self.name != ".."
            && !self.name.contains(['/', ' ', '\0']);
        let needs_account = self
            .token_attributes
            .as_ref()
            .is_some_and(|attributes| attributes.require_service_account);
        is_file_name && !needs_account && self.api_version.starts_with(API_GROUP)
    }

    /// Whether the plugin is to be asked for `repository`.
    pub(super) fn is_for(&self, repository: &str) -> bool {
        self.match_images
            .iter()
            .filter_map(|key| ImageMatch::parse(key))
            .any(|key| key.matches(repository))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_the_directory_and_plugins_that_need_an_account_are_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.yaml");
        let entry = |name: &str, extra: &str| {
            format!("- {{name: {name}, apiVersion: credentialprovider.kubelet.k8s.io/v1{extra}}}\n")
        };
        let text = format!(
            "kind: CredentialProviderConfig\nproviders:\n{}{}{}{}",
            entry("../sh", ""),
            entry("'..'", ""),
            entry("sa", ", tokenAttributes: {requireServiceAccount: true}"),
            entry("good", ", tokenAttributes: {requireServiceAccount: false}"),
        );
        std::fs::write(&path, text).unwrap();
        let names: Vec<String> = read(&path, &mut Trace::default())
            .into_iter()
            .map(|provider| provider.name)
            .collect();
        assert_eq!(names, ["good"]);
    }
}
