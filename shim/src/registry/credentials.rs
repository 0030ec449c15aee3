//! The node's own credentials, for calls that bring none: a docker config file, then the kubelet's credential
//! provider plugins. Read again when they rotate; kept in memory only.

mod docker_config;
mod exec;
mod image_match;
mod provider;
mod provider_config;

use std::sync::{Mutex, PoisonError};

use portcullis_policy::ImageReference;
use tokio::time::Instant;

use super::auth::Auth;
use super::config::CredentialsConfig;
use super::files::Snapshot;
use docker_config::DockerConfig;
use provider::Providers;

/// Where the node's credentials come from.
#[derive(Debug)]
pub(crate) struct NodeCredentials {
    config: CredentialsConfig,
    docker: Mutex<Option<Snapshot<DockerConfig>>>,
    providers: Option<Providers>,
}

impl NodeCredentials {
    pub(crate) fn new(config: CredentialsConfig) -> Self {
        let providers = config.credential_providers.clone().map(Providers::new);
        Self {
            config,
            docker: Mutex::default(),
            providers,
        }
    }

    /// The credentials for an image; [`Auth::Anonymous`] if there are none or they cannot be had in time.
    pub(crate) async fn find(&self, reference: &ImageReference, deadline: Instant) -> Auth {
        let repository = reference.repository();
        if let Some(auth) = self.docker(&repository) {
            return auth;
        }
        match &self.providers {
            Some(providers) => providers
                .find(reference.domain(), &repository, deadline)
                .await
                .unwrap_or_default(),
            None => Auth::Anonymous,
        }
    }

    fn docker(&self, repository: &str) -> Option<Auth> {
        let path = self.config.docker_config.as_deref()?;
        let mut docker = self.docker.lock().unwrap_or_else(PoisonError::into_inner);
        let config = match &*docker {
            Some(snapshot) if snapshot.is_current() => snapshot.value.clone(),
            _ => {
                let snapshot = Snapshot::make(|trace| DockerConfig::read(path, trace));
                let value = snapshot.value.clone();
                *docker = Some(snapshot);
                value
            }
        };
        config.find(repository)
    }
}
