//! Trust data of Notary collections, and the floors that never go down.

use std::sync::Arc;

use portcullis_trust::evidence::NotaryEvidence;
use portcullis_trust::notary::NotaryMemory;

use super::{Change, Collection, Memory};
use crate::store::StoreError;
use crate::store::layout::{self, CollectionKey, Floors, Indexed};
use crate::store::records::Put;
use crate::store::table::Table;

impl Memory {
    /// Takes trust data, unless it is older than what was believed before.
    pub(in crate::store) fn put_notary(
        &mut self,
        evidence: NotaryEvidence,
        changes: &mut Vec<Change>,
    ) -> Result<(), StoreError> {
        let NotaryEvidence { collection, memory } = evidence;
        let key = CollectionKey::of(&collection);
        let memory = self.raised_floors(&key, &memory)?;
        let (artefact, bytes) = layout::artefact(&collection).map_err(StoreError::encoding)?;
        let size = bytes.len();
        if size > self.caps.artefact_bytes {
            let (what, limit) = ("trust data", self.caps.artefact_bytes);
            return Err(StoreError::TooLarge { what, limit });
        }
        let indexed = Indexed::new(&key, artefact, collection.gathered_at);
        let indexed = layout::put(Table::ArtefactIndex, &key, &indexed)?;
        let floors = layout::put(Table::TufFloors, &key, &Floors::new(&key, memory.clone()))?;

        let full = StoreError::Full {
            table: Table::Artefacts.name(),
        };
        let held = |memory: &Self| memory.collections.get(&key).map_or(0, |old| old.size);
        self.make_room(size.saturating_sub(held(self)), changes);
        let others = self.collections_bytes.saturating_sub(held(self));
        if others.saturating_add(size) > self.caps.artefacts_bytes {
            return Err(full);
        }
        let before = self.collections.get(&key).map(|old| old.artefact);
        let evidence = Arc::new(NotaryEvidence {
            collection,
            memory: memory.clone(),
        });
        let collection = Collection {
            evidence,
            artefact,
            size,
        };
        match self.collections.put(key.clone(), collection) {
            Put::Full => return Err(full),
            Put::Stored(gone) => {
                self.collections_bytes = others.saturating_add(size);
                self.forget_collections(gone, changes);
            }
        }
        if let Some(before) = before.filter(|before| *before != artefact) {
            changes.push(Change::remove(Table::Artefacts, before.hex()));
        }
        changes.push(Change::put(Table::Artefacts, artefact.hex(), bytes));
        changes.push(indexed);
        changes.push(floors);
        self.floors.insert(key, memory);
        Ok(())
    }

    fn raised_floors(
        &self,
        key: &CollectionKey,
        new: &NotaryMemory,
    ) -> Result<NotaryMemory, StoreError> {
        let Some(old) = self.floors.get(key) else {
            if self.floors.len() >= self.caps.floors {
                return Err(StoreError::Full {
                    table: Table::TufFloors.name(),
                });
            }
            return Ok(new.clone());
        };
        let rollback = || StoreError::Rollback {
            gun: key.gun.clone(),
        };
        let mut raised = old.clone();
        for (role, version) in &new.floors {
            let floor = raised.floors.entry(role.clone()).or_insert(*version);
            if *version < *floor {
                return Err(rollback());
            }
            *floor = *version;
        }
        match (raised.first_root, new.first_root) {
            (Some(old), Some(new)) if old != new => return Err(rollback()),
            (None, first) => raised.first_root = first,
            _ => {}
        }
        Ok(raised)
    }

    fn make_room(&mut self, size: usize, changes: &mut Vec<Change>) {
        while self.collections_bytes.saturating_add(size) > self.caps.artefacts_bytes {
            let target = self.collections.len().saturating_sub(1);
            let gone = self.collections.evict_to(target);
            if gone.is_empty() {
                break;
            }
            self.forget_collections(gone, changes);
        }
    }

    pub(super) fn forget_collections(
        &mut self,
        gone: Vec<(CollectionKey, Collection)>,
        changes: &mut Vec<Change>,
    ) {
        for (key, collection) in gone {
            self.collections_bytes = self.collections_bytes.saturating_sub(collection.size);
            changes.push(Change::remove(Table::ArtefactIndex, key.text()));
            changes.push(Change::remove(Table::Artefacts, collection.artefact.hex()));
        }
    }

    /// Forgets a collection with its floors: an operator's step.
    pub(in crate::store) fn forget_notary(&mut self, key: &CollectionKey) -> Vec<Change> {
        let mut changes = Vec::new();
        if let Some(collection) = self.collections.remove(key) {
            self.forget_collections(vec![(key.clone(), collection)], &mut changes);
        }
        if self.floors.remove(key).is_some() {
            changes.push(Change::remove(Table::TufFloors, key.text()));
        }
        changes
    }
}
