//! What the gate is made of, in the daemon and in a command that judges by itself.

use std::sync::Arc;

use super::CliError;
use crate::clock::Clock;
use crate::config::Config;
use crate::containerd::Containerd;
use crate::gate::Parts;
use crate::notary::NotaryClient;
use crate::policy::PolicyHandle;
use crate::registry::{ProxyConfig, Registry};
use crate::signatures::SignatureClient;
use crate::store::Store;
use crate::telemetry::Metrics;

/// Makes the clients, which connect when first used. Needs a runtime around it.
pub(super) fn parts(
    config: &Config,
    policy: PolicyHandle,
    store: Store,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
) -> Result<Parts, CliError> {
    let registry = Registry::new(config.registry.clone(), ProxyConfig::from_env())
        .map_err(|error| CliError::Other(format!("config.yaml: {error}")))?;
    Ok(Parts {
        policy,
        store,
        notary: NotaryClient::new(&registry),
        signatures: SignatureClient::new(&registry),
        containerd: Containerd::new(&config.upstream).map_err(CliError::other)?,
        registry,
        clock,
        metrics,
        budget: config.budget,
    })
}
