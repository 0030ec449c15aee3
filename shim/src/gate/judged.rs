//! Containers whose create this process judged and whose snapshot it compared: their StartContainer needs no second look.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

/// Most containers remembered; a node runs a few hundred. One that is forgotten is judged again at its start.
const MAX_CONTAINERS: usize = 8192;

#[derive(Default)]
struct Ring {
    known: HashSet<String>,
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
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        if !ring.known.insert(id.to_owned()) {
            return;
        }
        ring.order.push_back(id.to_owned());
        if ring.order.len() > MAX_CONTAINERS
            && let Some(oldest) = ring.order.pop_front()
        {
            ring.known.remove(&oldest);
        }
    }

    /// Whether exactly this ID was judged. A prefix of it, which containerd would accept, was not.
    pub(super) fn contains(&self, id: &str) -> bool {
        self.ring
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .known
            .contains(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_full_id_counts_and_memory_is_bounded() {
        let judged = JudgedContainers::default();
        judged.insert("0123456789");
        assert!(judged.contains("0123456789"));
        assert!(!judged.contains("0123"));
        for number in 0..MAX_CONTAINERS {
            judged.insert(&number.to_string());
        }
        assert!(!judged.contains("0123456789"), "the oldest gave way");
        assert!(judged.contains("8191"));
    }
}
