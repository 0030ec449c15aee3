//! The evidence store: redb, values in versioned JSON, crash safe. Verdicts are never stored (docs/rules.md rule 7).
//!
//! Reads are answered from memory, so that a create needs no disk (rule 15); writes go to memory first and to the
//! file by one writer thread behind a bounded queue.

mod codec;
mod error;
mod file;
mod found;
mod health;
mod layout;
mod memory;
mod records;
mod sized;
mod table;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use portcullis_policy::Digest;
use portcullis_policy::load::SourceFile;
use portcullis_trust::Timestamp;
use portcullis_trust::evidence::{NotaryEvidence, Origin};
use portcullis_trust::notary::NotaryMemory;

pub use self::error::StoreError;
pub use self::health::StoreHealth;

use self::file::Failure;
use self::layout::CollectionKey;
use self::memory::{Change, Memory};
use self::table::Caps;
use self::writer::Writer;
use crate::containerd::Sandbox;

/// What proves that a root digest ends in an image ID, from bytes hashed here (docs/rules.md rule 3).
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Link {
    /// What a reference names: digest of an index, or of a manifest.
    pub root: Digest,
    /// Platform manifest; equal to `root` where that is no index.
    pub manifest: Digest,
    /// Config digest: the image ID.
    pub config: Digest,
    /// Chain ID of the config's diff IDs (OCI image-spec, "Layer ChainID"): the snapshot a container runs on.
    pub chain_id: Digest,
    /// The config's `User`, for the swap of docs/rules.md.
    pub user: String,
}

/// Where a tag's meaning came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResolutionSource {
    /// The registry's answer.
    Registry,
    /// A signed tag binding.
    Notary,
    /// The digest stood in the reference.
    Reference,
    /// An image already on the node, whose origin was confirmed.
    Cached,
}

/// The digest that the gate accepted for a reference in a namespace.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Resolution {
    /// Namespace; `None`: calls without a pod.
    pub namespace: Option<String>,
    /// Normalised reference.
    pub reference: String,
    /// The digest accepted.
    pub digest: Digest,
    /// Where its meaning came from.
    pub source: ResolutionSource,
    /// When.
    pub gathered_at: Timestamp,
}

#[derive(Debug)]
struct Inner {
    memory: Arc<RwLock<Memory>>,
    /// `None`: in memory only.
    writer: Option<Writer>,
    refused: AtomicU64,
    damaged_records: usize,
    set_aside: Option<String>,
    path: String,
}

/// How long a durable put waits for the disk; memory has the value from the start.
const DURABLE: Duration = Duration::from_secs(5);

/// The store. Cheap to clone. When the last clone is dropped, what is pending is written (at most 2 s).
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

impl Store {
    /// Opens the store in `dir`, setting a damaged file aside as `evidence.redb.damaged-<n>` and starting empty. Where
    /// the file can be read but the disk takes no more bytes, the store works from memory and [`Store::health`] says so.
    ///
    /// # Errors
    /// [`StoreError::Busy`] if another process has it open, [`StoreError::Io`] for the disk and permissions: neither
    /// is damage, and the file stays where it is.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Self::open_with(dir, Caps::default())
    }

    fn open_with(dir: &Path, caps: Caps) -> Result<Self, StoreError> {
        let path = file::path_in(dir).map_err(|error| Failure::from(error).for_path(dir))?;
        let (content, database, set_aside) = match file::open(&path) {
            Ok(opened) => (opened.content, Some(opened.database), opened.set_aside),
            // A full disk must not keep a node from starting: what is there is read, and written once there is room.
            Err(Failure::Unwritable(cause)) => match file::read_only(&path) {
                Ok(content) => (content, None, None),
                Err(_) => return Err(Failure::Unwritable(cause).for_path(&path)),
            },
            Err(failure) => return Err(failure.for_path(&path)),
        };
        if database.is_none() {
            tracing::error!(path = %path.display(), "the evidence store cannot be written: the disk is full or read-only");
        }
        let set_aside = set_aside.map(|(place, cause)| {
            tracing::error!(place = %place.display(), cause, "the evidence store was damaged and set aside; evidence is gathered again");
            place.display().to_string()
        });
        let mut memory = Memory::new(caps);
        let damaged = memory.load(content);
        let memory = Arc::new(RwLock::new(memory));
        let writer = Writer::start(path.clone(), Arc::clone(&memory), database)
            .map_err(|error| Failure::Io(error.into()).for_path(&path))?;
        let damaged_records = damaged.len();
        for (table, key, damage) in damaged {
            tracing::warn!(table = table.name(), key, %damage, "a record of the evidence store was dropped");
            writer.add(vec![Change::remove(table, key)]);
        }
        Ok(Self {
            inner: Arc::new(Inner {
                memory,
                writer: Some(writer),
                refused: AtomicU64::new(0),
                damaged_records,
                set_aside,
                path: path.display().to_string(),
            }),
        })
    }

    /// A store in memory only: for `check --local` and tests.
    pub fn in_memory() -> Self {
        Self {
            inner: Arc::new(Inner {
                memory: Arc::new(RwLock::new(Memory::new(Caps::default()))),
                writer: None,
                refused: AtomicU64::new(0),
                damaged_records: 0,
                set_aside: None,
                path: "(memory)".to_owned(),
            }),
        }
    }

    fn memory(&self) -> RwLockReadGuard<'_, Memory> {
        self.inner
            .memory
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes memory and hands what follows for the file to the writer, in the same order for both.
    fn change<T>(&self, put: impl FnOnce(&mut Memory, &mut Vec<Change>) -> T) -> T {
        let mut changes = Vec::new();
        let mut memory = self
            .inner
            .memory
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let out = put(&mut memory, &mut changes);
        if let Some(writer) = &self.inner.writer {
            writer.add(changes);
        }
        out
    }

    /// A put whose failure is counted and logged, because no caller could do better.
    fn note(&self, put: impl FnOnce(&mut Memory) -> Result<Vec<Change>, StoreError>) {
        let result =
            self.change(|memory, changes| put(memory).map(|mut new| changes.append(&mut new)));
        if let Err(error) = result {
            self.inner.refused.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%error, "a record was not stored");
        }
    }

    async fn durable(&self) -> Result<(), StoreError> {
        let Some(writer) = &self.inner.writer else {
            return Ok(());
        };
        let outcome = match tokio::time::timeout(DURABLE, writer.written()).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err("the writer has stopped"),
            Err(_) => Err("the disk did not answer in time"),
        };
        outcome.map_err(|cause| StoreError::Io {
            path: self.inner.path.clone(),
            source: cause.into(),
        })
    }

    /// The trust data of a collection.
    pub fn notary(&self, server: &str, gun: &str) -> Option<Arc<NotaryEvidence>> {
        self.memory().notary(&CollectionKey::new(server, gun))
    }

    /// Floors and first root of a collection. They outlive the collection itself, which may be evicted.
    pub fn notary_memory(&self, server: &str, gun: &str) -> Option<NotaryMemory> {
        self.memory()
            .notary_memory(&CollectionKey::new(server, gun))
    }

    /// Replaces the trust data of a collection. Durable before it returns: rollback floors must survive a crash.
    /// Floors only rise: a role that `evidence` does not name keeps its own.
    ///
    /// # Errors
    /// [`StoreError::Io`] if it did not reach the disk within 5 s: memory has it, and writing is tried again.
    /// Otherwise nothing was changed, and what was stored before is still there.
    pub async fn put_notary(&self, evidence: NotaryEvidence) -> Result<(), StoreError> {
        let result = self.change(|memory, changes| memory.put_notary(evidence, changes));
        if matches!(
            result,
            Err(StoreError::Full { .. } | StoreError::TooLarge { .. })
        ) {
            self.inner.refused.fetch_add(1, Ordering::Relaxed);
        }
        result?;
        self.durable().await
    }

    /// Forgets a collection with its floors and first root: an operator's explicit step, never the gate's.
    pub async fn forget_notary(&self, server: &str, gun: &str) -> Result<(), StoreError> {
        let key = CollectionKey::new(server, gun);
        self.change(|memory, changes| *changes = memory.forget_notary(&key));
        self.durable().await
    }

    /// Origins of a digest.
    pub fn origins(&self, digest: &Digest) -> Vec<Origin> {
        self.memory().origins(digest)
    }

    /// Adds an origin. One with the same repository and source is replaced if it is older.
    pub fn put_origin(&self, origin: Origin) {
        self.note(|memory| memory.put_origin(origin));
    }

    /// Links that end in an image ID.
    pub fn links_to(&self, config: &Digest) -> Vec<Link> {
        self.memory().links_to(config)
    }

    /// Links that begin at a root digest (several platforms of one index).
    pub fn links_from(&self, root: &Digest) -> Vec<Link> {
        self.memory().links_from(root)
    }

    /// Adds a link.
    pub fn put_link(&self, link: Link) {
        self.note(|memory| memory.put_link(link));
    }

    /// The digest accepted for a reference in a namespace.
    pub fn resolution(&self, namespace: Option<&str>, reference: &str) -> Option<Resolution> {
        let key = (namespace.map(str::to_owned), reference.to_owned());
        self.memory().resolution(&key)
    }

    /// Every reference accepted in a namespace for a digest.
    pub fn references_of(&self, namespace: Option<&str>, digest: &Digest) -> Vec<Resolution> {
        self.memory().references_of(namespace, digest)
    }

    /// Remembers an accepted digest.
    pub fn put_resolution(&self, resolution: Resolution) {
        self.note(|memory| memory.put_resolution(resolution));
    }

    /// A sandbox as recorded when it was created.
    pub fn sandbox(&self, id: &str) -> Option<Sandbox> {
        self.memory().sandbox(id)
    }

    /// Records a sandbox. A full table loses its oldest one.
    pub fn put_sandbox(&self, sandbox: Sandbox) {
        self.note(|memory| memory.put_sandbox(sandbox));
    }

    /// Forgets a sandbox.
    pub fn remove_sandbox(&self, id: &str) {
        self.change(|memory, changes| *changes = memory.remove_sandbox(id));
    }

    /// Forgets every sandbox that is not among the existing ones: for the start, when removals may have been missed.
    pub fn retain_sandboxes(&self, existing: &HashSet<String>) {
        self.change(|memory, changes| *changes = memory.retain_sandboxes(existing));
    }

    /// Tells the store which image IDs CRI knows. Records that lead to none of them may be evicted, oldest first and
    /// only from tables that are more than three quarters full; floors never are. What was put since the previous
    /// call is spared, because the caller's list may be older.
    pub fn retain(&self, live_configs: &HashSet<Digest>) {
        self.change(|memory, changes| *changes = memory.retain(live_configs));
    }

    /// Waits until everything put so far is on disk, or failed to get there (at most 5 s).
    pub async fn flush(&self) -> Result<(), StoreError> {
        self.durable().await
    }

    /// Numbers for `status`: (table, records).
    pub fn counts(&self) -> Vec<(&'static str, usize)> {
        self.memory().counts()
    }

    /// How the store fares.
    pub fn health(&self) -> StoreHealth {
        let writer = self.inner.writer.as_ref().map(Writer::health);
        let numbers = writer.unwrap_or_default();
        StoreHealth {
            durable: writer.is_some(),
            pending: numbers.pending,
            failed: numbers.failed,
            last_error: numbers.last_error,
            refused: self.inner.refused.load(Ordering::Relaxed),
            damaged_records: self.inner.damaged_records,
            set_aside: self.inner.set_aside.clone(),
        }
    }

    /// The latest time recorded (advances in bounded steps), to notice a clock that jumped backwards.
    pub fn last_time(&self) -> Option<Timestamp> {
        self.memory().last_time()
    }

    /// Records the time: it never goes back, and forward by at most a day per call.
    pub fn put_last_time(&self, now: Timestamp) {
        self.note(|memory| memory.put_last_time(now, false));
    }

    /// Sets the recorded time, also backwards: an operator's explicit step after a clock was wrong.
    pub async fn reset_last_time(&self, now: Timestamp) -> Result<(), StoreError> {
        self.note(|memory| memory.put_last_time(now, true));
        self.durable().await
    }

    /// The files of the last policy set that was in force.
    pub fn policy_last_good(&self) -> Option<Vec<SourceFile>> {
        self.memory().policy()
    }

    /// Keeps the files of a policy set that took force. Durable before it returns.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] above 32 MiB; [`StoreError::Io`] as for [`Store::put_notary`].
    pub async fn put_policy_last_good(&self, files: Vec<SourceFile>) -> Result<(), StoreError> {
        self.change(|memory, changes| {
            memory
                .put_policy(files)
                .map(|mut new| changes.append(&mut new))
        })?;
        self.durable().await
    }

    /// Drops the last good policy set: an operator's explicit step (`policy reset`).
    pub async fn drop_policy_last_good(&self) -> Result<(), StoreError> {
        self.change(|memory, changes| *changes = memory.drop_policy());
        self.durable().await
    }
}
