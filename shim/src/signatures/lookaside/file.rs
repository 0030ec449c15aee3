//! A lookaside store in a directory of this node.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path};

use nix::fcntl::OFlag;

use super::super::found::Found;
use super::super::limits::{MAX_SIGNATURE, MAX_SIGNATURES};
use super::simple_signing;

/// The store cannot be read, which says nothing about what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

/// The signatures in the files `names` below `base`, until one is missing, at most `room` bytes. A store that does not exist
/// cannot have been read: it may be a volume that is not mounted.
pub(super) fn read_all(base: &Path, names: &[String], room: usize) -> Result<Found, Unreadable> {
    if !base.is_absolute() {
        return Err(Unreadable);
    }
    let base = base.canonicalize().map_err(|_| Unreadable)?;
    if !base.is_dir() {
        return Err(Unreadable);
    }
    let mut found = Found::default();
    let mut left = room;
    for (at, name) in names.iter().enumerate() {
        if at >= MAX_SIGNATURES {
            found.truncated = base.join(name).exists();
            break;
        }
        match read_one(&base, name, left.min(MAX_SIGNATURE))? {
            File::Missing => break,
            File::TooLarge => found.truncated = true,
            File::Read(bytes) => {
                left = left.saturating_sub(bytes.len());
                found.add(simple_signing(bytes));
            }
        }
    }
    Ok(found)
}

enum File {
    Missing,
    TooLarge,
    Read(Vec<u8>),
}

fn read_one(base: &Path, name: &str, cap: usize) -> Result<File, Unreadable> {
    let relative = Path::new(name);
    if !relative
        .components()
        .all(|component| matches!(component, Component::Normal(_)))
    {
        return Err(Unreadable);
    }
    // Links inside the store are its owner's business; one that leads out of it is not followed.
    let path = match base.join(relative).canonicalize() {
        Ok(path) => path,
        Err(error) if is_missing(&error) => return Ok(File::Missing),
        Err(_) => return Err(Unreadable),
    };
    if !path.starts_with(base) {
        return Err(Unreadable);
    }
    // Without O_NONBLOCK, opening a FIFO would wait for a writer for ever.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(&path)
        .map_err(|_| Unreadable)?;
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Err(Unreadable);
    }
    let limit = u64::try_from(cap).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|_| Unreadable)?;
    if bytes.len() > cap {
        return Ok(File::TooLarge);
    }
    Ok(File::Read(bytes))
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(of: &[&str]) -> Vec<String> {
        of.iter().map(|&name| name.to_owned()).collect()
    }

    fn count(base: &Path, of: &[&str]) -> Result<usize, Unreadable> {
        read_all(base, &names(of), usize::MAX).map(|found| found.artefacts.len())
    }

    #[test]
    fn nothing_outside_the_store_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let (store, secret) = (dir.path().join("store"), dir.path().join("secret"));
        std::fs::create_dir(&store).unwrap();
        std::fs::write(&secret, "secret").unwrap();
        symlink(&secret, store.join("link")).unwrap();
        symlink(dir.path(), store.join("folder")).unwrap();
        let absolute = secret.to_str().unwrap();
        for name in [
            "../secret",
            "link",
            "folder/secret",
            "a/../../secret",
            absolute,
        ] {
            assert_eq!(count(&store, &[name]), Err(Unreadable), "{name}");
        }
        std::fs::write(store.join("one"), "1").unwrap();
        symlink(store.join("one"), store.join("two")).unwrap();
        assert_eq!(count(&store, &["two"]), Ok(1));
    }

    #[test]
    fn a_store_that_is_not_there_has_not_said_that_there_is_no_signature() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(count(dir.path(), &["a@sha256=0/signature-1"]), Ok(0));
        let missing = dir.path().join("not-mounted");
        assert_eq!(count(&missing, &["a"]), Err(Unreadable));
        assert_eq!(count(Path::new("store"), &["a"]), Err(Unreadable));
    }

    #[test]
    fn a_pipe_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(count(dir.path(), &["pipe"]), Err(Unreadable));
    }

    #[test]
    fn files_beyond_the_caps_are_noticed_and_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let all: Vec<String> = (1..=MAX_SIGNATURES + 1)
            .map(|number| format!("signature-{number}"))
            .collect();
        for name in &all {
            std::fs::write(dir.path().join(name), name).unwrap();
        }
        let found = read_all(dir.path(), &all, usize::MAX).unwrap();
        assert_eq!(
            (found.artefacts.len(), found.truncated),
            (MAX_SIGNATURES, true)
        );
        let huge = std::fs::File::create(dir.path().join("signature-1")).unwrap();
        huge.set_len(u64::try_from(MAX_SIGNATURE).unwrap() + 1)
            .unwrap();
        let found = read_all(
            dir.path(),
            &names(&["signature-1", "signature-2"]),
            usize::MAX,
        );
        let found = found.unwrap();
        assert_eq!((found.artefacts.len(), found.truncated), (1, true));
    }
}
