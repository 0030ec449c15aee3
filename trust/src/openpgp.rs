//! OpenPGP simple signing (containers/image `signedBy`, Portieris `simple`): a signed statement that a reference means a
//! digest.
//!
//! A signature is one binary OpenPGP message with the statement in it (containers-signature(5)). It counts if one of the
//! policy's keys made it, if that key is in force and made for signing, if the signature has not expired, and if it names
//! this digest and a reference that stands for this image. `pgp` verifies the mathematics; times, revocations, key flags,
//! bindings of subkeys and strength are judged here, as gpg judges them, by the clock that is handed in.
//!
//! Evidence is any-of: no message keeps another one from counting. Nothing in here reads a clock, a file or the network.

mod algorithm;
mod certificate;
mod error;
pub mod identity;
mod keyring;
mod message;
mod packets;
mod payload;
mod stated;
mod subkey;

use portcullis_policy::model::{SignedIdentity, SimpleRequirement};
use portcullis_policy::{Diagnostic, Digest, ImageReference, Severity, Span};

use crate::evidence::{Artefact, ArtefactKind};
use crate::finding::{self, Refused, Verified};
use crate::time::Timestamp;
use certificate::{Candidate, Certificate};
pub use error::{KeyProblem, KeyringError, PayloadError, Revocation, SimpleError};
use message::SignedMessage;
use payload::Payload;
use stated::{Issuer, Purpose, Stated};

/// How far a signer's clock may be ahead of this node's, in seconds.
pub const CLOCK_SKEW: i64 = 300;

/// A `simple` requirement, ready to verify.
#[derive(Debug)]
pub struct SimpleVerifier {
    certificates: Vec<Certificate>,
    identity: SignedIdentity,
}

impl SimpleVerifier {
    /// Parses the keyrings: armoured (every block of them) or binary, each with at least one key that can sign. Times are
    /// judged when something is verified.
    ///
    /// # Errors
    /// One diagnostic per keyring that cannot be used, with its place; and one for an identity that nothing can match.
    pub fn compile(requirement: &SimpleRequirement) -> Result<Self, Vec<Diagnostic>> {
        let mut diagnostics = Vec::new();
        let mut raw = Vec::new();
        for key in &requirement.keys {
            match usable(&key.bytes) {
                Ok(found) => keyring::merge(&mut raw, found),
                Err(error) => {
                    diagnostics.push(refusal(
                        &key.span,
                        format!("the keyring {} {error}", key.name),
                    ));
                }
            }
        }
        if let Err(problem) = identity::check(&requirement.identity) {
            diagnostics.push(refusal(
                &requirement.span,
                format!("the signed identity can match nothing: {problem}"),
            ));
        }
        let certificates: Vec<Certificate> = raw.into_iter().map(Certificate::new).collect();
        if diagnostics.is_empty() && !certificates.iter().any(|one| one.can_sign().is_ok()) {
            diagnostics.push(refusal(
                &requirement.span,
                "the keyrings together contain no key that can sign".to_owned(),
            ));
        }
        if !diagnostics.is_empty() {
            return Err(diagnostics);
        }
        Ok(Self {
            certificates,
            identity: requirement.identity.clone(),
        })
    }

    /// Whether one of the keys signed that `reference` means `digest`: one [`Verified`] for each key that did.
    ///
    /// # Errors
    /// Why not.
    pub fn verify(
        &self,
        reference: &ImageReference,
        digest: &Digest,
        artefacts: &[&Artefact],
        now: Timestamp,
    ) -> Result<Vec<Verified>, Refused> {
        let mut verified: Vec<Verified> = Vec::new();
        let mut refused = Refused::default();
        for artefact in artefacts {
            let one = match artefact.kind {
                ArtefactKind::SimpleSigning => {
                    self.verify_one(reference, digest, &artefact.bytes, now)
                }
                _ => Err(SimpleError::OtherSystem),
            };
            match one {
                Ok(one) => match verified.iter_mut().find(|had| had.signer == one.signer) {
                    Some(had) => had.signed_at = had.signed_at.max(one.signed_at),
                    None => verified.push(one),
                },
                Err(error) => refused.add(&error),
            }
        }
        if verified.is_empty() {
            return Err(refused);
        }
        finding::sort(&mut verified);
        Ok(verified)
    }

    /// Whether `message` is a signature by one of the keys that `reference` means `digest`.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn verify_one(
        &self,
        reference: &ImageReference,
        digest: &Digest,
        message: &[u8],
        now: Timestamp,
    ) -> Result<Verified, SimpleError> {
        let message = SignedMessage::parse(message)?;
        let issuer = Issuer::of(&message.signature)?;
        let stated = Stated::read(&message.signature, Purpose::Data)?;
        let key = self.signer(&message, &issuer, now)?;
        let signed_at = Timestamp(stated.created);
        if !stated.begun(Some(now.0)) {
            return Err(SimpleError::Future(signed_at));
        }
        if stated.created < key.created() {
            return Err(SimpleError::BeforeKey(signed_at));
        }
        if let Some(end) = stated.expires.filter(|end| now.0 >= *end) {
            return Err(SimpleError::Expired(Timestamp(end)));
        }
        let payload = Payload::parse(&message.content)?;
        if payload.digest != *digest {
            return Err(SimpleError::OtherDigest(payload.digest));
        }
        identity::accepts(&self.identity, reference, &payload.reference)?;
        Ok(Verified {
            signer: key.signer(now.0),
            signed_at: Some(signed_at),
            notes: Vec::new(),
        })
    }

    /// The key that made the signature, if it counts now. A subkey may stand in several certificates.
    fn signer(
        &self,
        message: &SignedMessage,
        issuer: &Issuer,
        now: Timestamp,
    ) -> Result<Candidate<'_>, SimpleError> {
        let mut first = None;
        for key in self.certificates.iter().filter_map(|one| one.find(issuer)) {
            let fingerprint = || key.fingerprint().to_owned();
            let error = if key.verifies(&message.signature, &message.content) {
                match key.counts(Some(now.0)) {
                    Ok(()) => return Ok(key),
                    Err(problem) => SimpleError::Key {
                        fingerprint: fingerprint(),
                        problem,
                    },
                }
            } else {
                SimpleError::Invalid(fingerprint())
            };
            first.get_or_insert(error);
        }
        Err(first.unwrap_or_else(|| SimpleError::OtherKey(issuer.text())))
    }
}

/// The certificates of a keyring, one of which can sign.
fn usable(bytes: &[u8]) -> Result<Vec<keyring::RawCertificate>, KeyringError> {
    let raw = keyring::read(bytes)?;
    let mut first = None;
    for one in &raw {
        let certificate = Certificate::new(one.clone());
        match certificate.can_sign() {
            Ok(()) => return Ok(raw),
            Err(problem) => {
                first.get_or_insert((certificate.fingerprint().to_owned(), problem));
            }
        }
    }
    Err(first.map_or(KeyringError::Empty, |(fingerprint, problem)| {
        KeyringError::Unusable {
            fingerprint,
            problem,
        }
    }))
}

fn refusal(span: &Span, message: String) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        span: span.clone(),
        message,
    }
}
