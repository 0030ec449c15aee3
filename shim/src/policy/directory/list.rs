//! Which files of a directory belong to the set.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::{MAX_FILES, ReadError, check_dir, io_error};

/// The one folder that is read: keys that documents name.
pub(crate) const KEYS: &str = "keys";
/// One file as the system describes it: if none of this changes, neither did the content (the change time cannot be
/// set by a program).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) path: PathBuf,
    pub(super) name: String,
    device: u64,
    inode: u64,
    size: u64,
    pub(super) changed: (i64, i64),
    pub(super) mode: u32,
}

/// The files of the set in name order. `None`: one vanished meanwhile.
pub(super) fn list(dir: &Path) -> Result<Option<Vec<Entry>>, ReadError> {
    let mut entries = Vec::new();
    if !list_into(dir, "", &mut entries)? {
        return Ok(None);
    }
    // Documents name their keys by file (`file: keys/shop.pub`); no other folder is read.
    let keys = dir.join(KEYS);
    match fs::metadata(&keys) {
        Ok(metadata) if metadata.is_dir() => {
            check_dir(&keys, &metadata)?;
            if !list_into(&keys, "keys/", &mut entries)? {
                return Ok(None);
            }
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(io_error(&keys, error));
        }
        _ => {}
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Some(entries))
}

/// Adds the files of one folder. `false`: one vanished meanwhile.
fn list_into(dir: &Path, prefix: &str, entries: &mut Vec<Entry>) -> Result<bool, ReadError> {
    let listing = match fs::read_dir(dir) {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(io_error(dir, source)),
    };
    for entry in listing {
        let entry = entry.map_err(|source| io_error(dir, source))?;
        let wanted = if prefix.is_empty() {
            is_policy_name(&entry.file_name())
        } else {
            is_key_name(&entry.file_name())
        };
        if !wanted {
            continue;
        }
        let path = entry.path();
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // A dangling link stays: whoever put it there meant a file.
                if path.is_symlink() {
                    return Err(io_error(&path, error));
                }
                return Ok(false);
            }
            Err(source) => return Err(io_error(&path, source)),
        };
        if metadata.is_dir() {
            continue;
        }
        let Ok(name) = entry.file_name().into_string() else {
            return Err(ReadError::Name { path });
        };
        if entries.len() == MAX_FILES {
            return Err(ReadError::TooMuch {
                path: dir.to_owned(),
                limit: MAX_FILES as u64,
                what: "policy files",
            });
        }
        entries.push(Entry {
            path,
            name: format!("{prefix}{name}"),
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            mode: metadata.mode(),
        });
    }
    Ok(true)
}

/// Documents (`*.yaml`, `*.yml`, `*.json`) and the keys they name (`*.pem`, `*.pub`, `*.crt`, which in a `ConfigMap` have
/// no folder). Dotfiles, among them editors' swap files, are not read.
pub(crate) fn is_policy_name(name: &OsStr) -> bool {
    visible_with(name, &["yaml", "yml", "json"]) || is_key_name(name)
}

/// Keys only.
pub(crate) fn is_key_name(name: &OsStr) -> bool {
    visible_with(name, &["pem", "pub", "crt"])
}

fn visible_with(name: &OsStr, extensions: &[&str]) -> bool {
    !name.as_encoded_bytes().starts_with(b".")
        && Path::new(name)
            .extension()
            .is_some_and(|found| extensions.iter().any(|wanted| found == *wanted))
}
