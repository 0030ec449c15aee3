//! Signatures with a certificate that lived for minutes.
//!
//! `sigstore-verify` does the cryptography: chain, certificate timestamp, log entry, timestamp, signature, and that the log
//! entry is about this signature. Whose certificate it must be is judged here, over every name in it.

use portcullis_policy::model::Demand;
use sigstore_types::{Artifact, MediaType};
use sigstore_verify::{
    CertificateError, Error, TimestampError, TransparencyLogError, VerificationPolicy,
};

use super::artefact::Signed;
use super::certificate;
use super::reason::Reason;
use super::root::Root;
use super::when::{self, earliest};
use crate::time::Timestamp;

/// Whom a verified certificate is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Certified {
    /// Subject alternative names. Never empty.
    pub(super) names: Vec<String>,
    /// OIDC issuer.
    pub(super) issuer: String,
    /// The earliest time that a log or a timestamp authority proves.
    pub(super) signed_at: Timestamp,
}

/// What must show that a certificate counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Demands {
    /// A log entry.
    pub(super) log: Demand,
    /// A signed certificate timestamp.
    pub(super) certificate_timestamp: Demand,
}

/// Verifies everything but the identity. Such a certificate is long over, so that some signed time is always required:
/// a log's or an authority's, and an authority's where logs are not looked at.
///
/// The library compares some times with the system's clock: a log entry from the future, and keys of logs and authorities
/// that are not in force yet, are refused by that clock. A clock that is behind can only refuse more. Every time that it
/// accepted is compared with `now` and the certificate here again, so that a clock that is ahead admits nothing.
pub(super) fn verify(
    signed: &Signed,
    artifact: Artifact<'_>,
    root: &Root,
    demands: Demands,
    now: Timestamp,
) -> Result<Certified, Reason> {
    let mut policy = VerificationPolicy::any_identity();
    if demands.certificate_timestamp == Demand::Ignore || root.loose {
        policy = policy.skip_sct();
    }
    let mut bundle = signed.bundle.clone();
    if demands.log == Demand::Ignore {
        policy = policy.skip_tlog_unsafe();
        // Not looked at means not for the time either, nor may a broken one refuse.
        bundle.verification_material.tlog_entries.clear();
        // Version 0.1 differs from 0.2 by the entry that was just taken out.
        if bundle.media_type == MediaType::Bundle0_1 {
            bundle.media_type = MediaType::Bundle0_2;
        }
    } else if bundle.verification_material.tlog_entries.is_empty() {
        return Err(Reason::Log("is missing"));
    }
    if root.loose && demands.log == Demand::Require {
        // The log says when; nobody could judge what an authority says.
        let stamps = &mut bundle.verification_material.timestamp_verification_data;
        stamps.rfc3161_timestamps.clear();
    }
    let result = root
        .verifier
        .verify(artifact, &bundle, &policy)
        .map_err(|error| reason(&error))?;
    let required = demands.log == Demand::Require;
    if !result.certificate_verified() || result.tlog_verified() != required {
        return Err(Reason::Signature);
    }
    let certificate = result.certificate().ok_or(Reason::NoTime)?;
    let mut signed_at = None;
    for time in result.verified_timestamps() {
        if *time < certificate.not_before || *time > certificate.not_after {
            return Err(Reason::Certificate("was not valid when it was signed"));
        }
        let time = when::from_jiff(*time);
        when::not_after(time, now)?;
        signed_at = Some(earliest(signed_at, time));
    }
    let leaf = bundle
        .signing_certificate()
        .ok_or(Reason::Certificate("is missing"))?;
    let names = certificate::names(leaf.as_bytes())
        .filter(|names| !names.is_empty())
        .ok_or(Reason::Certificate("names nobody"))?;
    let issuer = result
        .issuer()
        .ok_or(Reason::Certificate("names no issuer"))?;
    Ok(Certified {
        names,
        issuer: issuer.to_owned(),
        signed_at: signed_at.ok_or(Reason::NoTime)?,
    })
}

/// The library's texts quote what they refuse; these do not.
fn reason(error: &Error) -> Reason {
    match error {
        Error::SignatureInvalid(_) => Reason::Signature,
        Error::ArtifactMismatch(_) => Reason::OtherDigest,
        Error::Certificate(error) => Reason::Certificate(match error {
            CertificateError::Malformed(_) => "cannot be read",
            CertificateError::ChainInvalid(_) => {
                "is not by a trusted authority, or was not valid when it was signed"
            }
            CertificateError::NoValidAuthority { .. } => {
                "is by no authority that was trusted when it was signed"
            }
            CertificateError::NotYetValid { .. } | CertificateError::Expired { .. } => {
                "was not valid when it was signed"
            }
            CertificateError::Sct(_) => "has no certificate timestamp by a trusted log",
            _ => "does not verify",
        }),
        Error::TransparencyLog(error) => Reason::Log(match error {
            TransparencyLogError::UnknownLog { .. } => "is in a log that is not trusted",
            TransparencyLogError::InclusionProof(_) => {
                "is not in its log: the proof of inclusion does not verify"
            }
            TransparencyLogError::Checkpoint(_) => "has a checkpoint that no trusted log signed",
            TransparencyLogError::InclusionPromise(_) => "has a promise that its log did not sign",
            TransparencyLogError::EntryMismatch(_) => "is about another signature",
            TransparencyLogError::IntegratedTime(_) => "is from a time that cannot be",
            TransparencyLogError::MalformedEntry(_) => "cannot be read",
            _ => "does not verify",
        }),
        Error::Timestamp(error) => match error {
            TimestampError::Invalid(_) => {
                Reason::Timestamp("is not by a trusted authority over this signature")
            }
            TimestampError::OutsideAuthorityValidity { .. } => {
                Reason::Timestamp("is by an authority that was not in force then")
            }
            _ => Reason::NoTime,
        },
        Error::Bundle(sigstore_verify::bundle::Error::MissingSigningTimeEvidence) => Reason::NoTime,
        Error::Bundle(
            sigstore_verify::bundle::Error::MissingInclusionProof(_)
            | sigstore_verify::bundle::Error::MissingInclusionPromise(_)
            | sigstore_verify::bundle::Error::MissingCheckpoint,
        ) => Reason::Log("has no proof of its log, which this version of bundles needs"),
        Error::UnsupportedBundle(_) | Error::UnsupportedArtifact(_) => {
            Reason::Malformed("it uses a key or content that is not supported")
        }
        _ => Reason::Malformed("it contradicts itself or its format"),
    }
}
