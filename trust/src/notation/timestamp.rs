//! RFC 3161 timestamps over a signature.

use crate::time::Timestamp;

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

/// Verifies `token` (DER of a CMS TimeStampToken) over `message` against the certificates (DER) of `roots`.
///
/// # Errors
/// [`TimestampError`].
pub fn verify(
    _token: &[u8],
    _message: &[u8],
    _roots: &[Vec<u8>],
) -> Result<VerifiedTimestamp, TimestampError> {
    todo!("timestamp")
}
