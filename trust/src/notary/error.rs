//! Why trust data is refused. Texts are byte-stable, and the only remote text in them is role names, key ids and
//! numbers that were validated first.

use portcullis_policy::Digest;

use super::keys::KeyError;
use crate::time::Timestamp;

/// Why trust data is refused, or does not speak for an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotaryError {
    /// The server has no trust data for the collection: unsigned, which is not the same as unreachable.
    #[error("the trust server has no trust data for {gun}")]
    NoTrustData {
        /// The collection.
        gun: String,
    },
    /// A file that other files speak of is not there.
    #[error("the trust data is incomplete: {role} is missing")]
    Missing {
        /// Its role.
        role: String,
    },
    /// A file is larger than this build reads.
    #[error("{role} is larger than {limit} bytes")]
    TooLarge {
        /// Its role.
        role: String,
        /// The limit.
        limit: usize,
    },
    /// There are more files than this build reads.
    #[error("the trust data has more than {limit} {what}")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// A file is not metadata of its role.
    #[error("{role} is malformed: {problem}")]
    Malformed {
        /// Its role.
        role: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// A key's id is not the hash of the key.
    #[error("{role} lists a key under an id that is not its own")]
    KeyId {
        /// The role whose metadata lists it.
        role: String,
    },
    /// Neither a pin nor trust on first use is configured.
    #[error(
        "no root of trust is configured for {gun}: the server offers the root key {offered}; if its publisher confirms \
         that id by another way, add it to `pins`"
    )]
    Unpinned {
        /// The collection.
        gun: String,
        /// Key ids that signed the root offered.
        offered: String,
    },
    /// The root offered is not the pinned one.
    #[error("the root of {gun} is not signed by the pinned key {pin} but by {offered}")]
    PinMismatch {
        /// The collection.
        gun: String,
        /// The pinned id.
        pin: String,
        /// Key ids that signed the root offered.
        offered: String,
    },
    /// Another root than the one believed on first use.
    #[error(
        "the root of {gun} does not descend from the root believed on first use ({first}): the collection was \
         replaced or is another one"
    )]
    FirstRootChanged {
        /// The collection.
        gun: String,
        /// SHA-256 of the root believed.
        first: Digest,
    },
    /// Another root of the version that is already trusted.
    #[error(
        "another root of version {version} is served than the one trusted: the collection was replaced"
    )]
    RootReplaced {
        /// The version.
        version: u64,
    },
    /// A root that its predecessor's keys did not sign.
    #[error("root version {to} is not signed by the keys of root version {from}")]
    RootRotation {
        /// Version before.
        from: u64,
        /// Version after.
        to: u64,
    },
    /// No certificate of the root role may speak for the collection.
    #[error("no root certificate is valid for {gun}: {problem}")]
    RootCertificate {
        /// The collection.
        gun: String,
        /// What is wrong with the last one tried.
        problem: &'static str,
    },
    /// Too few distinct keys of the role signed.
    #[error("{role} is signed by {valid} of its keys, {threshold} must sign")]
    Threshold {
        /// The role.
        role: String,
        /// Distinct keys with a valid signature.
        valid: usize,
        /// How many are needed.
        threshold: u64,
    },
    /// Expired when it was gathered.
    #[error("{role} version {version} expired at {expired}")]
    Expired {
        /// The role.
        role: String,
        /// Its version.
        version: u64,
        /// When it expired.
        expired: Timestamp,
    },
    /// Older than what was seen before.
    #[error("{role} was rolled back: version {version} is served, version {floor} was seen before")]
    Rollback {
        /// The role.
        role: String,
        /// The version served.
        version: u64,
        /// The version seen before.
        floor: u64,
    },
    /// Not the file that the timestamp or snapshot lists.
    #[error("{role} is not the file listed for it: its {what} differs")]
    Checksum {
        /// The role.
        role: String,
        /// `sha256`, `sha512` or `length`.
        what: &'static str,
    },
    /// A role that must be listed is not.
    #[error("{by} does not list {role}")]
    NotListed {
        /// The role missing.
        role: String,
        /// The metadata that should list it.
        by: &'static str,
    },
    /// The stored data is of another server or collection than the one asked about.
    #[error("the trust data is of another server or collection")]
    OtherCollection,
    /// Nothing released has this tag.
    #[error("tag {tag} is not signed")]
    TagNotSigned {
        /// The tag.
        tag: String,
    },
    /// Nothing released has this digest.
    #[error("{digest} is not signed under any tag")]
    DigestNotSigned {
        /// The digest.
        digest: Digest,
    },
    /// The tag is released for another digest.
    #[error("tag {tag} is signed for {signed}, not for {digest}")]
    OtherDigest {
        /// The tag.
        tag: String,
        /// What it is signed for.
        signed: Digest,
        /// What was asked about.
        digest: Digest,
    },
    /// `targets/releases` exists and cannot be read, so what is released is unknown.
    #[error("what is released is unknown: {problem}")]
    Releases {
        /// What is wrong with it.
        problem: Box<NotaryError>,
    },
    /// No delegation has the signer's name.
    #[error("signer {signer} has no delegation targets/{signer}")]
    NoDelegation {
        /// The signer.
        signer: String,
    },
    /// The signer's delegation cannot be counted.
    #[error("the signature of {signer} does not count: {problem}")]
    SignerRole {
        /// The signer.
        signer: String,
        /// What is wrong with the role.
        problem: Box<NotaryError>,
    },
    /// The signer has not signed the tag.
    #[error("signer {signer} has not signed tag {tag}")]
    SignerTag {
        /// The signer.
        signer: String,
        /// The tag.
        tag: String,
    },
    /// The signer signed the tag for another digest.
    #[error("signer {signer} has signed tag {tag} for another digest than the one released")]
    SignerDigest {
        /// The signer.
        signer: String,
        /// The tag.
        tag: String,
    },
    /// The delegation does not list the pinned key.
    #[error("targets/{signer} does not belong to the key pinned for {signer}")]
    WrongKey {
        /// The signer.
        signer: String,
    },
    /// The pinned key is listed in the delegation, and another key of it signed.
    #[error("the key pinned for {signer} is listed in targets/{signer} but has not signed it")]
    DidNotSign {
        /// The signer.
        signer: String,
    },
    /// The key pinned in the policy does not parse.
    #[error("the key pinned for {signer} cannot be used: {source}")]
    SignerKey {
        /// The signer.
        signer: String,
        /// Why.
        source: KeyError,
    },
}
