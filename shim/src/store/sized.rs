//! A table in memory whose records are also bounded by the bytes they take in the file.
//!
//! A record for which there is no room is held aside for a while, and not in the file: whoever fills the table with what is in
//! use must not keep others from having their images judged.

use std::collections::VecDeque;
use std::sync::Arc;

use super::records::{Put, Records};

/// Records with their sizes.
#[derive(Debug)]
pub(super) struct Sized<K, V> {
    records: Records<K, (Arc<V>, usize)>,
    bytes: usize,
    cap: usize,
    /// What found no room, oldest first.
    aside: VecDeque<(K, Arc<V>, usize)>,
}

impl<K: Ord + Clone, V> Sized<K, V> {
    /// At most `records` records of together at most `bytes` bytes.
    pub(super) fn new(records: usize, bytes: usize) -> Self {
        Self {
            records: Records::new(records),
            bytes: 0,
            cap: bytes,
            aside: VecDeque::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn get(&self, key: &K) -> Option<Arc<V>> {
        // What is held aside came later than what is stored.
        let aside = self.aside.iter().find(|(other, ..)| other == key);
        aside
            .map(|(_, value, _)| value)
            .or_else(|| self.records.get(key).map(|(value, _)| value))
            .map(Arc::clone)
    }

    /// What is held aside.
    pub(super) fn aside(&self) -> impl Iterator<Item = (&K, &Arc<V>)> {
        self.aside.iter().map(|(key, value, _)| (key, value))
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

    /// Puts a value in, for which idle records may have to give way: they are returned. `false`: there is no room, and it is
    /// held aside, where what came before gives way.
    pub(super) fn put(&mut self, key: K, value: Arc<V>, size: usize) -> (bool, Vec<(K, Arc<V>)>) {
        self.aside.retain(|(other, ..)| *other != key);
        let (stored, gone) = self.put_in(key.clone(), Arc::clone(&value), size);
        if !stored && size <= self.cap / 2 {
            self.aside.push_back((key, value, size));
            let mut held: usize = self.aside.iter().map(|(.., size)| size).sum();
            while held > self.cap / 2 {
                let Some((.., size)) = self.aside.pop_front() else {
                    break;
                };
                held = held.saturating_sub(size);
            }
        }
        (stored, gone)
    }

    fn put_in(&mut self, key: K, value: Arc<V>, size: usize) -> (bool, Vec<(K, Arc<V>)>) {
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

    #[test]
    fn what_finds_no_room_is_held_aside_within_bounds_until_there_is() {
        let mut table: Sized<u32, u32> = Sized::new(100, 10);
        let put = |table: &mut Sized<u32, u32>, key, size| table.put(key, Arc::new(key), size).0;
        assert!(put(&mut table, 1, 10));
        for key in 2..6 {
            assert!(!put(&mut table, key, 2));
            assert_eq!(table.get(&key).as_deref(), Some(&key));
        }
        assert_eq!(
            table.get(&2),
            None,
            "half as much as the table, newest first"
        );
        assert_eq!(table.get(&3), None);
        let held: Vec<u32> = table.aside().map(|(key, _)| *key).collect();
        assert_eq!((held, table.len()), (vec![4, 5], 1));
        let too_large = table.put(1, Arc::new(100), 11);
        assert!(!too_large.0);
        assert_eq!(table.get(&1).as_deref(), Some(&1));
        assert_eq!(table.aside().count(), 2, "nor does it push others out");
        table.mark(|_, _| true);
        table.mark(|_, _| false);
        assert!(put(&mut table, 4, 2));
        let held: Vec<u32> = table.aside().map(|(key, _)| *key).collect();
        assert_eq!((held, table.len()), (vec![5], 1));
    }

    #[test]
    fn a_newer_record_that_finds_no_room_speaks_instead_of_the_older_one() {
        let mut table: Sized<u32, u32> = Sized::new(100, 10);
        assert!(table.put(1, Arc::new(10), 1).0);
        assert!(table.put(2, Arc::new(20), 9).0);
        assert!(!table.put(1, Arc::new(11), 5).0);
        assert_eq!(table.get(&1).as_deref(), Some(&11));
        assert!(table.put(1, Arc::new(12), 1).0);
        assert_eq!(table.get(&1).as_deref(), Some(&12));
    }
}
