//! A table in memory whose records are also bounded by the bytes they take in the file.

use std::sync::Arc;

use super::records::{Put, Records};

/// Records with their sizes.
#[derive(Debug)]
pub(super) struct Sized<K, V> {
    records: Records<K, (Arc<V>, usize)>,
    bytes: usize,
    cap: usize,
}

impl<K: Ord + Clone, V> Sized<K, V> {
    /// At most `records` records of together at most `bytes` bytes.
    pub(super) fn new(records: usize, bytes: usize) -> Self {
        Self {
            records: Records::new(records),
            bytes: 0,
            cap: bytes,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn get(&self, key: &K) -> Option<Arc<V>> {
        self.records.get(key).map(|(value, _)| Arc::clone(value))
    }

    /// Values from `start` upwards in key order.
    pub(super) fn from(&self, start: K) -> impl Iterator<Item = (&K, &Arc<V>)> {
        self.records
            .from(start)
            .map(|(key, (value, _))| (key, value))
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Arc<V>> {
        self.records.values().map(|(value, _)| value)
    }

    /// Puts a value in, for which idle records may have to give way: they are returned. `false`: there is no room.
    pub(super) fn put(&mut self, key: K, value: Arc<V>, size: usize) -> (bool, Vec<(K, Arc<V>)>) {
        let mut gone = Vec::new();
        while self.without(&key).saturating_add(size) > self.cap {
            let target = self.records.len().saturating_sub(1);
            let evicted = self.records.evict_to(target);
            if evicted.is_empty() {
                return (false, gone);
            }
            self.take_off(evicted, &mut gone);
        }
        let others = self.without(&key);
        match self.records.put(key, (value, size)) {
            Put::Full => (false, gone),
            Put::Stored(evicted) => {
                self.bytes = others.saturating_add(size);
                self.take_off(evicted, &mut gone);
                (true, gone)
            }
        }
    }

    /// Bytes of all records but `key`'s.
    fn without(&self, key: &K) -> usize {
        let held = self.records.get(key).map_or(0, |(_, size)| *size);
        self.bytes.saturating_sub(held)
    }

    fn take_off(&mut self, evicted: Vec<(K, (Arc<V>, usize))>, gone: &mut Vec<(K, Arc<V>)>) {
        for (key, (value, size)) in evicted {
            self.bytes = self.bytes.saturating_sub(size);
            gone.push((key, value));
        }
    }

    /// As [`Records::mark`].
    pub(super) fn mark(&mut self, live: impl Fn(&K, &V) -> bool) -> Vec<(K, Arc<V>)> {
        let evicted = self.records.mark(|key, (value, _)| live(key, value));
        let mut gone = Vec::new();
        self.take_off(evicted, &mut gone);
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_bounded_and_only_idle_records_give_way() {
        let mut table: Sized<u32, ()> = Sized::new(100, 10);
        let put = |table: &mut Sized<u32, ()>, key, size| table.put(key, Arc::new(()), size).0;
        assert!(put(&mut table, 1, 6));
        assert!(put(&mut table, 2, 4));
        assert!(!put(&mut table, 3, 1), "all in use");
        assert!(put(&mut table, 1, 5), "an update counts once");
        assert!(put(&mut table, 3, 1));
        table.mark(|_, ()| true);
        table.mark(|key, ()| *key != 1);
        let (stored, gone) = table.put(4, Arc::new(()), 5);
        assert!(stored);
        assert_eq!(gone.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [1]);
        assert!(!put(&mut table, 5, 1));
    }
}
