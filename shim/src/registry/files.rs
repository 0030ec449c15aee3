//! Files of the node that may change at any time: read with a bound, noticed when they change.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Largest configuration file that is read.
pub(crate) const MAX_FILE: u64 = 1024 * 1024;

/// What tells one state of a file from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    seconds: i64,
    nanoseconds: i64,
}

/// The state of a file or directory; `None`: it is not there or cannot be asked.
pub(crate) fn stamp(path: &Path) -> Option<Stamp> {
    let meta = std::fs::metadata(path).ok()?;
    Some(Stamp {
        device: meta.dev(),
        inode: meta.ino(),
        size: meta.size(),
        seconds: meta.mtime(),
        nanoseconds: meta.mtime_nsec(),
    })
}

/// A whole file of at most [`MAX_FILE`] bytes.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    File::open(path)?
        .take(MAX_FILE.saturating_add(1))
        .read_to_end(&mut out)?;
    if u64::try_from(out.len()).unwrap_or(u64::MAX) > MAX_FILE {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "larger than 1 MiB",
        ));
    }
    Ok(out)
}

/// A whole text file; a missing one is `None`.
pub(crate) fn read_text(path: &Path) -> io::Result<Option<String>> {
    match read(path) {
        Ok(bytes) => String::from_utf8(bytes)
            .map(Some)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The paths that a value was made from, as they were just before they were read.
#[derive(Debug, Default)]
pub(crate) struct Trace(Vec<(PathBuf, Option<Stamp>)>);

impl Trace {
    /// Remembers the state of `path`. Call it before reading, so that a change in between is noticed.
    pub(crate) fn note(&mut self, path: &Path) -> Option<Stamp> {
        let stamp = stamp(path);
        self.0.push((path.to_owned(), stamp));
        stamp
    }
}

/// A value made from files, good until one of them changes.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot<T> {
    /// The value.
    pub value: Arc<T>,
    trace: Arc<Trace>,
}

impl<T> Snapshot<T> {
    /// Runs `make`, which must [`Trace::note`] every path it looks at.
    pub(crate) fn make(make: impl FnOnce(&mut Trace) -> T) -> Self {
        let mut trace = Trace::default();
        let value = Arc::new(make(&mut trace));
        Self {
            value,
            trace: Arc::new(trace),
        }
    }

    /// Whether every path is as it was.
    pub(crate) fn is_current(&self) -> bool {
        self.trace.0.iter().all(|(path, then)| stamp(path) == *then)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_notices_change_removal_and_appearance() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let snapshot = || {
            Snapshot::make(|trace| {
                trace.note(&path);
            })
        };
        let before = snapshot();
        assert!(before.is_current());
        std::fs::write(&path, "1").unwrap();
        assert!(!before.is_current());
        let before = snapshot();
        // As rotation does it: a new file takes the name.
        let new = dir.path().join("new");
        std::fs::write(&new, "2").unwrap();
        std::fs::rename(&new, &path).unwrap();
        assert!(!before.is_current());
        let before = snapshot();
        std::fs::remove_file(&path).unwrap();
        assert!(!before.is_current());
    }

    #[test]
    fn an_endless_file_is_refused() {
        assert!(read(Path::new("/dev/zero")).is_err());
    }
}
