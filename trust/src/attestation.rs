//! Attestations: signed in-toto statements about a digest, and what a policy asks of them.

use portcullis_policy::model::AttestationRequirement;
use portcullis_policy::{Diagnostic, Digest};

use crate::evidence::Artefact;
use crate::finding::{Refused, Verified};
use crate::time::Timestamp;

/// An `attestations` requirement, ready to verify.
#[derive(Debug)]
pub struct AttestationVerifier {}

impl AttestationVerifier {
    /// Parses signers, patterns and the CEL expression.
    ///
    /// # Errors
    /// One diagnostic per part that cannot be used, with its place.
    pub fn compile(_requirement: &AttestationRequirement) -> Result<Self, Vec<Diagnostic>> {
        todo!("attestation")
    }

    /// Whether a statement of the required type by the required signers says what the policy asks for.
    ///
    /// # Errors
    /// Why not.
    pub fn verify(
        &self,
        _digest: &Digest,
        _artefacts: &[&Artefact],
        _now: Timestamp,
    ) -> Result<Vec<Verified>, Refused> {
        todo!("attestation")
    }
}
