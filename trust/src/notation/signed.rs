//! Integrity: an envelope whose signature, chain and payload are as the specification asks. Nothing of trust or time.

use portcullis_policy::Digest;

use super::algorithm::Algorithm;
use super::attributes::{Attributes, Scheme};
use super::chain::Chain;
use super::envelope::Envelope;
use super::error::NotationError;
use super::payload::Payload;
use crate::evidence::Artefact;

/// An envelope that its own leaf signed, over the digest in question.
#[derive(Debug)]
pub(super) struct Signed {
    pub(super) attributes: Attributes,
    pub(super) chain: Chain,
    pub(super) payload: Payload,
    /// What a timestamp is over.
    pub(super) signature: Vec<u8>,
    pub(super) timestamp: Option<Vec<u8>>,
}

impl Signed {
    /// `vouched` may refuse a chain before its signatures are verified, each of which can cost half a millisecond.
    pub(super) fn verify(
        artefact: &Artefact,
        digest: &Digest,
        vouched: impl FnOnce(Scheme, &Chain) -> Result<(), NotationError>,
    ) -> Result<Self, NotationError> {
        let envelope = Envelope::parse(artefact)?;
        let chain = Chain::parse(&envelope.chain)?;
        let key = &chain.leaf.parsed.tbs_certificate.subject_public_key_info;
        // The key decides, never the header (signature-envelope-jws.md, "alg").
        let algorithm = Algorithm::of_key(key).ok_or(NotationError::Chain(
            "the signer's key is of a kind or size that may not sign",
        ))?;
        if algorithm != envelope.attributes.algorithm {
            return Err(NotationError::Algorithm);
        }
        if !algorithm.verify(key, &envelope.message, &envelope.signature) {
            return Err(NotationError::Signature);
        }
        vouched(envelope.attributes.scheme, &chain)?;
        chain.check()?;
        let payload = Payload::parse(&envelope.payload)?;
        if !payload.is_over(digest) {
            return Err(NotationError::OtherDigest);
        }
        Ok(Self {
            attributes: envelope.attributes,
            chain,
            payload,
            signature: envelope.signature,
            timestamp: envelope.timestamp,
        })
    }
}
