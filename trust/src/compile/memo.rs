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
/// Weight of all collections kept, in bytes; one that is heavier alone is verified each time.
const WEIGHT: usize = 4 << 20;

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
        // Not under the lock: a large collection must not hold up decisions on others, nor push them out.
        let verified = Arc::new(verify(trust, evidence));
        self.keep(key, &verified);
        verified
    }

    fn keep(&self, key: Vec<u8>, verified: &Verified) {
        if weigh(verified) > WEIGHT {
            return;
        }
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if !entries.iter().any(|(other, _)| *other == key) {
            entries.push_back((key, Arc::clone(verified)));
        }
        let mut weight: usize = entries.iter().map(|(_, kept)| weigh(kept)).sum();
        while entries.len() > ENTRIES || weight > WEIGHT {
            let Some((_, dropped)) = entries.pop_front() else {
                break;
            };
            weight = weight.saturating_sub(weigh(&dropped));
        }
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

fn weigh(verified: &Verified) -> usize {
    verified
        .as_ref()
        .as_ref()
        .map_or(0, VerifiedCollection::weight)
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::notary::{NotaryCollection, NotaryMemory};
    use crate::time::Timestamp;

    fn evidence(gathered_at: i64) -> NotaryEvidence {
        NotaryEvidence {
            collection: NotaryCollection {
                server: String::new(),
                gun: String::new(),
                gathered_at: Timestamp(gathered_at),
                roots: Vec::new(),
                timestamp: String::new(),
                snapshot: String::new(),
                targets: String::new(),
                delegations: BTreeMap::new(),
            },
            memory: NotaryMemory::default(),
        }
    }

    #[test]
    fn the_memo_is_bounded_and_keeps_what_was_used_last() {
        let trust = NotaryServer {
            server: String::new(),
            ca: None,
            pins: BTreeMap::new(),
            trust_on_first_use: true,
        };
        let memo = Memo::default();
        for at in 0..1000 {
            memo.verify(&trust, &evidence(0))
                .as_ref()
                .as_ref()
                .unwrap_err();
            memo.verify(&trust, &evidence(at))
                .as_ref()
                .as_ref()
                .unwrap_err();
        }
        assert_eq!(memo.entries.lock().unwrap().len(), ENTRIES);
        assert!(memo.recall(&key(&trust, &evidence(0))).is_some());
        assert!(memo.recall(&key(&trust, &evidence(1))).is_none());
    }

    #[test]
    fn a_collection_too_heavy_to_be_kept_pushes_no_other_out() {
        let memo = Memo::default();
        memo.keep(vec![1], &verified(0));
        memo.keep(vec![2], &verified(100_000));
        assert!(memo.recall(&[2]).is_none());
        assert!(memo.recall(&[1]).is_some());
        // Each within the limit, not all together.
        for key in 3..10 {
            memo.keep(vec![key], &verified(20_000));
        }
        assert!(memo.recall(&[1]).is_none());
        assert!(memo.recall(&[9]).is_some());
    }

    fn verified(tags: usize) -> Verified {
        Arc::new(Ok(VerifiedCollection::with_tags(tags)))
    }

    #[test]
    fn every_input_is_part_of_the_key() {
        let trust = NotaryServer {
            server: String::new(),
            ca: None,
            pins: BTreeMap::new(),
            trust_on_first_use: false,
        };
        let base = evidence(0);
        let edits: [fn(&mut NotaryServer, &mut NotaryEvidence); 12] = [
            |trust, _| trust.server.push('x'),
            |trust, _| trust.trust_on_first_use = true,
            |trust, _| {
                trust.pins.insert("a".to_owned(), "b".to_owned());
            },
            |_, of| {
                of.memory.floors.insert("root".to_owned(), 1);
            },
            |_, of| of.memory.first_root = Some(portcullis_policy::Digest::of(b"")),
            |_, of| of.collection.server.push('x'),
            |_, of| of.collection.gun.push('x'),
            |_, of| of.collection.roots.push("x".to_owned()),
            |_, of| of.collection.timestamp.push('x'),
            |_, of| of.collection.snapshot.push('x'),
            |_, of| of.collection.targets.push('x'),
            |_, of| {
                of.collection
                    .delegations
                    .insert("a".to_owned(), "b".to_owned());
            },
        ];
        let mut keys = vec![key(&trust, &base), key(&trust, &evidence(1))];
        for edit in edits {
            let (mut trust, mut of) = (trust.clone(), base.clone());
            edit(&mut trust, &mut of);
            keys.push(key(&trust, &of));
        }
        let mut floor = base;
        floor.memory.floors.insert("root".to_owned(), 2);
        keys.push(key(&trust, &floor));
        let count = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), count);
    }
}
