//! TSTInfo: what a timestamp says (RFC 3161 §2.4.2).

use der::asn1::{AnyRef, IntRef, ObjectIdentifier, OctetStringRef};
use der::{Decode as _, Reader, Sequence, SliceReader, Tag, TagMode, TagNumber, Tagged as _};
use x509_cert::spki::AlgorithmIdentifierRef;

use super::super::pki::check_extensions;
use super::TimestampRange;
use crate::time::Timestamp;

/// The baseline policy of RFC 3628 §5.2, under which a time without an accuracy is good to a second.
const BASELINE_POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap("0.4.0.2023.1.1");

/// What was stamped, and when.
#[derive(Debug)]
pub(super) struct Info<'a> {
    /// The hash of what was stamped.
    pub(super) hash: AlgorithmIdentifierRef<'a>,
    /// Its value.
    pub(super) hashed: &'a [u8],
    /// When.
    pub(super) range: TimestampRange,
}

#[derive(Sequence)]
struct Imprint<'a> {
    hash: AlgorithmIdentifierRef<'a>,
    hashed: OctetStringRef<'a>,
}

#[derive(Sequence)]
struct Accuracy {
    #[asn1(optional = "true")]
    seconds: Option<u32>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    millis: Option<u16>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    micros: Option<u16>,
}

impl<'a> Info<'a> {
    /// Parses DER. Critical extensions are refused: none is known.
    pub(super) fn parse(bytes: &'a [u8]) -> der::Result<Self> {
        let mut outer = SliceReader::new(bytes)?;
        let info = outer.sequence(|reader| {
            let version: u8 = reader.decode()?;
            let policy: ObjectIdentifier = reader.decode()?;
            let imprint: Imprint<'a> = reader.decode()?;
            let _serial: IntRef<'a> = reader.decode()?;
            let time: AnyRef<'a> = reader.decode()?;
            let accuracy: Option<Accuracy> = reader.decode()?;
            let _ordering: Option<bool> = reader.decode()?;
            let _nonce: Option<IntRef<'a>> = reader.decode()?;
            // The name of the authority binds nothing that its certificate does not.
            let tsa = TagNumber::N0;
            if !reader.is_finished()
                && matches!(reader.peek_tag()?, Tag::ContextSpecific { number, .. } if number == tsa)
            {
                AnyRef::decode(reader)?;
            }
            let extensions: Vec<_> = reader
                .context_specific(TagNumber::N1, TagMode::Implicit)?
                .unwrap_or_default();
            let extensions = check_extensions(extensions)?;
            if version != 1 || extensions.iter().any(|one| one.critical) {
                return Err(der::ErrorKind::Failed.into());
            }
            Ok(Self {
                hash: imprint.hash,
                hashed: imprint.hashed.as_bytes(),
                range: range(time, accuracy.as_ref(), policy)?,
            })
        })?;
        outer.finish(info)
    }
}

/// From the last whole second that is surely not later to the first that is surely not earlier.
fn range(
    time: AnyRef<'_>,
    accuracy: Option<&Accuracy>,
    policy: ObjectIdentifier,
) -> der::Result<TimestampRange> {
    let invalid = || der::Error::from(der::ErrorKind::DateTime);
    time.tag().assert_eq(Tag::GeneralizedTime)?;
    let text = std::str::from_utf8(time.value()).map_err(|_| invalid())?;
    let text = text.strip_suffix('Z').ok_or_else(invalid)?;
    // Fractions are allowed here, unlike in certificates; DER forbids trailing zeros in them.
    let (whole, fraction) = match text.split_once('.') {
        None => (text, false),
        Some((whole, fraction)) => {
            let digits = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
            if !digits || fraction.ends_with('0') {
                return Err(invalid());
            }
            (whole, true)
        }
    };
    let whole = format!("{whole}Z");
    let whole = AnyRef::new(Tag::GeneralizedTime, whole.as_bytes())?
        .decode_as::<der::asn1::GeneralizedTime>()?;
    let at = super::super::pki::generalized(whole).0;
    let slack = match accuracy {
        Some(accuracy) => {
            let part = |part: Option<u16>| match part {
                Some(part @ 1..=999) => Ok(part),
                None | Some(0) => Ok(0),
                Some(_) => Err(invalid()),
            };
            let below = part(accuracy.millis)? != 0 || part(accuracy.micros)? != 0;
            i64::from(accuracy.seconds.unwrap_or(0)).saturating_add(i64::from(below))
        }
        None => i64::from(policy == BASELINE_POLICY),
    };
    Ok(TimestampRange {
        earliest: Timestamp(at.saturating_sub(slack)),
        latest: Timestamp(at.saturating_add(slack).saturating_add(i64::from(fraction))),
    })
}
