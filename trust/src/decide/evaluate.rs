//! One requirement against the evidence: what holds and by whose word, or what is missing.

use portcullis_policy::Span;
use portcullis_policy::model::{Requirement, Rule, SignedIdentity, TagRule};

use super::text;
use super::{Asked, DenialReason, Finding, Unmet};
use crate::compile::{CompiledPolicy, reachable};
use crate::evidence::Evidence;
use crate::time::Timestamp;

/// What a requirement comes to. It holds if there is no failure.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) failure: Option<Failure>,
    /// What holds, of it and in it.
    pub(super) found: Vec<Finding>,
    /// What does not hold, of it and in it.
    pub(super) unmet: Vec<Unmet>,
}

impl Outcome {
    pub(super) fn holds(found: Vec<Finding>) -> Self {
        Self {
            found,
            ..Self::default()
        }
    }

    pub(super) fn fails(failure: Failure) -> Self {
        Self {
            failure: Some(failure),
            ..Self::default()
        }
    }

    /// The same, saying which requirement it was and what was found instead.
    pub(super) fn instead(mut self, system: &str, place: &Span, found: String) -> Self {
        self.unmet.push(Unmet {
            system: system.to_owned(),
            place: Some(place.clone()),
            found,
        });
        self
    }
}

/// What is missing.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) reason: DenialReason,
    /// A clause without a full stop.
    pub(super) what: String,
    /// What to do: a sentence without a full stop.
    pub(super) advice: String,
}

impl Failure {
    /// Whether gathering could mend it.
    pub(super) fn lacks_evidence(&self) -> bool {
        self.reason.mendable()
    }
}

/// Everything a requirement is judged by.
#[derive(Clone, Copy)]
pub(super) struct Judge<'a> {
    pub(super) policy: &'a CompiledPolicy,
    pub(super) asked: &'a Asked<'a>,
    pub(super) evidence: &'a Evidence,
    pub(super) now: Timestamp,
    pub(super) rule: &'a Rule,
}

impl Judge<'_> {
    /// The rule as a whole: its requirement, and what it says about tags.
    pub(super) fn rule(&self) -> Outcome {
        let by = text::rule(self.rule);
        let mut required = self.requirement(&self.rule.requirement, &format!(" required by {by}"));
        if let Some(unbound) = self.tag_binding(&by) {
            let hides = |failure: &Failure| !failure.lacks_evidence() || unbound.lacks_evidence();
            if !required.failure.as_ref().is_some_and(hides) {
                required.failure = Some(unbound);
            }
        }
        required
    }

    /// Where the rule asks something of tags, what is missing for this one. Signed: another branch may be enough for the
    /// requirement, and the tag still needs a signature that binds it.
    fn tag_binding(&self, by: &str) -> Option<Failure> {
        if self.asked.reference.digest().is_some() {
            return None;
        }
        match self.rule.tags {
            TagRule::Floating => return None,
            TagRule::Signed => {}
            TagRule::Immutable => return Some(unpinnable(by)),
        }
        let mut lacking = None;
        for signature in binding(&self.rule.requirement) {
            match self.requirement(signature, "").failure {
                None => return None,
                Some(failure) if failure.lacks_evidence() => lacking = Some(failure),
                Some(_) => {}
            }
        }
        if let Some(lacking) = lacking {
            let what = format!(
                "{by} accepts signed tags and digests alone, and {}",
                lacking.what
            );
            return Some(Failure { what, ..lacking });
        }
        Some(Failure {
            reason: DenialReason::NotSatisfied,
            what: format!(
                "{by} accepts signed tags and digests alone, and no signature binds this tag"
            ),
            advice: "Sign the tag, or use the image by its digest".to_owned(),
        })
    }

    /// `by` is said after the name of what is required: ` required by rule …`, or nothing inside a list.
    fn requirement(&self, requirement: &Requirement, by: &str) -> Outcome {
        match requirement {
            Requirement::Allow => self.origin(by),
            Requirement::Deny { reason } => Outcome::fails(Failure {
                reason: DenialReason::Denied,
                what: match reason {
                    Some(reason) => format!(
                        "{} denies it: {}",
                        text::rule(self.rule),
                        text::quote(reason)
                    ),
                    None => format!("{} denies it", text::rule(self.rule)),
                },
                advice: format!("Use another image, or {}", self.ask()),
            }),
            Requirement::Notary(one) => self.notary(one, by),
            Requirement::Cosign(one) => self.cosign(one, by),
            Requirement::Attestation(one) => self.attestation(one, by),
            Requirement::Notation(one) => self.notation(one, by),
            Requirement::Simple(one) => self.simple(one, by),
            Requirement::Annotations(one) => self.annotations(one, by),
            Requirement::All(of) => self.all(of, by),
            Requirement::Any { threshold, of } => self.any(*threshold, of),
        }
    }

    fn all(&self, of: &[Requirement], by: &str) -> Outcome {
        let mut outcome = Outcome::default();
        let mut failures = Vec::new();
        for one in of {
            let one = self.requirement(one, by);
            outcome.found.extend(one.found);
            outcome.unmet.extend(one.unmet);
            failures.extend(one.failure);
        }
        outcome.failure = merge(failures, "; ");
        outcome
    }

    fn any(&self, threshold: usize, of: &[Requirement]) -> Outcome {
        let mut outcome = Outcome::default();
        let mut failures = Vec::new();
        let mut holds = 0_usize;
        for one in of {
            let one = self.requirement(one, "");
            outcome.found.extend(one.found);
            outcome.unmet.extend(one.unmet);
            match one.failure {
                None => holds = holds.saturating_add(1),
                Some(failure) => failures.push(failure),
            }
        }
        if holds >= threshold {
            return outcome;
        }
        let lacking = failures.iter().filter(|one| one.lacks_evidence()).count();
        let mendable = holds.saturating_add(lacking) >= threshold;
        let what: Vec<&str> = failures.iter().map(|one| one.what.as_str()).collect();
        let what = format!(
            "{} needs {threshold} of {} alternatives and has {holds}: {}",
            text::rule(self.rule),
            of.len(),
            what.join("; ")
        );
        failures.retain(|one| one.lacks_evidence() == mendable);
        let reasons = failures.iter().map(|one| one.reason);
        outcome.failure = Some(Failure {
            reason: if mendable {
                // What was never looked at weighs more: looking may be all it takes.
                let unseen = |reason| reason == DenialReason::LackOfEvidence;
                if reasons.clone().any(unseen) {
                    DenialReason::LackOfEvidence
                } else {
                    DenialReason::Unsigned
                }
            } else {
                let mut reasons = reasons.clone();
                match reasons.next() {
                    Some(first) if reasons.all(|reason| reason == first) => first,
                    _ => DenialReason::NotSatisfied,
                }
            },
            what,
            advice: failures
                .into_iter()
                .next()
                .map(|first| first.advice)
                .unwrap_or_default(),
        });
        outcome
    }

    pub(super) fn ask(&self) -> String {
        format!("ask who maintains {}", text::quote(&self.rule.document))
    }
}

/// Several failures as one: if one of them cannot be mended by gathering, only those count. The advice is that of the one
/// that is hardest to mend: signing an image helps nobody whose policy denies it.
pub(super) fn merge(mut failures: Vec<Failure>, between: &str) -> Option<Failure> {
    if failures.iter().any(|one| !one.lacks_evidence()) {
        failures.retain(|one| !one.lacks_evidence());
    }
    let what: Vec<&str> = failures.iter().map(|one| one.what.as_str()).collect();
    let what = what.join(between);
    failures
        .into_iter()
        .min_by_key(|one| match one.reason {
            DenialReason::Denied => 0,
            DenialReason::Unsupported => 1,
            DenialReason::LackOfEvidence => 2,
            _ => 3,
        })
        .map(|hardest| Failure { what, ..hardest })
}

/// Nothing remembers yet which digest a tag meant first, and a tag taken as floating would not be what the rule asks for.
fn unpinnable(by: &str) -> Failure {
    Failure {
        reason: DenialReason::Unsupported,
        what: format!(
            "{by} has `tags: immutable`, and this version of portcullis cannot hold a tag to its first digest"
        ),
        advice: "Use the image by its digest".to_owned(),
    }
}

/// The signatures in a requirement that bind a tag to a digest, of the branches that can hold at all: one of a branch that
/// cannot would be lacking for ever. Simple signing does where the whole reference is compared.
fn binding(requirement: &Requirement) -> Vec<&Requirement> {
    if !reachable(requirement) {
        return Vec::new();
    }
    match requirement {
        Requirement::Notary(_) => vec![requirement],
        Requirement::Simple(simple) => match simple.identity {
            SignedIdentity::MatchRepoDigestOrExact
            | SignedIdentity::MatchExact
            | SignedIdentity::Remap { .. } => vec![requirement],
            SignedIdentity::MatchRepository
            | SignedIdentity::ExactReference(_)
            | SignedIdentity::ExactRepository(_) => Vec::new(),
        },
        Requirement::All(of) | Requirement::Any { of, .. } => of.iter().flat_map(binding).collect(),
        _ => Vec::new(),
    }
}
