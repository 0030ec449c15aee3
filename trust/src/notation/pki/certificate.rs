//! A certificate with the bytes of its parts.

use aws_lc_rs::digest;
use der::asn1::{ContextSpecific, IntRef, ObjectIdentifier, OctetStringRef};
use der::{Reader, Sequence, SliceReader, TagMode, TagNumber};
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages};
use x509_cert::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use x509_cert::time::Validity;

use super::{Signed, decode, timestamp};
use crate::time::Timestamp;

/// Most extensions of one certificate; real ones have about ten.
const MAX_EXTENSIONS: usize = 64;

const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
const SUBJECT_KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");

/// An extension as it stands.
#[derive(Debug, Clone, Copy, Sequence)]
pub(in crate::notation) struct ExtensionRef<'a> {
    /// Which.
    pub(in crate::notation) oid: ObjectIdentifier,
    /// Whether one who does not know it must give up.
    #[asn1(default = "Default::default")]
    pub(in crate::notation) critical: bool,
    /// Its DER.
    pub(in crate::notation) value: OctetStringRef<'a>,
}

/// A parsed certificate. Nothing about it is verified.
#[derive(Debug, Clone)]
pub(in crate::notation) struct Certificate<'a> {
    der: &'a [u8],
    signed: Signed<'a>,
    serial: &'a [u8],
    issuer: &'a [u8],
    subject: &'a [u8],
    not_before: Timestamp,
    not_after: Timestamp,
    key: SubjectPublicKeyInfoRef<'a>,
    extensions: Vec<ExtensionRef<'a>>,
}

impl<'a> Certificate<'a> {
    /// Parses DER. The inner and outer algorithm must agree (RFC 5280 §4.1.1.2), and no extension stand twice (§4.2).
    pub(in crate::notation) fn from_der(bytes: &'a [u8]) -> der::Result<Self> {
        let signed = Signed::from_der(bytes)?;
        let mut outer = SliceReader::new(signed.tbs)?;
        let certificate = outer.sequence(|reader| {
            let _version = ContextSpecific::<u8>::decode_explicit(reader, TagNumber::N0)?;
            let serial: IntRef<'a> = reader.decode()?;
            let algorithm: AlgorithmIdentifierRef<'a> = reader.decode()?;
            if algorithm != signed.algorithm {
                return Err(der::ErrorKind::Failed.into());
            }
            let issuer = reader.tlv_bytes()?;
            let validity: Validity = reader.decode()?;
            let subject = reader.tlv_bytes()?;
            let key = reader.decode()?;
            for unique in [TagNumber::N1, TagNumber::N2] {
                reader
                    .context_specific::<der::asn1::BitStringRef<'a>>(unique, TagMode::Implicit)?;
            }
            let extensions = read_extensions(reader, TagNumber::N3)?;
            Ok(Self {
                der: bytes,
                signed,
                serial: serial.as_bytes(),
                issuer,
                subject,
                not_before: timestamp(validity.not_before),
                not_after: timestamp(validity.not_after),
                key,
                extensions,
            })
        })?;
        outer.finish(certificate)
    }

    /// The whole certificate.
    pub(in crate::notation) fn der(&self) -> &'a [u8] {
        self.der
    }

    /// The serial number, as the content of its INTEGER.
    pub(in crate::notation) fn serial(&self) -> &'a [u8] {
        self.serial
    }

    /// The issuer's Name, DER.
    pub(in crate::notation) fn issuer(&self) -> &'a [u8] {
        self.issuer
    }

    /// The subject's Name, DER.
    pub(in crate::notation) fn subject(&self) -> &'a [u8] {
        self.subject
    }

    /// Its public key.
    pub(in crate::notation) fn key(&self) -> &SubjectPublicKeyInfoRef<'a> {
        &self.key
    }

    /// The SHA-1 of the key's bits: an identifier (RFC 6960 §4.1.1), never a proof.
    pub(in crate::notation) fn key_id(&self) -> Vec<u8> {
        sha1(self.key.subject_public_key.raw_bytes())
    }

    /// Whether `at` lies in its validity.
    pub(in crate::notation) fn is_valid_at(&self, at: Timestamp) -> bool {
        self.not_before <= at && at <= self.not_after
    }

    /// Whether `issuer` is named as its issuer and signed it.
    pub(in crate::notation) fn is_issued_by(&self, issuer: &Certificate<'_>) -> bool {
        self.issuer == issuer.subject && self.signed.is_signed_by(issuer)
    }

    /// The extension `oid`.
    pub(in crate::notation) fn extension(
        &self,
        oid: ObjectIdentifier,
    ) -> Option<&ExtensionRef<'a>> {
        self.extensions
            .iter()
            .find(|extension| extension.oid == oid)
    }

    /// Whether it says that it is a certificate authority's.
    pub(in crate::notation) fn is_ca(&self) -> bool {
        self.extension(BASIC_CONSTRAINTS)
            .and_then(|extension| decode::<BasicConstraints>(extension.value.as_bytes()).ok())
            .is_some_and(|constraints| constraints.ca)
    }

    /// Whether its key may be used for one of `usages`. Without the extension it may; one that cannot be read permits nothing.
    pub(in crate::notation) fn allows_usage(&self, usages: &[KeyUsages]) -> bool {
        self.extension(KEY_USAGE).is_none_or(|extension| {
            decode::<KeyUsage>(extension.value.as_bytes())
                .is_ok_and(|usage| usages.iter().any(|one| usage.0.contains(*one)))
        })
    }

    /// The extended key usages, and whether they are critical. Empty without the extension, or where it cannot be read.
    pub(in crate::notation) fn extended_usages(&self) -> (bool, Vec<ObjectIdentifier>) {
        self.extension(EXTENDED_KEY_USAGE)
            .map_or((false, Vec::new()), |extension| {
                let usages = decode::<ExtendedKeyUsage>(extension.value.as_bytes());
                (
                    extension.critical,
                    usages.map(|usages| usages.0).unwrap_or_default(),
                )
            })
    }

    /// The subject key identifier.
    pub(in crate::notation) fn subject_key_identifier(&self) -> Option<&'a [u8]> {
        let extension = self.extension(SUBJECT_KEY_IDENTIFIER)?;
        let identifier: OctetStringRef<'a> = decode(extension.value.as_bytes()).ok()?;
        Some(identifier.as_bytes())
    }
}

/// Extensions behind an explicit tag, if they are there.
pub(in crate::notation) fn read_extensions<'a, R: Reader<'a>>(
    reader: &mut R,
    tag: TagNumber,
) -> der::Result<Vec<ExtensionRef<'a>>> {
    let extensions: Vec<ExtensionRef<'a>> = reader
        .context_specific(tag, TagMode::Explicit)?
        .unwrap_or_default();
    check_extensions(extensions)
}

/// No extension twice, and not too many.
pub(in crate::notation) fn check_extensions(
    extensions: Vec<ExtensionRef<'_>>,
) -> der::Result<Vec<ExtensionRef<'_>>> {
    let mut oids: Vec<ObjectIdentifier> = extensions.iter().map(|one| one.oid).collect();
    oids.sort_unstable();
    let twice = oids.windows(2).any(|pair| matches!(pair, [a, b] if a == b));
    if twice || oids.len() > MAX_EXTENSIONS {
        return Err(der::ErrorKind::Failed.into());
    }
    Ok(extensions)
}

/// SHA-1, for identifiers that protocols fix to it.
pub(in crate::notation) fn sha1(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes)
        .as_ref()
        .to_vec()
}
