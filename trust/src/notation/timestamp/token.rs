//! The CMS around a timestamp (RFC 5652, RFC 3161 §2.4.2), as bytes with their places: nothing here is verified.

use der::asn1::{AnyRef, ContextSpecific, IntRef, ObjectIdentifier, OctetStringRef};
use der::{Decode as _, Reader, SliceReader, Tag, TagMode, TagNumber};
use x509_cert::spki::AlgorithmIdentifierRef;

use super::super::pki::{elements, tagged};

const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
/// id-ct-TSTInfo.
pub(super) const TST_INFO: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");

/// Most certificates in a token; real ones carry one to four.
const MAX_CERTIFICATES: usize = 16;
/// Most signed attributes; real tokens have four or five.
const MAX_ATTRIBUTES: usize = 32;

/// A parsed token.
#[derive(Debug)]
pub(super) struct Token<'a> {
    /// DER of the TSTInfo.
    pub(super) info: &'a [u8],
    /// X.509 certificates, in the order of the token.
    pub(super) certificates: Vec<&'a [u8]>,
    /// The one signer.
    pub(super) signer: Signer<'a>,
}

/// Who signed, by which certificate.
#[derive(Debug)]
pub(super) enum SignerId<'a> {
    /// Issuer (DER Name) and serial number.
    Issuer(&'a [u8], &'a [u8]),
    /// Subject key identifier.
    Key(&'a [u8]),
}

/// The SignerInfo.
#[derive(Debug)]
pub(super) struct Signer<'a> {
    /// Its certificate.
    pub(super) id: SignerId<'a>,
    /// Hash over the content.
    pub(super) digest: AlgorithmIdentifierRef<'a>,
    /// Signed attributes, each whole, in the order of the token.
    pub(super) attributes: Vec<&'a [u8]>,
    /// How the attributes are signed.
    pub(super) algorithm: AlgorithmIdentifierRef<'a>,
    /// The signature.
    pub(super) signature: &'a [u8],
}

impl<'a> Token<'a> {
    /// Parses strict DER. `Err`: why not, in fixed words.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, &'static str> {
        let (content, kind) =
            content_info(bytes).map_err(|_| "it is not a CMS ContentInfo in DER")?;
        if kind != SIGNED_DATA {
            return Err("it is not CMS SignedData");
        }
        let mut outer = SliceReader::new(content).map_err(|_| "it is not CMS SignedData")?;
        let parts = outer
            .sequence(Parts::read)
            .and_then(|parts| outer.finish(parts))
            .map_err(|_| "its CMS SignedData cannot be read")?;
        if parts.content_type != TST_INFO {
            return Err("its content is not a TSTInfo");
        }
        let certificates = elements(parts.certificates, MAX_CERTIFICATES)
            .map_err(|_| "its certificates cannot be read")?
            .into_iter()
            // Other kinds of certificate are tagged otherwise, and name no signer of ours.
            .filter(|element| element.first() == Some(&0x30))
            .collect();
        let signers = elements(parts.signers, 2).map_err(|_| "it has not exactly one signer")?;
        let [signer] = signers.as_slice() else {
            return Err("it has not exactly one signer");
        };
        Ok(Self {
            info: parts.info,
            certificates,
            signer: Signer::parse(signer).map_err(|_| "its SignerInfo cannot be read")?,
        })
    }
}

/// The content and its type.
fn content_info(bytes: &[u8]) -> der::Result<(&[u8], ObjectIdentifier)> {
    let mut outer = SliceReader::new(bytes)?;
    let found = outer.sequence(|reader| {
        let kind = reader.decode()?;
        let content = tagged(reader, TagNumber::N0)?.ok_or(der::ErrorKind::Failed)?;
        Ok((content, kind))
    })?;
    outer.finish(found)
}

struct Parts<'a> {
    content_type: ObjectIdentifier,
    info: &'a [u8],
    certificates: &'a [u8],
    signers: &'a [u8],
}

impl<'a> Parts<'a> {
    fn read<R: Reader<'a>>(reader: &mut R) -> der::Result<Self> {
        let _version: u8 = reader.decode()?;
        AnyRef::decode(reader)?.tag_is(Tag::Set)?;
        let (content_type, info) = reader.sequence(|encapsulated| {
            let kind = encapsulated.decode()?;
            let content = ContextSpecific::<OctetStringRef<'a>>::decode_explicit(
                encapsulated,
                TagNumber::N0,
            )?
            .ok_or(der::ErrorKind::Failed)?;
            Ok((kind, content.value.as_bytes()))
        })?;
        let certificates = tagged(reader, TagNumber::N0)?.unwrap_or_default();
        let _crls = tagged(reader, TagNumber::N1)?;
        let signers = AnyRef::decode(reader)?;
        signers.tag_is(Tag::Set)?;
        Ok(Self {
            content_type,
            info,
            certificates,
            signers: signers.value(),
        })
    }
}

trait TagIs {
    fn tag_is(&self, tag: Tag) -> der::Result<()>;
}

impl TagIs for AnyRef<'_> {
    fn tag_is(&self, tag: Tag) -> der::Result<()> {
        der::Tagged::tag(self).assert_eq(tag).map(drop)
    }
}

impl<'a> Signer<'a> {
    fn parse(bytes: &'a [u8]) -> der::Result<Self> {
        let mut outer = SliceReader::new(bytes)?;
        let signer = outer.sequence(|reader| {
            let _version: u8 = reader.decode()?;
            let id = if reader.peek_tag()? == Tag::Sequence {
                reader.sequence(|name| {
                    let issuer = name.tlv_bytes()?;
                    let serial: IntRef<'a> = name.decode()?;
                    Ok(SignerId::Issuer(issuer, serial.as_bytes()))
                })?
            } else {
                let key: OctetStringRef<'a> = reader
                    .context_specific(TagNumber::N0, TagMode::Implicit)?
                    .ok_or(der::ErrorKind::Failed)?;
                SignerId::Key(key.as_bytes())
            };
            let digest = reader.decode()?;
            let attributes = elements(
                tagged(reader, TagNumber::N0)?.unwrap_or_default(),
                MAX_ATTRIBUTES,
            )?;
            let algorithm = reader.decode()?;
            let signature: OctetStringRef<'a> = reader.decode()?;
            let _unsigned = tagged(reader, TagNumber::N1)?;
            Ok(Self {
                id,
                digest,
                attributes,
                algorithm,
                signature: signature.as_bytes(),
            })
        })?;
        outer.finish(signer)
    }

    /// What is signed: the attributes as a DER `SET OF` (RFC 5652 §5.4), so sorted, and under the tag of a SET.
    pub(super) fn signed_bytes(&self) -> Option<Vec<u8>> {
        let mut sorted = self.attributes.clone();
        sorted.sort_unstable();
        let content = sorted.concat();
        let set = AnyRef::new(Tag::Set, &content).ok()?;
        der::Encode::to_der(&set).ok()
    }

    /// The one value of the one attribute `wanted`, DER.
    pub(super) fn attribute(&self, wanted: ObjectIdentifier) -> Option<&'a [u8]> {
        let mut found = None;
        for attribute in &self.attributes {
            let (kind, values) = read_attribute(attribute).ok()?;
            if kind != wanted {
                continue;
            }
            let values = elements(values, 1).ok()?;
            if found.is_some() {
                return None;
            }
            found = Some(values.first().copied()?);
        }
        found
    }
}

fn read_attribute(bytes: &[u8]) -> der::Result<(ObjectIdentifier, &[u8])> {
    let mut outer = SliceReader::new(bytes)?;
    let attribute = outer.sequence(|reader| {
        let kind = reader.decode()?;
        let values = AnyRef::decode(reader)?;
        values.tag_is(Tag::Set)?;
        Ok((kind, values.value()))
    })?;
    outer.finish(attribute)
}
