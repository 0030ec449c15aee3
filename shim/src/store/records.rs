//! One table in memory: ordered, bounded, and aware of which records may be evicted.

use std::collections::BTreeMap;

/// A value with what eviction needs to know.
#[derive(Debug)]
struct Slot<V> {
    value: V,
    /// When it was last put, as a count.
    stamp: u64,
    /// No image on the node led to it when last asked.
    idle: bool,
}

/// A bounded table. A record is evicted only if it is idle; where none is, a new one is refused.
#[derive(Debug)]
pub(super) struct Records<K, V> {
    map: BTreeMap<K, Slot<V>>,
    cap: usize,
    stamp: u64,
    /// Stamp at the last [`Records::mark`]: what came later has not been seen by two of them yet.
    marked: u64,
}

/// What a put did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Put<K, V> {
    /// It is in; these gave way.
    Stored(Vec<(K, V)>),
    /// The table is full of records in use.
    Full,
}

impl<K: Ord + Clone, V> Records<K, V> {
    pub(super) fn new(cap: usize) -> Self {
        Self {
            map: BTreeMap::new(),
            cap,
            stamp: 0,
            marked: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.map.len()
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.map.get(key).map(|slot| &slot.value)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.map.values().map(|slot| &slot.value)
    }

    /// Values from `start` upwards in key order.
    pub(super) fn from(&self, start: K) -> impl Iterator<Item = (&K, &V)> {
        self.map
            .range(start..)
            .map(|(key, slot)| (key, &slot.value))
    }

    /// Puts a value in, whose record counts as in use from now on.
    pub(super) fn put(&mut self, key: K, value: V) -> Put<K, V> {
        let mut gone = Vec::new();
        if !self.map.contains_key(&key) && self.map.len() >= self.cap {
            // A sixteenth at a time, so that a full table is not searched at every put.
            gone = self.evict_to(self.cap.saturating_sub((self.cap / 16).max(1)));
            if self.map.len() >= self.cap {
                return Put::Full;
            }
        }
        self.stamp = self.stamp.saturating_add(1);
        self.map.insert(
            key,
            Slot {
                value,
                stamp: self.stamp,
                idle: false,
            },
        );
        Put::Stored(gone)
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        self.map.remove(key).map(|slot| slot.value)
    }

    /// Marks as idle what `live` denies, sparing what was put since the previous call: the caller's list of images
    /// may be older than such a record. Then makes room down to three quarters, and returns what gave way.
    pub(super) fn mark(&mut self, live: impl Fn(&K, &V) -> bool) -> Vec<(K, V)> {
        for (key, slot) in &mut self.map {
            slot.idle = slot.stamp <= self.marked && !live(key, &slot.value);
        }
        self.marked = self.stamp;
        self.evict_to(self.cap / 4 * 3)
    }

    /// Removes the oldest idle records until `target` are left or none is idle.
    pub(super) fn evict_to(&mut self, target: usize) -> Vec<(K, V)> {
        let surplus = self.map.len().saturating_sub(target);
        if surplus == 0 {
            return Vec::new();
        }
        let mut idle: Vec<(u64, K)> = self
            .map
            .iter()
            .filter(|(_, slot)| slot.idle)
            .map(|(key, slot)| (slot.stamp, key.clone()))
            .collect();
        idle.sort_unstable_by_key(|(stamp, _)| *stamp);
        idle.into_iter()
            .take(surplus)
            .filter_map(|(_, key)| self.remove(&key).map(|value| (key, value)))
            .collect()
    }

    /// Removes the oldest record, idle or not.
    pub(super) fn evict_oldest(&mut self) -> Option<(K, V)> {
        let key = self
            .map
            .iter()
            .min_by_key(|(_, slot)| slot.stamp)
            .map(|(key, _)| key.clone())?;
        self.remove(&key).map(|value| (key, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(cap: usize) -> Records<u32, ()> {
        let mut records = Records::new(cap);
        for key in 0..u32::try_from(cap).unwrap() {
            assert_eq!(records.put(key, ()), Put::Stored(vec![]));
        }
        records
    }

    #[test]
    fn a_full_table_of_records_in_use_refuses_instead_of_evicting() {
        let mut records = filled(8);
        assert_eq!(records.put(99, ()), Put::Full);
        assert_eq!(records.put(3, ()), Put::Stored(vec![]), "updates still go");
        assert_eq!(records.len(), 8);
    }

    #[test]
    fn the_oldest_idle_record_gives_way_and_no_other() {
        let mut records = filled(8);
        assert_eq!(
            records.mark(|_, ()| true),
            vec![],
            "first look: all are new"
        );
        let gone = records.mark(|key, ()| *key != 5 && *key != 2);
        assert_eq!(gone, vec![(2, ()), (5, ())], "down to three quarters");
        records.put(100, ());
        records.put(101, ());
        assert_eq!(records.put(102, ()), Put::Full);
    }

    #[test]
    fn what_was_put_after_the_list_of_images_was_taken_is_spared() {
        let mut records = filled(4);
        records.mark(|_, ()| true);
        records.put(1, ());
        let gone = records.mark(|_, ()| false);
        assert_eq!(gone, vec![(0, ())], "1 was put since, 2 and 3 fit");
        records.evict_to(0);
        assert_eq!(records.len(), 1);
        assert!(records.get(&1).is_some());
    }
}
