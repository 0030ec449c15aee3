//! The shape of a bundle's JSON, looked at before it is parsed for good.
//!
//! The types that it is parsed into keep what they do not know in memory, at many times its size. Bundles are defined by
//! protobuf, whose JSON mapping refuses unknown names too, so that nothing real is lost.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::reason::Reason;

/// Largest verification material, in bytes: certificates, log entries and timestamps are some KiB each.
const MAX_MATERIAL: usize = 256 << 10;
/// Largest list of signatures, or message signature, in bytes.
const MAX_SIGNATURE: usize = 64 << 10;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Bundle<'a> {
    #[serde(borrow, default)]
    media_type: Option<&'a RawValue>,
    #[serde(borrow)]
    verification_material: &'a RawValue,
    #[serde(borrow, default)]
    dsse_envelope: Option<Envelope<'a>>,
    #[serde(borrow, default)]
    message_signature: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Envelope<'a> {
    #[serde(borrow)]
    payload: &'a RawValue,
    #[serde(borrow)]
    payload_type: &'a RawValue,
    #[serde(borrow)]
    signatures: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "only that there is nothing else matters")]
struct Material {
    certificate: Option<IgnoredAny>,
    x509_certificate_chain: Option<IgnoredAny>,
    public_key: Option<IgnoredAny>,
    tlog_entries: Option<IgnoredAny>,
    timestamp_verification_data: Option<IgnoredAny>,
}

/// Whether `json` has the outline of a bundle, and no part of it is out of proportion.
pub(super) fn bundle(json: &str) -> Result<(), Reason> {
    let unreadable = || Reason::Malformed("it is no Sigstore bundle");
    let bundle: Bundle<'_> = serde_json::from_str(json).map_err(|_| unreadable())?;
    let material = bundle.verification_material;
    small(material, MAX_MATERIAL)?;
    serde_json::from_str::<Material>(material.get()).map_err(|_| unreadable())?;
    for part in bundle.media_type.iter().chain(&bundle.message_signature) {
        small(part, MAX_SIGNATURE)?;
    }
    match bundle.dsse_envelope {
        Some(envelope) => envelope.proportionate(),
        None => Ok(()),
    }
}

/// The same for a DSSE envelope alone.
pub(super) fn envelope(json: &str) -> Result<(), Reason> {
    serde_json::from_str::<Envelope<'_>>(json)
        .map_err(|_| Reason::Malformed("it is no DSSE envelope with one signature"))?
        .proportionate()
}

impl Envelope<'_> {
    fn proportionate(&self) -> Result<(), Reason> {
        // A string is as large in memory as it is here; what is no string is refused when it is parsed for good.
        if !self.payload.get().starts_with('"') {
            return Err(Reason::Malformed("its payload is no in-toto statement"));
        }
        small(self.payload_type, MAX_SIGNATURE)?;
        small(self.signatures, MAX_SIGNATURE)
    }
}

fn small(part: &RawValue, most: usize) -> Result<(), Reason> {
    if part.get().len() > most {
        return Err(Reason::TooLarge);
    }
    Ok(())
}
