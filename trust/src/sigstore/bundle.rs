//! One bundle over one artefact: what a client of Sigstore outside a registry verifies.

use portcullis_policy::Digest;
use sigstore_types::{Artifact, Sha256Hash};

use super::artefact::{Content, Signed};
use super::key::{Hash, Message};
use super::reason::Reason;
use super::signers::SignerSet;
use super::statement::Statement;
use crate::finding::Verified;
use crate::time::Timestamp;

/// What a bundle must be about.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// These bytes.
    Bytes(&'a [u8]),
    /// Bytes of which only the digest is known. Ed25519 and hashes other than SHA-256 cannot be verified then.
    Digest(Digest),
}

/// Verifies a bundle (JSON, versions 0.1 to 0.3) by one of `signers` over `subject`: a signature over its bytes, or a
/// signed in-toto statement of any kind with its digest among the subjects. The threshold of `signers` is not looked at.
///
/// This is what [`super::CosignVerifier`] and [`SignerSet::statements`] rest on; the image's rules are theirs.
///
/// # Errors
/// Why it does not count.
pub fn verify_artifact(
    signers: &SignerSet,
    bundle: &[u8],
    subject: Subject<'_>,
    now: Timestamp,
) -> Result<Verified, Reason> {
    let signed = Signed::bundle(bundle)?;
    let (artifact, digest) = match subject {
        Subject::Bytes(bytes) => (Artifact::from_blob(bytes), Digest::of(bytes)),
        Subject::Digest(digest) => (artifact(&digest), digest),
    };
    match &signed.content {
        Content::Statement(statement) => {
            let statement = Statement::read(statement)?;
            // Statements about files, as npm has them, may name the SHA-512 alone.
            let sha512 = match subject {
                Subject::Bytes(bytes) => Message::Bytes(bytes).digest(Hash::Sha512),
                Subject::Digest(_) => None,
            };
            let named = statement.names("sha256", &digest.hex())
                || sha512.is_some_and(|digest| statement.names("sha512", &hex::encode(digest)));
            if !named {
                return Err(Reason::OtherDigest);
            }
        }
        Content::Message | Content::Payload(_) => signed.declares(subject)?,
    }
    Ok(signers.verify(&signed, &artifact, now)?.verified)
}

/// A digest as the library takes it.
pub(super) fn artifact(digest: &Digest) -> Artifact<'static> {
    Artifact::from_digest(Sha256Hash::new(*digest.as_bytes()))
}

impl Signed {
    /// A message signature may state the digest of its message, which must then be the right one.
    fn declares(&self, subject: Subject<'_>) -> Result<(), Reason> {
        let Some((hash, declared)) = self.declared()? else {
            return Ok(());
        };
        let found = match subject {
            Subject::Bytes(bytes) => Message::Bytes(bytes).digest(hash),
            Subject::Digest(digest) => Message::Sha256(digest.as_bytes()).digest(hash),
        };
        if found.as_deref() == Some(declared) {
            return Ok(());
        }
        Err(Reason::OtherDigest)
    }
}
