//! The annotations of cosign's legacy format (cosign, specs/SIGNATURE_SPEC.md and specs/ATTESTATION_SPEC.md).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_policy::model::Demand;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Deserialize;
use sigstore_types::bundle::{
    InclusionPromise, LogId, PublicKeyIdentifier, Rfc3161Timestamp, TimestampVerificationData,
    VerificationMaterial, VerificationMaterialContent, X509Certificate,
};
use sigstore_types::{
    Bundle, CanonicalizedBody, DerCertificate, KindVersion, LogIndex, LogKeyId, MediaType,
    MessageSignature, SignatureBytes, SignatureContent, SignedTimestamp, TimestampToken,
    TransparencyLogEntry,
};

use super::reason::Reason;

const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const CHAIN: &str = "dev.sigstore.cosign/chain";
const LOG_ENTRY: &str = "dev.sigstore.cosign/bundle";
const TIMESTAMP: &str = "dev.sigstore.cosign/rfc3161timestamp";

/// Most certificates that are read from the chain.
const MAX_CHAIN: usize = 7;

/// A Rekor v1 entry as cosign keeps it: the promise, and what it is over.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LoggedEntry {
    signed_entry_timestamp: String,
    payload: LoggedPayload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LoggedPayload {
    body: String,
    integrated_time: i64,
    log_index: u64,
    #[serde(rename = "logID")]
    log_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    api_version: String,
    kind: String,
}

#[derive(Deserialize)]
struct Stamp {
    #[serde(rename = "SignedRFC3161Timestamp")]
    signed: String,
}

/// The signature over a simple-signing payload.
pub(super) fn message_signature(
    annotations: &BTreeMap<String, String>,
) -> Result<SignatureContent, Reason> {
    let signature = annotations
        .get(SIGNATURE)
        .ok_or(Reason::Malformed("it has no signature"))?;
    let signature = decode(signature, "its signature is no base64")?;
    Ok(SignatureContent::MessageSignature(MessageSignature::new(
        SignatureBytes::new(signature),
    )))
}

/// The pieces as one bundle. Version 0.1, whose proof of logging is the promise, if there is one; else version 0.2.
pub(super) fn bundle(
    content: SignatureContent,
    annotations: &BTreeMap<String, String>,
    log: Demand,
) -> Result<Bundle, Reason> {
    let entry = annotations
        .get(LOG_ENTRY)
        .filter(|text| !text.is_empty() && log == Demand::Require);
    let entries = entry.map(|text| log_entry(text)).transpose()?;
    let stamp = annotations.get(TIMESTAMP).filter(|text| !text.is_empty());
    let stamps = stamp.map(|text| timestamp(text)).transpose()?;
    let media_type = if entries.is_some() {
        MediaType::Bundle0_1
    } else {
        MediaType::Bundle0_2
    };
    let material = VerificationMaterial::new(certificates(annotations)?)
        .with_tlog_entries(entries.into_iter().collect())
        .with_timestamp_verification_data(TimestampVerificationData::new(
            stamps.into_iter().collect(),
        ));
    Ok(Bundle::new(media_type, material, content))
}

fn certificates(
    annotations: &BTreeMap<String, String>,
) -> Result<VerificationMaterialContent, Reason> {
    let Some(leaf) = annotations.get(CERTIFICATE).filter(|text| !text.is_empty()) else {
        return Ok(VerificationMaterialContent::PublicKey(
            PublicKeyIdentifier::new(""),
        ));
    };
    let chain = annotations.get(CHAIN).map_or("", String::as_str);
    let mut certificates = read(leaf, 1)?;
    if certificates.is_empty() {
        return Err(Reason::Certificate("cannot be read"));
    }
    certificates.extend(read(chain, MAX_CHAIN)?);
    Ok(VerificationMaterialContent::X509CertificateChain { certificates })
}

fn read(pem: &str, most: usize) -> Result<Vec<X509Certificate>, Reason> {
    let mut out = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|_| Reason::Certificate("cannot be read"))?;
        if out.len() == most {
            return Err(Reason::TooMany);
        }
        out.push(X509Certificate::new(DerCertificate::from_bytes(
            &certificate,
        )));
    }
    Ok(out)
}

fn log_entry(text: &str) -> Result<TransparencyLogEntry, Reason> {
    let unreadable = || Reason::Log("cannot be read");
    let entry: LoggedEntry = serde_json::from_str(text).map_err(|_| unreadable())?;
    let LoggedPayload {
        body,
        integrated_time,
        log_index,
        log_id,
    } = entry.payload;
    let body = STANDARD.decode(body).map_err(|_| unreadable())?;
    let kind = serde_json::from_slice(&body).map_err(|_| unreadable())?;
    let log_id = hex::decode(log_id).map_err(|_| unreadable())?;
    let promise = STANDARD
        .decode(entry.signed_entry_timestamp)
        .map_err(|_| unreadable())?;
    let time = jiff::Timestamp::from_second(integrated_time).map_err(|_| unreadable())?;
    Ok(TransparencyLogEntry::new(
        LogIndex::new(log_index).map_err(|_| unreadable())?,
        LogId::new(LogKeyId::new(log_id)),
        kind_version(&kind)?,
        CanonicalizedBody::new(body),
    )
    .with_integrated_time(time)
    .with_inclusion_promise(InclusionPromise::new(SignedTimestamp::new(promise))))
}

fn kind_version(kind: &Kind) -> Result<KindVersion, Reason> {
    match (kind.kind.as_str(), kind.api_version.as_str()) {
        ("hashedrekord", "0.0.1") => Ok(KindVersion::HashedRekordV001),
        ("dsse", "0.0.1") => Ok(KindVersion::DsseV001),
        ("intoto", "0.0.2") => Ok(KindVersion::IntotoV002),
        _ => Err(Reason::Log("is of a kind that is not supported")),
    }
}

fn timestamp(text: &str) -> Result<Rfc3161Timestamp, Reason> {
    let stamp: Stamp =
        serde_json::from_str(text).map_err(|_| Reason::Timestamp("cannot be read"))?;
    let token = STANDARD
        .decode(stamp.signed)
        .map_err(|_| Reason::Timestamp("cannot be read"))?;
    Ok(Rfc3161Timestamp::new(TimestampToken::new(token)))
}

fn decode(text: &str, otherwise: &'static str) -> Result<Vec<u8>, Reason> {
    STANDARD
        .decode(text)
        .map_err(|_| Reason::Malformed(otherwise))
}
