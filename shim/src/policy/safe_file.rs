//! Reading a file that decides about trust: bounded, regular, and written by nobody but its owner.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub enum SafeFileError {
    /// The system says no.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A directory, device or FIFO.
    #[error("is not a regular file")]
    NotRegular,
    /// It belongs to somebody else.
    #[error(
        "belongs to user {uid}, who could change it: it must belong to root (chown root:root it)"
    )]
    Owner {
        /// Its owner.
        uid: u32,
    },
    /// Somebody else may write it.
    #[error("may be written by others (mode {mode:04o}): chmod go-w it")]
    Writable {
        /// Permission bits.
        mode: u32,
    },
    /// Larger than the cap.
    #[error("is larger than {limit} bytes")]
    TooLarge {
        /// The cap.
        limit: u64,
    },
}

/// A file that was read.
#[derive(Debug)]
pub struct SafeFile {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Permission bits.
    pub mode: u32,
}

/// Reads at most `limit` bytes. Ownership is checked on the opened file, so that it cannot be exchanged in between;
/// symbolic links are followed, because a mounted `ConfigMap` consists of them.
///
/// # Errors
/// [`SafeFileError`].
pub fn read(path: &Path, limit: u64) -> Result<SafeFile, SafeFileError> {
    let (file, metadata) = open(path)?;
    check_owner(&metadata)?;
    read_bounded(file, limit, &metadata)
}

/// [`read`] for commands that only look: it does not matter who owns the file.
///
/// # Errors
/// [`SafeFileError`].
pub fn read_unowned(path: &Path, limit: u64) -> Result<SafeFile, SafeFileError> {
    let (file, metadata) = open(path)?;
    read_bounded(file, limit, &metadata)
}

fn open(path: &Path) -> Result<(File, Metadata), SafeFileError> {
    // Without O_NONBLOCK, opening a FIFO would wait for a writer for ever.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits())
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(SafeFileError::NotRegular);
    }
    Ok((file, metadata))
}

/// Whether only root (or the user this runs as, for use without a node) can change what `metadata` describes.
///
/// # Errors
/// [`SafeFileError::Owner`], [`SafeFileError::Writable`].
pub fn check_owner(metadata: &Metadata) -> Result<(), SafeFileError> {
    check(
        metadata.uid(),
        metadata.gid(),
        metadata.mode(),
        nix::unistd::geteuid().as_raw(),
        nix::unistd::getegid().as_raw(),
    )
}

fn check(
    uid: u32,
    gid: u32,
    mode: u32,
    own_user: u32,
    own_group: u32,
) -> Result<(), SafeFileError> {
    if uid != 0 && uid != own_user {
        return Err(SafeFileError::Owner { uid });
    }
    let strange_group = gid != 0 && gid != own_group;
    if mode & 0o002 != 0 || (mode & 0o020 != 0 && strange_group) {
        return Err(SafeFileError::Writable {
            mode: mode & 0o7777,
        });
    }
    Ok(())
}

fn read_bounded(file: File, limit: u64, metadata: &Metadata) -> Result<SafeFile, SafeFileError> {
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(SafeFileError::TooLarge { limit });
    }
    Ok(SafeFile {
        bytes,
        mode: metadata.mode() & 0o7777,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_others_could_have_written_is_refused() {
        for (uid, gid, mode, accepted) in [
            (0, 0, 0o644, true),
            (0, 0, 0o600, true),
            (0, 0, 0o664, true),
            (0, 7, 0o640, true),
            (0, 7, 0o660, false),
            (0, 0, 0o666, false),
            (0, 0, 0o602, false),
            (7, 0, 0o600, false),
        ] {
            assert_eq!(
                check(uid, gid, mode, 0, 0).is_ok(),
                accepted,
                "{uid}:{gid} {mode:o}"
            );
        }
        assert!(
            check(7, 7, 0o664, 7, 7).is_ok(),
            "one's own, away from a node"
        );
        assert!(check(8, 7, 0o600, 7, 7).is_err());
    }

    #[test]
    fn a_fifo_does_not_hang_the_reader() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert!(matches!(read(&path, 10), Err(SafeFileError::NotRegular)));
    }

    #[test]
    fn the_cap_holds_to_the_byte() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, b"12345").unwrap();
        assert_eq!(read(&path, 5).unwrap().bytes, b"12345");
        assert!(matches!(
            read(&path, 4),
            Err(SafeFileError::TooLarge { limit: 4 })
        ));
    }
}
