//! What a request calls an image: a usable reference, an image ID, or something that is refused.

use portcullis_policy::reference::ReferenceError;
use portcullis_policy::{Digest, ImageReference};

/// The longest text from a request that is repeated, in characters: as long as the longest reference that is parsed.
const MAX_SHOWN: usize = 1024;

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

/// Whether even audit mode refuses it (docs/rules.md: `sha256:<hex>` as a pod's image).
pub(super) fn never_excused(error: &ReferenceError) -> bool {
    matches!(error, ReferenceError::ImageId(_))
}

/// `text` from a request as a message or a log line may repeat it: escaped, and cut where it is longer than any real name.
pub(super) fn shown(text: &str) -> String {
    let mut out: String = text
        .chars()
        .flat_map(char::escape_debug)
        .take(MAX_SHOWN)
        .collect();
    if out.len() < text.len() {
        out.push('…');
    }
    out
}

/// Parses a reference.
pub(super) fn parse(text: &str) -> Result<ImageReference, ReferenceError> {
    ImageReference::parse(text)
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn what_a_request_says_is_repeated_escaped_and_in_bounds() {
        assert_eq!(shown("r.io/app:1"), "r.io/app:1");
        assert_eq!(shown("a\nb\u{202e}"), "a\\nb\\u{202e}");
        assert!(shown(&"é\u{7}".repeat(1 << 20)).len() <= 4 * super::MAX_SHOWN + 3);
    }
}
