//! The requirements that evidence proves, against that evidence: where an image comes from, and who signed it.

use std::time::Duration;

use portcullis_policy::Digest;
use portcullis_policy::model::NotaryRequirement;

use super::evaluate::{Failure, Judge, Outcome};
use super::{DenialReason, Finding, text};
use crate::evidence::{NotaryEvidence, OriginSource};
use crate::notary::{KeyError, NotaryError, Signatory, Signer, Subject};
use crate::time::Timestamp;

impl Judge<'_> {
    /// A bare allow needs to know that the digest came from the repository it is named by (docs/rules.md).
    pub(super) fn origin(&self, by: &str) -> Outcome {
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
            return Outcome::fails(Failure {
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
        Outcome::holds(vec![Finding {
            system: "allow".to_owned(),
            place: Some(self.rule.span.clone()),
            signer,
            signed_at: None,
            gathered_at: Some(origin.at),
            notes: Vec::new(),
        }])
    }

    pub(super) fn notary(&self, notary: &NotaryRequirement, by: &str) -> Outcome {
        let repository = self.asked.reference.repository();
        let server = &notary.trust.server;
        // There is at most one; were there more, any of them may speak, so that none can silence another.
        let mut refused: Option<Failure> = None;
        for evidence in &self.evidence.notary {
            if evidence.collection.server != *server || evidence.collection.gun != repository {
                continue;
            }
            let failure = match self.collection(notary, evidence, by) {
                Ok(findings) => return Outcome::holds(findings),
                Err(failure) => failure,
            };
            if refused.as_ref().is_none_or(Failure::lacks_evidence) {
                refused = Some(failure);
            }
        }
        let refused = refused.unwrap_or_else(|| Failure {
            reason: DenialReason::LackOfEvidence,
            what: format!(
                "the signature{by} is not known on this node: no trust data for {repository} from {} was gathered",
                text::quote(server)
            ),
            advice: "Make the trust server reachable and try again".to_owned(),
        });
        let found = refused.what.replacen(by, "", 1);
        Outcome::fails(refused).instead("notary", &notary.span, found)
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
                place: Some(notary.span.clone()),
                signer: signer(&one, pinned),
                signed_at: None,
                gathered_at: Some(gathered_at),
                notes: Vec::new(),
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
    pub(super) fn too_old(&self, at: Timestamp) -> Option<&'static str> {
        let limit: Duration = self.rule.max_evidence_age?;
        if self.now < at {
            Some("lies ahead of this node's clock")
        } else if self.now.since(at) > limit {
            Some("is older than the rule's maxEvidenceAge")
        } else {
            None
        }
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
