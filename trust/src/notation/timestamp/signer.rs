//! The certificate of a timestamp authority, and its way to a trusted root (RFC 3161 §2.3).

use der::asn1::{ObjectIdentifier, OctetStringRef};
use der::{Reader, SliceReader, Tag};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use webpki::aws_lc_rs::{
    ECDSA_P256_SHA256, ECDSA_P256_SHA384, ECDSA_P256_SHA512, ECDSA_P384_SHA256, ECDSA_P384_SHA384,
    ECDSA_P384_SHA512, ECDSA_P521_SHA256, ECDSA_P521_SHA384, ECDSA_P521_SHA512,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256_LEGACY_KEY, RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_cert::ext::pkix::KeyUsages;
use x509_cert::spki::AlgorithmIdentifierRef;

use super::super::pki::{Certificate, Hash};
use super::token::{Signer, SignerId};
use crate::time::Timestamp;

/// id-kp-timeStamping.
const TIME_STAMPING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");
const TIME_STAMPING_DER: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 8];

/// RSA and ECDSA with SHA-2. SHA-1 signs no certificate on the way.
const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    ECDSA_P256_SHA256,
    ECDSA_P256_SHA384,
    ECDSA_P256_SHA512,
    ECDSA_P384_SHA256,
    ECDSA_P384_SHA384,
    ECDSA_P384_SHA512,
    ECDSA_P521_SHA256,
    ECDSA_P521_SHA384,
    ECDSA_P521_SHA512,
    RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

/// The certificate among `certificates` that `signer` names.
pub(super) fn find<'c, 'a>(
    signer: &Signer<'_>,
    certificates: &'c [Certificate<'a>],
) -> Option<&'c Certificate<'a>> {
    certificates.iter().find(|certificate| match signer.id {
        SignerId::Issuer(issuer, serial) => {
            certificate.issuer() == issuer && certificate.serial() == serial
        }
        SignerId::Key(key) => certificate.subject_key_identifier() == Some(key),
    })
}

/// Whether `attribute`, a SigningCertificateV2 (RFC 5035 §3), names `certificate` as the signer's. The hash covers the whole
/// certificate, so the issuer and serial number that may stand beside it add nothing.
pub(super) fn is_bound(attribute: &[u8], certificate: &Certificate<'_>) -> bool {
    first_certificate_hash(attribute)
        .is_ok_and(|(hash, value)| hash.is_some_and(|hash| hash.of(certificate.der()) == value))
}

/// The first ESSCertIDv2: its hash algorithm, SHA-256 if it names none, and the hash.
fn first_certificate_hash(attribute: &[u8]) -> der::Result<(Option<Hash>, &[u8])> {
    let mut outer = SliceReader::new(attribute)?;
    outer.sequence(|reader| {
        let certificates: der::asn1::AnyRef<'_> = reader.decode()?;
        der::Tagged::tag(&certificates).assert_eq(Tag::Sequence)?;
        let mut ids = SliceReader::new(certificates.value())?;
        let first = ids.sequence(|id| {
            let hash = if id.peek_tag()? == Tag::Sequence {
                Hash::from_identifier(&id.decode::<AlgorithmIdentifierRef<'_>>()?)
            } else {
                Some(Hash::Sha256)
            };
            let value: OctetStringRef<'_> = id.decode()?;
            id.read_slice(id.remaining_len())?;
            Ok((hash, value.as_bytes()))
        })?;
        reader.read_slice(reader.remaining_len())?;
        Ok(first)
    })
}

/// The way from `certificate` over `others` to one of `roots`, every certificate valid at `at`: DER, leaf first, root last.
pub(super) fn chain(
    certificate: &Certificate<'_>,
    others: &[Certificate<'_>],
    roots: &[Vec<u8>],
    at: Timestamp,
) -> Result<Vec<Vec<u8>>, &'static str> {
    if certificate.extended_usages() != (true, vec![TIME_STAMPING]) {
        return Err("its certificate is not for timestamps alone, marked critical");
    }
    if !certificate.allows_usage(&[KeyUsages::DigitalSignature, KeyUsages::NonRepudiation]) {
        return Err("its certificate's key is not for signatures");
    }
    let roots: Vec<CertificateDer<'_>> = roots
        .iter()
        .filter(|root| Certificate::from_der(root).is_ok_and(|root| root.is_valid_at(at)))
        .map(|root| CertificateDer::from(root.as_slice()))
        .collect();
    let (kept, anchors): (Vec<_>, Vec<_>) = roots
        .iter()
        .filter_map(|root| Some((root, anchor_from_trusted_cert(root).ok()?)))
        .unzip();
    let leaf_der = CertificateDer::from(certificate.der());
    let leaf = EndEntityCert::try_from(&leaf_der).map_err(|_| "its certificate cannot be read")?;
    let others: Vec<CertificateDer<'_>> = others
        .iter()
        .filter(|other| {
            other.der() != certificate.der() && other.allows_usage(&[KeyUsages::KeyCertSign])
        })
        .map(|other| CertificateDer::from(other.der()))
        .collect();
    let seconds = u64::try_from(at.0).map_err(|_| "its time is before 1970")?;
    let path = leaf
        .verify_for_usage(
            ALGORITHMS,
            &anchors,
            &others,
            UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)),
            KeyUsage::required_if_present(TIME_STAMPING_DER),
            None,
            None,
        )
        .map_err(|_| "its certificate does not lead to a trusted root that is valid at its time")?;
    let root = anchors
        .iter()
        .zip(kept)
        .find(|(anchor, _)| *anchor == path.anchor())
        .map(|(_, root)| root.to_vec())
        .ok_or("its root is not trusted")?;
    let mut chain = vec![certificate.der().to_vec()];
    chain.extend(
        path.intermediate_certificates()
            .map(|one| one.der().to_vec()),
    );
    if chain.last() != Some(&root) {
        chain.push(root);
    }
    Ok(chain)
}
