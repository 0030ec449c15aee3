//! The policy directory as one atomic set of files (docs/configuration.md).
//!
//! Either `..data` exists, as in a mounted `ConfigMap`, and the set is what the directory behind it holds; or the set is
//! the plain files, once they have rested. A set that changed while it was read is read again, so that no mixture of
//! two sets is ever seen.

mod list;

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use portcullis_policy::load::SourceFile;

use super::safe_file::{self, SafeFileError};
use crate::clock::Clock;

use list::{Entry, list};
pub(crate) use list::{files_unowned, folders, may_be_folder, unread_folders};

/// Most files in a set.
pub(super) const MAX_FILES: usize = 4096;
/// Most bytes in a set.
pub(super) const MAX_BYTES: u64 = 32 * 1024 * 1024;
/// How often a set that keeps changing is read again before it is reported.
const ATTEMPTS: usize = 10;

/// What the directory holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contents {
    /// It does not exist.
    Missing,
    /// Its policy files, in name order. May be empty.
    Files(Vec<SourceFile>),
}

/// Why the directory could not be read as a set. The text does not repeat [`ReadError::path`].
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system says no.
    #[error("cannot be read: {source}")]
    Io {
        /// Directory or file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file or the directory itself is not usable.
    #[error("{cause}")]
    Unsafe {
        /// Directory or file.
        path: PathBuf,
        /// What is wrong with it.
        cause: SafeFileError,
    },
    /// A name that is not UTF-8.
    #[error("the file name is not UTF-8")]
    Name {
        /// The file.
        path: PathBuf,
    },
    /// Too much.
    #[error("more than {limit} {what}")]
    TooMuch {
        /// The directory.
        path: PathBuf,
        /// The cap.
        limit: u64,
        /// `policy files`, `policy folders` or `bytes of policy files`.
        what: &'static str,
    },
    /// It did not rest long enough to be read.
    #[error("keeps changing while it is read")]
    Restless {
        /// The directory.
        path: PathBuf,
    },
}

impl ReadError {
    /// The path the error is about.
    pub fn path(&self) -> &Path {
        match self {
            Self::Io { path, .. }
            | Self::Unsafe { path, .. }
            | Self::Name { path }
            | Self::TooMuch { path, .. }
            | Self::Restless { path } => path,
        }
    }

    fn not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// Reads a policy directory.
#[derive(Debug, Clone)]
pub struct DirectoryReader {
    dir: PathBuf,
    quiet: Duration,
}

impl DirectoryReader {
    /// A reader of `dir`, whose plain files must rest for `quiet`.
    pub fn new(dir: impl Into<PathBuf>, quiet: Duration) -> Self {
        Self {
            dir: dir.into(),
            quiet,
        }
    }

    /// The directory read.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Reads the set. Waits for plain files that changed within the last two seconds; never longer than ten times the
    /// quiet time.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read(&self, clock: &dyn Clock) -> Result<Contents, ReadError> {
        let mut last = ReadError::Restless {
            path: self.dir.clone(),
        };
        for _ in 0..ATTEMPTS {
            match self.attempt(clock) {
                Ok(Some(contents)) => return Ok(contents),
                Ok(None) => {}
                // Something dangles: for ever, or between two steps of whoever replaces the set.
                Err(error) if error.not_found() => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    /// `None`: the set changed meanwhile.
    fn attempt(&self, clock: &dyn Clock) -> Result<Option<Contents>, ReadError> {
        let Some(set) = self.set_dir()? else {
            return Ok(Some(Contents::Missing));
        };
        let Some(before) = list(&set)? else {
            return Ok(None);
        };
        // The directory behind `..data` is complete before it gets its name; plain files may be half written.
        if set == self.dir && !rested(&before, clock) {
            std::thread::sleep(self.quiet);
            if list(&set)?.as_ref() != Some(&before) {
                return Ok(None);
            }
        }
        let Some(files) = read_all(&set, &before)? else {
            return Ok(None);
        };
        // kubelet flips `..data` before it removes the old directory: if the name still leads here, nothing of the
        // set was gone when it was listed.
        if self.set_dir()?.as_ref() != Some(&set) || list(&set)?.as_ref() != Some(&before) {
            return Ok(None);
        }
        Ok(Some(Contents::Files(files)))
    }

    /// The directory that holds the set, resolved once. `None`: there is none.
    fn set_dir(&self) -> Result<Option<PathBuf>, ReadError> {
        let metadata = match fs::metadata(&self.dir) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(io_error(&self.dir, source)),
        };
        check_dir(&self.dir, &metadata)?;
        let data = self.dir.join("..data");
        match fs::canonicalize(&data) {
            Ok(target) => {
                let metadata = fs::metadata(&target).map_err(|source| io_error(&target, source))?;
                check_dir(&target, &metadata)?;
                Ok(Some(target))
            }
            // A dangling `..data` is a broken mount, not a plain directory.
            Err(error) if error.kind() == io::ErrorKind::NotFound && data.is_symlink() => {
                Err(io_error(&data, error))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Some(self.dir.clone())),
            Err(source) => Err(io_error(&data, source)),
        }
    }
}

fn check_dir(path: &Path, metadata: &Metadata) -> Result<(), ReadError> {
    let refuse = |cause| ReadError::Unsafe {
        path: path.to_owned(),
        cause,
    };
    if !metadata.is_dir() {
        return Err(io_error(path, io::ErrorKind::NotADirectory.into()));
    }
    safe_file::check_owner(metadata).map_err(refuse)
}

/// Whether every file was left alone for at least a whole second, so that a start need not wait.
fn rested(entries: &[Entry], clock: &dyn Clock) -> bool {
    let now = clock.now().0;
    entries
        .iter()
        .all(|entry| now.saturating_sub(entry.changed.0) >= 2)
}

/// `None`: one vanished meanwhile.
fn read_all(dir: &Path, entries: &[Entry]) -> Result<Option<Vec<SourceFile>>, ReadError> {
    let mut left = MAX_BYTES;
    let mut files = Vec::with_capacity(entries.len());
    for entry in entries {
        let file = match safe_file::read(&entry.path, left) {
            Ok(file) => file,
            Err(SafeFileError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(SafeFileError::Io(source)) => return Err(io_error(&entry.path, source)),
            Err(SafeFileError::TooLarge { .. }) => {
                return Err(ReadError::TooMuch {
                    path: dir.to_owned(),
                    limit: MAX_BYTES,
                    what: "bytes of policy files",
                });
            }
            Err(cause) => {
                return Err(ReadError::Unsafe {
                    path: entry.path.clone(),
                    cause,
                });
            }
        };
        left = left.saturating_sub(u64::try_from(file.bytes.len()).unwrap_or(u64::MAX));
        files.push(SourceFile {
            name: entry.name.clone(),
            bytes: file.bytes,
            mode: Some(file.mode),
        });
    }
    Ok(Some(files))
}

fn io_error(path: &Path, source: io::Error) -> ReadError {
    ReadError::Io {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests;
