//! What the gate is made of, in the daemon and in a command that judges by itself.

use std::sync::Arc;
use std::time::Duration;

use portcullis_policy::model::Mode;

use super::CliError;
use crate::clock::Clock;
use crate::config::Config;
use crate::containerd::Containerd;
use crate::notary::NotaryClient;
use crate::policy::PolicyHandle;
use crate::registry::{ProxyConfig, Registry};
use crate::store::Store;
use crate::telemetry::Metrics;

/// The parts. Clients connect when first used.
#[expect(dead_code, reason = "read by the gate once it is plugged in")]
pub(super) struct GateParts {
    pub(super) mode: Mode,
    pub(super) budget: Duration,
    pub(super) policy: PolicyHandle,
    pub(super) store: Store,
    pub(super) registry: Registry,
    pub(super) notary: NotaryClient,
    pub(super) containerd: Containerd,
    pub(super) metrics: Arc<Metrics>,
    pub(super) clock: Arc<dyn Clock>,
}

impl GateParts {
    /// Makes the clients. Needs a runtime around it.
    pub(super) fn new(
        config: &Config,
        policy: PolicyHandle,
        store: Store,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, CliError> {
        let registry = Registry::new(config.registry.clone(), ProxyConfig::from_env())
            .map_err(|error| CliError::Other(format!("config.yaml: {error}")))?;
        Ok(Self {
            mode: config.mode,
            budget: config.budget,
            policy,
            store,
            notary: NotaryClient::new(&registry),
            containerd: Containerd::new(&config.upstream).map_err(CliError::other)?,
            registry,
            metrics,
            clock,
        })
    }
}
