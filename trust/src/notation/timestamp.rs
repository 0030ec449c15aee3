//! RFC 3161 timestamps over a signature.
//!
//! Strict DER only, SHA-2 only, exactly one signer, and the signer's certificate bound by `signing-certificate-v2` (RFC 5816);
//! the older attribute with SHA-1 does not count. A token is what notation stores; the response around it is not accepted.

mod info;
mod signer;
mod token;

use der::asn1::{ObjectIdentifier, OctetStringRef};

use self::info::Info;
use self::token::{TST_INFO, Token};
use super::pki::{Certificate, Hash, decode, signature_hash, verify_with};
use crate::time::Timestamp;

/// Longest token that is read, in bytes; real ones have 3 to 8 KiB.
pub const MAX_TOKEN: usize = 128 << 10;

const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
const SIGNING_CERTIFICATE_V2: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");

/// The time a timestamp authority vouches for, with its accuracy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampRange {
    /// Not before.
    pub earliest: Timestamp,
    /// Not after.
    pub latest: Timestamp,
}

/// Why a timestamp does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimestampError {
    /// Not a TimeStampToken.
    #[error("the timestamp cannot be read: {0}")]
    Malformed(&'static str),
    /// It is over other bytes.
    #[error("the timestamp is over another signature")]
    OtherMessage,
    /// Its signature, or its certificate.
    #[error("the timestamp is not by a trusted authority: {0}")]
    Untrusted(&'static str),
}

/// A timestamp whose signature and certificates were checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedTimestamp {
    /// When.
    pub range: TimestampRange,
    /// The authority's certificates, DER, leaf first, root last.
    pub chain: Vec<Vec<u8>>,
}

/// Verifies `token` (DER of a CMS TimeStampToken) over `message` against the certificates (DER) of `roots`. The authority's
/// certificates must be valid at both ends of the range, and whether one of them was taken back is for the caller to ask.
///
/// # Errors
/// [`TimestampError`].
pub fn verify(
    token: &[u8],
    message: &[u8],
    roots: &[Vec<u8>],
) -> Result<VerifiedTimestamp, TimestampError> {
    use TimestampError::{Malformed, OtherMessage, Untrusted};

    if token.len() > MAX_TOKEN {
        return Err(Malformed("it is too long"));
    }
    let token = Token::parse(token).map_err(Malformed)?;
    let info = Info::parse(token.info).map_err(|_| Malformed("its TSTInfo cannot be read"))?;
    let imprint = Hash::from_identifier(&info.hash)
        .ok_or(Malformed("its hash is not SHA-256, SHA-384 or SHA-512"))?;
    if imprint.of(message) != info.hashed {
        return Err(OtherMessage);
    }
    // Certificates that cannot be parsed are no reason to refuse a token that does not need them.
    let certificates: Vec<Certificate<'_>> = token
        .certificates
        .iter()
        .filter_map(|der| Certificate::from_der(der).ok())
        .collect();
    let certificate = signer::find(&token.signer, &certificates)
        .ok_or(Untrusted("its signer's certificate is not in it"))?;
    check_attributes(&token, certificate)?;
    let chain = signer::chain(certificate, &certificates, roots, info.range.earliest)
        .and_then(|_| signer::chain(certificate, &certificates, roots, info.range.latest))
        .map_err(Untrusted)?;
    Ok(VerifiedTimestamp {
        range: info.range,
        chain,
    })
}

/// The signed attributes bind the content and the certificate (RFC 5652 §11, RFC 5816), and the signature binds them.
fn check_attributes(
    token: &Token<'_>,
    certificate: &Certificate<'_>,
) -> Result<(), TimestampError> {
    use TimestampError::{Malformed, Untrusted};

    let signer = &token.signer;
    let hash = Hash::from_identifier(&signer.digest)
        .filter(|hash| signature_hash(&signer.algorithm, Some(*hash)) == Some(*hash))
        .ok_or(Malformed("its signature algorithm is not supported"))?;
    let content_type: Option<ObjectIdentifier> = signer
        .attribute(CONTENT_TYPE)
        .and_then(|value| decode(value).ok());
    if content_type != Some(TST_INFO) {
        return Err(Malformed(
            "its signed content type is not that of a TSTInfo",
        ));
    }
    let digest: Option<OctetStringRef<'_>> = signer
        .attribute(MESSAGE_DIGEST)
        .and_then(|value| decode(value).ok());
    if digest.map(|digest| digest.as_bytes()) != Some(hash.of(token.info).as_slice()) {
        return Err(Untrusted("its signature is over another content"));
    }
    let bound = signer
        .attribute(SIGNING_CERTIFICATE_V2)
        .is_some_and(|value| signer::is_bound(value, certificate));
    if !bound {
        return Err(Untrusted("its signature does not name its certificate"));
    }
    let signed = signer
        .signed_bytes()
        .ok_or(Malformed("its signed attributes cannot be read"))?;
    if verify_with(
        certificate.key(),
        &signer.algorithm,
        Some(hash),
        &signed,
        signer.signature,
    ) {
        Ok(())
    } else {
        Err(Untrusted("its signature is not good"))
    }
}
