//! Memory as the file holds it: read at the start, and written as a whole after a failure.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_trust::Timestamp;
use portcullis_trust::evidence::{NotaryEvidence, RevocationAnswer};
use portcullis_trust::notary::NotaryCollection;

use super::found::{description_key, signature_key};
use super::{Change, Collection, Memory, link_key, origin_key, resolution_key};
use crate::containerd::Sandbox;
use crate::store::StoreError;
use crate::store::codec::{self, Damage};
use crate::store::layout::{self, CollectionKey, Floors, Indexed, PolicyFiles};
use crate::store::sized::Sized;
use crate::store::table::Table;

impl Memory {
    /// Everything, as the file should hold it.
    pub(in crate::store) fn dump(&self) -> Result<Vec<Change>, StoreError> {
        let mut all = Vec::new();
        for collection in self.collections.values() {
            let key = CollectionKey::of(&collection.evidence.collection);
            let (artefact, bytes) =
                layout::artefact(&collection.evidence.collection).map_err(StoreError::encoding)?;
            let indexed = Indexed::new(&key, artefact, collection.evidence.collection.gathered_at);
            all.push(Change::put(Table::Artefacts, artefact.hex(), bytes));
            all.push(layout::put(Table::ArtefactIndex, &key, &indexed)?);
        }
        for (key, floors) in &self.floors {
            all.push(layout::put(
                Table::TufFloors,
                key,
                &Floors::new(key, floors.clone()),
            )?);
        }
        for resolution in self.resolutions.values() {
            all.push(layout::put(
                Table::Resolutions,
                &resolution_key(resolution),
                resolution,
            )?);
        }
        for link in self.links.values() {
            all.push(layout::put(Table::Links, &link_key(link), link)?);
        }
        for origin in self.origins.values() {
            all.push(layout::put(Table::Origins, &origin_key(origin), origin)?);
        }
        for set in self.signatures.values() {
            all.push(layout::put(Table::Signatures, &signature_key(set), set)?);
        }
        for answer in self.revocations.values() {
            all.push(layout::put(Table::Revocations, &answer.want, answer)?);
        }
        for one in self.descriptions.values() {
            all.push(layout::put(
                Table::Descriptions,
                &description_key(one),
                one,
            )?);
        }
        for sandbox in self.sandboxes.values() {
            all.push(layout::put(Table::Sandboxes, &sandbox.id, sandbox)?);
        }
        if let Some(time) = &self.last_time {
            all.push(layout::put(Table::LastTime, &"", time)?);
        }
        if let Some(files) = &self.policy {
            all.push(layout::put(
                Table::PolicyLastGood,
                &"",
                &PolicyFiles::of(files),
            )?);
        }
        Ok(all)
    }

    /// Takes what a file holds, oldest first, and returns the keys that do not count, with the reason.
    pub(in crate::store) fn load(&mut self, content: Content) -> Vec<(Table, String, Damage)> {
        let mut damaged = Vec::new();
        let mut rows = Rows {
            content,
            damaged: &mut damaged,
        };
        for (key, floors) in rows.take(Table::TufFloors, |floors: &Floors| floors.key()) {
            self.floors.insert(key, floors.memory);
        }
        let mut resolutions = rows.take(Table::Resolutions, resolution_key);
        resolutions.sort_by_key(|(_, it)| it.gathered_at);
        for (key, resolution) in resolutions {
            self.resolutions.put(key, resolution);
        }
        let mut origins = rows.take(Table::Origins, origin_key);
        origins.sort_by_key(|(_, it)| it.at);
        for (key, origin) in origins {
            self.origins.put(key, origin);
        }
        for (key, link) in rows.take(Table::Links, link_key) {
            self.links_by_root.insert((link.root, key));
            self.links.put(key, link);
        }
        let mut sets = rows.take(Table::Signatures, signature_key);
        sets.sort_by_key(|(_, it)| it.gathered_at);
        for (key, set) in sets {
            fill(&mut self.signatures, key, set);
        }
        let mut answers = rows.take(Table::Revocations, |it: &RevocationAnswer| it.want.clone());
        answers.sort_by_key(|(_, it)| it.gathered_at);
        for (key, answer) in answers {
            fill(&mut self.revocations, key, answer);
        }
        for (key, one) in rows.take(Table::Descriptions, description_key) {
            fill(&mut self.descriptions, key, one);
        }
        for (key, sandbox) in rows.take(Table::Sandboxes, |it: &Sandbox| it.id.clone()) {
            self.sandboxes.put(key, sandbox);
        }
        for (_, time) in rows.take(Table::LastTime, |_: &Timestamp| "") {
            self.last_time = Some(time);
            self.last_time_written = Some(time);
        }
        for (_, files) in rows.take(Table::PolicyLastGood, |_: &PolicyFiles| "") {
            match files.files() {
                Some(files) => self.policy = Some(files),
                None => rows.damage(
                    Table::PolicyLastGood,
                    layout::key_text(&""),
                    Damage::Undecodable,
                ),
            }
        }
        let mut indexed = rows.take(Table::ArtefactIndex, |it: &Indexed| it.key());
        indexed.sort_by_key(|(_, it)| it.gathered_at);
        for (key, index) in indexed {
            match rows.artefact(&index) {
                Some((collection, size)) => {
                    let memory = self.floors.get(&key).cloned().unwrap_or_default();
                    self.collections_bytes = self.collections_bytes.saturating_add(size);
                    let collection = Collection {
                        evidence: Arc::new(NotaryEvidence { collection, memory }),
                        artefact: index.artefact,
                        size,
                    };
                    self.collections.put(key, collection);
                }
                None => rows.damage(Table::ArtefactIndex, key.text(), Damage::Dangling),
            }
        }
        rows.leftovers();
        damaged
    }
}

/// Takes a record from the file; one for which there is no room was written by a build with larger caps.
fn fill<K: Ord + Clone, V: serde::Serialize>(records: &mut Sized<K, V>, key: K, record: V) {
    let size = serde_json::to_vec(&record).map_or(usize::MAX, |bytes| bytes.len());
    records.put(key, Arc::new(record), size);
}

/// What a file holds: per table, key and value.
pub(in crate::store) type Content = BTreeMap<Table, BTreeMap<String, Vec<u8>>>;

/// Takes records out of a file's content, sorting out what does not count.
struct Rows<'a> {
    content: Content,
    damaged: &'a mut Vec<(Table, String, Damage)>,
}

impl Rows<'_> {
    fn take<T, K>(&mut self, table: Table, key_of: impl Fn(&T) -> K) -> Vec<(K, T)>
    where
        T: serde::de::DeserializeOwned,
        K: serde::Serialize,
    {
        let mut out = Vec::new();
        for (key, value) in self.content.remove(&table).unwrap_or_default() {
            match codec::decode::<T>(table, &value) {
                Ok(record) => {
                    let own = key_of(&record);
                    if layout::key_text(&own) == key {
                        out.push((own, record));
                    } else {
                        self.damage(table, key, Damage::Misplaced);
                    }
                }
                Err(damage) => self.damage(table, key, damage),
            }
        }
        out
    }

    fn artefact(&mut self, index: &Indexed) -> Option<(NotaryCollection, usize)> {
        let bytes = self
            .content
            .get_mut(&Table::Artefacts)?
            .remove(&index.artefact.hex())?;
        let collection = layout::collection(&index.artefact, &bytes)?;
        (CollectionKey::of(&collection) == index.key()).then_some((collection, bytes.len()))
    }

    fn damage(&mut self, table: Table, key: String, damage: Damage) {
        self.damaged.push((table, key, damage));
    }

    /// Artefacts that nothing names.
    fn leftovers(&mut self) {
        for key in self
            .content
            .remove(&Table::Artefacts)
            .unwrap_or_default()
            .into_keys()
        {
            self.damaged.push((Table::Artefacts, key, Damage::Dangling));
        }
    }
}
