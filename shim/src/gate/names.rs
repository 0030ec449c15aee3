//! What a request calls an image: a usable reference, an image ID, or something that is refused.

use portcullis_policy::reference::ReferenceError;
use portcullis_policy::{Digest, ImageReference};

/// An image ID in the only spelling that the kubelet uses: `sha256:` and 64 hex digits.
pub(super) fn image_id(text: &str) -> Option<Digest> {
    text.parse().ok()
}

/// Why a reference cannot be judged, in words for the client.
pub(super) fn unusable(namespace: Option<&str>, error: &ReferenceError) -> String {
    let place = super::refusal::namespace_words(namespace);
    match error {
        ReferenceError::ImageId(_) => format!(
            "{error}: in {place} that could select any image cached on this node, whoever pulled it"
        ),
        ReferenceError::Malformed(_) | ReferenceError::Algorithm(_) => {
            format!("{error}, so no policy of {place} can apply; correct the image field")
        }
    }
}

/// Whether even audit mode refuses it (CONTRACTS §4: `sha256:<hex>` as a pod's image).
pub(super) fn never_excused(error: &ReferenceError) -> bool {
    matches!(error, ReferenceError::ImageId(_))
}

/// Parses a reference.
pub(super) fn parse(text: &str) -> Result<ImageReference, ReferenceError> {
    ImageReference::parse(text)
}
