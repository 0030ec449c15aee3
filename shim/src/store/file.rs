//! The file: opened, read whole, written in transactions, and set aside when it is damaged.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use redb::backends::InMemoryBackend;
use redb::{
    Database, DatabaseError, ReadableDatabase as _, ReadableTable as _, StorageBackend as _,
    StorageError, TableHandle as _,
};

use super::StoreError;
use super::memory::{Change, Content};
use super::table::Table;

/// Name of the file in the state directory.
const NAME: &str = "evidence.redb";

/// Damaged files kept; when there are more, the latest takes the last place.
const SET_ASIDE: u32 = 5;

/// Page cache of redb in bytes. Reads come from memory, so it serves the writer alone.
const CACHE: usize = 1024 * 1024;

/// Largest file in bytes that is read into memory where it cannot be written: twice what the tables may hold.
const MAX_COPY: u64 = 1024 * 1024 * 1024;

/// [`Failure::Unwritable`] as a fixed word.
pub(super) const UNWRITABLE: &str = "disk full or read-only";

type Cause = Box<dyn Error + Send + Sync>;

/// Why the file cannot be used.
#[derive(Debug)]
pub(super) enum Failure {
    /// Locked by another process.
    Busy,
    /// The disk or the permissions.
    Io(Cause),
    /// The file system takes no more bytes: full, over quota, or read-only.
    Unwritable(Cause),
    /// Its content.
    Damaged(String),
}

impl Failure {
    /// A fixed word for health and metrics.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Busy => "in use by another process",
            Self::Io(_) => "input/output error",
            Self::Unwritable(_) => UNWRITABLE,
            Self::Damaged(_) => "damaged",
        }
    }

    pub(super) fn for_path(self, path: &Path) -> StoreError {
        let path = path.display().to_string();
        match self {
            Self::Busy => StoreError::Busy { path },
            Self::Io(source) | Self::Unwritable(source) => StoreError::Io { path, source },
            Self::Damaged(text) => StoreError::Io {
                path,
                source: text.into(),
            },
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // A file shorter than its own header says, or with offsets that no file has.
            ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::InvalidInput => {
                Self::Damaged(error.to_string())
            }
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::ReadOnlyFilesystem => {
                Self::Unwritable(error.into())
            }
            _ => Self::Io(error.into()),
        }
    }
}

impl From<redb::Error> for Failure {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::DatabaseAlreadyOpen => Self::Busy,
            redb::Error::Io(error) => error.into(),
            redb::Error::Corrupted(_)
            | redb::Error::UpgradeRequired(_)
            | redb::Error::RepairAborted
            | redb::Error::TableTypeMismatch { .. }
            | redb::Error::TableIsMultimap(_)
            | redb::Error::TypeDefinitionChanged { .. } => Self::Damaged(error.to_string()),
            other => Self::Io(other.into()),
        }
    }
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        redb::Error::from(error).into()
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        redb::Error::from(error).into()
    }
}

/// The file in a state directory, which is made if it is missing and closed to others.
pub(super) fn path_in(dir: &Path) -> io::Result<PathBuf> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    restrict(dir, 0o700)?;
    Ok(dir.join(NAME))
}

fn restrict(path: &Path, mode: u32) -> io::Result<()> {
    let permissions = fs::metadata(path)?.permissions();
    if permissions.mode() & 0o777 & !mode != 0 {
        fs::set_permissions(path, Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// What opening gave.
pub(super) struct Opened {
    pub(super) database: Database,
    pub(super) content: Content,
    /// Where a damaged file went, and what was wrong with it.
    pub(super) set_aside: Option<(PathBuf, String)>,
}

/// Opens the file; a damaged one is set aside and a new one begun.
pub(super) fn open(path: &Path) -> Result<Opened, Failure> {
    match guarded(|| open_once(path)) {
        Ok((database, content)) => Ok(Opened {
            database,
            content,
            set_aside: None,
        }),
        Err(Failure::Damaged(text)) => {
            let place = set_aside(path)?;
            let (database, content) = guarded(|| open_once(path))?;
            Ok(Opened {
                database,
                content,
                set_aside: Some((place, text)),
            })
        }
        Err(other) => Err(other),
    }
}

fn open_once(path: &Path) -> Result<(Database, Content), Failure> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(Failure::Io("not a regular file".into()));
    }
    restrict(path, 0o600)?;
    let mut database = Database::builder()
        .set_cache_size(CACHE)
        .create_file(file)?;
    // A file that was closed cleanly is otherwise read without looking at its checksums.
    if !database.check_integrity()? {
        tracing::warn!(path = %path.display(), "the evidence store was repaired");
    }
    let content = read(&database)?;
    Ok((database, content))
}

/// What the file at `path` holds, read without writing to it: for a disk that takes no more. A repair, if the file
/// needs one, happens in a copy in memory.
pub(super) fn read_only(path: &Path) -> Result<Content, Failure> {
    guarded(|| {
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_NOFOLLOW.bits())
            .open(path)?;
        let size = file.metadata()?.len();
        if !file.metadata()?.is_file() || size > MAX_COPY {
            return Err(Failure::Io("not a regular file of a size to read".into()));
        }
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut io::Read::take(&mut file, MAX_COPY), &mut bytes)?;
        let copy = InMemoryBackend::new();
        copy.set_len(u64::try_from(bytes.len()).unwrap_or(0))?;
        copy.write(0, &bytes)?;
        drop(bytes);
        let mut database = Database::builder()
            .set_cache_size(CACHE)
            .create_with_backend(copy)?;
        database.check_integrity()?;
        read(&database)
    })
}

fn read(database: &Database) -> Result<Content, Failure> {
    let transaction = database.begin_read().map_err(redb::Error::from)?;
    let mut content = Content::new();
    for handle in transaction.list_tables()? {
        let Some(table) = Table::named(handle.name()) else {
            continue;
        };
        let rows = transaction
            .open_table(table.definition())
            .map_err(redb::Error::from)?;
        let mut records = BTreeMap::new();
        for row in rows.iter()? {
            let (key, value) = row?;
            records.insert(key.value().to_owned(), value.value().to_vec());
        }
        content.insert(table, records);
    }
    Ok(content)
}

/// Applies changes in one durable transaction.
pub(super) fn apply(database: &Database, changes: &[Change]) -> Result<(), Failure> {
    guarded(|| {
        let transaction = database.begin_write().map_err(redb::Error::from)?;
        for change in changes {
            let mut table = transaction
                .open_table(change.table.definition())
                .map_err(redb::Error::from)?;
            match &change.value {
                Some(value) => table.insert(change.key.as_str(), value.as_slice())?,
                None => table.remove(change.key.as_str())?,
            };
        }
        transaction.commit().map_err(redb::Error::from)?;
        Ok(())
    })
}

/// Makes the file hold exactly `all`, in one durable transaction.
pub(super) fn rewrite(database: &Database, all: &[Change]) -> Result<(), Failure> {
    let content = guarded(|| read(database))?;
    let wanted: BTreeSet<(Table, &str)> = all
        .iter()
        .map(|change| (change.table, change.key.as_str()))
        .collect();
    let mut changes: Vec<Change> = content
        .iter()
        .flat_map(|(table, rows)| rows.keys().map(|key| (*table, key)))
        .filter(|(table, key)| !wanted.contains(&(*table, key.as_str())))
        .map(|(table, key)| Change::remove(table, key.clone()))
        .collect();
    changes.extend(
        all.iter()
            .filter(|change| {
                let stored = content
                    .get(&change.table)
                    .and_then(|rows| rows.get(&change.key));
                stored != change.value.as_ref()
            })
            .cloned(),
    );
    apply(database, &changes)
}

/// Runs `work`, taking a panic inside redb (its assertions on a corrupt file) for damage.
fn guarded<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Failure::Damaged("redb gave up on it".to_owned())))
}

/// Closes the database, whatever state it is in.
pub(super) fn close(database: Database) {
    let _ = catch_unwind(AssertUnwindSafe(move || drop(database)));
}

fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let place = |n: u32| path.with_file_name(format!("{NAME}.damaged-{n}"));
    let free = (1..SET_ASIDE)
        .map(place)
        .find(|place| fs::symlink_metadata(place).is_err_and(|e| e.kind() == ErrorKind::NotFound));
    let place = free.unwrap_or_else(|| place(SET_ASIDE));
    fs::rename(path, &place)?;
    if let Some(dir) = path.parent() {
        File::open(dir)?.sync_all()?;
    }
    Ok(place)
}
