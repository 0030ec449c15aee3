//! Why an envelope does not count.

/// Every reason for which a notation envelope is refused. The texts are fixed words: nothing of an envelope is echoed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotationError {
    /// The envelope is larger than is read.
    #[error("an envelope is larger than {} KiB", super::envelope::MAX_BYTES / 1024)]
    TooLarge,
    /// Not an envelope of its media type.
    #[error("an envelope cannot be read: {0}")]
    Malformed(&'static str),
    /// The signed attributes break signature-specification.md, "Signed Attributes".
    #[error("an envelope's signed attributes are not as the specification asks: {0}")]
    Attributes(&'static str),
    /// It names a verification plugin.
    #[error(
        "a signature needs a notation plugin to be verified, which cannot be run here: sign without one"
    )]
    NeedsPlugin,
    /// The algorithm is not the one the leaf's key asks for.
    #[error("a signature's algorithm is not the one its certificate's key asks for")]
    Algorithm,
    /// The signature does not verify.
    #[error("a signature does not verify with the key of its own certificate")]
    Signature,
    /// The chain breaks signature-specification.md, "Certificate Requirements".
    #[error("the certificate chain in an envelope is not as the specification asks: {0}")]
    Chain(&'static str),
    /// The payload is not a notation payload.
    #[error("a signed payload is not one of notation: {0}")]
    Payload(&'static str),
    /// It signs another digest.
    #[error("a signature is over another image")]
    OtherDigest,
    /// No certificate of the chain is in a trust store.
    #[error("no certificate of a signature's chain is in a trust store that the policy names")]
    UntrustedChain,
    /// The scheme's kind of trust store is not named.
    #[error("a signature's scheme asks for a `{0}` trust store, and the policy names none")]
    NoTrustStore(&'static str),
    /// The subject of the leaf matches no trusted identity. The subject is one that a trusted authority certified.
    #[error("the signer `{0}` is not among the trusted identities")]
    UntrustedIdentity(String),
    /// The subject of the leaf cannot be compared with an identity.
    #[error("the signer's certificate has a subject that cannot be matched: {0}")]
    Subject(&'static str),
    /// The signature expired.
    #[error("a signature expired at {0}")]
    Expired(crate::time::Timestamp),
    /// A certificate was not valid.
    #[error("a certificate of the chain was not valid {0}")]
    NotValid(&'static str),
    /// The policy asks for a timestamp and there is none.
    #[error("a signature has no timestamp, and the policy asks for one")]
    NoTimestamp,
    /// The timestamp does not verify.
    #[error("{0}")]
    Timestamp(super::timestamp::TimestampError),
    /// A certificate was taken back.
    #[error("a certificate of {of} was revoked at {at}")]
    Revoked {
        /// `the signing chain`, `the timestamp authority`.
        of: &'static str,
        /// When.
        at: crate::time::Timestamp,
    },
    /// No usable answer is known.
    #[error("revocation status of {of} is unknown: {cause}")]
    RevocationUnknown {
        /// `the signing chain`, `the timestamp authority`.
        of: &'static str,
        /// Why.
        cause: &'static str,
    },
    /// Metadata that the policy asks for is not there.
    #[error("a signature lacks the user metadata {0}")]
    Metadata(String),
}
