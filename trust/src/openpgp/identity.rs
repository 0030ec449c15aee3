//! Whether the reference that was signed stands for the image that is asked for: `signedIdentity` of
//! containers-policy.json(5).
//!
//! Simple signing names the image twice, as cosign's legacy format does, mostly without a tag: by its digest, and by the
//! reference it was signed under. This is about the second. Whoever calls it has compared the digest, so that an image named by digest needs the repository alone.
//!
//! Both sides are normalised (`nginx:1` is `docker.io/library/nginx:1`); to a signed reference no tag is added.

use portcullis_policy::ImageReference;
use portcullis_policy::model::SignedIdentity;

/// Why a signed reference does not stand for an image. Names what was expected, never what was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// What was signed is no image reference.
    #[error("the signed reference is not an image reference")]
    Malformed,
    /// What was signed has neither tag nor digest where the whole reference counts.
    #[error("the signed reference has neither a tag nor a digest")]
    NameOnly,
    /// The repository differs.
    #[error("it was signed for another repository than {expected}")]
    OtherRepository {
        /// The repository that would do, normalised.
        expected: String,
    },
    /// The repository is right; tag or digest differ.
    #[error("it was signed for another reference than {expected}")]
    OtherReference {
        /// The reference that would do, normalised.
        expected: String,
    },
    /// The image has both a tag and a digest, and the whole reference is to be equal.
    #[error("an image with both a tag and a digest is equal to no signed reference")]
    TagAndDigest,
    /// The policy's own text is no reference.
    #[error("{0}")]
    Policy(#[from] IdentityProblem),
}

/// What is wrong with a [`SignedIdentity`] itself: nothing could ever match it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityProblem {
    /// `exactReference` without a tag or digest, or not a reference at all.
    #[error("`{0}` is not an image reference with a tag or digest")]
    Reference(String),
    /// `exactRepository` is not a repository.
    #[error("`{0}` is not a repository")]
    Repository(String),
    /// A prefix of `remapIdentity` is neither a host nor a repository or namespace that begins with one.
    #[error(
        "`{0}` is not a prefix of image names: write a host, or a host with a namespace or repository"
    )]
    Prefix(String),
}

/// Whether an image signed as `signed` may stand for `image`. Digests of images are compared elsewhere.
///
/// `image` may have both a tag and a digest, which containers/image refuses: it is then judged by its digest, as one
/// without the tag would be, and is equal to nothing where [`SignedIdentity::MatchExact`] asks for equality.
///
/// # Errors
/// [`IdentityError`] says what was expected instead.
pub fn accepts(
    identity: &SignedIdentity,
    image: &ImageReference,
    signed: &str,
) -> Result<(), IdentityError> {
    let signed = ImageReference::parse(signed).map_err(|_| IdentityError::Malformed)?;
    match identity {
        SignedIdentity::MatchRepoDigestOrExact => repository_digest_or_exact(image, &signed),
        SignedIdentity::MatchExact => {
            if image.tag().is_some() && image.digest().is_some() {
                return Err(IdentityError::TagAndDigest);
            }
            same_reference(image, &signed)
        }
        SignedIdentity::MatchRepository => same_repository(image, &signed),
        SignedIdentity::ExactReference(text) => same_reference(&reference(text)?, &signed),
        SignedIdentity::ExactRepository(text) => same_repository(&repository(text)?, &signed),
        SignedIdentity::Remap {
            prefix,
            signed_prefix,
        } => match remapped(image, prefix, signed_prefix)? {
            Some(image) => repository_digest_or_exact(&image, &signed),
            None => repository_digest_or_exact(image, &signed),
        },
    }
}

/// Whether `identity` can match anything at all: for a policy's load.
///
/// # Errors
/// What is wrong with it.
pub fn check(identity: &SignedIdentity) -> Result<(), IdentityProblem> {
    match identity {
        SignedIdentity::MatchRepoDigestOrExact
        | SignedIdentity::MatchExact
        | SignedIdentity::MatchRepository => Ok(()),
        SignedIdentity::ExactReference(text) => reference(text).map(drop),
        SignedIdentity::ExactRepository(text) => repository(text).map(drop),
        SignedIdentity::Remap {
            prefix,
            signed_prefix,
        } => is_prefix(prefix).and_then(|()| is_prefix(signed_prefix)),
    }
}

fn repository_digest_or_exact(
    image: &ImageReference,
    signed: &ImageReference,
) -> Result<(), IdentityError> {
    if image.digest().is_none() {
        return same_reference(image, signed);
    }
    if is_name_only(signed) {
        return Err(IdentityError::NameOnly);
    }
    same_repository(image, signed)
}

fn same_reference(expected: &ImageReference, signed: &ImageReference) -> Result<(), IdentityError> {
    if is_name_only(signed) {
        return Err(IdentityError::NameOnly);
    }
    same_repository(expected, signed)?;
    if expected.tag() == signed.tag() && expected.digest() == signed.digest() {
        return Ok(());
    }
    Err(IdentityError::OtherReference {
        expected: expected.normalised(),
    })
}

fn same_repository(
    expected: &ImageReference,
    signed: &ImageReference,
) -> Result<(), IdentityError> {
    if expected.domain() == signed.domain() && expected.path() == signed.path() {
        return Ok(());
    }
    Err(IdentityError::OtherRepository {
        expected: expected.repository(),
    })
}

/// Whether the text had neither tag nor digest; the parser has filled in `latest` then.
fn is_name_only(reference: &ImageReference) -> bool {
    reference.digest().is_none() && !reference.raw().ends_with(&tag_suffix(reference))
}

fn tag_suffix(reference: &ImageReference) -> String {
    format!(":{}", reference.tag().unwrap_or_default())
}

fn reference(text: &str) -> Result<ImageReference, IdentityProblem> {
    ImageReference::parse(text)
        .ok()
        .filter(|reference| !is_name_only(reference))
        .ok_or_else(|| IdentityProblem::Reference(text.to_owned()))
}

fn repository(text: &str) -> Result<ImageReference, IdentityProblem> {
    ImageReference::parse(text).map_err(|_| IdentityProblem::Repository(text.to_owned()))
}

/// A prefix is compared with normalised names and has to be one: below it, `x/x` must be a normalised name too.
fn is_prefix(prefix: &str) -> Result<(), IdentityProblem> {
    let below = format!("{prefix}/x/x");
    match ImageReference::parse(&below) {
        Ok(reference) if reference.repository() == below => Ok(()),
        _ => Err(IdentityProblem::Prefix(prefix.to_owned())),
    }
}

/// `image` with `signed_prefix` where `prefix` was; `None`: it does not begin with it.
fn remapped(
    image: &ImageReference,
    prefix: &str,
    signed_prefix: &str,
) -> Result<Option<ImageReference>, IdentityProblem> {
    let name = image.repository();
    let whole_components = |rest: &&str| rest.is_empty() || rest.starts_with('/');
    let Some(rest) = name.strip_prefix(prefix).filter(whole_components) else {
        return Ok(None);
    };
    let mut text = format!("{signed_prefix}{rest}");
    if let Some(tag) = image.tag() {
        text.push(':');
        text.push_str(tag);
    }
    if let Some(digest) = image.digest() {
        text.push('@');
        text.push_str(&digest.to_string());
    }
    // In canonical form already, or a short prefix would be taken for one on Docker Hub.
    match ImageReference::parse(&text) {
        Ok(reference) if reference.normalised() == text => Ok(Some(reference)),
        _ => Err(IdentityProblem::Prefix(signed_prefix.to_owned())),
    }
}

#[cfg(test)]
mod tests;
