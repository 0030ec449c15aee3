//! A certificate: a primary key, what it says of itself, its user ids and subkeys; and whether one of its keys counts.
//!
//! As gpg has it: the newest self-signature decides, what is not in force is not replaced by something older, any
//! revocation by the owner ends a key for all times, and an expired primary key ends its subkeys. Signatures by others
//! mean nothing here: the policy names the key.

use pgp::packet::{PublicKey, RevocationCode, Signature, SignatureType};
use pgp::types::{KeyDetails, Tag};

use super::algorithm;
use super::error::{KeyProblem, Revocation};
use super::keyring::RawCertificate;
use super::stated::{Issuer, Purpose, Stated};
use super::subkey::Subkey;
use crate::finding::unseemly;
use crate::time::Timestamp;

/// Longest user id that is repeated, in characters.
const MAX_USER_ID: usize = 120;

/// A certificate whose self-signatures are verified.
#[derive(Debug)]
pub(super) struct Certificate {
    primary: PublicKey,
    fingerprint: String,
    weakness: Option<KeyProblem>,
    revoked: Option<Revocation>,
    /// Direct-key signatures.
    direct: Vec<Stated>,
    users: Vec<User>,
    subkeys: Vec<Subkey>,
}

#[derive(Debug)]
struct User {
    text: String,
    /// Certifications by the primary key; `None`: its revocation.
    statements: Vec<(i64, Option<Stated>)>,
}

/// A key that may have made a signature.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'a> {
    certificate: &'a Certificate,
    /// `None`: the primary key.
    subkey: Option<&'a Subkey>,
}

impl Certificate {
    /// Verifies what `raw` says about itself, and drops what does not hold.
    pub(super) fn new(raw: RawCertificate) -> Self {
        let primary = raw.primary;
        let mut direct = Vec::new();
        let mut revoked = None;
        for signature in &raw.signatures {
            if signature.verify_key(&primary).is_err() {
                continue;
            }
            match signature.typ() {
                Some(SignatureType::KeyRevocation) => revoked = Some(reason(signature)),
                Some(SignatureType::Key) => {
                    direct.extend(Stated::read(signature, Purpose::Certificate));
                }
                _ => {}
            }
        }
        let users: Vec<User> = raw
            .users
            .iter()
            .map(|(id, signatures)| User {
                text: printable(id.id()),
                statements: signatures
                    .iter()
                    .filter(|one| one.verify_certification(&primary, Tag::UserId, id).is_ok())
                    .filter_map(certification)
                    .collect(),
            })
            .collect();
        let subkeys = raw
            .subkeys
            .into_iter()
            .map(|(key, signatures)| Subkey::new(&primary, key, &signatures))
            .collect();
        let certified = users.iter().flat_map(|user| &user.statements);
        let revokers: Vec<&Vec<u8>> = direct
            .iter()
            .chain(certified.filter_map(|(_, stated)| stated.as_ref()))
            .flat_map(|stated| &stated.revokers)
            .collect();
        // Not verified: the revoker's key is not here, and who could add this to the policy could as well take the key out.
        let designated = raw.signatures.iter().any(|one| {
            one.typ() == Some(SignatureType::KeyRevocation)
                && Issuer::of(one)
                    .is_ok_and(|issuer| revokers.iter().any(|own| issuer.has_fingerprint(own)))
        });
        Self {
            fingerprint: hex::encode_upper(primary.fingerprint().as_bytes()),
            weakness: algorithm::weakness(&primary),
            revoked: revoked.or(designated.then_some(Revocation::Designated)),
            direct,
            users,
            subkeys,
            primary,
        }
    }

    pub(super) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The key that `issuer` names.
    pub(super) fn find(&self, issuer: &Issuer) -> Option<Candidate<'_>> {
        let is = |key: &dyn KeyDetails| issuer.is(&key.fingerprint(), key.legacy_key_id());
        let subkey = self.subkeys.iter().find(|one| is(&one.key));
        (subkey.is_some() || is(&self.primary)).then_some(Candidate {
            certificate: self,
            subkey,
        })
    }

    /// Whether one of its keys could ever sign, whatever the time.
    pub(super) fn can_sign(&self) -> Result<(), KeyProblem> {
        let primary = Candidate {
            certificate: self,
            subkey: None,
        };
        let first = primary.counts(None);
        let any = self.subkeys.iter().any(|one| {
            let subkey = Some(one);
            Candidate { subkey, ..primary }.counts(None).is_ok()
        });
        if any { Ok(()) } else { first }
    }

    /// Whether the primary key is in force at `at`; `None`: at some time.
    fn standing(&self, at: Option<i64>) -> Result<(), KeyProblem> {
        if let Some(reason) = self.revoked {
            return Err(KeyProblem::Revoked(reason));
        }
        if let Some(weakness) = self.weakness {
            return Err(weakness);
        }
        let created = i64::from(self.primary.created_at().as_secs());
        begun(created, at)?;
        let direct = self.direct(at);
        if direct.is_none() && self.users(at).next().is_none() {
            return Err(KeyProblem::Unbound);
        }
        let lifetime = direct.and_then(|stated| stated.key_lifetime).or_else(|| {
            self.users(at)
                .filter(|(_, stated)| stated.key_lifetime.is_some())
                .max_by_key(|(_, stated)| stated.created)
                .and_then(|(_, stated)| stated.key_lifetime)
        });
        ended(created, lifetime, at)
    }

    /// Whether the primary key may sign. Keys from before there were key flags have none.
    fn primary_signs(&self, at: Option<i64>) -> bool {
        let flags = self.direct(at).and_then(|stated| stated.signs);
        let of_users = || {
            self.users(at)
                .filter(|(_, stated)| stated.signs.is_some())
                .max_by_key(|(_, stated)| stated.created)
                .and_then(|(_, stated)| stated.signs)
        };
        flags.or_else(of_users).unwrap_or(true)
    }

    /// The newest direct-key signature, if it is in force.
    fn direct(&self, at: Option<i64>) -> Option<&Stated> {
        newest(self.direct.iter(), at).filter(|stated| stated.in_force(at))
    }

    /// User ids whose newest self-signature is in force and no revocation.
    fn users(&self, at: Option<i64>) -> impl Iterator<Item = (&User, &Stated)> {
        self.users.iter().filter_map(move |user| {
            let begun = |stated: &Option<Stated>| stated.as_ref().is_none_or(|one| one.begun(at));
            let (_, stated) = user
                .statements
                .iter()
                .filter(|(_, stated)| begun(stated))
                .max_by_key(|(created, stated)| (*created, stated.is_none()))?;
            let stated = stated.as_ref().filter(|stated| stated.in_force(at))?;
            Some((user, stated))
        })
    }

    /// The primary user id, for people: the one marked so, else the newest.
    fn name(&self, at: i64) -> Option<&str> {
        self.users(Some(at))
            .max_by_key(|(_, stated)| (stated.primary_user, stated.created))
            .map(|(user, _)| user.text.as_str())
            .filter(|text| !text.is_empty())
    }
}

impl Candidate<'_> {
    /// Of the key or subkey itself.
    pub(super) fn fingerprint(&self) -> &str {
        self.subkey
            .map_or(&self.certificate.fingerprint, |subkey| &subkey.fingerprint)
    }

    /// Seconds since 1970.
    pub(super) fn created(&self) -> i64 {
        let created = self.subkey.map_or_else(
            || self.certificate.primary.created_at(),
            |subkey| subkey.key.created_at(),
        );
        i64::from(created.as_secs())
    }

    /// Whether `signature` is by this key over `content`, with the key's own algorithm.
    pub(super) fn verifies(&self, signature: &Signature, content: &[u8]) -> bool {
        let by = |key: &dyn KeyDetails| {
            signature
                .config()
                .is_some_and(|config| config.pub_alg == key.algorithm())
        };
        let primary = &self.certificate.primary;
        match self.subkey {
            Some(subkey) => by(&subkey.key) && signature.verify(&subkey.key, content).is_ok(),
            None => by(primary) && signature.verify(primary, content).is_ok(),
        }
    }

    /// Whether what it signs counts at `at`; `None`: at some time.
    pub(super) fn counts(&self, at: Option<i64>) -> Result<(), KeyProblem> {
        self.certificate.standing(at)?;
        match self.subkey {
            Some(subkey) => subkey.counts(at),
            None if self.certificate.primary_signs(at) => Ok(()),
            None => Err(KeyProblem::NotForSigning),
        }
    }

    /// `Ann <ann@example.com> (key 0123…)`.
    pub(super) fn signer(&self, at: i64) -> String {
        let primary = &self.certificate.fingerprint;
        let key = match self.subkey {
            Some(subkey) => format!("key {primary}, subkey {}", subkey.fingerprint),
            None => format!("key {primary}"),
        };
        match self.certificate.name(at) {
            Some(name) => format!("{name} ({key})"),
            None => key,
        }
    }
}

fn newest<'a>(stated: impl Iterator<Item = &'a Stated>, at: Option<i64>) -> Option<&'a Stated> {
    stated
        .filter(|one| one.begun(at))
        .max_by_key(|one| one.created)
}

/// A verified certification, or the revocation of one. One that cannot be read counts as no certification, but a
/// revocation always counts.
fn certification(signature: &Signature) -> Option<(i64, Option<Stated>)> {
    let stated = Stated::read(signature, Purpose::Certificate);
    if signature.typ() == Some(SignatureType::CertRevocation) {
        return Some((stated.map_or(i64::MAX, |stated| stated.created), None));
    }
    stated.ok().map(|stated| (stated.created, Some(stated)))
}

/// Why a revocation was made.
pub(super) fn reason(signature: &Signature) -> Revocation {
    match signature.revocation_reason_code() {
        Some(RevocationCode::KeySuperseded) => Revocation::Superseded,
        Some(RevocationCode::KeyCompromised) => Revocation::Compromised,
        Some(RevocationCode::KeyRetired) => Revocation::Retired,
        _ => Revocation::Unspecified,
    }
}

/// Whether there is a key made at `created`, at `at`.
pub(super) fn begun(created: i64, at: Option<i64>) -> Result<(), KeyProblem> {
    match at {
        Some(at) if created > at.saturating_add(super::CLOCK_SKEW) => {
            Err(KeyProblem::Future(Timestamp(created)))
        }
        _ => Ok(()),
    }
}

/// Whether a key made at `created` with this lifetime is in force at `at`.
pub(super) fn ended(
    created: i64,
    lifetime: Option<i64>,
    at: Option<i64>,
) -> Result<(), KeyProblem> {
    let end = lifetime.map(|lifetime| created.saturating_add(lifetime));
    match (end, at) {
        (Some(end), Some(at)) if at >= end => Err(KeyProblem::Expired(Timestamp(end))),
        _ => Ok(()),
    }
}

/// A user id on one line, bounded, without characters that change how others are shown.
fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .take(MAX_USER_ID)
        .map(|c| if unseemly(c) { '\u{fffd}' } else { c })
        .collect()
}
