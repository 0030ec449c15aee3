//! What is counted, in the `OpenMetrics` text format. Names and labels are stable; labels from outside are bounded.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use portcullis_trust::evidence::SignatureSource;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::audit::AuditLine;
use super::labels::BoundedLabels;
use super::source::{Kind, Sample, Source};

/// Content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Namespaces told apart; later ones count as `_other`.
const MAX_NAMESPACES: usize = 500;
/// Bounds of the decision histogram in seconds: from a decision in memory to the whole budget.
const SECONDS: [f64; 12] = [
    0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0,
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DecisionLabels {
    namespace: Arc<str>,
    verdict: &'static str,
    reason: &'static str,
    method: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabel {
    method: &'static str,
}

/// How one look into a source of signatures ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Look {
    /// Something was found, and nothing kept away.
    Found,
    /// There is nothing.
    Nothing,
    /// Something was found, and something else kept away.
    Partial,
    /// The source could not be asked.
    Failed,
}

impl Look {
    const fn word(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Nothing => "nothing",
            Self::Partial => "partial",
            Self::Failed => "failed",
        }
    }
}

/// Every word of [`source_word`].
const SOURCES: [&str; 6] = [
    "bundles",
    "cosignSignatures",
    "cosignAttestations",
    "notation",
    "lookaside",
    "registryExtension",
];

const fn source_word(source: &SignatureSource) -> &'static str {
    match source {
        SignatureSource::Bundles => "bundles",
        SignatureSource::CosignSignatures => "cosignSignatures",
        SignatureSource::CosignAttestations => "cosignAttestations",
        SignatureSource::Notation => "notation",
        // Its address may be anybody's.
        SignatureSource::Lookaside(_) => "lookaside",
        SignatureSource::RegistryExtension => "registryExtension",
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LookLabels {
    source: &'static str,
    outcome: &'static str,
}

/// The numbers of the daemon. Raising one never waits for a reader.
pub struct Metrics {
    /// Locked to add sources and to encode, never to count.
    registry: Mutex<Registry>,
    namespaces: BoundedLabels,
    decisions: Family<DecisionLabels, Counter>,
    durations: Family<MethodLabel, Histogram, fn() -> Histogram>,
    looks: Family<LookLabels, Counter>,
    pause_unverified: Counter,
    foreign_containers: Counter,
    snapshot_mismatches: Counter,
}

impl Metrics {
    /// All counters at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("portcullis");
        let decisions = Family::default();
        let durations = Family::new_with_constructor((|| Histogram::new(SECONDS)) as fn() -> _);
        // All of them from the start on: what has not happened yet is a zero.
        let looks = Family::<LookLabels, Counter>::default();
        for source in SOURCES {
            for look in [Look::Found, Look::Nothing, Look::Partial, Look::Failed] {
                let outcome = look.word();
                let _ = looks.get_or_create(&LookLabels { source, outcome });
            }
        }
        let pause_unverified = Counter::default();
        let foreign_containers = Counter::default();
        let snapshot_mismatches = Counter::default();
        registry.register(
            "decisions",
            "Decisions by namespace, verdict, reason and method",
            decisions.clone(),
        );
        registry.register(
            "decision_duration_seconds",
            "Time from a request to its decision, by method",
            durations.clone(),
        );
        registry.register(
            "signature_lookups",
            "Looks for signatures beside images, by source and outcome",
            looks.clone(),
        );
        registry.register(
            "pause_image_unverified",
            "Pod sandboxes whose pause image was not proved",
            pause_unverified.clone(),
        );
        registry.register(
            "foreign_containers",
            "Containers found running that the gate did not judge",
            foreign_containers.clone(),
        );
        registry.register(
            "snapshot_mismatches",
            "Containers made of other layers than those judged",
            snapshot_mismatches.clone(),
        );
        registry.register(
            "build",
            "Version of this build",
            prometheus_client::metrics::info::Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        Self {
            registry: Mutex::new(registry),
            namespaces: BoundedLabels::new(MAX_NAMESPACES),
            decisions,
            durations,
            looks,
            pause_unverified,
            foreign_containers,
            snapshot_mismatches,
        }
    }

    /// Counts a decision. A call without a pod has the namespace `""`.
    pub fn decision(&self, line: &AuditLine) {
        let namespace = line.namespace.as_deref().unwrap_or_default();
        self.decisions
            .get_or_create(&DecisionLabels {
                namespace: self.namespaces.label(namespace),
                verdict: line.verdict.word(),
                reason: line.reason.unwrap_or_default(),
                method: line.event.word(),
            })
            .inc();
        self.duration(line.event.word(), line.duration);
    }

    fn duration(&self, method: &'static str, duration: Duration) {
        self.durations
            .get_or_create(&MethodLabel { method })
            .observe(duration.as_secs_f64());
    }

    /// Counts a look into a source of signatures.
    pub fn looked(&self, source: &SignatureSource, look: Look) {
        let source = source_word(source);
        let outcome = look.word();
        self.looks
            .get_or_create(&LookLabels { source, outcome })
            .inc();
    }

    /// A sandbox was let through although its pause image could not be proved.
    pub fn pause_image_unverified(&self) {
        self.pause_unverified.inc();
    }

    /// A container was found that the gate did not judge.
    pub fn foreign_container(&self) {
        self.foreign_containers.inc();
    }

    /// A container was made whose snapshot is not what was judged.
    pub fn snapshot_mismatch(&self) {
        self.snapshot_mismatches.inc();
    }

    /// Adds numbers that another part keeps, read each time metrics are asked for. `read` must not wait.
    ///
    /// `label` names the one label; samples with an empty one have none.
    pub fn add_source(
        &self,
        name: &'static str,
        help: &'static str,
        kind: Kind,
        label: &'static str,
        read: impl Fn() -> Vec<Sample> + Send + Sync + 'static,
    ) {
        self.registry().register_collector(Box::new(Source {
            name,
            help,
            kind,
            label,
            read: Box::new(read),
        }));
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything as `OpenMetrics` text.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        prometheus_client::encoding::text::encode(&mut text, &self.registry()).ok();
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests {
    use portcullis_policy::model::Mode;
    use portcullis_trust::Decision;

    use super::*;
    use crate::proxy::ProxyMetrics;
    use crate::telemetry::audit::Event;

    fn line(namespace: &str) -> AuditLine {
        let decision = Decision {
            denial: None,
            mode: Mode::Enforce,
            rules: Vec::new(),
            findings: Vec::new(),
            unmet: Vec::new(),
        };
        AuditLine {
            namespace: Some(namespace.to_owned()),
            ..AuditLine::of(Event::Pull, "nginx", &decision)
        }
    }

    #[test]
    fn the_text_form_names_every_number() {
        let metrics = Metrics::new();
        metrics.add_proxy(Arc::new(ProxyMetrics::default()));
        metrics.add_source("store_pending", "Help", Kind::Gauge, "", || vec![7.into()]);
        metrics.decision(&line("shop"));
        metrics.decision(&line("shop"));
        metrics.pause_image_unverified();
        let store = SignatureSource::Lookaside("https://store.example/secret".to_owned());
        metrics.looked(&store, Look::Partial);
        let text = metrics.encode();
        for expected in [
            "portcullis_decisions_total{namespace=\"shop\",verdict=\"allow\",reason=\"\",method=\"pull\"} 2",
            "portcullis_decision_duration_seconds_count{method=\"pull\"} 2",
            "portcullis_signature_lookups_total{source=\"lookaside\",outcome=\"partial\"} 1",
            "portcullis_pause_image_unverified_total 1",
            "portcullis_proxy_calls_total{outcome=\"unimplemented\"} 0",
            "portcullis_proxy_open{what=\"connections\"} 0",
            "portcullis_store_pending 7",
            "portcullis_build_info{version=",
        ] {
            assert!(text.contains(expected), "{expected} in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn namespaces_cannot_grow_without_bound() {
        let metrics = Metrics::new();
        for n in 0..MAX_NAMESPACES + 50 {
            metrics.decision(&line(&format!("ns-{n}")));
        }
        let text = metrics.encode();
        assert_eq!(
            text.matches("portcullis_decisions_total{").count(),
            MAX_NAMESPACES + 1
        );
        assert!(
            text.contains("namespace=\"_other\",verdict=\"allow\",reason=\"\",method=\"pull\"} 50")
        );
    }
}
