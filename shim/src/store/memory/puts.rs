//! Puts of everything but trust data.

use std::collections::HashSet;

use portcullis_policy::load::SourceFile;
use portcullis_trust::Timestamp;
use portcullis_trust::evidence::Origin;

use super::{Change, Memory, link_key, origin_key, removals, resolution_key};
use crate::containerd::Sandbox;
use crate::store::layout::{self, PolicyFiles};
use crate::store::records::Put;
use crate::store::table::Table;
use crate::store::{Link, Resolution, StoreError};

/// How far one put moves the recorded time at most, in seconds: a clock that is years ahead for a moment must not
/// make every later time look like a jump backwards.
const LAST_TIME_STEP: i64 = 24 * 60 * 60;

/// The recorded time goes to disk only when it moved this far, in seconds.
const LAST_TIME_GRAIN: i64 = 60;

impl Memory {
    pub(in crate::store) fn put_origin(
        &mut self,
        origin: Origin,
    ) -> Result<Vec<Change>, StoreError> {
        let key = origin_key(&origin);
        if self
            .origins
            .get(&key)
            .is_some_and(|old| old.at >= origin.at)
        {
            return Ok(Vec::new());
        }
        let put = layout::put(Table::Origins, &key, &origin)?;
        stored(Table::Origins, self.origins.put(key, origin), put)
    }

    pub(in crate::store) fn put_link(&mut self, link: Link) -> Result<Vec<Change>, StoreError> {
        let key = link_key(&link);
        if self.links.get(&key) == Some(&link) {
            return Ok(Vec::new());
        }
        let put = layout::put(Table::Links, &key, &link)?;
        let root = link.root;
        match self.links.put(key, link) {
            Put::Full => Err(StoreError::Full {
                table: Table::Links.name(),
            }),
            Put::Stored(gone) => {
                self.links_by_root.insert((root, key));
                let mut changes = self.forget_links(&gone);
                changes.push(put);
                Ok(changes)
            }
        }
    }

    pub(in crate::store) fn put_resolution(
        &mut self,
        resolution: Resolution,
    ) -> Result<Vec<Change>, StoreError> {
        let key = resolution_key(&resolution);
        if self.resolutions.get(&key) == Some(&resolution) {
            return Ok(Vec::new());
        }
        let put = layout::put(Table::Resolutions, &key, &resolution)?;
        stored(
            Table::Resolutions,
            self.resolutions.put(key, resolution),
            put,
        )
    }

    /// Records a sandbox. A full table loses its oldest: the gate asks containerd for one that is not here.
    pub(in crate::store) fn put_sandbox(
        &mut self,
        sandbox: Sandbox,
    ) -> Result<Vec<Change>, StoreError> {
        let key = sandbox.id.clone();
        if self.sandboxes.get(&key) == Some(&sandbox) {
            return Ok(Vec::new());
        }
        let mut changes = Vec::new();
        if self.sandboxes.get(&key).is_none() && self.sandboxes.len() >= self.caps.sandboxes {
            let gone: Vec<_> = self.sandboxes.evict_oldest().into_iter().collect();
            changes = removals(Table::Sandboxes, &gone);
        }
        changes.push(layout::put(Table::Sandboxes, &key, &sandbox)?);
        self.sandboxes.put(key, sandbox);
        Ok(changes)
    }

    pub(in crate::store) fn remove_sandbox(&mut self, id: &str) -> Vec<Change> {
        let key = id.to_owned();
        match self.sandboxes.remove(&key) {
            Some(_) => vec![Change::remove(Table::Sandboxes, layout::key_text(&key))],
            None => Vec::new(),
        }
    }

    /// Forgets every sandbox that does not exist any more.
    pub(in crate::store) fn retain_sandboxes(&mut self, existing: &HashSet<String>) -> Vec<Change> {
        let gone: Vec<String> = self
            .sandboxes
            .values()
            .filter(|sandbox| !existing.contains(&sandbox.id))
            .map(|sandbox| sandbox.id.clone())
            .collect();
        gone.iter().flat_map(|id| self.remove_sandbox(id)).collect()
    }

    pub(in crate::store) fn put_last_time(
        &mut self,
        now: Timestamp,
        reset: bool,
    ) -> Result<Vec<Change>, StoreError> {
        let next = match self.last_time {
            Some(last) if !reset => {
                if now <= last {
                    return Ok(Vec::new());
                }
                Timestamp(now.0.min(last.0.saturating_add(LAST_TIME_STEP)))
            }
            _ => now,
        };
        self.last_time = Some(next);
        let due = reset
            || self
                .last_time_written
                .is_none_or(|written| next.0.saturating_sub(written.0) >= LAST_TIME_GRAIN);
        if !due {
            return Ok(Vec::new());
        }
        self.last_time_written = Some(next);
        Ok(vec![layout::put(Table::LastTime, &"", &next)?])
    }

    pub(in crate::store) fn put_policy(
        &mut self,
        files: Vec<SourceFile>,
    ) -> Result<Vec<Change>, StoreError> {
        let size = files
            .iter()
            .fold(0_usize, |sum, file| sum.saturating_add(file.bytes.len()));
        if size > self.caps.policy_bytes {
            return Err(StoreError::TooLarge {
                what: "the policy set",
                limit: self.caps.policy_bytes,
            });
        }
        let change = layout::put(Table::PolicyLastGood, &"", &PolicyFiles::of(&files))?;
        self.policy = Some(files);
        Ok(vec![change])
    }

    pub(in crate::store) fn drop_policy(&mut self) -> Vec<Change> {
        self.policy = None;
        vec![Change::remove(Table::PolicyLastGood, layout::key_text(&""))]
    }
}

fn stored<K: serde::Serialize, V>(
    table: Table,
    outcome: Put<K, V>,
    put: Change,
) -> Result<Vec<Change>, StoreError> {
    match outcome {
        Put::Full => Err(StoreError::Full {
            table: table.name(),
        }),
        Put::Stored(gone) => {
            let mut changes = removals(table, &gone);
            changes.push(put);
            Ok(changes)
        }
    }
}
