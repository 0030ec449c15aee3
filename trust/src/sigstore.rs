//! Sigstore signatures: bundles v0.1 to v0.3 and cosign's legacy format, with plain keys or keyless certificates.
//!
//! What [`SignerSet`] knows is shared by `cosign` (a signature over the digest) and `attestations` (a signed statement).
//! Evidence is any-of: no artefact, whoever put it there, can keep another one from counting. The answer does not depend
//! on the order in which artefacts were found.

mod artefact;
pub mod bundle;
mod certificate;
mod entry;
mod key;
mod keyed;
mod keyless;
mod legacy;
mod log;
pub(crate) mod matching;
mod reason;
mod root;
mod shape;
mod signers;
mod statement;
mod when;

use std::collections::{BTreeMap, BTreeSet};

use portcullis_policy::model::{CosignRequirement, SignedIdentity};
use portcullis_policy::{Diagnostic, Digest, ImageReference, Severity};
use serde_json::Value;

use crate::evidence::{Artefact, ArtefactKind};
use crate::finding::{Refused, Verified};
use crate::openpgp::identity;
use crate::time::Timestamp;
use artefact::{Content, Signed};
use signers::{Hit, Who};
use statement::{Payload, Statement};

pub use key::KeyError;
pub use reason::Reason;
pub use signers::SignerSet;

/// Most artefacts of one image that are looked at. What gathers them keeps fewer.
const MAX_ARTEFACTS: usize = 256;

/// A statement whose signature counts (in-toto, DSSE).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedStatement {
    /// The statement's JSON, as it was signed.
    pub bytes: Vec<u8>,
    /// Who signed: statements with different numbers are by different signers.
    pub signer: usize,
    /// Which signers of the requirement they can stand for, by index into `of`: for one of them. Never empty.
    pub entries: Vec<usize>,
    /// Who, in words.
    pub verified: Verified,
}

/// A `cosign` requirement, ready to verify.
#[derive(Debug)]
pub struct CosignVerifier {
    signers: SignerSet,
    annotations: BTreeMap<String, String>,
    identity: Option<SignedIdentity>,
}

impl SignerSet {
    /// The statements among `artefacts` (bundles and legacy attestations) that one of the signers signed and whose subject
    /// is `digest`, each with who signed, in an order that depends on the statements alone. Others are told to `refused`.
    /// The threshold is for the caller to count among those that say what is asked, by different `signer`s.
    ///
    /// Everything is judged by `now`. `sigstore-verify` asks the system's clock too, and can only refuse more by it.
    pub fn statements(
        &self,
        digest: &Digest,
        artefacts: &[&Artefact],
        now: Timestamp,
        refused: &mut Refused,
    ) -> Vec<SignedStatement> {
        let kinds = [
            ArtefactKind::SigstoreBundle,
            ArtefactKind::CosignAttestation,
        ];
        let mut found = Vec::new();
        for artefact in orderly(artefacts, &kinds, refused) {
            match self.statement(digest, artefact, now) {
                Ok(hit) => found.push(hit),
                Err(reason) => refused.add(&reason),
            }
        }
        let people: BTreeSet<Who> = found.iter().map(|(hit, _)| hit.who.clone()).collect();
        found
            .into_iter()
            .map(|(hit, bytes)| SignedStatement {
                bytes,
                signer: people.range(..&hit.who).count(),
                entries: hit.signers,
                verified: hit.verified,
            })
            .collect()
    }

    fn statement(
        &self,
        digest: &Digest,
        artefact: &Artefact,
        now: Timestamp,
    ) -> Result<(Hit, Vec<u8>), Reason> {
        let signed = Signed::read(artefact, self.log)?;
        let Content::Statement(bytes) = &signed.content else {
            return Err(Reason::NotAnImage);
        };
        Statement::read(bytes)?.about(digest)?;
        let hit = self.verify(&signed, &bundle::artifact(digest), now)?;
        Ok((hit, bytes.clone()))
    }
}

impl CosignVerifier {
    /// Parses what the requirement names.
    ///
    /// # Errors
    /// As [`SignerSet::compile`]; and for an identity that nothing can match.
    pub fn compile(requirement: &CosignRequirement) -> Result<Self, Vec<Diagnostic>> {
        let mut diagnostics = Vec::new();
        if let Some(Err(problem)) = requirement.identity.as_ref().map(identity::check) {
            diagnostics.push(Diagnostic {
                severity: Severity::Error,
                span: requirement.span.clone(),
                message: format!("the signed identity can match nothing: {problem}"),
            });
        }
        let signers = match SignerSet::compile(&requirement.signers) {
            Ok(signers) if diagnostics.is_empty() => signers,
            Ok(_) => return Err(diagnostics),
            Err(found) => {
                diagnostics.extend(found);
                return Err(diagnostics);
            }
        };
        Ok(Self {
            signers,
            annotations: requirement.annotations.clone(),
            identity: requirement.identity.clone(),
        })
    }

    /// Whether enough of the signers signed `digest`: one [`Verified`] for each of them, in their order.
    ///
    /// Everything is judged by `now`. `sigstore-verify` asks the system's clock too, and can only refuse more by it.
    ///
    /// # Errors
    /// Why not.
    pub fn verify(
        &self,
        reference: &ImageReference,
        digest: &Digest,
        artefacts: &[&Artefact],
        now: Timestamp,
    ) -> Result<Vec<Verified>, Refused> {
        let kinds = [ArtefactKind::SigstoreBundle, ArtefactKind::CosignSignature];
        let mut refused = Refused::default();
        let mut hits = Vec::new();
        for artefact in orderly(artefacts, &kinds, &mut refused) {
            match self.signature(reference, digest, artefact, now) {
                Ok(hit) => hits.push(hit),
                Err(reason) => refused.add(&reason),
            }
        }
        let assigned = matching::assign(
            hits.iter()
                .map(|hit| (hit.who.clone(), hit.signers.as_slice())),
        );
        if assigned.len() < self.signers.threshold {
            refused.partly(assigned.len(), self.signers.threshold);
            return Err(refused);
        }
        let mut verified: BTreeMap<usize, Verified> = BTreeMap::new();
        for (who, signer) in &assigned {
            if let Some(one) = first(&hits, who) {
                verified.insert(*signer, one.clone());
            }
        }
        Ok(verified.into_values().collect())
    }

    fn signature(
        &self,
        reference: &ImageReference,
        digest: &Digest,
        artefact: &Artefact,
        now: Timestamp,
    ) -> Result<Hit, Reason> {
        let signed = Signed::read(artefact, self.signers.log)?;
        match &signed.content {
            Content::Statement(bytes) => {
                let statement = Statement::read(bytes)?;
                if statement.predicate_type != statement::SIGNATURE {
                    return Err(Reason::NotASignature);
                }
                if self.identity.is_some() {
                    return Err(Reason::NoRepository);
                }
                self.annotated(&statement.about(digest)?)?;
            }
            Content::Payload(bytes) => {
                let payload = Payload::read(bytes, digest)?;
                let accepted = self.identity.as_ref().is_none_or(|identity| {
                    identity::accepts(identity, reference, payload.reference()).is_ok()
                });
                if !accepted {
                    return Err(Reason::OtherRepository);
                }
                self.annotated(&[payload.annotations()])?;
            }
            Content::Message => return Err(Reason::NotAnImage),
        }
        self.signers.verify(&signed, &bundle::artifact(digest), now)
    }

    /// One of the places has every annotation; else why the first one has not.
    fn annotated(&self, places: &[Option<&BTreeMap<String, Value>>]) -> Result<(), Reason> {
        let mut first = Err(Reason::OtherDigest);
        for place in places {
            match statement::annotated(&self.annotations, *place) {
                Ok(()) => return Ok(()),
                Err(reason) if first == Err(Reason::OtherDigest) => first = Err(reason),
                Err(_) => {}
            }
        }
        first
    }
}

/// The artefacts of these kinds, without repetition, in an order of their own.
fn orderly<'a>(
    artefacts: &[&'a Artefact],
    kinds: &[ArtefactKind],
    refused: &mut Refused,
) -> Vec<&'a Artefact> {
    let mut all: Vec<&Artefact> = artefacts
        .iter()
        .copied()
        .filter(|artefact| kinds.contains(&artefact.kind))
        .collect();
    let key = |one: &&'a Artefact| (one.kind, &one.bytes, &one.annotations);
    all.sort_by(|one, other| key(one).cmp(&key(other)));
    all.dedup();
    for _ in all.drain(all.len().min(MAX_ARTEFACTS)..) {
        refused.add(&Reason::TooManyArtefacts);
    }
    all
}

/// What is shown of a signer who signed several times: the earliest proved time.
fn first<'a>(hits: &'a [Hit], who: &Who) -> Option<&'a Verified> {
    hits.iter()
        .filter(|hit| hit.who == *who)
        .map(|hit| &hit.verified)
        .min_by_key(|one| (one.signed_at.is_none(), one.signed_at, &one.signer))
}
