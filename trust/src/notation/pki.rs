//! Signed DER structures, certificates and signature algorithms of X.509, for timestamps and revocation.
//!
//! `x509-cert` and `cms` decode into values and encode those again, which changes bytes wherever an encoding is legal but not
//! the one they would choose (the order inside a multi-valued RDN, a DEFAULT that is written out). Here names are compared,
//! certificates hashed and signatures verified over the bytes as they came.

mod algorithm;
mod certificate;
mod names;

pub(super) use algorithm::{Hash, signature_hash, verify_signature, verify_with};
pub(super) use certificate::{Certificate, ExtensionRef, check_extensions, read_extensions, sha1};
pub(super) use names::{Point, crl_points, http_url, ocsp_urls, url};

use der::asn1::{AnyRef, BitStringRef, GeneralizedTime};
use der::{Reader, SliceReader, Tag, TagNumber};
use x509_cert::spki::AlgorithmIdentifierRef;
use x509_cert::time::Time;

use crate::time::Timestamp;

/// `SIGNED{…}` of X.509: what is signed, as bytes, and the signature.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signed<'a> {
    /// The whole element that is signed, with tag and length.
    pub(super) tbs: &'a [u8],
    /// The algorithm beside the signature. Not itself signed: compare it with the one inside.
    pub(super) algorithm: AlgorithmIdentifierRef<'a>,
    /// The signature.
    pub(super) signature: &'a [u8],
}

impl<'a> Signed<'a> {
    /// Reads the three elements and nothing after them.
    pub(super) fn read<R: Reader<'a>>(reader: &mut R) -> der::Result<Self> {
        let tbs = reader.tlv_bytes()?;
        let algorithm = reader.decode()?;
        let signature: BitStringRef<'a> = reader.decode()?;
        let signature = signature
            .as_bytes()
            .ok_or_else(|| der::Tag::BitString.value_error())?;
        Ok(Self {
            tbs,
            algorithm,
            signature,
        })
    }

    /// Reads a whole document.
    pub(super) fn from_der(bytes: &'a [u8]) -> der::Result<Self> {
        let mut reader = SliceReader::new(bytes)?;
        let signed = reader.sequence(Self::read)?;
        reader.finish(signed)
    }

    /// Whether the holder of `key` signed it.
    pub(super) fn is_signed_by(&self, key: &Certificate<'_>) -> bool {
        verify_signature(key.key(), &self.algorithm, self.tbs, self.signature)
    }
}

/// Reads exactly one value.
pub(super) fn decode<'a, T: der::Decode<'a>>(bytes: &'a [u8]) -> der::Result<T> {
    T::from_der(bytes)
}

/// Seconds since 1970.
pub(super) fn timestamp(time: Time) -> Timestamp {
    Timestamp(i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX))
}

/// Seconds since 1970.
pub(super) fn generalized(time: GeneralizedTime) -> Timestamp {
    timestamp(Time::GeneralTime(time))
}

/// The content of the next element if it is a constructed `[number]`.
pub(super) fn tagged<'a, R: Reader<'a>>(
    reader: &mut R,
    number: TagNumber,
) -> der::Result<Option<&'a [u8]>> {
    let wanted = Tag::ContextSpecific {
        constructed: true,
        number,
    };
    if reader.is_finished() || reader.peek_tag()? != wanted {
        return Ok(None);
    }
    Ok(Some(reader.decode::<AnyRef<'a>>()?.value()))
}

/// The elements one after the other inside a SET or SEQUENCE, at most `most`.
pub(super) fn elements(content: &[u8], most: usize) -> der::Result<Vec<&[u8]>> {
    let mut reader = SliceReader::new(content)?;
    let mut out = Vec::new();
    while !reader.is_finished() {
        if out.len() >= most {
            return Err(der::ErrorKind::Overlength.into());
        }
        out.push(reader.tlv_bytes()?);
    }
    Ok(out)
}
