//! Notary Project signatures (notation): JWS and COSE envelopes under a trust policy.
//!
//! No crate implements it; this follows the specifications notaryproject/specifications of 2025-05-20.

mod pki;
pub mod revocation;
pub mod timestamp;

use std::sync::Arc;

use portcullis_policy::model::NotationRequirement;
use portcullis_policy::{Diagnostic, Digest};

use crate::evidence::{Artefact, RevocationAnswer, RevocationWant};
use crate::finding::{Refused, Verified};
use crate::time::Timestamp;

/// A `notation` requirement, ready to verify.
#[derive(Debug)]
pub struct NotationVerifier {}

impl NotationVerifier {
    /// Parses certificates and identities.
    ///
    /// # Errors
    /// One diagnostic per part that cannot be used, with its place.
    pub fn compile(_requirement: &NotationRequirement) -> Result<Self, Vec<Diagnostic>> {
        todo!("notation")
    }

    /// Whether one of `artefacts` is a signature over `digest` that counts.
    ///
    /// # Errors
    /// Why not.
    pub fn verify(
        &self,
        _digest: &Digest,
        _artefacts: &[&Artefact],
        _revocations: &[Arc<RevocationAnswer>],
        _now: Timestamp,
    ) -> Result<Vec<Verified>, Refused> {
        todo!("notation")
    }

    /// What certificate authorities have to be asked before `artefacts` can be judged: for envelopes over `digest` whose
    /// signature and chain are good. Without repetition, bounded.
    pub fn revocation_wants(
        &self,
        _digest: &Digest,
        _artefacts: &[&Artefact],
    ) -> Vec<RevocationWant> {
        todo!("notation")
    }

    /// Whether `answer` is one to what [`NotationVerifier::revocation_wants`] asked for, is signed by whoever may answer for
    /// a certificate in `artefacts`, and was fresh when it was gathered. What is not must not replace a stored one.
    pub fn accepts(
        &self,
        _digest: &Digest,
        _artefacts: &[&Artefact],
        _answer: &RevocationAnswer,
    ) -> bool {
        todo!("notation")
    }
}
