//! OpenPGP simple signing (containers/image `signature`): a signed statement that a reference means a digest.

pub mod identity;

use portcullis_policy::model::SimpleRequirement;
use portcullis_policy::{Diagnostic, Digest, ImageReference};

use crate::evidence::Artefact;
use crate::finding::{Refused, Verified};
use crate::time::Timestamp;

/// A `simple` requirement, ready to verify.
#[derive(Debug)]
pub struct SimpleVerifier {}

impl SimpleVerifier {
    /// Parses the keyrings.
    ///
    /// # Errors
    /// One diagnostic per keyring that cannot be used, with its place.
    pub fn compile(_requirement: &SimpleRequirement) -> Result<Self, Vec<Diagnostic>> {
        todo!("openpgp")
    }

    /// Whether one of the keys signed that `reference` means `digest`.
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
        todo!("openpgp")
    }
}
