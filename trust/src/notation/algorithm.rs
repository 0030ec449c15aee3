//! The six signature algorithms, each of which belongs to one kind and size of key (signature-specification.md,
//! "Algorithm Selection").

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    UnparsedPublicKey, VerificationAlgorithm,
};
use x509_cert::der::asn1::{ObjectIdentifier, UintRef};
use x509_cert::der::{Decode as _, Reader as _, SliceReader};
use x509_cert::spki::SubjectPublicKeyInfoOwned;

const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// How an envelope is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    Es512,
}

impl Algorithm {
    /// From the `alg` of a JWS header (RFC 7518 section 3.1).
    pub(super) fn from_jose(name: &str) -> Option<Self> {
        Some(match name {
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "ES512" => Self::Es512,
            _ => return None,
        })
    }

    /// From label 1 of a COSE header (RFC 9053 section 2.1, RFC 8230 section 2).
    pub(super) fn from_cose(id: i128) -> Option<Self> {
        Some(match id {
            -37 => Self::Ps256,
            -38 => Self::Ps384,
            -39 => Self::Ps512,
            -7 => Self::Es256,
            -35 => Self::Es384,
            -36 => Self::Es512,
            _ => return None,
        })
    }

    /// The one algorithm a key may sign with.
    pub(super) fn of_key(key: &SubjectPublicKeyInfoOwned) -> Option<Self> {
        match key.algorithm.oid {
            RSA_ENCRYPTION => match modulus_bytes(key)? {
                256 => Some(Self::Ps256),
                384 => Some(Self::Ps384),
                512 => Some(Self::Ps512),
                _ => None,
            },
            EC_PUBLIC_KEY => {
                let curve: ObjectIdentifier =
                    key.algorithm.parameters.as_ref()?.decode_as().ok()?;
                match curve {
                    P256 => Some(Self::Es256),
                    P384 => Some(Self::Es384),
                    P521 => Some(Self::Es512),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Whether `signature` (raw `r || s`, or PSS with a salt as long as the hash) is one over `message`.
    pub(super) fn verify(
        self,
        key: &SubjectPublicKeyInfoOwned,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let algorithm: &'static dyn VerificationAlgorithm = match self {
            Self::Ps256 => &RSA_PSS_2048_8192_SHA256,
            Self::Ps384 => &RSA_PSS_2048_8192_SHA384,
            Self::Ps512 => &RSA_PSS_2048_8192_SHA512,
            Self::Es256 => &ECDSA_P256_SHA256_FIXED,
            Self::Es384 => &ECDSA_P384_SHA384_FIXED,
            Self::Es512 => &ECDSA_P521_SHA512_FIXED,
        };
        key.subject_public_key.as_bytes().is_some_and(|bytes| {
            UnparsedPublicKey::new(algorithm, bytes)
                .verify(message, signature)
                .is_ok()
        })
    }
}

/// Length of an RSA modulus.
fn modulus_bytes(key: &SubjectPublicKeyInfoOwned) -> Option<usize> {
    let mut reader = SliceReader::new(key.subject_public_key.as_bytes()?).ok()?;
    let modulus = reader
        .sequence(|inner| {
            let modulus = UintRef::decode(inner)?;
            UintRef::decode(inner)?;
            Ok(modulus)
        })
        .ok()?;
    Some(modulus.as_bytes().len())
}
