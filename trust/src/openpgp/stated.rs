//! What a signature packet states about itself, read for the checks that `pgp` leaves to its callers.

use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{KeyFlags, Signature, SignatureVersion, Subpacket, SubpacketData};
use pgp::types::{Fingerprint, KeyId};

use super::error::SimpleError;

/// What a signature is for: decides which critical subpackets are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Over an image's statement.
    Data,
    /// By a key about itself, its user ids or its subkeys.
    Certificate,
}

/// What a signature states in its hashed part. Times are seconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Stated {
    pub(super) created: i64,
    /// When the signature itself expires.
    pub(super) expires: Option<i64>,
    /// Seconds from the key's creation to its expiry.
    pub(super) key_lifetime: Option<i64>,
    /// Whether the key may sign data; `None`: no key flags.
    pub(super) signs: Option<bool>,
    pub(super) primary_user: bool,
    /// Who may revoke the key.
    pub(super) revokers: Vec<Vec<u8>>,
}

impl Stated {
    /// Reads `signature`, whose hash algorithm and critical subpackets must be acceptable for `purpose`.
    pub(super) fn read(signature: &Signature, purpose: Purpose) -> Result<Self, SimpleError> {
        let version = signature.version();
        let config = match version {
            SignatureVersion::V4 | SignatureVersion::V6 => signature.config(),
            _ => None,
        }
        .ok_or(SimpleError::Version)?;
        if !is_acceptable(config.hash_alg, purpose) {
            return Err(SimpleError::Hash);
        }
        let critical = |one: &&Subpacket| one.is_critical;
        if config
            .hashed_subpackets()
            .chain(config.unhashed_subpackets())
            .filter(critical)
            .any(|one| !is_understood(&one.data, purpose))
        {
            return Err(SimpleError::Critical);
        }
        let mut created = Vec::new();
        let mut lifetime = Vec::new();
        let mut key_lifetime = Vec::new();
        let mut flags: Vec<&KeyFlags> = Vec::new();
        let mut stated = Self::default();
        for one in config.hashed_subpackets() {
            match &one.data {
                SubpacketData::SignatureCreationTime(at) => created.push(i64::from(at.as_secs())),
                SubpacketData::SignatureExpirationTime(after) => {
                    lifetime.push(i64::from(after.as_secs()));
                }
                SubpacketData::KeyExpirationTime(after) => {
                    key_lifetime.push(i64::from(after.as_secs()));
                }
                SubpacketData::KeyFlags(of) => flags.push(of),
                SubpacketData::IsPrimary(yes) => stated.primary_user |= yes,
                SubpacketData::RevocationKey(revoker) => {
                    stated.revokers.push(revoker.fingerprint.to_vec());
                }
                _ => {}
            }
        }
        // Programs differ in whether the first or the last of several counts.
        let ([created], true) = (
            created.as_slice(),
            lifetime.len() < 2 && key_lifetime.len() < 2 && flags.len() < 2,
        ) else {
            return Err(SimpleError::Ambiguous);
        };
        stated.created = *created;
        // Zero: never (RFC 9580, 5.2.3.13 and 5.2.3.18).
        stated.expires = lifetime
            .first()
            .filter(|after| **after != 0)
            .map(|after| created.saturating_add(*after));
        stated.key_lifetime = key_lifetime.first().copied().filter(|after| *after != 0);
        stated.signs = flags.first().map(|flags| flags.sign());
        Ok(stated)
    }

    /// Whether it is in force at `at`; `None`: at some time.
    pub(super) fn in_force(&self, at: Option<i64>) -> bool {
        at.is_none_or(|at| self.begun(Some(at)) && self.expires.is_none_or(|end| at < end))
    }

    /// Whether it was made before `at`, as far as clocks agree.
    pub(super) fn begun(&self, at: Option<i64>) -> bool {
        at.is_none_or(|at| self.created <= at.saturating_add(super::CLOCK_SKEW))
    }
}

/// Who made a signature, as it says itself. A hint: only the right key verifies it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Issuer {
    fingerprint: Option<Fingerprint>,
    key_id: Option<KeyId>,
}

impl Issuer {
    /// What `signature` names: a fingerprint, a key id, or both; none of them twice with different values.
    pub(super) fn of(signature: &Signature) -> Result<Self, SimpleError> {
        let fingerprints = signature.issuer_fingerprint();
        let key_ids = signature.issuer_key_id();
        let differ = fingerprints
            .windows(2)
            .any(|pair| matches!(pair, [a, b] if a != b))
            || key_ids
                .windows(2)
                .any(|pair| matches!(pair, [a, b] if a != b));
        let issuer = Self {
            fingerprint: fingerprints.first().map(|one| (*one).clone()),
            key_id: key_ids.first().map(|one| **one),
        };
        if differ || (issuer.fingerprint.is_none() && issuer.key_id.is_none()) {
            return Err(SimpleError::Issuer);
        }
        Ok(issuer)
    }

    /// Whether everything it names is this key's.
    pub(super) fn is(&self, fingerprint: &Fingerprint, key_id: KeyId) -> bool {
        self.fingerprint
            .as_ref()
            .is_none_or(|own| own == fingerprint)
            && self.key_id.is_none_or(|own| own == key_id)
    }

    /// Whether it names the key with these bytes of a fingerprint.
    pub(super) fn has_fingerprint(&self, bytes: &[u8]) -> bool {
        match (&self.fingerprint, &self.key_id) {
            (Some(own), _) => own.as_bytes() == bytes,
            (None, Some(own)) => bytes.ends_with(own.as_ref()),
            (None, None) => false,
        }
    }

    /// Hexadecimal.
    pub(super) fn text(&self) -> String {
        match (&self.fingerprint, &self.key_id) {
            (Some(own), _) => hex::encode_upper(own.as_bytes()),
            (None, Some(own)) => hex::encode_upper(own),
            (None, None) => String::new(),
        }
    }
}

/// SHA-1 is accepted where a key speaks of itself, as gpg does and as keys older than 2020 need: whoever could use a
/// collision there would have to change the keyring, and that is the policy's own. `pgp` refuses known collisions.
fn is_acceptable(hash: HashAlgorithm, purpose: Purpose) -> bool {
    match hash {
        HashAlgorithm::Sha224
        | HashAlgorithm::Sha256
        | HashAlgorithm::Sha384
        | HashAlgorithm::Sha512
        | HashAlgorithm::Sha3_256
        | HashAlgorithm::Sha3_512 => true,
        HashAlgorithm::Sha1 => purpose == Purpose::Certificate,
        _ => false,
    }
}

fn is_understood(data: &SubpacketData, purpose: Purpose) -> bool {
    match data {
        SubpacketData::SignatureCreationTime(_)
        | SubpacketData::SignatureExpirationTime(_)
        | SubpacketData::IssuerKeyId(_)
        | SubpacketData::IssuerFingerprint(_)
        | SubpacketData::SignersUserID(_)
        | SubpacketData::PolicyURI(_) => true,
        SubpacketData::KeyExpirationTime(_)
        | SubpacketData::KeyFlags(_)
        | SubpacketData::Features(_)
        | SubpacketData::IsPrimary(_)
        | SubpacketData::Revocable(_)
        | SubpacketData::RevocationReason(..)
        | SubpacketData::RevocationKey(_)
        | SubpacketData::ExportableCertification(_)
        | SubpacketData::EmbeddedSignature(_)
        | SubpacketData::PreferredSymmetricAlgorithms(_)
        | SubpacketData::PreferredHashAlgorithms(_)
        | SubpacketData::PreferredCompressionAlgorithms(_)
        | SubpacketData::PreferredAeadAlgorithms(_)
        | SubpacketData::PreferredEncryptionModes(_)
        | SubpacketData::PreferredKeyServer(_)
        | SubpacketData::KeyServerPreferences(_) => purpose == Purpose::Certificate,
        _ => false,
    }
}
