//! The numbers of the daemon's other parts.

use std::sync::Arc;

use super::metrics::Metrics;
use super::source::{Kind, Sample};
use crate::policy::PolicyHandle;
use crate::proxy::ProxyMetrics;
use crate::registry::Registry;
use crate::store::Store;

/// Name, help, kind, and how it is read.
type Number<T> = (&'static str, &'static str, Kind, fn(&T) -> u64);

impl Metrics {
    /// Adds the policy's generation, rules, refusals and health.
    pub fn add_policy(&self, policy: &PolicyHandle) {
        let numbers: [Number<PolicyHandle>; 6] = [
            (
                "policy_generation",
                "Generation of the policy in force",
                Kind::Gauge,
                |policy| policy.current().generation,
            ),
            (
                "policy_rules",
                "Rules of the policy in force",
                Kind::Gauge,
                |policy| count(policy.current().policy.set.rules.len()),
            ),
            (
                "policy_warnings",
                "Warnings about the policy in force",
                Kind::Gauge,
                |policy| count(policy.current().warnings.len()),
            ),
            (
                "policy_refused",
                "1 while a newer policy set on disk is refused",
                Kind::Gauge,
                |policy| u64::from(!policy.current().refused.is_empty()),
            ),
            (
                "policy_unsaved",
                "1 while the policy in force would not survive a reboot",
                Kind::Gauge,
                |policy| u64::from(policy.unsaved()),
            ),
            (
                "policy_refusals",
                "Policy sets refused since the start",
                Kind::Counter,
                PolicyHandle::refusals,
            ),
        ];
        for (name, help, kind, read) in numbers {
            let policy = policy.clone();
            self.add_source(name, help, kind, "", move || vec![read(&policy).into()]);
        }
    }

    /// Adds the proxy's counters.
    pub fn add_proxy(&self, proxy: Arc<ProxyMetrics>) {
        let gauges = proxy.clone();
        self.add_source(
            "proxy_open",
            "Connections open and calls without an answer",
            Kind::Gauge,
            "what",
            move || {
                let now = gauges.snapshot();
                labelled([
                    ("connections", now.open_connections),
                    ("calls", now.in_flight),
                ])
            },
        );
        self.add_source(
            "proxy_calls",
            "Calls by what became of them",
            Kind::Counter,
            "outcome",
            move || {
                let now = proxy.snapshot();
                labelled([
                    ("passed", now.passed),
                    ("gated_forwarded", now.gated_forwarded),
                    ("refused", now.refused),
                    ("malformed", now.malformed),
                    ("unimplemented", now.unimplemented),
                    ("overloaded", now.overloaded),
                    ("upstream_unavailable", now.upstream_unavailable),
                    ("upstream_lost", now.upstream_lost),
                ])
            },
        );
    }

    /// Adds the evidence store's records and health.
    pub fn add_store(&self, store: &Store) {
        let counted = store.clone();
        self.add_source(
            "store_records",
            "Records of the evidence store",
            Kind::Gauge,
            "table",
            move || {
                let counts = counted.counts().into_iter();
                counts
                    .map(|(table, records)| Sample {
                        label: table.to_owned(),
                        value: count(records),
                    })
                    .collect()
            },
        );
        let numbers: [Number<Store>; 4] = [
            (
                "store_pending",
                "Changes of the evidence store that are not on disk yet",
                Kind::Gauge,
                |store| count(store.health().pending),
            ),
            (
                "store_durable",
                "1 if the evidence store has a file",
                Kind::Gauge,
                |store| u64::from(store.health().durable),
            ),
            (
                "store_failures",
                "Writes of the evidence store that failed and are tried again",
                Kind::Counter,
                |store| store.health().failed,
            ),
            (
                "store_refusals",
                "Records refused because their table was full of records in use",
                Kind::Counter,
                |store| store.health().refused,
            ),
        ];
        for (name, help, kind, read) in numbers {
            let store = store.clone();
            self.add_source(name, help, kind, "", move || vec![read(&store).into()]);
        }
    }

    /// Adds the registry client's requests, and the hosts that it leaves alone.
    pub fn add_registry(&self, registry: Registry) {
        let broken = registry.clone();
        self.add_source(
            "registry_circuit_open",
            "1 for each registry or trust server that failed repeatedly and has not answered since",
            Kind::Gauge,
            "host",
            move || {
                let open = broken.open_circuits().into_iter();
                open.map(|label| Sample { label, value: 1 }).collect()
            },
        );
        self.add_source(
            "registry_requests",
            "Requests sent to registries",
            Kind::Counter,
            "",
            move || vec![registry.requests_sent().into()],
        );
    }
}

fn labelled<const N: usize>(numbers: [(&str, u64); N]) -> Vec<Sample> {
    numbers
        .into_iter()
        .map(|(label, value)| Sample {
            label: label.to_owned(),
            value,
        })
        .collect()
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
