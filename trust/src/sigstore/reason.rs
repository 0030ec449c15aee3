//! Why an artefact does not count. Fixed words, what the policy's author wrote, and names that were verified.

/// Why one artefact does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Over a cap of this module.
    #[error("it is larger than is looked at")]
    TooLarge,
    /// Beyond the number of artefacts that are looked at.
    #[error("it comes after more signatures than are looked at")]
    TooManyArtefacts,
    /// More certificates, log entries, timestamps or signatures of a checkpoint than a signature has.
    #[error("it has more certificates, log entries, timestamps or witnesses than are looked at")]
    TooMany,
    /// JSON, base64 or DER that does not parse, or a version that is not known.
    #[error("it cannot be read: {0}")]
    Malformed(&'static str),
    /// It says nothing about this digest.
    #[error("it is about another digest")]
    OtherDigest,
    /// A statement that is no cosign signature.
    #[error("it is an attestation, not a signature")]
    NotASignature,
    /// A signature over a file.
    #[error("it is a signature over a file, not over an image")]
    NotAnImage,
    /// An in-toto statement of a version whose meaning is not known.
    #[error("it is an in-toto statement of an unknown version")]
    StatementVersion,
    /// No listed key verifies it.
    #[error("it is not signed by a listed key")]
    OtherKey,
    /// It has a certificate and only keys are listed.
    #[error("it is signed with a certificate, and only keys are listed")]
    KeysOnly,
    /// It has no certificate and only identities are listed.
    #[error("it has no certificate, and only identities are listed")]
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
    #[error("it was signed after this node's time")]
    Future,
    /// Its certificate is good, and for somebody else.
    #[error("it is signed by {0}, who is not listed")]
    OtherIdentity(String),
    /// A signed annotation is missing or has another value.
    #[error("it does not have the signed annotation {0}")]
    Annotation(String),
    /// The format names no repository.
    #[error("it names no repository, and one is to be compared")]
    NoRepository,
    /// It names another repository.
    #[error("it is for another repository or reference")]
    OtherRepository,
}
