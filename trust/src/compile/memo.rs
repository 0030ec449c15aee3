//! Verified collections, kept so that a create costs no signature check. What is kept is the value of a pure function
//! under a digest of all its inputs: a change in trust data, floors or pins is another entry, never a stale answer.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};
use portcullis_policy::model::NotaryServer;

use crate::evidence::NotaryEvidence;
use crate::notary::{NotaryError, VerifiedCollection, verify};

/// Collections kept; the one used longest ago goes first.
const ENTRIES: usize = 64;

type Verified = Arc<Result<VerifiedCollection, NotaryError>>;

/// The memo.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    entries: Mutex<VecDeque<(Vec<u8>, Verified)>>,
}

impl Memo {
    /// [`verify`], remembered.
    pub(crate) fn verify(&self, trust: &NotaryServer, evidence: &NotaryEvidence) -> Verified {
        let key = key(trust, evidence);
        if let Some(found) = self.recall(&key) {
            return found;
        }
        // Not under the lock: a large collection must not hold up decisions on others.
        let verified = Arc::new(verify(trust, evidence));
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if !entries.iter().any(|(other, _)| *other == key) {
            entries.push_back((key, Arc::clone(&verified)));
            if entries.len() > ENTRIES {
                entries.pop_front();
            }
        }
        verified
    }

    fn recall(&self, key: &[u8]) -> Option<Verified> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let index = entries.iter().position(|(other, _)| other == key)?;
        let entry = entries.remove(index)?;
        let verified = Arc::clone(&entry.1);
        entries.push_back(entry);
        Some(verified)
    }
}

/// SHA-256 over every input, each preceded by its length.
fn key(trust: &NotaryServer, evidence: &NotaryEvidence) -> Vec<u8> {
    let NotaryEvidence { collection, memory } = evidence;
    let mut hash = Context::new(&SHA256);
    let mut add = |bytes: &[u8]| {
        hash.update(&(bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    add(trust.server.as_bytes());
    add(&[u8::from(trust.trust_on_first_use)]);
    add(&(trust.pins.len() as u64).to_be_bytes());
    for (gun, pin) in &trust.pins {
        add(gun.as_bytes());
        add(pin.as_bytes());
    }
    add(&(memory.floors.len() as u64).to_be_bytes());
    for (role, floor) in &memory.floors {
        add(role.as_bytes());
        add(&floor.to_be_bytes());
    }
    add(memory
        .first_root
        .as_ref()
        .map_or(&[][..], |digest| digest.as_bytes()));
    add(collection.server.as_bytes());
    add(collection.gun.as_bytes());
    add(&collection.gathered_at.0.to_be_bytes());
    add(&(collection.roots.len() as u64).to_be_bytes());
    for root in &collection.roots {
        add(root.as_bytes());
    }
    for file in [
        &collection.timestamp,
        &collection.snapshot,
        &collection.targets,
    ] {
        add(file.as_bytes());
    }
    for (role, text) in &collection.delegations {
        add(role.as_bytes());
        add(text.as_bytes());
    }
    hash.finish().as_ref().to_vec()
}
