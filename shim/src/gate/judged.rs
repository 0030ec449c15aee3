//! Containers whose create this process judged and whose snapshot it compared, or that audit mode let pass: their
//! StartContainer needs no second look.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// Most containers remembered; a node runs a few hundred. One that is forgotten is judged again at its start.
const MAX_CONTAINERS: usize = 8192;

/// Why a container may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Its image and its snapshot were found right.
    Judged,
    /// It was let pass in audit mode, by this generation of the policy.
    Excused(u64),
}

#[derive(Default)]
struct Ring {
    known: HashMap<String, Standing>,
    order: VecDeque<String>,
}

/// A bounded set of full container IDs.
#[derive(Default)]
pub(super) struct JudgedContainers {
    ring: Mutex<Ring>,
}

impl JudgedContainers {
    /// Remembers a container whose image and snapshot were found right.
    pub(super) fn insert(&self, id: &str) {
        self.put(id, Standing::Judged);
    }

    /// Remembers a container that audit mode let pass. containerd 1.6 forgets the reference, so that its start could not
    /// find the rule again; under another policy it is judged.
    pub(super) fn excuse(&self, id: &str, generation: u64) {
        self.put(id, Standing::Excused(generation));
    }

    fn put(&self, id: &str, standing: Standing) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        if ring.known.insert(id.to_owned(), standing).is_some() {
            return;
        }
        ring.order.push_back(id.to_owned());
        if ring.order.len() > MAX_CONTAINERS
            && let Some(oldest) = ring.order.pop_front()
        {
            ring.known.remove(&oldest);
        }
    }

    /// Whether exactly this ID may start under this generation of the policy. A prefix of it, which containerd would
    /// accept, may not.
    pub(super) fn contains(&self, id: &str, generation: u64) -> bool {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        match ring.known.get(id) {
            Some(Standing::Judged) => true,
            Some(Standing::Excused(by)) => *by == generation,
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_full_id_counts_and_memory_is_bounded() {
        let judged = JudgedContainers::default();
        judged.insert("0123456789");
        assert!(judged.contains("0123456789", 1));
        assert!(!judged.contains("0123", 1));
        for number in 0..MAX_CONTAINERS {
            judged.insert(&number.to_string());
        }
        assert!(!judged.contains("0123456789", 1), "the oldest gave way");
        assert!(judged.contains("8191", 1));
    }

    #[test]
    fn what_audit_excused_is_judged_under_another_policy() {
        let judged = JudgedContainers::default();
        judged.excuse("a", 1);
        assert!(judged.contains("a", 1));
        assert!(!judged.contains("a", 2));
        judged.insert("a");
        assert!(judged.contains("a", 2), "now it was judged");
    }
}
