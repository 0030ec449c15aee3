//! The decision: policy × evidence × clock, no I/O.

mod evaluate;
mod proof;
mod signed;
mod text;

use portcullis_policy::bootstrap::BootstrapImage;
use portcullis_policy::model::{Mode, Requirement, Rule, Scope};
use portcullis_policy::select::Selection;
use portcullis_policy::{Digest, ImageReference, Span};

use crate::compile::CompiledPolicy;
use crate::evidence::Evidence;
use crate::time::Timestamp;
use evaluate::{Failure, Judge};

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Namespace of the pod; `None`: a call without a pod.
    pub namespace: Option<&'a str>,
    /// The reference the user named.
    pub reference: &'a ImageReference,
    /// The digest it is about to stand for.
    pub digest: &'a Digest,
}

/// Which rule spoke, for logs and messages.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RuleRef {
    /// `<kind>/<name>` of the document.
    pub document: String,
    /// The pattern.
    pub pattern: String,
    /// Where it stands.
    pub span: Span,
}

/// What satisfied a requirement.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// `notary`, `cosign`, `attestations`, `notation`, `simple`, `annotations`, `allow`, `bootstrap`.
    pub system: String,
    /// Where the requirement stands; `None` where it has no place of its own.
    pub place: Option<Span>,
    /// Who signed, with which key: `alice (key 3f…, targets/alice)`; for others, what was found.
    pub signer: String,
    /// When it was signed, where that is known.
    pub signed_at: Option<Timestamp>,
    /// When the evidence was gathered.
    pub gathered_at: Option<Timestamp>,
    /// What else a person should know, such as checks that failed and are only logged.
    pub notes: Vec<String>,
}

/// A requirement that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Unmet {
    /// As in [`Finding`].
    pub system: String,
    /// Where the requirement stands.
    pub place: Option<Span>,
    /// What was found instead: a clause, byte-stable.
    pub found: String,
}

/// The kinds of refusal, stable for metrics and JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum DenialReason {
    /// No policy or no rule matches.
    NoRule,
    /// A rule says deny.
    Denied,
    /// Nothing gathered speaks for the image: gathering may heal it.
    LackOfEvidence,
    /// Evidence was gathered and none of it counts; some may have been added since.
    Unsigned,
    /// Evidence was gathered and speaks against the image.
    NotSatisfied,
    /// The rule asks for something this build cannot hold (`tags: immutable`).
    Unsupported,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Denial {
    /// Its kind.
    pub reason: DenialReason,
    /// One line for a person, without the gRPC prefix, byte-stable across retries: namespace, image, rule and file, the
    /// requirement that failed, and what to do.
    pub text: String,
}

/// The outcome.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Decision {
    /// `None`: allowed.
    pub denial: Option<Denial>,
    /// Mode under which a denial applies.
    pub mode: Mode,
    /// The rules that spoke; empty for "no rule" and for bootstrap images.
    pub rules: Vec<RuleRef>,
    /// The requirements that hold, each with what satisfied it.
    pub findings: Vec<Finding>,
    /// The requirements that do not hold. For an allowed image, alternatives that were not needed.
    pub unmet: Vec<Unmet>,
}

impl DenialReason {
    /// Whether gathering (again) could mend it.
    pub const fn mendable(self) -> bool {
        matches!(self, Self::LackOfEvidence | Self::Unsigned)
    }
}

impl Decision {
    /// Whether the requirement holds, whatever the mode.
    pub fn allowed(&self) -> bool {
        self.denial.is_none()
    }

    /// Who satisfied the requirements that hold: `system: signer`.
    pub fn signers(&self) -> Vec<String> {
        self.findings
            .iter()
            .map(|finding| format!("{}: {}", finding.system, finding.signer))
            .collect()
    }
}

/// A question whose digest may not be known yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) namespace: Option<&'a str>,
    pub(crate) reference: &'a ImageReference,
    pub(crate) digest: Option<&'a Digest>,
}

impl CompiledPolicy {
    /// Decides. The same inputs give the same decision, byte for byte.
    ///
    /// An image on the bootstrap list is allowed unless a rule that matches it says deny.
    pub fn decide(&self, question: &Question<'_>, evidence: &Evidence, now: Timestamp) -> Decision {
        let asked = Asked {
            namespace: question.namespace,
            reference: question.reference,
            digest: Some(question.digest),
        };
        let selection = self.set.select(question.namespace, question.reference);
        if question
            .reference
            .digest()
            .is_some_and(|named| named != question.digest)
        {
            return self.other_digest(&asked, &selection);
        }
        if let Some(image) = self.bootstrapped(&asked, &selection) {
            return Decision {
                denial: None,
                mode: self.node_mode,
                rules: Vec::new(),
                findings: vec![Finding {
                    system: "bootstrap".to_owned(),
                    signer: format!(
                        "{} in {}",
                        text::quote(&image.repository),
                        text::quote(&text::place(&image.span))
                    ),
                    place: Some(image.span.clone()),
                    signed_at: None,
                    gathered_at: None,
                    notes: Vec::new(),
                }],
                unmet: Vec::new(),
            };
        }
        match selection {
            Selection::NoRule { scope } => self.no_rule(&asked, scope.as_ref()),
            Selection::Rules(rules) => self.judge(&rules, &rules, &asked, evidence, now),
        }
    }

    /// The bootstrap entry that allows what is asked, unless an explicit deny beats it.
    pub(crate) fn bootstrapped(
        &self,
        asked: &Asked<'_>,
        selection: &Selection<'_>,
    ) -> Option<&BootstrapImage> {
        let image = self.bootstrap.allows(asked.namespace, asked.digest?)?;
        let denied = match selection {
            Selection::Rules(rules) => rules.iter().any(|rule| denies(&rule.requirement)),
            Selection::NoRule { .. } => false,
        };
        (!denied).then_some(image)
    }

    pub(crate) fn no_rule(&self, asked: &Asked<'_>, scope: Option<&Scope>) -> Decision {
        Decision {
            denial: Some(Denial {
                reason: DenialReason::NoRule,
                text: format!(
                    "{}: {}",
                    text::subject(asked),
                    text::no_rule(scope, &self.set)
                ),
            }),
            mode: self.node_mode,
            rules: Vec::new(),
            findings: Vec::new(),
            unmet: Vec::new(),
        }
    }

    /// Whether some evidence could satisfy `rule`.
    pub(crate) fn satisfiable(&self, rule: &Rule, asked: &Asked<'_>) -> bool {
        let judge = Judge {
            policy: self,
            asked,
            evidence: &Evidence::default(),
            now: Timestamp(0),
            rule,
        };
        judge
            .rule()
            .failure
            .is_none_or(|failure| failure.lacks_evidence())
    }

    /// The decision that follows from the requirements alone.
    pub(crate) fn judge_without_evidence(
        &self,
        judged: &[&Rule],
        matched: &[&Rule],
        asked: &Asked<'_>,
    ) -> Decision {
        self.judge(judged, matched, asked, &Evidence::default(), Timestamp(0))
    }

    /// All of `judged` must hold. A refusal is enforced if one of the rules that fail is.
    fn judge(
        &self,
        judged: &[&Rule],
        matched: &[&Rule],
        asked: &Asked<'_>,
        evidence: &Evidence,
        now: Timestamp,
    ) -> Decision {
        let mut findings = Vec::new();
        let mut unmet = Vec::new();
        let mut failures: Vec<(Mode, Failure)> = Vec::new();
        for rule in judged {
            let judge = Judge {
                policy: self,
                asked,
                evidence,
                now,
                rule,
            };
            let outcome = judge.rule();
            findings.extend(outcome.found);
            unmet.extend(outcome.unmet);
            failures.extend(outcome.failure.map(|failure| (self.mode(rule), failure)));
        }
        let strictest = |mut modes: Box<dyn Iterator<Item = Mode> + '_>| {
            if modes.any(|mode| mode == Mode::Enforce) {
                Mode::Enforce
            } else {
                Mode::Audit
            }
        };
        let mode = if failures.is_empty() {
            strictest(Box::new(judged.iter().map(|rule| self.mode(rule))))
        } else {
            strictest(Box::new(failures.iter().map(|(mode, _)| *mode)))
        };
        // What is merely audited must not keep what is enforced from being gathered and mended.
        failures.retain(|(of, _)| *of == mode);
        let failures = failures.into_iter().map(|(_, failure)| failure).collect();
        let denial = evaluate::merge(failures, "; ").map(|failure| Denial {
            reason: failure.reason,
            text: format!(
                "{}: {}. {}",
                text::subject(asked),
                text::clip(&failure.what, text::MAX_CLAUSES),
                failure.advice
            ),
        });
        Decision {
            findings,
            unmet,
            denial,
            mode,
            rules: matched.iter().map(|rule| RuleRef::of(rule)).collect(),
        }
    }

    /// The reference names a digest and the question is about another one: whoever asks has lost track.
    fn other_digest(&self, asked: &Asked<'_>, selection: &Selection<'_>) -> Decision {
        let rules: &[&Rule] = match selection {
            Selection::Rules(rules) => rules,
            Selection::NoRule { .. } => &[],
        };
        let enforced =
            rules.is_empty() || rules.iter().any(|rule| self.mode(rule) == Mode::Enforce);
        Decision {
            denial: Some(Denial {
                reason: DenialReason::NotSatisfied,
                text: format!(
                    "{}: the image is another one than the digest in its name. Pull it again",
                    text::subject(asked)
                ),
            }),
            mode: if enforced && self.node_mode == Mode::Enforce {
                Mode::Enforce
            } else {
                Mode::Audit
            },
            rules: rules.iter().map(|rule| RuleRef::of(rule)).collect(),
            findings: Vec::new(),
            unmet: Vec::new(),
        }
    }
}

impl RuleRef {
    fn of(rule: &Rule) -> Self {
        Self {
            document: rule.document.clone(),
            pattern: rule.pattern.text.clone(),
            span: rule.span.clone(),
        }
    }
}

/// Whether a requirement fails because its author wrote deny.
fn denies(requirement: &Requirement) -> bool {
    match requirement {
        Requirement::Deny { .. } => true,
        Requirement::All(of) => of.iter().any(denies),
        Requirement::Any { threshold, of } => {
            of.iter().filter(|one| !denies(one)).count() < *threshold
        }
        _ => false,
    }
}
