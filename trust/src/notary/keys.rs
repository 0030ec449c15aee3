//! Public keys as Notary v1 writes them, and signatures by them.
//!
//! Two keys are the same if their *material* is: the algorithm and the key itself. A key id is a hash over one way of
//! writing a key down, so that one key with two certificates has three ids, and must still count once.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P521_SHA256_ASN1, ED25519,
    RSA_PSS_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use rustls_pki_types::pem::{PemObject as _, SectionKind};
use x509_cert::Certificate;
use x509_cert::der::asn1::{ObjectIdentifier, UintRef};
use x509_cert::der::{Decode as _, Encode as _, Sequence};
use x509_cert::spki::SubjectPublicKeyInfoRef;

const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ED25519_OID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// Why a public key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No PEM block of the wanted kind, or more than one.
    #[error("expected exactly one PEM block, `PUBLIC KEY` or `CERTIFICATE`")]
    Pem,
    /// The DER inside does not parse.
    #[error("the key is damaged: its DER does not parse")]
    Der,
    /// Not ECDSA P-256, P-384 or P-521, RSA or Ed25519.
    #[error("unsupported key type: use ECDSA P-256, P-384 or P-521, RSA or Ed25519")]
    Unsupported,
    /// RSA outside 2048 to 8192 bits.
    #[error("RSA keys must have 2048 to 8192 bits")]
    RsaSize,
    /// Not a valid key of its algorithm.
    #[error("the key is not a valid one of its type")]
    Invalid,
}

/// An algorithm with its parameters, as far as a key fixes them. The hash is SHA-256 whatever the curve: that is what
/// Notary v1 signs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Algorithm {
    P256,
    P384,
    P521,
    /// RSASSA-PSS with a salt of 32 bytes.
    Rsa,
    Ed25519,
}

/// A public key by its material. Equal keys are the same key, however they were written down.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey {
    pub(super) algorithm: Algorithm,
    /// Uncompressed point, DER `RSAPublicKey`, or the 32 bytes of an Ed25519 key.
    pub(super) bytes: Vec<u8>,
}

#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

impl PublicKey {
    /// Reads one PEM block: `PUBLIC KEY`, or `CERTIFICATE`, whose subject key is taken.
    ///
    /// # Errors
    /// [`KeyError`]; several blocks are refused, because it would be unclear which is meant.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let mut blocks = <(SectionKind, Vec<u8>)>::pem_slice_iter(pem);
        let (Some(Ok((kind, der))), None) = (blocks.next(), blocks.next()) else {
            return Err(KeyError::Pem);
        };
        match kind {
            SectionKind::PublicKey => Self::from_spki(&der),
            SectionKind::Certificate => {
                Self::from_certificate(&Certificate::from_der(&der).map_err(|_| KeyError::Der)?)
            }
            _ => Err(KeyError::Pem),
        }
    }

    /// The subject key of a certificate.
    pub(super) fn from_certificate(certificate: &Certificate) -> Result<Self, KeyError> {
        let spki = certificate
            .tbs_certificate
            .subject_public_key_info
            .to_der()
            .map_err(|_| KeyError::Der)?;
        Self::from_spki(&spki)
    }

    /// Reads a DER `SubjectPublicKeyInfo`.
    pub(super) fn from_spki(der: &[u8]) -> Result<Self, KeyError> {
        let spki = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| KeyError::Der)?;
        let bytes = spki
            .subject_public_key
            .as_bytes()
            .ok_or(KeyError::Der)?
            .to_vec();
        let algorithm = match spki.algorithm.oid {
            EC => match spki
                .algorithm
                .parameters_oid()
                .map_err(|_| KeyError::Unsupported)?
            {
                P256 => Algorithm::P256,
                P384 => Algorithm::P384,
                P521 => Algorithm::P521,
                _ => return Err(KeyError::Unsupported),
            },
            RSA => {
                let key = RsaPublicKey::from_der(&bytes).map_err(|_| KeyError::Der)?;
                let modulus = key.modulus.as_bytes();
                let padding = modulus
                    .first()
                    .map_or(0, |byte| byte.leading_zeros() as usize);
                let bits = modulus.len().saturating_mul(8).saturating_sub(padding);
                if !(2048..=8192).contains(&bits) {
                    return Err(KeyError::RsaSize);
                }
                Algorithm::Rsa
            }
            ED25519_OID => Algorithm::Ed25519,
            _ => return Err(KeyError::Unsupported),
        };
        // A compressed point would be a second way to write the same key.
        let uncompressed = |size: usize| bytes.len() == size && bytes.first() == Some(&4);
        let canonical = match algorithm {
            Algorithm::P256 => uncompressed(65),
            Algorithm::P384 => uncompressed(97),
            Algorithm::P521 => uncompressed(133),
            Algorithm::Ed25519 => bytes.len() == 32,
            Algorithm::Rsa => true,
        };
        if !canonical {
            return Err(KeyError::Invalid);
        }
        let key = Self { algorithm, bytes };
        key.unparsed().parse().map_err(|_| KeyError::Invalid)?;
        Ok(key)
    }

    fn unparsed(&self) -> UnparsedPublicKey<&[u8]> {
        let algorithm: &'static dyn VerificationAlgorithm = match self.algorithm {
            Algorithm::P256 => &ECDSA_P256_SHA256_ASN1,
            Algorithm::P384 => &ECDSA_P384_SHA256_ASN1,
            Algorithm::P521 => &ECDSA_P521_SHA256_ASN1,
            Algorithm::Rsa => &RSA_PSS_2048_8192_SHA256,
            Algorithm::Ed25519 => &ED25519,
        };
        UnparsedPublicKey::new(algorithm, &self.bytes)
    }

    /// Whether `signature`, made by Notary's `method`, is this key's over `message`.
    pub(super) fn verifies(&self, method: &str, message: &[u8], signature: &[u8]) -> bool {
        match (self.algorithm, method.to_ascii_lowercase().as_str()) {
            (Algorithm::Rsa, "rsapss") | (Algorithm::Ed25519, "eddsa") => {
                self.unparsed().verify(message, signature).is_ok()
            }
            (Algorithm::P256, "ecdsa") => self.verifies_ecdsa(message, signature, 32),
            (Algorithm::P384, "ecdsa") => self.verifies_ecdsa(message, signature, 48),
            (Algorithm::P521, "ecdsa") => self.verifies_ecdsa(message, signature, 66),
            _ => false,
        }
    }

    /// Notary writes r and s side by side, each of the curve's size; the library wants DER.
    fn verifies_ecdsa(&self, message: &[u8], signature: &[u8], size: usize) -> bool {
        #[derive(Sequence)]
        struct Ecdsa<'a> {
            r: UintRef<'a>,
            s: UintRef<'a>,
        }
        if signature.len() != size.saturating_mul(2) {
            return false;
        }
        let (r, s) = signature.split_at(size);
        let (Ok(r), Ok(s)) = (UintRef::new(r), UintRef::new(s)) else {
            return false;
        };
        Ecdsa { r, s }
            .to_der()
            .is_ok_and(|der| self.unparsed().verify(message, &der).is_ok())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P521_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _,
    };

    use super::*;

    /// DER around a point: `AlgorithmIdentifier` as hex, then the BIT STRING.
    pub(in crate::notary) fn spki(algorithm: &str, point: &[u8]) -> Vec<u8> {
        let mut bits = vec![0x03];
        let length = |length: usize, out: &mut Vec<u8>| match u8::try_from(length).unwrap() {
            short @ 0..=127 => out.push(short),
            long => out.extend([0x81, long]),
        };
        length(point.len() + 1, &mut bits);
        bits.push(0);
        bits.extend(point);
        let body = [hex::decode(algorithm).unwrap(), bits].concat();
        let mut out = vec![0x30];
        length(body.len(), &mut out);
        out.extend(body);
        out
    }

    pub(in crate::notary) const P256_ALGORITHM: &str = "301306072a8648ce3d020106082a8648ce3d030107";
    const P521_ALGORITHM: &str = "301006072a8648ce3d020106052b81040023";

    #[test]
    fn p521_signatures_are_made_with_sha256() {
        let pair = EcdsaKeyPair::generate(&ECDSA_P521_SHA256_ASN1_SIGNING).unwrap();
        let key = PublicKey::from_spki(&spki(P521_ALGORITHM, pair.public_key().as_ref())).unwrap();
        let der = pair.sign(&SystemRandom::new(), b"message").unwrap();
        // SEQUENCE { INTEGER r, INTEGER s } to r || s, 66 bytes each.
        let mut fixed = Vec::new();
        let mut rest = der
            .as_ref()
            .strip_prefix(&[0x30, 0x81])
            .map_or(&der.as_ref()[2..], |rest| &rest[1..]);
        for _ in 0..2 {
            let (number, after) = rest[2..].split_at(usize::from(rest[1]));
            let number: Vec<u8> = number
                .iter()
                .copied()
                .skip_while(|byte| *byte == 0)
                .collect();
            fixed.extend(vec![0; 66 - number.len()]);
            fixed.extend(number);
            rest = after;
        }
        assert!(key.verifies("ecdsa", b"message", &fixed));
        assert!(!key.verifies("ecdsa", b"another", &fixed));
        assert!(!key.verifies("ecdsa", b"message", der.as_ref()));
        assert!(!key.verifies("rsapss", b"message", &fixed));
    }

    #[test]
    fn a_second_way_to_write_a_point_is_refused() {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = pair.public_key().as_ref();
        assert!(PublicKey::from_spki(&spki(P256_ALGORITHM, point)).is_ok());
        let mut compressed = vec![2 + (point[64] & 1)];
        compressed.extend(&point[1..33]);
        assert_eq!(
            PublicKey::from_spki(&spki(P256_ALGORITHM, &compressed)),
            Err(KeyError::Invalid)
        );
        let mut off_curve = point.to_vec();
        off_curve[64] ^= 1;
        assert_eq!(
            PublicKey::from_spki(&spki(P256_ALGORITHM, &off_curve)),
            Err(KeyError::Invalid)
        );
    }
}
