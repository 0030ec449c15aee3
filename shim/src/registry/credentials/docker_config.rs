//! docker's `config.json`: the `auths` in it. Credential helpers (`credHelpers`, `credsStore`) are programs of the
//! user's session and are not run; that they are there is logged.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::super::auth::Auth;
use super::super::files::{self, Trace};
use super::image_match::ImageMatch;

/// The entries, most specific key first.
#[derive(Debug, Default)]
pub(crate) struct DockerConfig(Vec<(ImageMatch, Auth)>);

#[derive(Default, Deserialize)]
struct File {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default, rename = "credHelpers")]
    cred_helpers: BTreeMap<String, String>,
    #[serde(default, rename = "credsStore")]
    creds_store: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

impl DockerConfig {
    /// Reads the file. One that is missing or broken has no entries; the latter is logged.
    pub(crate) fn read(path: &Path, trace: &mut Trace) -> Self {
        trace.note(path);
        let warn = |reason: &str| {
            tracing::warn!(path = %path.display(), reason, "docker config file");
        };
        let text = match files::read_text(path) {
            Ok(Some(text)) => text,
            Ok(None) => return Self::default(),
            Err(error) => {
                warn(&error.to_string());
                return Self::default();
            }
        };
        // The error's text would quote the file.
        let Ok(file) = serde_json::from_str::<File>(&text) else {
            warn("it is not the JSON of a docker config file");
            return Self::default();
        };
        if !file.cred_helpers.is_empty() || !file.creds_store.is_empty() {
            warn(
                "its credential helpers are not run: use `auths` or a kubelet credential provider",
            );
        }
        let mut entries: Vec<(ImageMatch, Auth)> = Vec::new();
        for (key, entry) in file.auths {
            let Some(image_match) = ImageMatch::parse(&key) else {
                continue;
            };
            match entry.auth() {
                Ok(Auth::Anonymous) => {}
                Ok(auth) => entries.push((image_match.without_api_version(), auth)),
                Err(reason) => warn(reason),
            }
        }
        entries.sort_by_key(|(key, _)| std::cmp::Reverse(key.rank()));
        Self(entries)
    }

    /// The credentials of the most specific key for `repository` (`host[:port]/path`).
    pub(crate) fn find(&self, repository: &str) -> Option<Auth> {
        let mut names = vec![repository.to_owned()];
        if let Some(path) = repository.strip_prefix("docker.io/") {
            // The names docker itself has used for its hub.
            names.push(format!("index.docker.io/{path}"));
            names.push(format!("registry-1.docker.io/{path}"));
        }
        self.0
            .iter()
            .find(|(key, _)| names.iter().any(|name| key.matches(name)))
            .map(|(_, auth)| auth.clone())
    }
}

impl Entry {
    fn auth(&self) -> Result<Auth, &'static str> {
        if !self.identitytoken.is_empty() {
            return Ok(Auth::IdentityToken(self.identitytoken.clone()));
        }
        if !self.registrytoken.is_empty() {
            return Ok(Auth::RegistryToken(self.registrytoken.clone()));
        }
        if !self.username.is_empty() {
            return Ok(Auth::Basic {
                username: self.username.clone(),
                password: self.password.clone(),
            });
        }
        if self.auth.is_empty() {
            return Ok(Auth::Anonymous);
        }
        Auth::from_encoded(&self.auth).map_err(|_| "an `auth` in it is not base64 of user:password")
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn read(text: &str) -> DockerConfig {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        std::fs::write(&path, text).unwrap();
        DockerConfig::read(&path, &mut Trace::default())
    }

    fn user(config: &DockerConfig, repository: &str) -> Option<String> {
        match config.find(repository)? {
            Auth::Basic { username, .. } => Some(username),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_longest_key_wins_and_docker_hub_has_many_names() {
        let config = read(
            r#"{"auths": {
                "r.example": {"username": "host", "password": "p"},
                "https://r.example/team": {"username": "team", "password": "p"},
                "*.example": {"username": "any", "password": "p"},
                "https://index.docker.io/v1/": {"username": "hub", "password": "p"},
                "empty.example": {}
            }}"#,
        );
        for (repository, wanted) in [
            ("r.example/app", Some("host")),
            ("r.example/team/app", Some("team")),
            ("s.example/app", Some("any")),
            ("docker.io/library/nginx", Some("hub")),
            ("empty.example.org/x", None),
            ("quay.io/x", None),
        ] {
            assert_eq!(user(&config, repository).as_deref(), wanted, "{repository}");
        }
    }

    #[test]
    fn encoded_pairs_and_identity_tokens_are_read() {
        let encoded = STANDARD.encode("u:p");
        let config = read(&format!(
            r#"{{"auths": {{"a.io": {{"auth": "{encoded}"}}, "b.io": {{"auth": "{encoded}", "identitytoken": "t"}}}}}}"#
        ));
        assert_eq!(user(&config, "a.io/x").as_deref(), Some("u"));
        assert_eq!(config.find("b.io/x"), Some(Auth::IdentityToken("t".into())));
    }

    #[test]
    fn a_broken_file_has_no_entries() {
        assert!(read("{").find("a.io/x").is_none());
        assert!(
            read(r#"{"auths": {"a.io": {"auth": "%%"}}}"#)
                .find("a.io/x")
                .is_none()
        );
    }
}
