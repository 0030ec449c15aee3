//! How the repository named in a legacy signature is compared: `signedIdentity` of containers-policy.json(5).
//!
//! The digest was compared before. cosign writes the repository without a tag, so that only comparisons of the repository
//! hold for most of its signatures. Both sides are normalised; no tag is added to what was signed.

use portcullis_policy::ImageReference;
use portcullis_policy::model::SignedIdentity;

/// Whether a signature for `signed` may stand for `image`.
pub(super) fn accepts(identity: &SignedIdentity, image: &ImageReference, signed: &str) -> bool {
    let Ok(signed) = ImageReference::parse(signed) else {
        return false;
    };
    match identity {
        SignedIdentity::MatchRepoDigestOrExact => by_digest_or_exact(image, &signed),
        // Equal to both a tag and a digest is nothing that is signed.
        SignedIdentity::MatchExact => {
            (image.tag().is_none() || image.digest().is_none()) && exact(image, &signed)
        }
        SignedIdentity::MatchRepository => image.repository() == signed.repository(),
        SignedIdentity::ExactReference(text) => {
            ImageReference::parse(text).is_ok_and(|wanted| exact(&wanted, &signed))
        }
        SignedIdentity::ExactRepository(text) => ImageReference::parse(text)
            .is_ok_and(|wanted| wanted.repository() == signed.repository()),
        SignedIdentity::Remap {
            prefix,
            signed_prefix,
        } => remapped(image, prefix, signed_prefix)
            .is_some_and(|image| by_digest_or_exact(&image, &signed)),
    }
}

fn by_digest_or_exact(image: &ImageReference, signed: &ImageReference) -> bool {
    if image.digest().is_some() {
        return !name_only(signed) && image.repository() == signed.repository();
    }
    exact(image, signed)
}

fn exact(image: &ImageReference, signed: &ImageReference) -> bool {
    !name_only(signed) && image.normalised() == signed.normalised()
}

/// Whether the text had neither tag nor digest: the parser has filled in `latest`.
fn name_only(signed: &ImageReference) -> bool {
    let tagged = signed
        .tag()
        .is_some_and(|tag| signed.raw().ends_with(&format!(":{tag}")));
    signed.digest().is_none() && !tagged
}

/// The image under its other name. `prefix` ends at a `/`, or is the whole repository.
fn remapped(image: &ImageReference, prefix: &str, signed_prefix: &str) -> Option<ImageReference> {
    let repository = image.repository();
    let rest = match repository.strip_prefix(prefix) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => rest,
        _ => return Some(image.clone()),
    };
    let mut text = format!("{signed_prefix}{rest}");
    if let Some(tag) = image.tag() {
        text = format!("{text}:{tag}");
    }
    if let Some(digest) = image.digest() {
        text = format!("{text}@{digest}");
    }
    ImageReference::parse(&text).ok()
}
