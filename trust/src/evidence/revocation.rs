//! What certificate authorities say about certificates they took back.

use crate::time::Timestamp;

/// A question to a certificate authority, computed from a certificate in a signature.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub enum RevocationWant {
    /// GET of a CRL (RFC 5280, cRLDistributionPoints). `http` and `https` only.
    Crl {
        /// Where.
        url: String,
    },
    /// POST of an OCSP request (RFC 6960, authorityInfoAccess).
    Ocsp {
        /// Where.
        url: String,
        /// DER of the request. Without a nonce, so that the same certificate gives the same question.
        request: Vec<u8>,
    },
}

/// An answer. What was already stale when it came is not kept.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevocationAnswer {
    /// The question.
    pub want: RevocationWant,
    /// DER of the CRL or of the OCSP response.
    #[serde(with = "super::signature::base64_bytes")]
    pub bytes: Vec<u8>,
    /// When it came.
    pub gathered_at: Timestamp,
}
