//! One certificate: its bytes as they are signed, and who signed it.

use rustls_pki_types::SignatureVerificationAlgorithm;
use webpki::aws_lc_rs as algorithms;
use x509_cert::der::asn1::{AnyRef, ObjectIdentifier};
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::{Decode, Encode as _, Reader as _, SliceReader};
use x509_cert::ext::pkix::BasicConstraints;

use crate::time::Timestamp;

/// What a certificate may be signed with: SHA-256 and better (signature-specification.md, "Other requirements" 1), RSA
/// from 2048 bits, the curves of "Algorithm Selection".
static ALGORITHMS: [&dyn SignatureVerificationAlgorithm; 19] = [
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P256_SHA384,
    algorithms::ECDSA_P256_SHA512,
    algorithms::ECDSA_P384_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::ECDSA_P384_SHA512,
    algorithms::ECDSA_P521_SHA256,
    algorithms::ECDSA_P521_SHA384,
    algorithms::ECDSA_P521_SHA512,
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA512,
    algorithms::RSA_PKCS1_2048_8192_SHA256_ABSENT_PARAMS,
    algorithms::RSA_PKCS1_2048_8192_SHA384_ABSENT_PARAMS,
    algorithms::RSA_PKCS1_2048_8192_SHA512_ABSENT_PARAMS,
    algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
    // An authority's; a signer's own key is one of those above.
    algorithms::ED25519,
];

/// Most extensions; real certificates have about ten. Each is looked up for each question.
const MAX_EXTENSIONS: usize = 64;

/// A parsed certificate. Nothing about it is verified.
#[derive(Debug, Clone)]
pub(super) struct Certificate {
    pub(super) der: Vec<u8>,
    /// The signed bytes as they came: encoding them again might give others.
    signed: Vec<u8>,
    pub(super) parsed: x509_cert::Certificate,
}

impl Certificate {
    /// Reads one certificate and nothing after it.
    pub(super) fn parse(der: &[u8]) -> Result<Self, &'static str> {
        const DAMAGED: &str = "a certificate cannot be read";
        let parsed = x509_cert::Certificate::from_der(der).map_err(|_| DAMAGED)?;
        if parsed.signature_algorithm != parsed.tbs_certificate.signature {
            return Err(DAMAGED);
        }
        let extensions = parsed.tbs_certificate.extensions.as_deref();
        let extensions = extensions.unwrap_or_default();
        if extensions.len() > MAX_EXTENSIONS {
            return Err("a certificate has too many extensions");
        }
        let mut known: Vec<ObjectIdentifier> = Vec::new();
        for extension in extensions {
            // RFC 5280 section 4.2: one instance of an extension.
            if known.contains(&extension.extn_id) {
                return Err("a certificate has an extension twice");
            }
            known.push(extension.extn_id);
        }
        Ok(Self {
            signed: signed_bytes(der).ok_or(DAMAGED)?,
            der: der.to_vec(),
            parsed,
        })
    }

    /// Whether `issuer` is the name in it, and its key signed it.
    pub(super) fn issued_by(&self, issuer: &Self) -> bool {
        let key = &issuer.parsed.tbs_certificate.subject_public_key_info;
        self.parsed.tbs_certificate.issuer == issuer.parsed.tbs_certificate.subject
            && self.signed_with(key).is_some_and(|signed| signed)
    }

    /// Whether it is its own issuer.
    pub(super) fn self_signed(&self) -> bool {
        self.issued_by(self)
    }

    fn signed_with(&self, key: &x509_cert::spki::SubjectPublicKeyInfoOwned) -> Option<bool> {
        let used = self.parsed.signature_algorithm.to_der().ok()?;
        let used = AnyRef::from_der(&used).ok()?.value();
        let of_key = key.algorithm.to_der().ok()?;
        let of_key = AnyRef::from_der(&of_key).ok()?.value();
        let algorithm = ALGORITHMS.iter().find(|one| {
            one.signature_alg_id().as_ref() == used && one.public_key_alg_id().as_ref() == of_key
        })?;
        let bytes = key.subject_public_key.as_bytes()?;
        let signature = self.parsed.signature.as_bytes()?;
        Some(
            algorithm
                .verify_signature(bytes, &self.signed, signature)
                .is_ok(),
        )
    }

    /// An extension and whether it is critical; an error if it cannot be read.
    pub(super) fn extension<'a, T: Decode<'a> + AssociatedOid>(
        &'a self,
    ) -> Result<Option<(bool, T)>, &'static str> {
        self.parsed
            .tbs_certificate
            .extensions
            .iter()
            .flatten()
            .find(|extension| extension.extn_id == T::OID)
            .map(|extension| {
                T::from_der(extension.extn_value.as_bytes())
                    .map(|value| (extension.critical, value))
                    .map_err(|_| "an extension of a certificate cannot be read")
            })
            .transpose()
    }

    /// Whether its basic constraints call it an authority.
    pub(super) fn is_authority(&self) -> bool {
        matches!(self.extension::<BasicConstraints>(), Ok(Some((_, constraints))) if constraints.ca)
    }

    /// First and last second of its validity.
    pub(super) fn validity(&self) -> (Timestamp, Timestamp) {
        let validity = &self.parsed.tbs_certificate.validity;
        let seconds = |time: &x509_cert::time::Time| {
            Timestamp(i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX))
        };
        (seconds(&validity.not_before), seconds(&validity.not_after))
    }

    /// The first digits of its SHA-256, for messages.
    pub(super) fn key_id(&self) -> String {
        portcullis_policy::Digest::of(&self.der)
            .hex()
            .chars()
            .take(16)
            .collect()
    }
}

/// The TBSCertificate with its header.
fn signed_bytes(der: &[u8]) -> Option<Vec<u8>> {
    let mut reader = SliceReader::new(der).ok()?;
    reader
        .sequence(|inner| {
            let signed = inner.tlv_bytes()?.to_vec();
            inner.tlv_bytes()?;
            inner.tlv_bytes()?;
            Ok(signed)
        })
        .ok()
}

#[cfg(test)]
mod tests {
    use x509_cert::der::asn1::OctetString;
    use x509_cert::ext::Extension;

    use super::*;

    #[test]
    fn extensions_are_counted_before_they_are_compared() {
        let der = include_bytes!("../../tests/fixtures/revocation/good.crt");
        let good = x509_cert::Certificate::from_der(der).unwrap();
        let with = |count: u32| {
            let mut many = good.clone();
            let extension = |number: u32| Extension {
                extn_id: ObjectIdentifier::new(&format!("1.3.6.1.4.1.{number}")).unwrap(),
                critical: false,
                extn_value: OctetString::new(Vec::new()).unwrap(),
            };
            many.tbs_certificate.extensions = Some((0..count).map(extension).collect());
            Certificate::parse(&many.to_der().unwrap()).map(|_| ())
        };
        assert_eq!(with(64), Ok(()));
        let refused = Err("a certificate has too many extensions");
        assert_eq!(with(65), refused);
        // As many as an envelope has room for.
        assert_eq!(with(15_000), refused);
    }
}
