//! The requirements that signatures beside the image prove, against those that were gathered.
//!
//! Evidence of this kind only ever adds: no artefact keeps another one from counting. What is missing may therefore have
//! been added since, and gathering again could mend it.

use std::sync::Arc;

use portcullis_policy::Span;
use portcullis_policy::model::{
    AnnotationsRequirement, AttestationRequirement, CosignRequirement, NotationRequirement,
    SimpleRequirement,
};

use super::evaluate::{Failure, Judge, Outcome};
use super::{DenialReason, Finding, text};
use crate::compile::store;
use crate::evidence::{Artefact, SignatureSet, SignatureSource};
use crate::finding::{Refused, Verified};
use crate::time::Timestamp;

/// What the rule asks for, for messages.
struct Asks<'a> {
    /// `cosign`.
    system: &'static str,
    /// `a cosign signature`.
    what: &'static str,
    /// Where it stands.
    place: &'a Span,
    /// ` required by rule …`, or nothing inside a list.
    by: &'a str,
}

/// What was gathered for one requirement.
struct Gathered<'a> {
    artefacts: Vec<&'a Artefact>,
    /// The newest time at which one of the sources was asked; `None`: none was.
    at: Option<Timestamp>,
    /// Sets that the rule no longer counts.
    stale: bool,
    truncated: bool,
}

impl Judge<'_> {
    pub(super) fn cosign(&self, requirement: &CosignRequirement, by: &str) -> Outcome {
        let asks = Asks {
            system: "cosign",
            what: "a cosign signature",
            place: &requirement.span,
            by,
        };
        let mut sources = vec![SignatureSource::CosignSignatures];
        if requirement.identity.is_none() {
            sources.push(SignatureSource::Bundles);
        }
        let gathered = self.gathered(&sources);
        self.answer(&asks, &gathered, || {
            let verifier = self.policy.verifiers.cosign.get(requirement)?;
            let digest = self.asked.digest?;
            let reference = self.asked.reference;
            Some(verifier.verify(reference, digest, &gathered.artefacts, self.now))
        })
    }

    pub(super) fn attestation(&self, requirement: &AttestationRequirement, by: &str) -> Outcome {
        let asks = Asks {
            system: "attestations",
            what: "an attestation",
            place: &requirement.span,
            by,
        };
        let gathered = self.gathered(&[
            SignatureSource::Bundles,
            SignatureSource::CosignAttestations,
        ]);
        self.answer(&asks, &gathered, || {
            let verifier = self.policy.verifiers.attestation.get(requirement)?;
            Some(verifier.verify(self.asked.digest?, &gathered.artefacts, self.now))
        })
    }

    pub(super) fn notation(&self, requirement: &NotationRequirement, by: &str) -> Outcome {
        let asks = Asks {
            system: "notation",
            what: "a notation signature",
            place: &requirement.span,
            by,
        };
        let gathered = self.gathered(&[SignatureSource::Notation]);
        self.answer(&asks, &gathered, || {
            let verifier = self.policy.verifiers.notation.get(requirement)?;
            let revocations = &self.evidence.revocations;
            Some(verifier.verify(
                self.asked.digest?,
                &gathered.artefacts,
                revocations,
                self.now,
            ))
        })
    }

    pub(super) fn simple(&self, requirement: &SimpleRequirement, by: &str) -> Outcome {
        let asks = Asks {
            system: "simple",
            what: "a simple signature",
            place: &requirement.span,
            by,
        };
        let gathered = self.gathered(&[store(&requirement.store, self.asked.reference)]);
        self.answer(&asks, &gathered, || {
            let verifier = self.policy.verifiers.simple.get(requirement)?;
            let reference = self.asked.reference;
            Some(verifier.verify(reference, self.asked.digest?, &gathered.artefacts, self.now))
        })
    }

    pub(super) fn annotations(&self, requirement: &AnnotationsRequirement, by: &str) -> Outcome {
        let asks = Asks {
            system: "annotations",
            what: "the image's description",
            place: &requirement.span,
            by,
        };
        let descriptions: Vec<_> = self
            .evidence
            .descriptions
            .iter()
            .map(Arc::as_ref)
            .filter(|one| Some(&one.subject) == self.asked.digest)
            .collect();
        // What hashes to the digest never changes: its age is no matter.
        let gathered = Gathered {
            artefacts: Vec::new(),
            at: descriptions.iter().map(|one| one.gathered_at).max(),
            stale: false,
            truncated: false,
        };
        self.answer(&asks, &gathered, || {
            let verifier = self.policy.verifiers.annotations.get(requirement)?;
            Some(verifier.verify(self.asked.digest?, &descriptions, self.now))
        })
    }

    /// What `sources` had for the digest in the reference's repository.
    fn gathered(&self, sources: &[SignatureSource]) -> Gathered<'_> {
        let repository = self.asked.reference.repository();
        let mut gathered = Gathered {
            artefacts: Vec::new(),
            at: None,
            stale: false,
            truncated: false,
        };
        let sets = self.evidence.signatures.iter().filter(|set| {
            set.repository == repository
                && Some(&set.subject) == self.asked.digest
                && sources.contains(&set.source)
        });
        for set in sets {
            let set: &SignatureSet = set;
            if self.too_old(set.gathered_at).is_some() {
                gathered.stale = true;
                continue;
            }
            gathered.at = gathered.at.max(Some(set.gathered_at));
            gathered.truncated |= set.truncated;
            gathered.artefacts.extend(&set.artefacts);
            let earlier = set.earlier.iter();
            let earlier = earlier.filter(|one| self.too_old(one.gathered_at).is_none());
            gathered.artefacts.extend(earlier.map(|one| &one.artefact));
        }
        gathered
    }

    /// The outcome of a verifier that is asked only if something was gathered; `None` from it: a question without digest.
    fn answer(
        &self,
        asks: &Asks<'_>,
        gathered: &Gathered<'_>,
        verify: impl FnOnce() -> Option<Result<Vec<Verified>, Refused>>,
    ) -> Outcome {
        let Asks { what, by, .. } = asks;
        let repository = self.asked.reference.repository();
        let (reason, clause, found) = if gathered.at.is_none() {
            let why = if gathered.stale {
                "what was gathered is older than the rule's maxEvidenceAge, or lies ahead of this node's clock"
            } else {
                "nothing was gathered yet"
            };
            (
                DenialReason::LackOfEvidence,
                format!("{what}{by} is not known on this node: {why}"),
                why.to_owned(),
            )
        } else {
            match verify() {
                Some(Ok(verified)) => return findings(asks, gathered, verified),
                Some(Err(refused)) => {
                    let mut found = refused.clause();
                    if gathered.truncated {
                        found.push_str("; there are more than are looked at");
                    }
                    let clause = format!("{what}{by} is missing: {found}");
                    (DenialReason::Unsigned, clause, found)
                }
                None => {
                    let why = "it cannot be looked up before the digest is known";
                    let clause = format!("{what}{by} is missing: {why}");
                    (DenialReason::LackOfEvidence, clause, why.to_owned())
                }
            }
        };
        let failure = Failure {
            reason,
            what: clause,
            advice: format!(
                "Sign the image as {} asks and make {} reachable, or {}",
                text::quote(&text::place(asks.place)),
                text::quote(&repository),
                self.ask()
            ),
        };
        Outcome::fails(failure).instead(asks.system, asks.place, found)
    }
}

fn findings(asks: &Asks<'_>, gathered: &Gathered<'_>, verified: Vec<Verified>) -> Outcome {
    let finding = |one: Verified| Finding {
        system: asks.system.to_owned(),
        place: Some(asks.place.clone()),
        signer: text::quote(&one.signer),
        signed_at: one.signed_at,
        gathered_at: gathered.at,
        notes: one.notes.iter().map(|note| text::quote(note)).collect(),
    };
    Outcome::holds(verified.into_iter().map(finding).collect())
}
