//! Why a simple signature does not count, and why a keyring cannot be used.

use portcullis_policy::Digest;

use super::identity::IdentityError;
use crate::time::Timestamp;

/// Why one signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SimpleError {
    /// containers/image keeps Sigstore signatures in the same stores, with a prefix of their own.
    #[error("it is a Sigstore signature, which `cosign` asks for")]
    Sigstore,
    /// `-----BEGIN PGP SIGNED MESSAGE-----`.
    #[error("it is a cleartext signature and not a binary message")]
    Cleartext,
    /// Any other armour.
    #[error("it is armoured and not a binary message")]
    Armoured,
    /// It exceeds a bound, as it is or decompressed.
    #[error("it is larger than {limit} bytes")]
    TooLarge {
        /// Bytes that are looked at.
        limit: usize,
    },
    /// Packets that do not parse, or bytes that belong to none.
    #[error("it is not a well-formed OpenPGP message")]
    Malformed,
    /// Well-formed packets that are not a signed message.
    #[error("it is not one signature with literal data")]
    Structure,
    /// More than one signature: containers/image refuses the same.
    #[error("it has more than one signature")]
    SeveralSignatures,
    /// A detached signature.
    #[error("it is a signature without its content")]
    Detached,
    /// An encrypted message.
    #[error("it is encrypted")]
    Encrypted,
    /// A compressed packet in a compressed packet.
    #[error("it is compressed more than once")]
    NestedCompression,
    /// Neither ZIP nor ZLIB.
    #[error("it is compressed in a way that is not supported")]
    Compression,
    /// A text signature, or literal data that is text: white space would not count.
    #[error("it is signed as text and not as binary data")]
    Text,
    /// A signature packet of a version other than 4 and 6.
    #[error("its signature is of an OpenPGP version that is not supported")]
    Version,
    /// MD5, SHA-1, RIPEMD-160, or unknown.
    #[error("its hash algorithm is too weak or unknown")]
    Hash,
    /// A critical subpacket that is not understood (RFC 9580, 5.2.3.7).
    #[error("its signature has a critical part that is not supported")]
    Critical,
    /// No creation time, or the same thing stated twice.
    #[error("its signature does not state its time once")]
    Ambiguous,
    /// Neither issuer fingerprint nor issuer key id, or several that differ.
    #[error("its signature does not name one key")]
    Issuer,
    /// Nobody the policy knows.
    #[error("it is signed by key {0}, which is not in the keyring")]
    OtherKey(String),
    /// A key of the keyring that does not count.
    #[error("it is signed by key {fingerprint}, which {problem}")]
    Key {
        /// Of the key or subkey.
        fingerprint: String,
        /// Why not.
        problem: KeyProblem,
    },
    /// The signature is not by this key over this content.
    #[error("its signature by key {0} is not valid: something was changed")]
    Invalid(String),
    /// Made later than now, by more than the clocks' tolerance.
    #[error("it was signed at {0}, which lies ahead of this node's clock")]
    Future(Timestamp),
    /// Made before there was the key.
    #[error("it was signed at {0}, before its key was made")]
    BeforeKey(Timestamp),
    /// The signature's own expiry (RFC 9580, 5.2.3.18).
    #[error("it expired at {0}")]
    Expired(Timestamp),
    /// What was signed is not what containers/image signs.
    #[error("its signed content is not usable: {0}")]
    Payload(#[from] PayloadError),
    /// Signed for another image.
    #[error("it is signed for {0}, not for this image")]
    OtherDigest(Digest),
    /// Signed under another name.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Evidence of another system.
    #[error("it is not a simple signature")]
    OtherSystem,
}

/// Why a key of the keyring does not count. Continues "key …, which".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyProblem {
    /// By its owner, whatever the reason and the time: as gpg has it.
    #[error("is revoked ({0})")]
    Revoked(Revocation),
    /// Created ahead of this node's clock.
    #[error("is made at {0}, ahead of this node's clock")]
    Future(Timestamp),
    /// Key expiration time.
    #[error("expired at {0}")]
    Expired(Timestamp),
    /// No direct-key signature and no user id that the key itself signed is in force.
    #[error("has no self-signature in force")]
    Unbound,
    /// The subkey's newest binding signature is missing or not in force.
    #[error("is not bound to its primary key")]
    UnboundSubkey,
    /// Key flags.
    #[error("is not made for signing")]
    NotForSigning,
    /// A signing subkey that did not sign its primary key (RFC 9580, 10.1.5): it may be somebody else's.
    #[error("has not confirmed its primary key")]
    NoBackSignature,
    /// RSA or DSA below 2048 bits.
    #[error("is shorter than 2048 bits")]
    Short,
    /// Anything but RSA, DSA, ECDSA (P-256, P-384, P-521) and Ed25519.
    #[error("is of an algorithm or curve that is not supported")]
    Algorithm,
}

/// What a key's owner said when revoking it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Revocation {
    /// Nothing, or something unknown.
    #[error("no reason given")]
    Unspecified,
    /// 1.
    #[error("superseded")]
    Superseded,
    /// 2.
    #[error("compromised")]
    Compromised,
    /// 3.
    #[error("retired")]
    Retired,
    /// There is a revocation by somebody whom the owner named for that.
    #[error("by its designated revoker")]
    Designated,
}

/// What is wrong with the signed JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Not JSON, not UTF-8, or not an object where one must be.
    #[error("{0} is not a JSON object")]
    NotObject(&'static str),
    /// A key twice in one object.
    #[error("{0} has a field twice")]
    Duplicate(&'static str),
    /// A key that must not be there.
    #[error("{0} has an unknown field")]
    Unknown(&'static str),
    /// A key that must be there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A value of the wrong kind.
    #[error("{field} is not {kind}")]
    Kind {
        /// Path of the field.
        field: &'static str,
        /// What it should be.
        kind: &'static str,
    },
    /// Another type of statement.
    #[error("critical.type is not \"atomic container signature\"")]
    Type,
}

/// Why a keyring cannot be used. Continues "the keyring …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// A private key must not lie where policies do.
    #[error(
        "contains a private key: remove it from the policy and give the output of `gpg --export --armor`"
    )]
    PrivateKey,
    /// Neither OpenPGP packets nor a public key block.
    #[error(
        "is neither an armoured nor a binary OpenPGP public key: give the output of `gpg --export --armor`"
    )]
    NotOpenPgp,
    /// gpg's own storage.
    #[error("is a keybox of gpg: give the output of `gpg --export --armor`")]
    Keybox,
    /// An armoured block of something else.
    #[error("contains an armoured block that is not a public key")]
    OtherBlock,
    /// Armour or packets do not parse.
    #[error(
        "cannot be read: {0}. Give the output of `gpg --export --export-options export-minimal --armor`"
    )]
    Malformed(&'static str),
    /// More than the bounds.
    #[error("is too large: at most {bytes} bytes and {packets} packets are read")]
    TooLarge {
        /// Limit.
        bytes: usize,
        /// Limit.
        packets: usize,
    },
    /// Nothing in it.
    #[error("contains no key")]
    Empty,
    /// Keys, and none that could ever sign.
    #[error("contains no key that can sign: key {fingerprint} {problem}")]
    Unusable {
        /// Of the first key.
        fingerprint: String,
        /// Why not.
        problem: KeyProblem,
    },
}
