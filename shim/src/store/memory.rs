//! The whole store in memory: what every read is answered from, and what changes on disk each put asks for.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use portcullis_policy::Digest;
use portcullis_policy::load::SourceFile;
use portcullis_trust::Timestamp;
use portcullis_trust::evidence::{NotaryEvidence, Origin, OriginSource};
use portcullis_trust::notary::NotaryMemory;

use super::codec::{self, Damage};
use super::layout::{self, CollectionKey, Floors, Indexed, PolicyFiles};
use super::records::{Put, Records};
use super::table::{Caps, Table};
use super::{Link, Resolution, StoreError};
use crate::containerd::Sandbox;

/// How far one put moves the recorded time at most, in seconds: a clock that is years ahead for a moment must not
/// make every later time look like a jump backwards.
const LAST_TIME_STEP: i64 = 24 * 60 * 60;

/// The recorded time goes to disk only when it moved this far, in seconds.
const LAST_TIME_GRAIN: i64 = 60;

/// One change of the file: `None` removes the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) table: Table,
    pub(super) key: String,
    pub(super) value: Option<Vec<u8>>,
}

impl Change {
    fn put(table: Table, key: String, value: Vec<u8>) -> Self {
        let value = Some(value);
        Self { table, key, value }
    }

    pub(super) fn remove(table: Table, key: String) -> Self {
        let value = None;
        Self { table, key, value }
    }
}

/// Trust data of a collection and the artefact it is stored as.
#[derive(Debug)]
struct Collection {
    evidence: Arc<NotaryEvidence>,
    artefact: Digest,
    size: usize,
}

type OriginKey = (Digest, String, &'static str);
type LinkKey = (Digest, Digest, Digest);
type ResolutionKey = (Option<String>, String);

/// The records.
#[derive(Debug)]
pub(super) struct Memory {
    caps: Caps,
    collections: Records<CollectionKey, Collection>,
    collections_bytes: usize,
    floors: BTreeMap<CollectionKey, NotaryMemory>,
    origins: Records<OriginKey, Origin>,
    /// By (config, root, manifest).
    links: Records<LinkKey, Link>,
    /// (root, key in `links`).
    links_by_root: BTreeSet<(Digest, LinkKey)>,
    resolutions: Records<ResolutionKey, Resolution>,
    sandboxes: Records<String, Sandbox>,
    last_time: Option<Timestamp>,
    last_time_written: Option<Timestamp>,
    policy: Option<Vec<SourceFile>>,
}

const fn source_name(source: OriginSource) -> &'static str {
    match source {
        OriginSource::Pull => "pull",
        OriginSource::Registry => "registry",
        OriginSource::Adopted => "adopted",
    }
}

fn origin_key(origin: &Origin) -> OriginKey {
    let source = source_name(origin.source);
    (origin.digest, origin.repository.clone(), source)
}

fn link_key(link: &Link) -> LinkKey {
    (link.config, link.root, link.manifest)
}

fn resolution_key(resolution: &Resolution) -> ResolutionKey {
    (resolution.namespace.clone(), resolution.reference.clone())
}

/// `domain/path` of a normalised reference.
fn repository(reference: &str) -> &str {
    let name = reference
        .split_once('@')
        .map_or(reference, |(name, _)| name);
    match name.rfind(':') {
        Some(colon) if !name[colon..].contains('/') => &name[..colon],
        _ => name,
    }
}

impl Memory {
    pub(super) fn new(caps: Caps) -> Self {
        Self {
            collections: Records::new(caps.artefacts),
            collections_bytes: 0,
            floors: BTreeMap::new(),
            origins: Records::new(caps.origins),
            links: Records::new(caps.links),
            links_by_root: BTreeSet::new(),
            resolutions: Records::new(caps.resolutions),
            sandboxes: Records::new(caps.sandboxes),
            last_time: None,
            last_time_written: None,
            policy: None,
            caps,
        }
    }

    // --- reads -----------------------------------------------------------------------------------------------

    pub(super) fn notary(&self, key: &CollectionKey) -> Option<Arc<NotaryEvidence>> {
        self.collections
            .get(key)
            .map(|collection| Arc::clone(&collection.evidence))
    }

    pub(super) fn notary_memory(&self, key: &CollectionKey) -> Option<NotaryMemory> {
        self.floors.get(key).cloned()
    }

    pub(super) fn origins(&self, digest: &Digest) -> Vec<Origin> {
        self.origins
            .from((*digest, String::new(), ""))
            .take_while(|((of, ..), _)| of == digest)
            .map(|(_, origin)| origin.clone())
            .collect()
    }

    pub(super) fn links_to(&self, config: &Digest) -> Vec<Link> {
        let least = Digest::from_bytes([0; 32]);
        self.links
            .from((*config, least, least))
            .take_while(|((of, ..), _)| of == config)
            .map(|(_, link)| link.clone())
            .collect()
    }

    pub(super) fn links_from(&self, root: &Digest) -> Vec<Link> {
        let least = Digest::from_bytes([0; 32]);
        self.links_by_root
            .range((*root, (least, least, least))..)
            .take_while(|(of, _)| of == root)
            .filter_map(|(_, key)| self.links.get(key).cloned())
            .collect()
    }

    pub(super) fn resolution(&self, key: &ResolutionKey) -> Option<Resolution> {
        self.resolutions.get(key).cloned()
    }

    pub(super) fn references_of(
        &self,
        namespace: Option<&str>,
        digest: &Digest,
    ) -> Vec<Resolution> {
        self.resolutions
            .from((namespace.map(str::to_owned), String::new()))
            .take_while(|((of, _), _)| of.as_deref() == namespace)
            .filter(|(_, resolution)| resolution.digest == *digest)
            .map(|(_, resolution)| resolution.clone())
            .collect()
    }

    pub(super) fn sandbox(&self, id: &str) -> Option<Sandbox> {
        self.sandboxes.get(&id.to_owned()).cloned()
    }

    pub(super) fn last_time(&self) -> Option<Timestamp> {
        self.last_time
    }

    pub(super) fn policy(&self) -> Option<Vec<SourceFile>> {
        self.policy.clone()
    }

    pub(super) fn counts(&self) -> Vec<(&'static str, usize)> {
        vec![
            (Table::Artefacts.name(), self.collections.len()),
            (Table::TufFloors.name(), self.floors.len()),
            (Table::Resolutions.name(), self.resolutions.len()),
            (Table::Links.name(), self.links.len()),
            (Table::Origins.name(), self.origins.len()),
            (Table::Sandboxes.name(), self.sandboxes.len()),
        ]
    }

    // --- puts ------------------------------------------------------------------------------------------------

    /// Takes trust data, unless it is older than what was believed before.
    pub(super) fn put_notary(
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

        // Floors hold even where the collection itself finds no room.
        self.floors.insert(key.clone(), memory.clone());
        changes.push(floors);
        if let Some(old) = self.collections.remove(&key) {
            self.forget_collections(vec![(key.clone(), old)], changes);
        }
        self.make_room(size, changes);
        let full = StoreError::Full {
            table: Table::Artefacts.name(),
        };
        if self.collections_bytes.saturating_add(size) > self.caps.artefacts_bytes {
            return Err(full);
        }
        let evidence = Arc::new(NotaryEvidence { collection, memory });
        let collection = Collection {
            evidence,
            artefact,
            size,
        };
        match self.collections.put(key, collection) {
            Put::Full => return Err(full),
            Put::Stored(gone) => self.forget_collections(gone, changes),
        }
        self.collections_bytes = self.collections_bytes.saturating_add(size);
        changes.push(Change::put(Table::Artefacts, artefact.hex(), bytes));
        changes.push(indexed);
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

    fn forget_collections(
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
    pub(super) fn forget_notary(&mut self, key: &CollectionKey) -> Vec<Change> {
        let mut changes = Vec::new();
        if let Some(collection) = self.collections.remove(key) {
            self.forget_collections(vec![(key.clone(), collection)], &mut changes);
        }
        if self.floors.remove(key).is_some() {
            changes.push(Change::remove(Table::TufFloors, key.text()));
        }
        changes
    }

    pub(super) fn put_origin(&mut self, origin: Origin) -> Result<Vec<Change>, StoreError> {
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

    pub(super) fn put_link(&mut self, link: Link) -> Result<Vec<Change>, StoreError> {
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
                let mut changes = self.forget_links(gone);
                changes.push(put);
                Ok(changes)
            }
        }
    }

    fn forget_links(&mut self, gone: Vec<(LinkKey, Link)>) -> Vec<Change> {
        for (key, link) in &gone {
            self.links_by_root.remove(&(link.root, *key));
        }
        removals(Table::Links, &gone)
    }

    pub(super) fn put_resolution(
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
    pub(super) fn put_sandbox(&mut self, sandbox: Sandbox) -> Result<Vec<Change>, StoreError> {
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

    pub(super) fn remove_sandbox(&mut self, id: &str) -> Vec<Change> {
        let key = id.to_owned();
        match self.sandboxes.remove(&key) {
            Some(_) => vec![Change::remove(Table::Sandboxes, layout::key_text(&key))],
            None => Vec::new(),
        }
    }

    /// Forgets every sandbox that does not exist any more.
    pub(super) fn retain_sandboxes(&mut self, existing: &HashSet<String>) -> Vec<Change> {
        let gone: Vec<String> = self
            .sandboxes
            .values()
            .filter(|sandbox| !existing.contains(&sandbox.id))
            .map(|sandbox| sandbox.id.clone())
            .collect();
        gone.iter().flat_map(|id| self.remove_sandbox(id)).collect()
    }

    pub(super) fn put_last_time(
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

    pub(super) fn put_policy(&mut self, files: Vec<SourceFile>) -> Result<Vec<Change>, StoreError> {
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

    pub(super) fn drop_policy(&mut self) -> Vec<Change> {
        self.policy = None;
        vec![Change::remove(Table::PolicyLastGood, layout::key_text(&""))]
    }

    /// Evicts, oldest first and only where a table is nearly full, what no live image leads to.
    pub(super) fn retain(&mut self, configs: &HashSet<Digest>) -> Vec<Change> {
        let mut digests: HashSet<Digest> = configs.clone();
        for link in self
            .links
            .values()
            .filter(|link| configs.contains(&link.config))
        {
            digests.insert(link.root);
            digests.insert(link.manifest);
        }
        let gone = self.links.mark(|_, link| configs.contains(&link.config));
        let mut changes = self.forget_links(gone);
        let mut repositories: HashSet<String> = HashSet::new();
        for origin in self
            .origins
            .values()
            .filter(|origin| digests.contains(&origin.digest))
        {
            repositories.insert(origin.repository.clone());
        }
        for resolution in self
            .resolutions
            .values()
            .filter(|it| digests.contains(&it.digest))
        {
            repositories.insert(repository(&resolution.reference).to_owned());
        }
        let gone = self
            .origins
            .mark(|_, origin| digests.contains(&origin.digest));
        changes.extend(removals(Table::Origins, &gone));
        let gone = self.resolutions.mark(|_, it| digests.contains(&it.digest));
        changes.extend(removals(Table::Resolutions, &gone));
        let gone = self
            .collections
            .mark(|key, _| repositories.contains(&key.gun));
        self.forget_collections(gone, &mut changes);
        changes
    }

    // --- the file --------------------------------------------------------------------------------------------

    /// Everything, as the file should hold it.
    pub(super) fn dump(&self) -> Result<Vec<Change>, StoreError> {
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
    pub(super) fn load(&mut self, content: Content) -> Vec<(Table, String, Damage)> {
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

/// What a file holds: per table, key and value.
pub(super) type Content = BTreeMap<Table, BTreeMap<String, Vec<u8>>>;

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

    fn artefact(
        &mut self,
        index: &Indexed,
    ) -> Option<(portcullis_trust::notary::NotaryCollection, usize)> {
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

fn removals<K: serde::Serialize, V>(table: Table, gone: &[(K, V)]) -> Vec<Change> {
    gone.iter()
        .map(|(key, _)| Change::remove(table, layout::key_text(key)))
        .collect()
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
