//! The root of a collection: which one is believed, and how trust passes from one version to the next.

use std::collections::BTreeMap;

use portcullis_policy::Digest;
use portcullis_policy::model::NotaryServer;
use x509_cert::Certificate;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::BasicConstraints;

use super::error::NotaryError;
use super::keys::{PublicKey, TufKey};
use super::metadata::{Envelope, RoleKeys};
use crate::time::Timestamp;

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
/// How far a certificate's start may lie in the future, as Notary allows for clocks that differ.
const NOT_BEFORE_LEEWAY: i64 = 24 * 3600;
/// Signature algorithms a root certificate may carry: SHA-256 and better. Notary refuses SHA-1.
const SIGNATURE_ALGORITHMS: [&str; 8] = [
    "1.2.840.10045.4.3.2",
    "1.2.840.10045.4.3.3",
    "1.2.840.10045.4.3.4",
    "1.2.840.113549.1.1.10",
    "1.2.840.113549.1.1.11",
    "1.2.840.113549.1.1.12",
    "1.2.840.113549.1.1.13",
    "1.3.101.112",
];

/// A parsed root file.
#[derive(Debug)]
pub(super) struct Root {
    pub(super) envelope: Envelope,
    pub(super) roles: BTreeMap<&'static str, RoleKeys>,
}

/// What a root must satisfy to be the first one believed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Anchor<'a> {
    pub(super) gun: &'a str,
    pub(super) trust: &'a NotaryServer,
    /// Digest of the root believed on first use.
    pub(super) first_root: Option<&'a Digest>,
}

impl Root {
    /// Reads a root file.
    pub(super) fn read(text: &str) -> Result<Self, NotaryError> {
        let envelope = Envelope::read("root", "Root", text)?;
        let roles = envelope.root_roles()?;
        Ok(Self { envelope, roles })
    }

    /// Keys of one of the four roles.
    pub(super) fn role(&self, name: &'static str) -> Result<&RoleKeys, NotaryError> {
        self.roles.get(name).ok_or(NotaryError::NotListed {
            role: name.to_owned(),
            by: "root",
        })
    }
}

/// The listed keys of a role that signed `envelope`, one per distinct key *material*: a key with two certificates has
/// two ids and counts once (tough had the same flaw as CVE-2026-6966).
pub(super) fn signers<'a>(envelope: &Envelope, role: &'a RoleKeys) -> Vec<&'a TufKey> {
    let mut seen: Vec<&PublicKey> = Vec::new();
    let mut out = Vec::new();
    for listed in &role.keys {
        let Ok(key) = &listed.key else { continue };
        if seen.contains(&key) {
            continue;
        }
        let signed = envelope.signatures.iter().any(|signature| {
            signature.key_id == listed.id
                && key.verifies(&signature.method, &envelope.message, &signature.bytes)
        });
        if signed {
            seen.push(key);
            out.push(listed.as_ref());
        }
    }
    out
}

/// Like [`signers`], but an error if they are fewer than the threshold.
pub(super) fn threshold<'a>(
    name: &str,
    envelope: &Envelope,
    role: &'a RoleKeys,
) -> Result<Vec<&'a TufKey>, NotaryError> {
    let valid = signers(envelope, role);
    if u64::try_from(valid.len()).is_ok_and(|count| count >= role.threshold) {
        return Ok(valid);
    }
    Err(NotaryError::Threshold {
        role: name.to_owned(),
        valid: valid.len(),
        threshold: role.threshold,
    })
}

/// Judges a chain of roots: where belief starts (an index into `texts`) and the newest root.
///
/// Belief starts at the first root that satisfies the pin, or trust on first use. Each later one must be signed by the
/// keys of the one before it and by its own. Gaps are allowed, as Notary allows them: a root signed by the keys of
/// version 1 is as good as one that names its way there. Only the newest must be unexpired, with certificates in force, at `at`.
pub(super) fn chain(
    anchor: Anchor<'_>,
    texts: &[String],
    at: Timestamp,
) -> Result<(usize, Root), NotaryError> {
    let (start, mut newest) = believed(anchor, texts)?;
    for text in texts.iter().skip(start.saturating_add(1)) {
        let next = Root::read(text)?;
        let (from, to) = (newest.envelope.version, next.envelope.version);
        if to <= from {
            return Err(NotaryError::Rollback {
                role: "root".to_owned(),
                version: to,
                floor: from,
            });
        }
        endorsed(anchor.gun, &next.envelope, newest.role("root")?, None)
            .map_err(|_| NotaryError::RootRotation { from, to })?;
        self_signed(anchor.gun, &next, None)?;
        newest = next;
    }
    if at >= newest.envelope.expires {
        return Err(NotaryError::Expired {
            role: "root".to_owned(),
            version: newest.envelope.version,
            expired: newest.envelope.expires,
        });
    }
    self_signed(anchor.gun, &newest, Some(at))?;
    Ok((start, newest))
}

/// The first root of `texts` that the anchor accepts. A root rotated away from the pin still carries the old key's
/// signature but no longer lists the key, so that a pin on an old key needs the chain from there.
fn believed(anchor: Anchor<'_>, texts: &[String]) -> Result<(usize, Root), NotaryError> {
    let mut refused = None;
    for (index, text) in texts.iter().enumerate() {
        let root = Root::read(text)?;
        match believe(anchor, text, &root) {
            Ok(()) => return Ok((index, root)),
            // The newest root's reason is the one that helps: its keys are those offered now.
            Err(error) => refused = Some(error),
        }
    }
    Err(refused.unwrap_or(NotaryError::Missing {
        role: "root".to_owned(),
    }))
}

/// Whether `root` may be the first one believed.
pub(super) fn believe(anchor: Anchor<'_>, text: &str, root: &Root) -> Result<(), NotaryError> {
    let signed_by = self_signed(anchor.gun, root, None)?;
    let gun = anchor.gun.to_owned();
    let offered = || {
        signed_by
            .iter()
            .map(|key| key.id.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    if let Some(pin) = pin(anchor.trust, anchor.gun) {
        if signed_by.iter().any(|key| key.id.eq_ignore_ascii_case(pin)) {
            return Ok(());
        }
        return Err(NotaryError::PinMismatch {
            gun,
            pin: pin.to_owned(),
            offered: offered(),
        });
    }
    if !anchor.trust.trust_on_first_use {
        return Err(NotaryError::Unpinned {
            gun,
            offered: offered(),
        });
    }
    match anchor.first_root {
        Some(first) if *first != Digest::of(text.as_bytes()) => {
            Err(NotaryError::FirstRootChanged { gun, first: *first })
        }
        _ => Ok(()),
    }
}

/// The pin for `gun`: the exact entry, else the longest prefix ending in `*`. Hosts are names of the DNS: an image whose
/// host is written in capitals must not slip from a pin into trust on first use.
pub(super) fn pin<'a>(trust: &'a NotaryServer, gun: &str) -> Option<&'a str> {
    let gun = with_lower_host(gun);
    let pins = || {
        trust
            .pins
            .iter()
            .map(|(pattern, pin)| (with_lower_host(pattern), pin.as_str()))
    };
    if let Some((_, pin)) = pins().find(|(pattern, _)| *pattern == gun) {
        return Some(pin);
    }
    pins()
        .filter_map(|(pattern, pin)| Some((pattern.strip_suffix('*')?.to_owned(), pin)))
        .filter(|(prefix, _)| gun.starts_with(prefix))
        .max_by_key(|(prefix, _)| prefix.len())
        .map(|(_, pin)| pin)
}

fn with_lower_host(name: &str) -> String {
    let (host, path) = name.split_at(name.find('/').unwrap_or(name.len()));
    format!("{}{path}", host.to_ascii_lowercase())
}

/// The root keys that signed `root` and whose certificates may speak for `gun`, or an error if they are fewer than the
/// root's own threshold. With `at`, their certificates must be in force then.
fn self_signed<'a>(
    gun: &str,
    root: &'a Root,
    at: Option<Timestamp>,
) -> Result<Vec<&'a TufKey>, NotaryError> {
    endorsed(gun, &root.envelope, root.role("root")?, at)
}

/// The keys of a root role that signed `envelope` and whose certificates may speak for `gun`.
fn endorsed<'a>(
    gun: &str,
    envelope: &Envelope,
    role: &'a RoleKeys,
    at: Option<Timestamp>,
) -> Result<Vec<&'a TufKey>, NotaryError> {
    let signed = threshold("root", envelope, role)?;
    let mut problem = None;
    let valid: Vec<&TufKey> = signed
        .into_iter()
        .filter(|key| match certificate(key, gun, at) {
            Ok(()) => true,
            Err(why) => {
                problem = Some(why);
                false
            }
        })
        .collect();
    match problem {
        Some(problem) if u64::try_from(valid.len()).map_or(true, |n| n < role.threshold) => {
            Err(NotaryError::RootCertificate {
                gun: gun.to_owned(),
                problem,
            })
        }
        _ => Ok(valid),
    }
}

/// Whether the certificate of a root key may speak for `gun` (rules of notary's trustpinning).
fn certificate(key: &TufKey, gun: &str, at: Option<Timestamp>) -> Result<(), &'static str> {
    let (leaf, rest) = key
        .certificates
        .split_first()
        .ok_or("the root key has no certificate")?;
    if is_ca(leaf)? {
        return Err("the first certificate is a CA");
    }
    for other in rest {
        if !is_ca(other)? {
            return Err("there is more than one leaf certificate");
        }
    }
    if !SIGNATURE_ALGORITHMS.contains(&leaf.signature_algorithm.oid.to_string().as_str()) {
        return Err("its signature algorithm is too weak");
    }
    if !common_name(leaf).is_some_and(|name| speaks_for(name, gun)) {
        return Err("its common name is another");
    }
    if let Some(at) = at {
        let validity = &leaf.tbs_certificate.validity;
        let seconds = |time: &x509_cert::time::Time| {
            i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX)
        };
        if seconds(&validity.not_before) > at.0.saturating_add(NOT_BEFORE_LEEWAY) {
            return Err("it is not valid yet");
        }
        if seconds(&validity.not_after) < at.0 {
            return Err("it has expired");
        }
    }
    Ok(())
}

fn is_ca(certificate: &Certificate) -> Result<bool, &'static str> {
    Ok(certificate
        .tbs_certificate
        .get::<BasicConstraints>()
        .map_err(|_| "its basic constraints are damaged")?
        .is_some_and(|(_, constraints)| constraints.ca))
}

/// The common name, if there is exactly one. Any string type: Go writes `*` into a `PrintableString`.
fn common_name(certificate: &Certificate) -> Option<&str> {
    let mut names = certificate
        .tbs_certificate
        .subject
        .0
        .iter()
        .flat_map(|part| part.0.iter())
        .filter(|attribute| attribute.oid == COMMON_NAME);
    let (Some(name), None) = (names.next(), names.next()) else {
        return None;
    };
    std::str::from_utf8(name.value.value()).ok()
}

/// Whether a certificate's common name covers `gun`: the same, or a prefix ending in `/*`.
fn speaks_for(name: &str, gun: &str) -> bool {
    match name.strip_suffix('*') {
        Some(prefix) => prefix.len() > 1 && prefix.ends_with('/') && gun.starts_with(prefix),
        None => name == gun,
    }
}

#[cfg(test)]
mod tests {
    use super::speaks_for;

    #[test]
    fn a_wildcard_name_covers_whole_path_segments_alone() {
        assert!(speaks_for("example.com/shop/app", "example.com/shop/app"));
        assert!(speaks_for("example.com/shop/*", "example.com/shop/app"));
        assert!(speaks_for("example.com/*", "example.com/shop/app"));
        for name in [
            "*",
            "/*",
            "example.com/shop*",
            "example.com/shop/ap*",
            "example.com/shop",
            "",
        ] {
            assert!(!speaks_for(name, "example.com/shop/app"), "{name}");
        }
    }
}
