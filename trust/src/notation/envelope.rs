//! Envelopes: what is signed, by which certificates, and what is signed with it (signature-specification.md, "Signature
//! Envelope"). Reading one verifies nothing.

mod cose;
mod jws;
mod object;

use super::attributes::Attributes;
use super::error::NotationError;
use crate::evidence::{Artefact, ArtefactKind};

pub(super) use object::Object;

/// Largest envelope that is read. Real ones, with a timestamp and its certificates, stay below 20 KiB.
pub(super) const MAX_BYTES: usize = 256 * 1024;
/// Longest chain that is read.
pub(super) const MAX_CHAIN: usize = 10;

/// Unprotected header with an RFC 3161 token.
const TIMESTAMP: &str = "io.cncf.notary.timestampSignature";
/// Unprotected header naming the software that signed. Not looked at.
const SIGNING_AGENT: &str = "io.cncf.notary.signingAgent";

/// An envelope that was read.
#[derive(Debug)]
pub(super) struct Envelope {
    /// The exact bytes the signature is over.
    pub(super) message: Vec<u8>,
    /// The signature.
    pub(super) signature: Vec<u8>,
    /// The payload, a JSON document.
    pub(super) payload: Vec<u8>,
    pub(super) attributes: Attributes,
    /// Certificates, DER, leaf first. Neither empty nor longer than [`MAX_CHAIN`].
    pub(super) chain: Vec<Vec<u8>>,
    /// DER of an RFC 3161 TimeStampToken.
    pub(super) timestamp: Option<Vec<u8>>,
}

impl Envelope {
    pub(super) fn parse(artefact: &Artefact) -> Result<Self, NotationError> {
        if artefact.bytes.len() > MAX_BYTES {
            return Err(NotationError::TooLarge);
        }
        let envelope = match artefact.kind {
            ArtefactKind::NotationJws => jws::parse(&artefact.bytes),
            ArtefactKind::NotationCose => cose::parse(&artefact.bytes),
            _ => Err(NotationError::Malformed("it is of another media type")),
        }?;
        if envelope.chain.is_empty() {
            return Err(NotationError::Malformed("it has no certificate"));
        }
        if envelope.chain.len() > MAX_CHAIN {
            return Err(NotationError::Malformed("it has too many certificates"));
        }
        Ok(envelope)
    }
}
