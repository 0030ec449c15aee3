//! What an image says about itself in annotations and labels.

use portcullis_policy::model::AnnotationsRequirement;
use portcullis_policy::{Diagnostic, Digest};

use crate::evidence::ImageDescription;
use crate::finding::{Refused, Verified};
use crate::time::Timestamp;

/// An `annotations` requirement, ready to verify.
#[derive(Debug)]
pub struct AnnotationsVerifier {}

impl AnnotationsVerifier {
    /// Compiles the patterns.
    ///
    /// # Errors
    /// One diagnostic per pattern that cannot be used, with its place.
    pub fn compile(_requirement: &AnnotationsRequirement) -> Result<Self, Vec<Diagnostic>> {
        todo!("annotations")
    }

    /// Whether the descriptions of `digest` (every platform that is known) say what the policy asks for.
    ///
    /// # Errors
    /// Why not.
    pub fn verify(
        &self,
        _digest: &Digest,
        _descriptions: &[&ImageDescription],
        _now: Timestamp,
    ) -> Result<Vec<Verified>, Refused> {
        todo!("annotations")
    }
}
