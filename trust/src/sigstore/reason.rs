//! Why an artefact does not count. Fixed words, what the policy's author wrote, and names that were verified.

/// Why one artefact does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Over a cap of this module.
    #[error("is larger than is looked at")]
    TooLarge,
    /// Beyond the number of artefacts that are looked at.
    #[error("comes after more signatures than are looked at")]
    TooManyArtefacts,
    /// More certificates, log entries, timestamps or signatures of a checkpoint than a signature has.
    #[error("has more certificates, log entries, timestamps or witnesses than are looked at")]
    TooMany,
    /// JSON, base64 or DER that does not parse, or a version that is not known.
    #[error("cannot be read: {0}")]
    Malformed(&'static str),
    /// It says nothing about this digest.
    #[error("is about another digest")]
    OtherDigest,
    /// A statement that is no cosign signature.
    #[error("is an attestation, not a signature")]
    NotASignature,
    /// A signature over a file.
    #[error("is a signature over a file, not over an image")]
    NotAnImage,
    /// An in-toto statement of a version whose meaning is not known.
    #[error("is an in-toto statement of an unknown version")]
    StatementVersion,
    /// No listed key verifies it.
    #[error("is not signed by a listed key")]
    OtherKey,
    /// It has a certificate and only keys are listed.
    #[error("is signed with a certificate, and only keys are listed")]
    KeysOnly,
    /// It has no certificate and only identities are listed.
    #[error("has no certificate, and only identities are listed")]
    IdentitiesOnly,
    /// The signature and what it should be over do not belong together.
    #[error("its signature does not verify")]
    Signature,
    /// The certificate.
    #[error("its certificate {0}")]
    Certificate(&'static str),
    /// The log entry.
    #[error("its transparency log entry {0}")]
    Log(&'static str),
    /// The timestamp.
    #[error("its timestamp {0}")]
    Timestamp(&'static str),
    /// There is no time at which the certificate can be shown to have been valid.
    #[error("nothing proves when it was signed")]
    NoTime,
    /// It was signed, logged or stamped after now.
    #[error("was signed after this node's time")]
    Future,
    /// Its certificate is good, and for somebody else.
    #[error("is signed by {0}, who is not listed")]
    OtherIdentity(String),
    /// A signed annotation is missing or has another value.
    #[error("does not have the signed annotation {0}")]
    Annotation(String),
    /// The format names no repository.
    #[error("names no repository, and one is to be compared")]
    NoRepository,
    /// It names another repository.
    #[error("is for another repository or reference")]
    OtherRepository,
}
