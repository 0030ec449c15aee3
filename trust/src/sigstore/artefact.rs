//! Artefacts as they were found, read into the one shape that is verified. Nothing here is trusted yet.
//!
//! cosign's legacy format is a Sigstore bundle in pieces: its signature, certificates, log entry and timestamp stand in
//! annotations of the layer. They are put together here, so that everything after this file sees bundles only.

use std::collections::BTreeMap;

use sigstore_types::bundle::VerificationMaterialContent;
use sigstore_types::{Bundle, HashAlgorithm, SignatureContent};

use portcullis_policy::model::Demand;

use super::key::Hash;
use super::legacy;
use super::reason::Reason;
use super::shape;
use crate::evidence::{Artefact, ArtefactKind};

/// Largest bundle or attestation, in bytes.
const MAX_BUNDLE: usize = 4 << 20;
/// Largest simple-signing payload, in bytes.
const MAX_PAYLOAD: usize = 64 << 10;
/// Largest annotation, in bytes.
const MAX_ANNOTATION: usize = 256 << 10;
/// Most log entries and certificates of one artefact.
const MAX_PARTS: usize = 8;
/// Most timestamps of one artefact.
const MAX_STAMPS: usize = 4;

/// Most signatures of all its checkpoints: those of logs, and those of witnesses.
const MAX_COSIGNERS: usize = 32;

/// The payload type of in-toto statements in DSSE.
const IN_TOTO: &str = "application/vnd.in-toto+json";

/// An artefact, read.
#[derive(Debug)]
pub(super) struct Signed {
    /// Signature, verification material, log entries and timestamps.
    pub(super) bundle: Bundle,
    /// Whether it came in the legacy format, whose certificate is optional beside a key.
    pub(super) legacy: bool,
    /// What the signature is over: the DSSE pre-authentication encoding, or the payload. Empty for a message signature
    /// in a bundle, whose message is elsewhere.
    pub(super) message: Vec<u8>,
    /// What was signed.
    pub(super) content: Content,
}

/// What was signed.
#[derive(Debug)]
pub(super) enum Content {
    /// An in-toto statement (JSON).
    Statement(Vec<u8>),
    /// A simple-signing payload (JSON).
    Payload(Vec<u8>),
    /// Something outside the bundle.
    Message,
}

impl Signed {
    /// Reads an artefact of a Sigstore kind.
    ///
    /// A log entry in an annotation is read only where `log` requires one, so that one of another kind harms nobody else.
    pub(super) fn read(artefact: &Artefact, log: Demand) -> Result<Self, Reason> {
        if artefact
            .annotations
            .values()
            .any(|value| value.len() > MAX_ANNOTATION)
        {
            return Err(Reason::TooLarge);
        }
        match artefact.kind {
            ArtefactKind::SigstoreBundle => Self::bundle(&artefact.bytes),
            ArtefactKind::CosignSignature => {
                Self::payload(&artefact.bytes, &artefact.annotations, log)
            }
            ArtefactKind::CosignAttestation => {
                Self::envelope(&artefact.bytes, &artefact.annotations, log)
            }
            ArtefactKind::NotationJws
            | ArtefactKind::NotationCose
            | ArtefactKind::SimpleSigning => Err(Reason::Malformed("it is no Sigstore artefact")),
        }
    }

    /// Reads a bundle, versions 0.1 to 0.3. `serde_json` bounds its depth.
    pub(super) fn bundle(bytes: &[u8]) -> Result<Self, Reason> {
        let text = text(bytes, MAX_BUNDLE)?;
        shape::bundle(text)?;
        let bundle =
            Bundle::from_json(text).map_err(|_| Reason::Malformed("it is no Sigstore bundle"))?;
        Self::of(bundle, false)
    }

    fn payload(
        bytes: &[u8],
        annotations: &BTreeMap<String, String>,
        log: Demand,
    ) -> Result<Self, Reason> {
        text(bytes, MAX_PAYLOAD)?;
        let content = legacy::message_signature(annotations)?;
        let mut signed = Self::of(legacy::bundle(content, annotations, log)?, true)?;
        signed.message = bytes.to_vec();
        signed.content = Content::Payload(bytes.to_vec());
        Ok(signed)
    }

    fn envelope(
        bytes: &[u8],
        annotations: &BTreeMap<String, String>,
        log: Demand,
    ) -> Result<Self, Reason> {
        let text = text(bytes, MAX_BUNDLE)?;
        shape::envelope(text)?;
        let envelope = serde_json::from_str(text)
            .map_err(|_| Reason::Malformed("it is no DSSE envelope with one signature"))?;
        let content = SignatureContent::DsseEnvelope(envelope);
        Self::of(legacy::bundle(content, annotations, log)?, true)
    }

    fn of(bundle: Bundle, legacy: bool) -> Result<Self, Reason> {
        let material = &bundle.verification_material;
        let certificates = match &material.content {
            VerificationMaterialContent::X509CertificateChain { certificates } => {
                certificates.len()
            }
            _ => 1,
        };
        let stamps = &material.timestamp_verification_data.rfc3161_timestamps;
        let most = material.tlog_entries.len().max(certificates);
        // Each may name the log's key and is verified then: some thousands fit into an entry.
        let cosigners = material.tlog_entries.iter().filter_map(|entry| {
            let proof = entry.inclusion_proof.as_ref()?;
            Some(proof.checkpoint.checkpoint()?.signatures().len())
        });
        if most > MAX_PARTS
            || stamps.len() > MAX_STAMPS
            || cosigners.fold(0, usize::saturating_add) > MAX_COSIGNERS
        {
            return Err(Reason::TooMany);
        }
        let (message, content) = match &bundle.content {
            SignatureContent::DsseEnvelope(envelope) if envelope.payload_type == IN_TOTO => (
                envelope.pae(),
                Content::Statement(envelope.payload.as_bytes().to_vec()),
            ),
            SignatureContent::DsseEnvelope(_) => {
                return Err(Reason::Malformed("its payload is no in-toto statement"));
            }
            SignatureContent::MessageSignature(_) => (Vec::new(), Content::Message),
            _ => return Err(Reason::Malformed("its content is of an unknown kind")),
        };
        Ok(Self {
            bundle,
            legacy,
            message,
            content,
        })
    }

    /// The raw signature.
    pub(super) fn signature(&self) -> &[u8] {
        match &self.bundle.content {
            SignatureContent::MessageSignature(message) => message.signature.as_bytes(),
            SignatureContent::DsseEnvelope(envelope) => envelope.signature.sig.as_bytes(),
            _ => &[],
        }
    }

    /// The digest that a message signature says its message has.
    pub(super) fn declared(&self) -> Result<Option<(Hash, &[u8])>, Reason> {
        let SignatureContent::MessageSignature(message) = &self.bundle.content else {
            return Ok(None);
        };
        let Some(declared) = &message.message_digest else {
            return Ok(None);
        };
        let hash = match declared.algorithm {
            HashAlgorithm::Sha2256 => Hash::Sha256,
            HashAlgorithm::Sha2384 => Hash::Sha384,
            HashAlgorithm::Sha2512 => Hash::Sha512,
            _ => return Err(Reason::Malformed("its digest is of an unknown kind")),
        };
        Ok(Some((hash, declared.digest.as_bytes())))
    }

    /// Whether it brings a certificate.
    pub(super) fn certified(&self) -> bool {
        self.bundle.signing_certificate().is_some()
    }
}

fn text(bytes: &[u8], most: usize) -> Result<&str, Reason> {
    if bytes.len() > most {
        return Err(Reason::TooLarge);
    }
    std::str::from_utf8(bytes).map_err(|_| Reason::Malformed("it is not UTF-8"))
}
