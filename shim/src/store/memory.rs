//! The whole store in memory: what every read is answered from, and what changes on disk each put asks for.

mod file_content;
mod found;
mod puts;
mod trust_data;

pub(super) use self::file_content::Content;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use portcullis_policy::Digest;
use portcullis_policy::load::SourceFile;
use portcullis_trust::Timestamp;
use portcullis_trust::evidence::{
    ImageDescription, NotaryEvidence, Origin, OriginSource, RevocationAnswer, RevocationWant,
    SignatureSet, SignatureSource,
};
use portcullis_trust::notary::NotaryMemory;

use super::layout::{self, CollectionKey};
use super::records::Records;
use super::sized::Sized;
use super::table::{Caps, Table};
use super::{Link, Resolution};
use crate::containerd::Sandbox;

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
type SignatureKey = (Digest, String, SignatureSource);
type DescriptionKey = (Digest, Digest);

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
    signatures: Sized<SignatureKey, SignatureSet>,
    revocations: Sized<RevocationWant, RevocationAnswer>,
    descriptions: Sized<DescriptionKey, ImageDescription>,
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
            signatures: Sized::new(caps.signatures, caps.all_found_bytes),
            revocations: Sized::new(caps.revocations, caps.all_found_bytes),
            descriptions: Sized::new(caps.descriptions, caps.all_found_bytes),
            sandboxes: Records::new(caps.sandboxes),
            last_time: None,
            last_time_written: None,
            policy: None,
            caps,
        }
    }

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
            (Table::Signatures.name(), self.signatures.len()),
            (Table::Revocations.name(), self.revocations.len()),
            (Table::Descriptions.name(), self.descriptions.len()),
            (Table::Sandboxes.name(), self.sandboxes.len()),
        ]
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
        let mut changes = self.forget_links(&gone);
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
            .signatures
            .mark(|(subject, ..), _| digests.contains(subject));
        changes.extend(removals(Table::Signatures, &gone));
        let gone = self
            .descriptions
            .mark(|(subject, _), _| digests.contains(subject));
        changes.extend(removals(Table::Descriptions, &gone));
        // No image names its CRLs: the oldest give way where the table is full.
        let gone = self.revocations.mark(|_, _| false);
        changes.extend(removals(Table::Revocations, &gone));
        let gone = self
            .collections
            .mark(|key, _| repositories.contains(&key.gun));
        self.forget_collections(gone, &mut changes);
        changes
    }

    fn forget_links(&mut self, gone: &[(LinkKey, Link)]) -> Vec<Change> {
        for (key, link) in gone {
            self.links_by_root.remove(&(link.root, *key));
        }
        removals(Table::Links, gone)
    }
}

fn removals<K: serde::Serialize, V>(table: Table, gone: &[(K, V)]) -> Vec<Change> {
    gone.iter()
        .map(|(key, _)| Change::remove(table, layout::key_text(key)))
        .collect()
}
