//! Transparency log entries of signatures by a plain key: that the log holds them, and when it took them.
//!
//! Keyless signatures go through `sigstore-verify`, which does the same with the system's clock.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sigstore_crypto::Keyring;
use sigstore_types::{
    Bundle, InclusionProof, KindVersion, MediaType, Sha256Hash, SignatureBytes,
    TransparencyLogEntry,
};
use sigstore_verify::rekor::body::RekorEntryBody;

use super::entry;
use super::key::{Message, PublicKey};
use super::reason::Reason;
use super::when::{self, earliest};
use crate::time::Timestamp;

/// Requires every entry of `bundle` to be in a log of `logs`, and to be about this signature by `key`; and one to be
/// there. Version 0.1 needs a promise of the log, later ones a proof of inclusion (protobuf-specs, `sigstore_bundle.proto`).
///
/// Returns the earliest time at which a log promises to have taken it.
pub(super) fn verify(
    bundle: &Bundle,
    message: Message<'_>,
    signature: &[u8],
    key: &PublicKey,
    logs: &Keyring,
    now: Timestamp,
) -> Result<Option<Timestamp>, Reason> {
    let entries = &bundle.verification_material.tlog_entries;
    if entries.is_empty() {
        return Err(Reason::Log("is missing"));
    }
    let mut signed_at = None;
    let mut complete = false;
    for entry in entries {
        let proved = entry
            .inclusion_proof
            .as_ref()
            .map(|proof| included(entry, proof, logs, now))
            .transpose()?;
        let promised = entry
            .inclusion_promise
            .as_ref()
            .map(|promise| promised(entry, promise.signed_entry_timestamp.as_bytes(), logs, now))
            .transpose()?;
        complete |= match bundle.media_type {
            MediaType::Bundle0_1 => promised.is_some(),
            _ => proved.is_some(),
        };
        if proved.is_none() && promised.is_none() {
            return Err(Reason::Log("has neither proof nor promise of its log"));
        }
        let body = RekorEntryBody::parse(&entry.canonicalized_body, entry.kind_version)
            .map_err(|_| Reason::Log("cannot be read"))?;
        entry::binds(&body, bundle, message, signature, key)?;
        if let Some(time) = promised.flatten() {
            signed_at = Some(earliest(signed_at, time));
        }
    }
    if complete {
        Ok(signed_at)
    } else {
        Err(Reason::Log(
            "has no proof of its log, which this version of bundles needs",
        ))
    }
}

/// RFC 6962, section 2.1.1, under a checkpoint that the log signed.
fn included(
    entry: &TransparencyLogEntry,
    proof: &InclusionProof,
    logs: &Keyring,
    now: Timestamp,
) -> Result<(), Reason> {
    let checkpoint = proof
        .checkpoint
        .checkpoint()
        .ok_or(Reason::Log("has no checkpoint"))?;
    // Rekor v2 states index, size and root once; v1 states them twice.
    let index = if entry.kind_version == KindVersion::HashedRekordV002 {
        entry.log_index
    } else {
        if proof.root_hash != *checkpoint.root_hash() || proof.tree_size != checkpoint.tree_size() {
            return Err(Reason::Log("contradicts its checkpoint"));
        }
        proof.log_index
    };
    let leaf = sigstore_merkle::hash_leaf(entry.canonicalized_body.as_bytes());
    sigstore_merkle::verify_inclusion_proof(
        &leaf,
        index.get(),
        checkpoint.tree_size(),
        &proof.hashes,
        checkpoint.root_hash(),
    )
    .map_err(|_| Reason::Log("is not in its log: the proof of inclusion does not verify"))?;
    let at = when::to_jiff(now)?;
    let signed = checkpoint.signatures().iter().any(|signature| {
        logs.keys_by_hint(&signature.key_id, at).any(|key| {
            key.verify(checkpoint.signed_data(), &signature.signature)
                .is_ok()
        })
    });
    if signed {
        Ok(())
    } else {
        Err(Reason::Log("has a checkpoint that no trusted log signed"))
    }
}

/// Rekor v1's signed entry timestamp: over the canonical JSON (RFC 8785) of what is put together here.
fn promised(
    entry: &TransparencyLogEntry,
    promise: &[u8],
    logs: &Keyring,
    now: Timestamp,
) -> Result<Option<Timestamp>, Reason> {
    let id = entry.log_id.key_id.as_bytes();
    let log = Sha256Hash::try_from(id)
        .map_err(|_| Reason::Log("names a log by no SHA-256 of its key"))?;
    let time = entry.integrated_time;
    let key = match time {
        Some(time) => logs.key_at(&log, time),
        None => logs.key_started_by(&log, when::to_jiff(now)?),
    }
    .ok_or(Reason::Log(
        "is in a log that is not trusted, or was not then",
    ))?;
    // Base64, hex digits and numbers: nothing that JSON would escape.
    let text = format!(
        r#"{{"body":"{}","integratedTime":{},"logID":"{}","logIndex":{}}}"#,
        STANDARD.encode(entry.canonicalized_body.as_bytes()),
        time.map_or(0, jiff::Timestamp::as_second),
        hex::encode(id),
        entry.log_index.get(),
    );
    key.verify(text.as_bytes(), &SignatureBytes::from_bytes(promise))
        .map_err(|_| Reason::Log("has a promise that its log did not sign"))?;
    let time = time.map(when::from_jiff);
    if let Some(time) = time {
        when::not_after(time, now)?;
    }
    Ok(time)
}
