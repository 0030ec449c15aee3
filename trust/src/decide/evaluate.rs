//! One requirement against the evidence: what holds and by whose word, or what is missing.

use std::time::Duration;

use portcullis_policy::Digest;
use portcullis_policy::model::{NotaryRequirement, Requirement, Rule, TagRule};

use super::text;
use super::{Asked, DenialReason, Finding};
use crate::compile::{CompiledPolicy, needs};
use crate::evidence::{Evidence, NotaryEvidence, OriginSource};
use crate::notary::{KeyError, NotaryError, Signatory, Signer, Subject};
use crate::time::Timestamp;

/// What a requirement comes to.
pub(super) enum Outcome {
    Holds(Vec<Finding>),
    Fails(Failure),
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
        self.reason == DenialReason::LackOfEvidence
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
        let required = self.requirement(&self.rule.requirement, &format!(" required by {by}"));
        match (required, self.tag_binding(&by)) {
            (Outcome::Holds(_), Some(unbound)) => Outcome::Fails(unbound),
            (Outcome::Fails(failure), Some(unbound))
                if failure.lacks_evidence() && !unbound.lacks_evidence() =>
            {
                Outcome::Fails(unbound)
            }
            (required, _) => required,
        }
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
        // Only what is gathered: a signature of a branch that cannot hold would be lacking for ever.
        let mut signatures = Vec::new();
        needs(&self.rule.requirement, &mut signatures, &mut false);
        let mut lacking = None;
        for signature in signatures {
            match self.notary(signature, "") {
                Outcome::Holds(_) => return None,
                Outcome::Fails(failure) if failure.lacks_evidence() => lacking = Some(failure),
                Outcome::Fails(_) => {}
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
            Requirement::Deny { reason } => Outcome::Fails(Failure {
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
            Requirement::Unsupported { system, span } => Outcome::Fails(Failure {
                reason: DenialReason::Unsupported,
                what: format!(
                    "`{}` at {}{by} cannot be verified by this version of portcullis",
                    text::quote(system),
                    text::quote(&text::place(span))
                ),
                advice: format!(
                    "Update portcullis, or {} for a requirement it can verify",
                    self.ask()
                ),
            }),
            Requirement::Notary(notary) => self.notary(notary, by),
            Requirement::All(of) => self.all(of, by),
            Requirement::Any { threshold, of } => self.any(*threshold, of),
        }
    }

    fn all(&self, of: &[Requirement], by: &str) -> Outcome {
        let mut findings = Vec::new();
        let mut failures = Vec::new();
        for one in of {
            match self.requirement(one, by) {
                Outcome::Holds(found) => findings.extend(found),
                Outcome::Fails(failure) => failures.push(failure),
            }
        }
        match merge(failures, "; ") {
            None => Outcome::Holds(findings),
            Some(failure) => Outcome::Fails(failure),
        }
    }

    fn any(&self, threshold: usize, of: &[Requirement]) -> Outcome {
        let mut findings = Vec::new();
        let mut failures = Vec::new();
        let mut holds = 0_usize;
        for one in of {
            match self.requirement(one, "") {
                Outcome::Holds(found) => {
                    holds = holds.saturating_add(1);
                    findings.extend(found);
                }
                Outcome::Fails(failure) => failures.push(failure),
            }
        }
        if holds >= threshold {
            return Outcome::Holds(findings);
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
        let same = failures
            .windows(2)
            .all(|pair| matches!(pair, [a, b] if a.reason == b.reason));
        Outcome::Fails(Failure {
            reason: match failures.first() {
                Some(first) if same => first.reason,
                _ => DenialReason::NotSatisfied,
            },
            what,
            advice: failures
                .into_iter()
                .next()
                .map(|first| first.advice)
                .unwrap_or_default(),
        })
    }

    /// A bare allow needs to know that the digest came from the repository it is named by (DESIGN §5).
    fn origin(&self, by: &str) -> Outcome {
        let repository = self.asked.reference.repository();
        let origins = self.evidence.origins.iter().filter(|origin| {
            origin.repository == repository && Some(&origin.digest) == self.asked.digest
        });
        let (mut fresh, mut stale) = (Vec::new(), false);
        for origin in origins {
            if self.too_old(origin.at).is_some() {
                stale = true;
            } else {
                fresh.push(origin);
            }
        }
        let newest = fresh.into_iter().max_by_key(|origin| {
            (
                origin.at,
                matches!(origin.source, OriginSource::Registry),
                matches!(origin.source, OriginSource::Pull),
            )
        });
        let Some(origin) = newest else {
            let what = if stale {
                format!(
                    "the record that this digest comes from {repository}{by} is older than the rule's maxEvidenceAge"
                )
            } else {
                format!("a record that this digest comes from {repository}{by} is missing")
            };
            return Outcome::Fails(Failure {
                reason: DenialReason::LackOfEvidence,
                what,
                advice: "Make the registry reachable, or have root run `portcullis adopt`"
                    .to_owned(),
            });
        };
        let signer = match (origin.source, &origin.reason) {
            (OriginSource::Pull, _) => format!("pulled from {repository}"),
            (OriginSource::Registry, _) => format!("held by {repository}"),
            (OriginSource::Adopted, None) => "adopted".to_owned(),
            (OriginSource::Adopted, Some(reason)) => format!("adopted: {}", text::quote(reason)),
        };
        Outcome::Holds(vec![Finding {
            system: "allow".to_owned(),
            signer,
            gathered_at: Some(origin.at),
        }])
    }

    fn notary(&self, notary: &NotaryRequirement, by: &str) -> Outcome {
        let repository = self.asked.reference.repository();
        let server = &notary.trust.server;
        // There is at most one; were there more, any of them may speak, so that none can silence another.
        let mut refused: Option<Failure> = None;
        for evidence in &self.evidence.notary {
            if evidence.collection.server != *server || evidence.collection.gun != repository {
                continue;
            }
            let failure = match self.collection(notary, evidence, by) {
                Ok(findings) => return Outcome::Holds(findings),
                Err(failure) => failure,
            };
            if refused.as_ref().is_none_or(Failure::lacks_evidence) {
                refused = Some(failure);
            }
        }
        Outcome::Fails(refused.unwrap_or_else(|| Failure {
            reason: DenialReason::LackOfEvidence,
            what: format!(
                "the signature{by} is not known on this node: no trust data for {repository} from {} was gathered",
                text::quote(server)
            ),
            advice: "Make the trust server reachable and try again".to_owned(),
        }))
    }

    fn collection(
        &self,
        notary: &NotaryRequirement,
        evidence: &NotaryEvidence,
        by: &str,
    ) -> Result<Vec<Finding>, Failure> {
        let gathered_at = evidence.collection.gathered_at;
        if let Some(why) = self.too_old(gathered_at) {
            return Err(Failure {
                reason: DenialReason::LackOfEvidence,
                what: format!(
                    "the signature{by} does not count: its trust data, gathered at {gathered_at}, {why}"
                ),
                advice: "Make the trust server reachable and try again".to_owned(),
            });
        }
        let Some(digest) = self.asked.digest else {
            return Err(Failure {
                reason: DenialReason::LackOfEvidence,
                what: format!("the signature{by} cannot be looked up before the digest is known"),
                advice: "Try again".to_owned(),
            });
        };
        let found = self
            .signatories(notary, evidence, digest)
            .map_err(|error| Failure {
                reason: DenialReason::NotSatisfied,
                what: format!("the signature{by} is missing: {error}"),
                advice: self.advice(&error),
            })?;
        let pinned = !notary.signers.is_empty();
        Ok(found
            .into_iter()
            .map(|one| Finding {
                system: "notary".to_owned(),
                signer: signer(&one, pinned),
                gathered_at: Some(gathered_at),
            })
            .collect())
    }

    fn signatories(
        &self,
        notary: &NotaryRequirement,
        evidence: &NotaryEvidence,
        digest: &Digest,
    ) -> Result<Vec<Signatory>, NotaryError> {
        let mut signers = Vec::with_capacity(notary.signers.len());
        for signer in &notary.signers {
            let name = signer.name.as_str();
            let key =
                self.policy
                    .key(&signer.public_key)
                    .ok_or_else(|| NotaryError::SignerKey {
                        signer: name.to_owned(),
                        source: KeyError::Pem,
                    })?;
            signers.push(Signer { name, key });
        }
        let subject = match self.asked.reference.tag() {
            Some(tag) => Subject::Tag(tag, digest),
            None => Subject::Digest(digest),
        };
        match self.policy.memo.verify(&notary.trust, evidence).as_ref() {
            Ok(verified) => verified.satisfied(subject, &signers),
            Err(error) => Err(error.clone()),
        }
    }

    /// Why evidence of this time no longer counts under the rule. A clock that stands before it proves no age at all.
    fn too_old(&self, at: Timestamp) -> Option<&'static str> {
        let limit: Duration = self.rule.max_evidence_age?;
        if self.now < at {
            Some("lies ahead of this node's clock")
        } else if self.now.since(at) > limit {
            Some("is older than the rule's maxEvidenceAge")
        } else {
            None
        }
    }

    fn ask(&self) -> String {
        format!("ask who maintains {}", text::quote(&self.rule.document))
    }

    fn advice(&self, error: &NotaryError) -> String {
        match error {
            NotaryError::TagNotSigned { .. }
            | NotaryError::DigestNotSigned { .. }
            | NotaryError::OtherDigest { .. }
            | NotaryError::NoTrustData { .. }
            | NotaryError::NoDelegation { .. }
            | NotaryError::SignerRole { .. }
            | NotaryError::SignerTag { .. }
            | NotaryError::SignerDigest { .. }
            | NotaryError::DidNotSign { .. } => {
                format!("Sign the image with the required keys, or {}", self.ask())
            }
            NotaryError::Unpinned { .. }
            | NotaryError::PinMismatch { .. }
            | NotaryError::WrongKey { .. }
            | NotaryError::SignerKey { .. } => format!(
                "Compare the keys with those of the publisher, then {}",
                self.ask()
            ),
            _ => "Ask who runs the trust server".to_owned(),
        }
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
            _ => 2,
        })
        .map(|hardest| Failure { what, ..hardest })
}

/// `alice (key 3f…, targets/alice)`, or the role alone with its keys where no signer is pinned.
fn signer(found: &Signatory, pinned: bool) -> String {
    let word = if found.key_ids.len() == 1 {
        "key"
    } else {
        "keys"
    };
    let keys = found.key_ids.join(", ");
    match found.role.strip_prefix("targets/") {
        Some(name) if pinned => format!("{name} ({word} {keys}, {})", found.role),
        _ => format!("{} ({word} {keys})", found.role),
    }
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
