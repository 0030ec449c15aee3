//! What each value in the file looks like, beyond the records that are stored as they are.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use portcullis_policy::Digest;
use portcullis_policy::load::SourceFile;
use portcullis_trust::Timestamp;
use portcullis_trust::notary::{NotaryCollection, NotaryMemory};
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::codec;
use super::memory::Change;
use super::table::Table;

/// Which collection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct CollectionKey {
    pub(super) server: String,
    pub(super) gun: String,
}

impl CollectionKey {
    pub(super) fn new(server: &str, gun: &str) -> Self {
        Self {
            server: server.to_owned(),
            gun: gun.to_owned(),
        }
    }

    pub(super) fn of(collection: &NotaryCollection) -> Self {
        Self::new(&collection.server, &collection.gun)
    }

    pub(super) fn text(&self) -> String {
        key_text(self)
    }
}

/// Value of [`Table::ArtefactIndex`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Indexed {
    server: String,
    gun: String,
    pub(super) artefact: Digest,
    pub(super) gathered_at: Timestamp,
}

impl Indexed {
    pub(super) fn new(key: &CollectionKey, artefact: Digest, gathered_at: Timestamp) -> Self {
        Self {
            server: key.server.clone(),
            gun: key.gun.clone(),
            artefact,
            gathered_at,
        }
    }

    pub(super) fn key(&self) -> CollectionKey {
        CollectionKey::new(&self.server, &self.gun)
    }
}

/// Value of [`Table::TufFloors`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Floors {
    server: String,
    gun: String,
    pub(super) memory: NotaryMemory,
}

impl Floors {
    pub(super) fn new(key: &CollectionKey, memory: NotaryMemory) -> Self {
        Self {
            server: key.server.clone(),
            gun: key.gun.clone(),
            memory,
        }
    }

    pub(super) fn key(&self) -> CollectionKey {
        CollectionKey::new(&self.server, &self.gun)
    }
}

/// Value of [`Table::PolicyLastGood`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PolicyFiles(Vec<PolicyFile>);

#[derive(Debug, Serialize, Deserialize)]
struct PolicyFile {
    name: String,
    bytes: String,
    mode: Option<u32>,
}

impl PolicyFiles {
    pub(super) fn of(files: &[SourceFile]) -> Self {
        Self(
            files
                .iter()
                .map(|file| PolicyFile {
                    name: file.name.clone(),
                    bytes: BASE64.encode(&file.bytes),
                    mode: file.mode,
                })
                .collect(),
        )
    }

    pub(super) fn files(self) -> Option<Vec<SourceFile>> {
        self.0
            .into_iter()
            .map(|file| {
                Some(SourceFile {
                    name: file.name,
                    bytes: BASE64.decode(file.bytes).ok()?,
                    mode: file.mode,
                })
            })
            .collect()
    }
}

/// An artefact's value; its key is the SHA-256 of these bytes, so it carries no other sum.
#[derive(Serialize, Deserialize)]
struct Artefact<T> {
    v: u32,
    system: String,
    body: T,
}

const NOTARY: &str = "notary";

/// The artefact of a collection.
pub(super) fn artefact(
    collection: &NotaryCollection,
) -> Result<(Digest, Vec<u8>), serde_json::Error> {
    let bytes = serde_json::to_vec(&Artefact {
        v: 1,
        system: NOTARY.to_owned(),
        body: collection,
    })?;
    Ok((Digest::of(&bytes), bytes))
}

/// The collection in an artefact's bytes, if they hash to `digest`.
pub(super) fn collection(digest: &Digest, bytes: &[u8]) -> Option<NotaryCollection> {
    if Digest::of(bytes) != *digest {
        return None;
    }
    let artefact: Artefact<NotaryCollection> = serde_json::from_slice(bytes).ok()?;
    (artefact.v == 1 && artefact.system == NOTARY).then_some(artefact.body)
}

/// A key as text: JSON, so that no two keys share one.
pub(super) fn key_text<K: Serialize>(key: &K) -> String {
    // Keys are strings, digests and tuples of them, which always have a JSON form.
    serde_json::to_string(key).unwrap_or_default()
}

/// The change that stores `record`.
pub(super) fn put<K: Serialize, T: Serialize>(
    table: Table,
    key: &K,
    record: &T,
) -> Result<Change, StoreError> {
    Ok(Change {
        table,
        key: key_text(key),
        value: Some(codec::encode(table, record).map_err(StoreError::encoding)?),
    })
}
