//! Step 6: one audit line and one count per decision. Neither can hold a decision up.

use portcullis_policy::Digest;
use portcullis_policy::model::Mode;
use portcullis_trust::Decision;
use tokio::time::Instant;

use super::judge_image::ImageVerdict;
use super::judge_pull::PullVerdict;
use super::{Gate, names};
use crate::containerd::Sandbox;
use crate::policy::ActivePolicy;
use crate::telemetry::audit::{AuditLine, Event as Kind, Verdict, reason_word};

/// Whose call it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Pod {
    pub namespace: Option<String>,
    pub name: Option<String>,
    pub uid: Option<String>,
}

impl From<&Sandbox> for Pod {
    fn from(sandbox: &Sandbox) -> Self {
        Self {
            namespace: Some(sandbox.namespace.clone()),
            name: Some(sandbox.name.clone()),
            uid: Some(sandbox.uid.clone()),
        }
    }
}

/// What was asked.
#[derive(Debug, Clone)]
pub(super) struct Event {
    kind: Kind,
    pod: Pod,
    reference: String,
    container: Option<String>,
    begun: Instant,
}

impl Event {
    pub(super) fn pull(pod: Pod, reference: &str, begun: Instant) -> Self {
        Self {
            kind: Kind::Pull,
            pod,
            reference: names::shown(reference),
            container: None,
            begun,
        }
    }

    pub(super) fn create(
        pod: Pod,
        reference: &str,
        container: Option<&str>,
        begun: Instant,
    ) -> Self {
        let container = container.map(names::shown);
        Self {
            kind: Kind::Create,
            pod,
            reference: names::shown(reference),
            container,
            begun,
        }
    }

    /// The same create, for an image volume in it.
    pub(super) fn volume(&self, reference: &str) -> Self {
        Self {
            kind: Kind::Volume,
            reference: names::shown(reference),
            ..self.clone()
        }
    }

    pub(super) fn start(pod: Pod, reference: &str, container: &str, begun: Instant) -> Self {
        let container = Some(names::shown(container));
        Self {
            kind: Kind::Start,
            pod,
            reference: names::shown(reference),
            container,
            begun,
        }
    }
}

/// How it ended.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    verdict: Verdict,
    reason: Option<&'static str>,
    message: Option<String>,
    decision: Option<Decision>,
    digest: Option<Digest>,
    image_id: Option<Digest>,
}

impl Outcome {
    /// The request could not be judged by any rule; `excused`: it goes forward in audit mode all the same.
    pub(super) fn unusable(text: &str, excused: bool) -> Self {
        Self {
            verdict: if excused {
                Verdict::WouldDeny
            } else {
                Verdict::Deny
            },
            reason: Some("unusable"),
            message: Some(text.to_owned()),
            decision: None,
            digest: None,
            image_id: None,
        }
    }

    /// Nothing was decided, because containerd did not answer.
    pub(super) fn unanswered(text: &str, excused: bool) -> Self {
        let outcome = Self::undecided(text.to_owned());
        if !excused {
            return outcome;
        }
        Self {
            verdict: Verdict::WouldDeny,
            ..outcome
        }
    }

    fn of_decision(decision: &Decision) -> Self {
        Self {
            verdict: Verdict::of(decision),
            reason: decision
                .denial
                .as_ref()
                .map(|denial| reason_word(denial.reason)),
            message: decision.denial.as_ref().map(|denial| denial.text.clone()),
            decision: Some(decision.clone()),
            digest: None,
            image_id: None,
        }
    }

    /// The judgement of a pull.
    pub(super) fn of_pull(verdict: &PullVerdict) -> Self {
        match verdict {
            PullVerdict::Allow {
                digest, decision, ..
            } => Self {
                digest: Some(*digest),
                ..Self::of_decision(decision)
            },
            PullVerdict::Deny { decision, judged } => Self {
                digest: judged.map(|judged| judged.digest),
                ..Self::of_decision(decision)
            },
            PullVerdict::Undecided {
                error,
                mode,
                decision,
                judged,
            } => Self {
                verdict: match mode {
                    Mode::Audit => Verdict::WouldDeny,
                    Mode::Enforce => Verdict::Error,
                },
                decision: decision.clone(),
                digest: judged.map(|judged| judged.digest),
                ..Self::undecided(error.to_string())
            },
        }
    }

    /// The judgement of an image on the node.
    pub(super) fn of_image(verdict: &ImageVerdict) -> Self {
        match verdict {
            ImageVerdict::Run { link, decision } => Self {
                digest: Some(link.root),
                image_id: Some(link.config),
                ..Self::of_decision(decision)
            },
            ImageVerdict::Deny { decision } => Self::of_decision(decision),
            ImageVerdict::Undecided { decision, failure } => {
                let verdict = if Verdict::of(decision) == Verdict::WouldDeny {
                    Verdict::WouldDeny
                } else {
                    Verdict::Error
                };
                Self {
                    verdict,
                    decision: Some(decision.clone()),
                    ..Self::undecided(failure.to_string())
                }
            }
        }
    }

    fn undecided(text: String) -> Self {
        Self {
            verdict: Verdict::Error,
            reason: Some("undecided"),
            message: Some(text),
            decision: None,
            digest: None,
            image_id: None,
        }
    }
}

impl Gate {
    /// Logs and counts one decision.
    pub(super) fn record(&self, active: &ActivePolicy, event: Event, outcome: &Outcome) {
        let (rules, signers) = outcome
            .decision
            .as_ref()
            .map_or_else(Default::default, |decision| {
                (decision.rules.clone(), decision.signers())
            });
        let line = AuditLine {
            event: event.kind,
            namespace: event.pod.namespace,
            pod: event.pod.name,
            uid: event.pod.uid,
            container: event.container,
            reference: event.reference,
            digest: outcome.digest,
            image_id: outcome.image_id,
            verdict: outcome.verdict,
            reason: outcome.reason,
            message: outcome.message.clone(),
            rules,
            signers,
            policy_generation: active.generation,
            policy_hash: active.hash.clone(),
            duration: event.begun.elapsed(),
        };
        self.inner.parts.metrics.decision(&line);
        line.log();
    }
}
