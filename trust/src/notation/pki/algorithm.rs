//! Which signatures count: RSA of 2048 to 8192 bits and ECDSA on NIST curves, with SHA-256, SHA-384 or SHA-512.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1, ECDSA_P384_SHA256_ASN1,
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA512_ASN1, ECDSA_P521_SHA256_ASN1, ECDSA_P521_SHA384_ASN1,
    ECDSA_P521_SHA512_ASN1, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    RSA_PSS_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use der::Sequence;
use der::asn1::{AnyRef, ObjectIdentifier};
use x509_cert::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

const fn oid(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}

const SHA256: ObjectIdentifier = oid("2.16.840.1.101.3.4.2.1");
const SHA384: ObjectIdentifier = oid("2.16.840.1.101.3.4.2.2");
const SHA512: ObjectIdentifier = oid("2.16.840.1.101.3.4.2.3");
const RSA: ObjectIdentifier = oid("1.2.840.113549.1.1.1");
const MGF1: ObjectIdentifier = oid("1.2.840.113549.1.1.8");
const RSA_PSS: ObjectIdentifier = oid("1.2.840.113549.1.1.10");
const RSA_SHA256: ObjectIdentifier = oid("1.2.840.113549.1.1.11");
const RSA_SHA384: ObjectIdentifier = oid("1.2.840.113549.1.1.12");
const RSA_SHA512: ObjectIdentifier = oid("1.2.840.113549.1.1.13");
const EC: ObjectIdentifier = oid("1.2.840.10045.2.1");
const P256: ObjectIdentifier = oid("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = oid("1.3.132.0.34");
const P521: ObjectIdentifier = oid("1.3.132.0.35");
const ECDSA_SHA256: ObjectIdentifier = oid("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = oid("1.2.840.10045.4.3.3");
const ECDSA_SHA512: ObjectIdentifier = oid("1.2.840.10045.4.3.4");

/// A hash that signatures may be made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::notation) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    /// From the identifier of a hash. Parameters are absent or NULL (RFC 5754 §2).
    pub(in crate::notation) fn from_identifier(
        identifier: &AlgorithmIdentifierRef<'_>,
    ) -> Option<Self> {
        let hash = match identifier.oid {
            SHA256 => Self::Sha256,
            SHA384 => Self::Sha384,
            SHA512 => Self::Sha512,
            _ => return None,
        };
        is_plain(identifier.parameters).then_some(hash)
    }

    /// The hash of `bytes`.
    pub(in crate::notation) fn of(self, bytes: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, bytes).as_ref().to_vec()
    }

    fn size(self) -> u8 {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// RFC 4055 §3.1. The defaults stand for SHA-1, which never counts, so every field is required but the last.
#[derive(Sequence)]
struct PssParameters<'a> {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    hash: AlgorithmIdentifierRef<'a>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT")]
    mask: AlgorithmIdentifierRef<'a>,
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT")]
    salt: u8,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT", optional = "true")]
    trailer: Option<u8>,
}

#[derive(Clone, Copy)]
enum Scheme {
    Pkcs1(Hash),
    Pss(Hash),
    Ecdsa(Hash),
}

fn is_plain(parameters: Option<AnyRef<'_>>) -> bool {
    parameters.is_none_or(AnyRef::is_null)
}

/// `bare` is the hash that goes with a bare `rsaEncryption`, which CMS signers write as their signature algorithm.
fn scheme(algorithm: &AlgorithmIdentifierRef<'_>, bare: Option<Hash>) -> Option<Scheme> {
    let plain = is_plain(algorithm.parameters);
    let absent = algorithm.parameters.is_none();
    match algorithm.oid {
        RSA if plain => bare.map(Scheme::Pkcs1),
        RSA_SHA256 if plain => Some(Scheme::Pkcs1(Hash::Sha256)),
        RSA_SHA384 if plain => Some(Scheme::Pkcs1(Hash::Sha384)),
        RSA_SHA512 if plain => Some(Scheme::Pkcs1(Hash::Sha512)),
        ECDSA_SHA256 if absent => Some(Scheme::Ecdsa(Hash::Sha256)),
        ECDSA_SHA384 if absent => Some(Scheme::Ecdsa(Hash::Sha384)),
        ECDSA_SHA512 if absent => Some(Scheme::Ecdsa(Hash::Sha512)),
        RSA_PSS => {
            let parameters: PssParameters<'_> = algorithm.parameters?.decode_as().ok()?;
            let hash = Hash::from_identifier(&parameters.hash)?;
            let mask: AlgorithmIdentifierRef<'_> = parameters.mask.parameters?.decode_as().ok()?;
            let usual = parameters.mask.oid == MGF1
                && Hash::from_identifier(&mask) == Some(hash)
                && parameters.salt == hash.size()
                && parameters.trailer.is_none_or(|trailer| trailer == 1);
            usual.then_some(Scheme::Pss(hash))
        }
        _ => None,
    }
}

/// The hash `algorithm` signs with; `bare` where it is a bare `rsaEncryption`.
pub(in crate::notation) fn signature_hash(
    algorithm: &AlgorithmIdentifierRef<'_>,
    bare: Option<Hash>,
) -> Option<Hash> {
    match scheme(algorithm, bare)? {
        Scheme::Pkcs1(hash) | Scheme::Pss(hash) | Scheme::Ecdsa(hash) => Some(hash),
    }
}

/// Whether `signature` by `algorithm` is one of `key` over `message`.
pub(in crate::notation) fn verify_signature(
    key: &SubjectPublicKeyInfoRef<'_>,
    algorithm: &AlgorithmIdentifierRef<'_>,
    message: &[u8],
    signature: &[u8],
) -> bool {
    verify_with(key, algorithm, None, message, signature)
}

/// As [`verify_signature`], where a bare `rsaEncryption` stands for PKCS #1 v1.5 with `bare`.
pub(in crate::notation) fn verify_with(
    key: &SubjectPublicKeyInfoRef<'_>,
    algorithm: &AlgorithmIdentifierRef<'_>,
    bare: Option<Hash>,
    message: &[u8],
    signature: &[u8],
) -> bool {
    let Some(scheme) = scheme(algorithm, bare) else {
        return false;
    };
    let curve = match key.algorithm.oid {
        RSA if is_plain(key.algorithm.parameters) => None,
        EC => match key.algorithm.parameters_oid() {
            Ok(curve) => Some(curve),
            Err(_) => return false,
        },
        _ => return false,
    };
    let algorithm: &'static dyn VerificationAlgorithm = match (scheme, curve) {
        (Scheme::Pkcs1(Hash::Sha256), None) => &RSA_PKCS1_2048_8192_SHA256,
        (Scheme::Pkcs1(Hash::Sha384), None) => &RSA_PKCS1_2048_8192_SHA384,
        (Scheme::Pkcs1(Hash::Sha512), None) => &RSA_PKCS1_2048_8192_SHA512,
        (Scheme::Pss(Hash::Sha256), None) => &RSA_PSS_2048_8192_SHA256,
        (Scheme::Pss(Hash::Sha384), None) => &RSA_PSS_2048_8192_SHA384,
        (Scheme::Pss(Hash::Sha512), None) => &RSA_PSS_2048_8192_SHA512,
        (Scheme::Ecdsa(Hash::Sha256), Some(P256)) => &ECDSA_P256_SHA256_ASN1,
        (Scheme::Ecdsa(Hash::Sha384), Some(P256)) => &ECDSA_P256_SHA384_ASN1,
        (Scheme::Ecdsa(Hash::Sha512), Some(P256)) => &ECDSA_P256_SHA512_ASN1,
        (Scheme::Ecdsa(Hash::Sha256), Some(P384)) => &ECDSA_P384_SHA256_ASN1,
        (Scheme::Ecdsa(Hash::Sha384), Some(P384)) => &ECDSA_P384_SHA384_ASN1,
        (Scheme::Ecdsa(Hash::Sha512), Some(P384)) => &ECDSA_P384_SHA512_ASN1,
        (Scheme::Ecdsa(Hash::Sha256), Some(P521)) => &ECDSA_P521_SHA256_ASN1,
        (Scheme::Ecdsa(Hash::Sha384), Some(P521)) => &ECDSA_P521_SHA384_ASN1,
        (Scheme::Ecdsa(Hash::Sha512), Some(P521)) => &ECDSA_P521_SHA512_ASN1,
        _ => return false,
    };
    key.subject_public_key.as_bytes().is_some_and(|key| {
        UnparsedPublicKey::new(algorithm, key)
            .verify(message, signature)
            .is_ok()
    })
}
