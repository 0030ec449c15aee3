//! Keyrings as a policy brings them: armoured or binary, any number of blocks and certificates.
//!
//! Every block is read (Portieris reads the first one alone). Two copies of a certificate are one, with the signatures of
//! both: a revocation in either of them counts.

use std::io::Read as _;

use pgp::armor::{BlockType, Dearmor};
use pgp::packet::{Packet, PublicKey, PublicSubkey, Signature, UserId};
use pgp::types::{Fingerprint, KeyDetails, KeyVersion, Tag};

use super::error::KeyringError;
use super::packets::{FrameError, Framed, frame, is_short};

/// Largest keyring, in bytes.
const MAX_KEYRING: usize = 4 << 20;
/// Most packets in it, or in one of its blocks.
const MAX_PACKETS: usize = 4096;
/// Largest packet: a photograph, which nobody looks at.
const MAX_PACKET: usize = 1 << 20;
const BEGIN: &str = "-----BEGIN PGP ";
const END: &str = "-----END PGP ";

/// The packets of one certificate (RFC 9580, 10.1), unverified.
#[derive(Debug, Clone)]
pub(super) struct RawCertificate {
    pub(super) primary: PublicKey,
    /// Direct-key and revocation signatures.
    pub(super) signatures: Vec<Signature>,
    pub(super) users: Vec<(UserId, Vec<Signature>)>,
    pub(super) subkeys: Vec<(PublicSubkey, Vec<Signature>)>,
}

/// Every certificate in `bytes` whose version is supported.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<RawCertificate>, KeyringError> {
    let too_large = KeyringError::TooLarge {
        bytes: MAX_KEYRING,
        packets: MAX_PACKETS,
    };
    if bytes.len() > MAX_KEYRING {
        return Err(too_large);
    }
    // Every packet begins with bit 7 set, no armour does.
    let binary = bytes.first().is_some_and(|first| first & 0x80 != 0);
    let blocks = if binary {
        vec![bytes.to_vec()]
    } else if bytes.get(8..12) == Some(b"KBXf".as_slice()) {
        return Err(KeyringError::Keybox);
    } else {
        blocks(bytes)?
    };
    let mut certificates = Vec::new();
    for block in blocks {
        let packets = frame(&block, MAX_PACKETS, |header| is_short(header, MAX_PACKET));
        let packets = packets.map_err(|error| match error {
            FrameError::TooMany => too_large.clone(),
            _ if binary => KeyringError::NotOpenPgp,
            _ => KeyringError::Malformed("its packets are cut off or damaged"),
        })?;
        merge(&mut certificates, collect(packets)?);
    }
    if certificates.is_empty() {
        return Err(KeyringError::Empty);
    }
    Ok(certificates)
}

/// The contents of every armoured block.
fn blocks(bytes: &[u8]) -> Result<Vec<Vec<u8>>, KeyringError> {
    let text = str::from_utf8(bytes).map_err(|_| KeyringError::NotOpenPgp)?;
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some(begin) = rest.find(BEGIN) {
        let block = rest.get(begin..).unwrap_or_default();
        let kind = block.strip_prefix(BEGIN).unwrap_or_default();
        if kind.starts_with("PRIVATE KEY") {
            return Err(KeyringError::PrivateKey);
        }
        if !kind.starts_with("PUBLIC KEY BLOCK-----") {
            return Err(KeyringError::OtherBlock);
        }
        let cut_off = KeyringError::Malformed("an armoured block has no end");
        let end = block.find(END).ok_or_else(|| cut_off.clone())?;
        let after = block
            .get(end.saturating_add(END.len())..)
            .unwrap_or_default();
        let line = after.find("-----").ok_or(cut_off)?;
        let (last, following) = after.split_at(line.saturating_add("-----".len()));
        let length = block.len().saturating_sub(following.len());
        if last != "PUBLIC KEY BLOCK-----" {
            return Err(KeyringError::Malformed("an armoured block has no end"));
        }
        blocks.push(dearmoured(block.get(..length).unwrap_or_default())?);
        rest = following;
    }
    if blocks.is_empty() {
        return Err(if text.trim().is_empty() {
            KeyringError::Empty
        } else {
            KeyringError::NotOpenPgp
        });
    }
    Ok(blocks)
}

fn dearmoured(block: &str) -> Result<Vec<u8>, KeyringError> {
    let malformed = |_| KeyringError::Malformed("its armour is damaged");
    // Blanks around lines come from being indented in a document.
    let lines: Vec<&str> = block.lines().map(str::trim).collect();
    let text = lines.join("\n") + "\n";
    let mut armour = Dearmor::new(text.as_bytes());
    let mut out = Vec::new();
    armour.read_to_end(&mut out).map_err(malformed)?;
    if armour.typ != Some(BlockType::PublicKey) {
        return Err(KeyringError::OtherBlock);
    }
    Ok(out)
}

/// Where the signatures that follow belong.
enum Place {
    /// Behind something that is not looked at.
    Ignored,
    Primary,
    User,
    Subkey,
}

/// Packets, put together to certificates.
fn collect(packets: Vec<Framed>) -> Result<Vec<RawCertificate>, KeyringError> {
    let mut certificates: Vec<RawCertificate> = Vec::new();
    // A key of an unsupported version: everything up to the next primary key is its.
    let mut skipping = true;
    let mut place = Place::Ignored;
    for Framed { tag, packet } in packets {
        match tag {
            Tag::SecretKey | Tag::SecretSubkey => return Err(KeyringError::PrivateKey),
            Tag::PublicKey => {
                skipping = true;
                place = Place::Ignored;
                if let Some(Packet::PublicKey(primary)) = packet
                    && is_supported(primary.version())
                {
                    skipping = false;
                    place = Place::Primary;
                    certificates.push(RawCertificate {
                        primary,
                        signatures: Vec::new(),
                        users: Vec::new(),
                        subkeys: Vec::new(),
                    });
                }
                continue;
            }
            Tag::UserId | Tag::UserAttribute | Tag::PublicSubkey | Tag::Signature => {}
            Tag::Trust
            | Tag::Marker
            | Tag::Padding
            | Tag::UnassignedNonCritical(_)
            | Tag::Experimental(_) => continue,
            _ => return Err(KeyringError::NotOpenPgp),
        }
        if skipping {
            continue;
        }
        let Some(certificate) = certificates.last_mut() else {
            continue;
        };
        match (tag, packet) {
            (Tag::UserAttribute, _) => place = Place::Ignored,
            (_, Some(Packet::UserId(user))) => {
                certificate.users.push((user, Vec::new()));
                place = Place::User;
            }
            (_, Some(Packet::PublicSubkey(subkey))) => {
                place = Place::Ignored;
                if subkey.version() == certificate.primary.version() {
                    certificate.subkeys.push((subkey, Vec::new()));
                    place = Place::Subkey;
                }
            }
            // Of an unsupported version or algorithm: it signs nothing that counts.
            (Tag::PublicSubkey, _) => place = Place::Ignored,
            (_, Some(Packet::Signature(signature))) => match place {
                Place::Ignored => {}
                Place::Primary => certificate.signatures.push(signature),
                Place::User => push(&mut certificate.users, signature),
                Place::Subkey => push(&mut certificate.subkeys, signature),
            },
            _ if matches!(place, Place::Ignored) => {}
            // It may be a revocation.
            _ => {
                return Err(KeyringError::Malformed(
                    "one of its signatures is not understood",
                ));
            }
        }
    }
    Ok(certificates)
}

fn push<T>(items: &mut [(T, Vec<Signature>)], signature: Signature) {
    if let Some((_, signatures)) = items.last_mut() {
        signatures.push(signature);
    }
}

/// The fingerprint of an older or unknown key cannot be computed, or is MD5.
fn is_supported(version: KeyVersion) -> bool {
    matches!(version, KeyVersion::V4 | KeyVersion::V6)
}

/// Adds certificates; those that are there already get the other copy's packets too.
pub(super) fn merge(into: &mut Vec<RawCertificate>, from: Vec<RawCertificate>) {
    for other in from {
        let fingerprint: Fingerprint = other.primary.fingerprint();
        let known = into
            .iter_mut()
            .find(|one| one.primary.fingerprint() == fingerprint);
        let Some(known) = known else {
            into.push(other);
            continue;
        };
        add(&mut known.signatures, other.signatures);
        for (user, signatures) in other.users {
            match known.users.iter_mut().find(|(id, _)| id.id() == user.id()) {
                Some((_, own)) => add(own, signatures),
                None => known.users.push((user, signatures)),
            }
        }
        for (subkey, signatures) in other.subkeys {
            let same = |one: &PublicSubkey| one.fingerprint() == subkey.fingerprint();
            match known.subkeys.iter_mut().find(|(one, _)| same(one)) {
                Some((_, own)) => add(own, signatures),
                None => known.subkeys.push((subkey, signatures)),
            }
        }
    }
}

fn add(signatures: &mut Vec<Signature>, more: Vec<Signature>) {
    for signature in more {
        if !signatures.contains(&signature) {
            signatures.push(signature);
        }
    }
}
