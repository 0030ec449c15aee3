//! Public keys of signers and logs, and signatures by them.
//!
//! Two keys are the same if their material is: the algorithm and the key itself, however they were written down. cosign
//! records no algorithm beside a signature, so that every one its key type is used with is tried.

use std::cell::OnceCell;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA512_ASN1,
    ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    UnparsedPublicKey, VerificationAlgorithm,
};
use ed25519_dalek::{Digest as _, Sha512};
use rustls_pki_types::pem::{PemObject as _, SectionKind};
use x509_cert::Certificate;
use x509_cert::der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, UintRef};
use x509_cert::der::{Decode as _, Encode as _, Sequence};
use x509_cert::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ED25519_OID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// Hex digits of a key id that are shown.
const SHOWN: usize = 16;

/// Why a key of a policy cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A private key where a public one belongs.
    #[error("this is a private key: give its public key, and keep the private one off the nodes")]
    Private,
    /// No PEM block of a wanted kind, or several.
    #[error("expected exactly one PEM block, `PUBLIC KEY` or `CERTIFICATE`")]
    Pem,
    /// The DER inside does not parse.
    #[error("the key is damaged: its DER does not parse")]
    Der,
    /// Another algorithm or curve.
    #[error("unsupported key type: use ECDSA P-256, P-384 or P-521, Ed25519 or RSA")]
    Unsupported,
    /// RSA outside 2048 to 8192 bits.
    #[error("RSA keys must have 2048 to 8192 bits")]
    RsaSize,
    /// Not a valid key of its algorithm.
    #[error("the key is not a valid one of its type")]
    Invalid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Algorithm {
    P256,
    P384,
    P521,
    Ed25519,
    Rsa,
}

/// A public key by its material.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PublicKey {
    algorithm: Algorithm,
    /// Uncompressed point, DER `RSAPublicKey`, or the 32 bytes of an Ed25519 key.
    bytes: Vec<u8>,
}

/// What a signature is over.
#[derive(Debug, Clone, Copy)]
pub(super) enum Message<'a> {
    /// These bytes.
    Bytes(&'a [u8]),
    /// Bytes of which only the SHA-256 is known: Ed25519 and other hashes cannot be verified.
    Sha256(&'a [u8; 32]),
}

/// A hash that signatures and log entries name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

impl Message<'_> {
    /// Its digest, where that can be known.
    pub(super) fn digest(self, hash: Hash) -> Option<Vec<u8>> {
        match (self, hash) {
            (Self::Bytes(bytes), hash) => {
                Some(digest::digest(hash.algorithm(), bytes).as_ref().to_vec())
            }
            (Self::Sha256(known), Hash::Sha256) => Some(known.to_vec()),
            (Self::Sha256(_), _) => None,
        }
    }
}

/// A message with its digests, each computed once: there may be many keys, and an RSA key signs in six ways.
pub(super) struct Digested<'a> {
    pub(super) message: Message<'a>,
    digests: [OnceCell<Option<digest::Digest>>; 3],
}

impl<'a> Digested<'a> {
    pub(super) fn new(message: Message<'a>) -> Self {
        Self {
            message,
            digests: Default::default(),
        }
    }

    fn by(&self, hash: Hash) -> Option<&digest::Digest> {
        let [sha256, sha384, sha512] = &self.digests;
        let known = match hash {
            Hash::Sha256 => sha256,
            Hash::Sha384 => sha384,
            Hash::Sha512 => sha512,
        };
        let compute = || match self.message {
            Message::Bytes(bytes) => Some(digest::digest(hash.algorithm(), bytes)),
            Message::Sha256(_) => {
                let known = self.message.digest(hash)?;
                digest::Digest::import_less_safe(&known, hash.algorithm()).ok()
            }
        };
        known.get_or_init(compute).as_ref()
    }
}

#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

impl PublicKey {
    /// Reads one PEM block: `PUBLIC KEY`, `RSA PUBLIC KEY` (PKCS#1), or `CERTIFICATE`, whose subject key is taken.
    pub(super) fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        // Before anything is parsed: cosign's own encrypted format has a label that no parser of PEM knows.
        if pem
            .windows(b"PRIVATE KEY-----".len())
            .any(|window| window == b"PRIVATE KEY-----")
        {
            return Err(KeyError::Private);
        }
        if is_pkcs1(pem) {
            let der = pkcs1(pem).ok_or(KeyError::Pem)?;
            return Self::rsa(der);
        }
        let mut blocks = <(SectionKind, Vec<u8>)>::pem_slice_iter(pem);
        let (Some(Ok((kind, der))), None) = (blocks.next(), blocks.next()) else {
            return Err(KeyError::Pem);
        };
        match kind {
            SectionKind::PublicKey => Self::from_spki(&der),
            SectionKind::Certificate => Self::from_certificate(&der),
            _ => Err(KeyError::Pem),
        }
    }

    /// The subject key of a certificate (DER).
    pub(super) fn from_certificate(der: &[u8]) -> Result<Self, KeyError> {
        let certificate = Certificate::from_der(der).map_err(|_| KeyError::Der)?;
        let spki = certificate
            .tbs_certificate
            .subject_public_key_info
            .to_der()
            .map_err(|_| KeyError::Der)?;
        Self::from_spki(&spki)
    }

    /// Reads a `SubjectPublicKeyInfo` (DER).
    pub(super) fn from_spki(der: &[u8]) -> Result<Self, KeyError> {
        let spki = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| KeyError::Der)?;
        let bytes = spki
            .subject_public_key
            .as_bytes()
            .ok_or(KeyError::Der)?
            .to_vec();
        let algorithm = match spki.algorithm.oid {
            EC => match spki.algorithm.parameters_oid() {
                Ok(P256) => Algorithm::P256,
                Ok(P384) => Algorithm::P384,
                Ok(P521) => Algorithm::P521,
                _ => return Err(KeyError::Unsupported),
            },
            RSA => return Self::rsa(bytes),
            ED25519_OID => Algorithm::Ed25519,
            _ => return Err(KeyError::Unsupported),
        };
        // A compressed point would be a second way to write the same key.
        let uncompressed = |size: usize| bytes.len() == size && bytes.first() == Some(&4);
        let canonical = match algorithm {
            Algorithm::P256 => uncompressed(65),
            Algorithm::P384 => uncompressed(97),
            Algorithm::P521 => uncompressed(133),
            Algorithm::Ed25519 | Algorithm::Rsa => bytes.len() == 32,
        };
        if !canonical {
            return Err(KeyError::Invalid);
        }
        Self { algorithm, bytes }.checked()
    }

    fn rsa(bytes: Vec<u8>) -> Result<Self, KeyError> {
        let key = RsaPublicKey::from_der(&bytes).map_err(|_| KeyError::Der)?;
        let modulus = key.modulus.as_bytes();
        let padding = modulus
            .first()
            .map_or(0, |byte| byte.leading_zeros() as usize);
        let bits = modulus.len().saturating_mul(8).saturating_sub(padding);
        if !(2048..=8192).contains(&bits) {
            return Err(KeyError::RsaSize);
        }
        let algorithm = Algorithm::Rsa;
        Self { algorithm, bytes }.checked()
    }

    fn checked(self) -> Result<Self, KeyError> {
        let Some((_, first)) = self.schemes().first() else {
            return Err(KeyError::Invalid);
        };
        UnparsedPublicKey::new(*first, &self.bytes)
            .parse()
            .map_err(|_| KeyError::Invalid)?;
        Ok(self)
    }

    /// The first hex digits of the SHA-256 of its `SubjectPublicKeyInfo`, which cosign writes whole into a bundle's hint.
    pub(super) fn id(&self) -> String {
        let parameters = match self.algorithm {
            Algorithm::P256 => Some(AnyRef::from(&P256)),
            Algorithm::P384 => Some(AnyRef::from(&P384)),
            Algorithm::P521 => Some(AnyRef::from(&P521)),
            Algorithm::Ed25519 => None,
            Algorithm::Rsa => Some(AnyRef::NULL),
        };
        let oid = match self.algorithm {
            Algorithm::P256 | Algorithm::P384 | Algorithm::P521 => EC,
            Algorithm::Ed25519 => ED25519_OID,
            Algorithm::Rsa => RSA,
        };
        let der = BitStringRef::from_bytes(&self.bytes).and_then(|subject_public_key| {
            SubjectPublicKeyInfoRef {
                algorithm: AlgorithmIdentifierRef { oid, parameters },
                subject_public_key,
            }
            .to_der()
        });
        let mut id = hex::encode(digest::digest(&digest::SHA256, &der.unwrap_or_default()));
        id.truncate(SHOWN);
        id
    }

    /// What its type signs with, the likely one first. P-384 with SHA-256 is what cosign wrote before it took the hash
    /// from the curve.
    fn schemes(&self) -> &'static [(Hash, &'static dyn VerificationAlgorithm)] {
        match self.algorithm {
            Algorithm::P256 => &[(Hash::Sha256, &ECDSA_P256_SHA256_ASN1)],
            Algorithm::P384 => &[
                (Hash::Sha384, &ECDSA_P384_SHA384_ASN1),
                (Hash::Sha256, &ECDSA_P384_SHA256_ASN1),
            ],
            Algorithm::P521 => &[(Hash::Sha512, &ECDSA_P521_SHA512_ASN1)],
            Algorithm::Ed25519 => &[(Hash::Sha512, &ED25519)],
            Algorithm::Rsa => &[
                (Hash::Sha256, &RSA_PKCS1_2048_8192_SHA256),
                (Hash::Sha256, &RSA_PSS_2048_8192_SHA256),
                (Hash::Sha384, &RSA_PKCS1_2048_8192_SHA384),
                (Hash::Sha512, &RSA_PKCS1_2048_8192_SHA512),
                (Hash::Sha384, &RSA_PSS_2048_8192_SHA384),
                (Hash::Sha512, &RSA_PSS_2048_8192_SHA512),
            ],
        }
    }

    /// Whether `signature` (ECDSA: DER) is this key's over the message.
    pub(super) fn verifies(&self, digested: &Digested<'_>, signature: &[u8]) -> bool {
        let by_scheme = self.schemes().iter().any(|(hash, scheme)| {
            let key = UnparsedPublicKey::new(*scheme, &self.bytes);
            match (self.algorithm, digested.message) {
                // It hashes more than the message.
                (Algorithm::Ed25519, Message::Bytes(bytes)) => key.verify(bytes, signature).is_ok(),
                (Algorithm::Ed25519, Message::Sha256(_)) => false,
                _ => digested
                    .by(*hash)
                    .is_some_and(|digest| key.verify_digest(digest, signature).is_ok()),
            }
        });
        by_scheme || self.verifies_ed25519ph(digested.message, signature)
    }

    /// cosign signs container images with Ed25519ph (RFC 8032, section 5.1), everything else with Ed25519.
    fn verifies_ed25519ph(&self, message: Message<'_>, signature: &[u8]) -> bool {
        let (Algorithm::Ed25519, Message::Bytes(bytes)) = (self.algorithm, message) else {
            return false;
        };
        let (Ok(key), Ok(signature)) = (
            ed25519_dalek::VerifyingKey::try_from(self.bytes.as_slice()),
            ed25519_dalek::Signature::from_slice(signature),
        ) else {
            return false;
        };
        key.verify_prehashed_strict(Sha512::new_with_prefix(bytes), None, &signature)
            .is_ok()
    }
}

const PKCS1_BEGIN: &str = "-----BEGIN RSA PUBLIC KEY-----";
const PKCS1_END: &str = "-----END RSA PUBLIC KEY-----";

fn is_pkcs1(pem: &[u8]) -> bool {
    pem.trim_ascii_start().starts_with(PKCS1_BEGIN.as_bytes())
}

/// The one `RSA PUBLIC KEY` block of a file that holds nothing else.
fn pkcs1(pem: &[u8]) -> Option<Vec<u8>> {
    use base64::Engine as _;
    let text = std::str::from_utf8(pem).ok()?.trim();
    let body = text.strip_prefix(PKCS1_BEGIN)?.strip_suffix(PKCS1_END)?;
    let body: String = body.split_ascii_whitespace().collect();
    base64::engine::general_purpose::STANDARD.decode(body).ok()
}
