//! Label values that come from outside, bounded in number, so that no tenant can fill the memory by inventing names.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// What stands for every value beyond the cap.
pub(super) const OTHER: &str = "_other";

/// The first values seen, up to a cap; all later ones are [`OTHER`].
#[derive(Debug)]
pub(super) struct BoundedLabels {
    seen: Mutex<HashSet<Arc<str>>>,
    cap: usize,
}

impl BoundedLabels {
    /// Keeps at most `cap` values of at most 253 bytes (the longest name Kubernetes allows).
    pub(super) fn new(cap: usize) -> Self {
        Self {
            seen: Mutex::new(HashSet::new()),
            cap,
        }
    }

    /// `value`, or [`OTHER`].
    pub(super) fn label(&self, value: &str) -> Arc<str> {
        // The set is whole after every step, so a panic elsewhere cannot have torn it.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = seen.get(value) {
            return known.clone();
        }
        if seen.len() >= self.cap || value.len() > 253 {
            return OTHER.into();
        }
        let value: Arc<str> = value.into();
        seen.insert(value.clone());
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invented_names_do_not_grow_the_memory_nor_push_out_known_ones() {
        let labels = BoundedLabels::new(2);
        assert_eq!(&*labels.label("a"), "a");
        assert_eq!(&*labels.label(&"x".repeat(254)), OTHER);
        assert_eq!(&*labels.label("b"), "b");
        for n in 0..1000 {
            assert_eq!(&*labels.label(&n.to_string()), OTHER);
        }
        assert_eq!(&*labels.label("a"), "a");
        assert_eq!(labels.seen.lock().unwrap().len(), 2);
    }
}
