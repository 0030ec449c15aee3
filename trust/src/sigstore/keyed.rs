//! Signatures by a plain key.
//!
//! `sigstore-verify` refuses those without log entry or timestamp, and knows neither P-521 nor Ed25519ph, all of which
//! cosign makes: this is our own.

use portcullis_policy::model::Demand;
use sigstore_types::bundle::VerificationMaterialContent;
use sigstore_types::{SignatureBytes, TimestampToken};
use sigstore_verify::tsa::verify_timestamp_for_authority;

use super::artefact::Signed;
use super::key::{Digested, PublicKey};
use super::log;
use super::reason::Reason;
use super::root::Root;
use super::when::{self, earliest};
use crate::time::Timestamp;

/// Whether `signed` is by `key` over the message, with a log entry where one is required. Returns when it was signed, as
/// far as a log or a timestamp authority says.
///
/// A key has no end: without `log`, timestamps prove nothing that is needed, and one that does not verify is left aside.
/// With it, a timestamp that is there must verify, unless `root` is one that knows no authorities.
pub(super) fn verify(
    signed: &Signed,
    digested: &Digested<'_>,
    key: &PublicKey,
    root: &Root,
    log: Demand,
    now: Timestamp,
) -> Result<Option<Timestamp>, Reason> {
    let signature = signed.signature();
    if !key.verifies(digested, signature) {
        return Err(Reason::OtherKey);
    }
    let material = &signed.bundle.verification_material;
    // In a bundle the certificate is what vouches for the key. The legacy format has it beside a key that stands alone.
    if !signed.legacy && !matches!(material.content, VerificationMaterialContent::PublicKey(_)) {
        return Err(Reason::KeysOnly);
    }
    let mut signed_at = match log {
        Demand::Require => log::verify(
            &signed.bundle,
            digested.message,
            signature,
            key,
            &root.logs,
            now,
        )?,
        Demand::Ignore => None,
    };
    for stamp in &material.timestamp_verification_data.rfc3161_timestamps {
        match (timestamp(&stamp.signed_timestamp, signature, root), log) {
            (Ok(time), _) => {
                when::not_after(time, now)?;
                signed_at = Some(earliest(signed_at, time));
            }
            (Err(reason), Demand::Require) if !root.loose => return Err(reason),
            (Err(_), _) => {}
        }
    }
    Ok(signed_at)
}

/// The time in an RFC 3161 timestamp over `signature`, by an authority that was in force then.
fn timestamp(token: &TimestampToken, signature: &[u8], root: &Root) -> Result<Timestamp, Reason> {
    let signature = SignatureBytes::from_bytes(signature);
    root.authorities
        .iter()
        .find_map(|authority| verify_timestamp_for_authority(token, &signature, authority).ok())
        .map(when::from_jiff)
        .ok_or(Reason::Timestamp(
            "is not by a trusted authority over this signature",
        ))
}
