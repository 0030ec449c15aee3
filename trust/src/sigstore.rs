//! Sigstore signatures: bundles v0.3 and cosign's legacy format, with plain keys or keyless certificates.
//!
//! What [`SignerSet`] knows is shared by `cosign` (a signature over the digest) and `attestations` (a signed statement).
//! Evidence is any-of: no artefact, whoever put it there, can keep another one from counting.

use portcullis_policy::model::{CosignRequirement, SigstoreSigners};
use portcullis_policy::{Diagnostic, Digest, ImageReference};

use crate::evidence::Artefact;
use crate::finding::{Refused, Verified};
use crate::time::Timestamp;

/// Keys, identities and trusted root of a requirement, parsed.
#[derive(Debug)]
pub struct SignerSet {}

/// A statement whose signature counts (in-toto, DSSE).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedStatement {
    /// The statement's JSON, as it was signed.
    pub bytes: Vec<u8>,
    /// Index into `of` of the requirement: who signed.
    pub signer: usize,
    /// Who, in words.
    pub verified: Verified,
}

/// A `cosign` requirement, ready to verify.
#[derive(Debug)]
pub struct CosignVerifier {}

impl SignerSet {
    /// Parses keys, patterns and trusted root.
    ///
    /// # Errors
    /// One diagnostic per part that cannot be used, with its place.
    pub fn compile(_signers: &SigstoreSigners) -> Result<Self, Vec<Diagnostic>> {
        todo!("sigstore")
    }

    /// The statements among `artefacts` (bundles and legacy attestations) that one of the signers signed and whose subject
    /// is `digest`, each with who signed. Others are told to `refused`.
    pub fn statements(
        &self,
        _digest: &Digest,
        _artefacts: &[&Artefact],
        _now: Timestamp,
        _refused: &mut Refused,
    ) -> Vec<SignedStatement> {
        todo!("sigstore")
    }
}

impl CosignVerifier {
    /// Parses what the requirement names.
    ///
    /// # Errors
    /// As [`SignerSet::compile`].
    pub fn compile(_requirement: &CosignRequirement) -> Result<Self, Vec<Diagnostic>> {
        todo!("sigstore")
    }

    /// Whether enough of the signers signed `digest`: one [`Verified`] for each of them.
    ///
    /// # Errors
    /// Why not.
    pub fn verify(
        &self,
        _reference: &ImageReference,
        _digest: &Digest,
        _artefacts: &[&Artefact],
        _now: Timestamp,
    ) -> Result<Vec<Verified>, Refused> {
        todo!("sigstore")
    }
}
