//! Revocation of certificates: OCSP, then CRL (RFC 6960, RFC 5280; trust-store-trust-policy.md, "Certificate revocation").

use std::sync::Arc;

use crate::evidence::{RevocationAnswer, RevocationWant};
use crate::time::Timestamp;

/// What is known about a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RevocationStatus {
    /// Its authority says that it is good, or names no way to ask.
    Good,
    /// It was taken back.
    Revoked {
        /// When.
        at: Timestamp,
    },
    /// No usable answer is known.
    Unknown {
        /// Why, in fixed words.
        cause: &'static str,
    },
}

/// What to ask about `chain` (DER, leaf first, root last): OCSP where a certificate names a responder, and CRL.
pub fn wants(_chain: &[&[u8]]) -> Vec<RevocationWant> {
    todo!("revocation")
}

/// The status of the first certificate of `chain` that is not good. A revocation after `signed_at` does not count where
/// that time is proved (RFC 3161), unless its reason is a compromised key.
pub fn status(
    _chain: &[&[u8]],
    _answers: &[Arc<RevocationAnswer>],
    _signed_at: Option<Timestamp>,
) -> RevocationStatus {
    todo!("revocation")
}

/// Whether `answer` is one to `want`, is signed by whoever may answer for a certificate of `chain`, and was fresh at
/// `gathered_at`: what is not is never stored.
pub fn acceptable(_answer: &RevocationAnswer, _chain: &[&[u8]]) -> bool {
    todo!("revocation")
}
