//! Which files of a directory belong to the set.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::{MAX_FILES, ReadError, check_dir, io_error};

/// Most folders in a set.
const MAX_FOLDERS: usize = 256;

/// Documents.
const DOCUMENTS: [&str; 3] = ["yaml", "yml", "json"];
/// Keys beside documents.
const KEYS: [&str; 6] = ["pem", "pub", "crt", "cer", "asc", "gpg"];
/// What `keys/` may hold beside those.
const MORE_KEYS: [&str; 2] = ["json", "der"];
/// Certificates of notation's trust stores.
const CERTIFICATES: [&str; 4] = ["crt", "cer", "pem", "der"];
/// How a `ConfigMap`, which has no folders, begins the names of files that belong into one.
const SPELT_FOLDERS: [&str; 3] = ["keys__", "containers__", "notation__"];

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

/// What a folder of the set holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Folder {
    /// The policy directory itself.
    Top,
    /// Keys that documents name.
    Keys,
    /// policy.json, one per namespace, and keys under any name.
    Containers,
    /// Where signatures are kept.
    RegistriesD,
    /// trustpolicy.json.
    Notation,
    /// A trust store, or a folder on the way to one.
    TrustStore,
}

impl Folder {
    /// The folder of this name relative to the policy directory; `None`: it is not read.
    fn of(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.split('/').collect();
        match parts.as_slice() {
            [""] => Some(Self::Top),
            ["keys"] => Some(Self::Keys),
            ["containers"] => Some(Self::Containers),
            ["containers", "registries.d"] => Some(Self::RegistriesD),
            ["notation"] => Some(Self::Notation),
            ["notation", "x509"] | ["notation", "x509", _] | ["notation", "x509", _, _] => {
                Some(Self::TrustStore)
            }
            _ => None,
        }
    }

    /// Whether a file of this name belongs to the set. Dotfiles, among them editors' swap files, never do.
    fn holds(self, name: &OsStr) -> bool {
        if !is_visible(name) {
            return false;
        }
        let text = name.to_string_lossy();
        let extension = Path::new(name).extension();
        let is_one_of = |extensions: &[&str]| {
            extension.is_some_and(|found| extensions.iter().any(|wanted| found == *wanted))
        };
        match self {
            Self::Top => {
                is_one_of(&DOCUMENTS)
                    || is_one_of(&KEYS)
                    || SPELT_FOLDERS.iter().any(|folder| text.starts_with(folder))
            }
            // Distributions ship theirs as `RPM-GPG-KEY-…`, without an extension.
            Self::Keys => is_one_of(&KEYS) || is_one_of(&MORE_KEYS) || extension.is_none(),
            Self::Containers => true,
            Self::RegistriesD => is_one_of(&["yaml", "yml"]),
            Self::Notation => is_one_of(&["json"]) || is_one_of(&CERTIFICATES),
            Self::TrustStore => is_one_of(&CERTIFICATES),
        }
    }
}

impl Folder {
    /// Whether a folder of this name in it, which is not read, would be taken for one that is.
    fn is_for_folders(self, name: &OsStr) -> bool {
        let known = ["keys", "containers", "notation"];
        let nearly = known.iter().any(|known| name.eq_ignore_ascii_case(known));
        is_visible(name) && (nearly || self != Self::Top)
    }
}

/// Neither a dotfile nor an editor's backup.
fn is_visible(name: &OsStr) -> bool {
    let bytes = name.as_encoded_bytes();
    !bytes.starts_with(b".") && !bytes.ends_with(b"~")
}

/// One file of a set.
struct Found {
    name: String,
    path: PathBuf,
    metadata: Metadata,
}

/// What there is below a directory.
#[derive(Default)]
struct Tree {
    files: Vec<Found>,
    folders: Vec<PathBuf>,
    /// Folders that somebody may have meant to be read.
    unread: Vec<PathBuf>,
}

/// The files of the set in name order. `None`: one vanished meanwhile.
pub(super) fn list(dir: &Path) -> Result<Option<Vec<Entry>>, ReadError> {
    let Some(tree) = walk(dir, "", true)? else {
        return Ok(None);
    };
    let entry = |found: Found| Entry {
        path: found.path,
        name: found.name,
        device: found.metadata.dev(),
        inode: found.metadata.ino(),
        size: found.metadata.size(),
        changed: (found.metadata.ctime(), found.metadata.ctime_nsec()),
        mode: found.metadata.mode(),
    };
    Ok(Some(tree.files.into_iter().map(entry).collect()))
}

/// The files that would be a set, by their names in it, whoever owns them: for commands that only look. `folder`: which of
/// the set's folders `dir` is; empty: all of it.
pub(crate) fn files_unowned(dir: &Path, folder: &str) -> Result<Vec<(String, PathBuf)>, ReadError> {
    let tree = walk(dir, folder, false)?.ok_or_else(|| ReadError::Restless {
        path: dir.to_owned(),
    })?;
    let files = tree.files.into_iter();
    Ok(files.map(|found| (found.name, found.path)).collect())
}

/// The folders of a set that exist now, the directory itself among them. Nothing where they cannot be listed.
pub(crate) fn folders(dir: &Path) -> Vec<PathBuf> {
    walk(dir, "", false)
        .ok()
        .flatten()
        .unwrap_or_default()
        .folders
}

/// Folders that are not read, and lie where those of other tools are or are called nearly like them.
pub(crate) fn unread_folders(dir: &Path) -> Vec<PathBuf> {
    let mut unread = walk(dir, "", false)
        .ok()
        .flatten()
        .unwrap_or_default()
        .unread;
    unread.sort();
    unread
}

/// Whether `path`, which is below `dir`, is or may become a folder of the set.
pub(crate) fn may_be_folder(dir: &Path, path: &Path) -> bool {
    path.strip_prefix(dir)
        .ok()
        .and_then(Path::to_str)
        .is_some_and(|relative| relative.is_empty() || Folder::of(relative).is_some())
}

/// What is below `dir`, which is the folder `root` of a set. `None`: something vanished meanwhile.
fn walk(dir: &Path, root: &str, owned: bool) -> Result<Option<Tree>, ReadError> {
    let mut tree = Tree::default();
    let mut open = vec![root.to_owned()];
    while let Some(relative) = open.pop() {
        let Some(folder) = Folder::of(&relative) else {
            continue;
        };
        let path = match relative.strip_prefix(root).unwrap_or(&relative) {
            "" => dir.to_owned(),
            below => dir.join(below.trim_start_matches('/')),
        };
        if tree.folders.len() == MAX_FOLDERS {
            return Err(too_much(dir, MAX_FOLDERS, "policy folders"));
        }
        tree.folders.push(path.clone());
        let listing = match fs::read_dir(&path) {
            Ok(listing) => listing,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(io_error(&path, source)),
        };
        for entry in listing {
            let entry = entry.map_err(|source| io_error(&path, source))?;
            match visit(&entry.path(), &entry.file_name(), &relative, folder, owned)? {
                Visited::Vanished => return Ok(None),
                Visited::Ignored => {}
                Visited::Unread => {
                    if tree.unread.len() < MAX_FOLDERS {
                        tree.unread.push(entry.path());
                    }
                }
                Visited::Folder(relative) => open.push(relative),
                Visited::File(_) if tree.files.len() == MAX_FILES => {
                    return Err(too_much(dir, MAX_FILES, "policy files"));
                }
                Visited::File(found) => tree.files.push(*found),
            }
        }
    }
    tree.files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Some(tree))
}

/// What one entry of a folder is.
enum Visited {
    File(Box<Found>),
    Folder(String),
    Ignored,
    /// A folder, as [`unread_folders`] has it.
    Unread,
    Vanished,
}

fn visit(
    path: &Path,
    name: &OsStr,
    parent: &str,
    folder: Folder,
    owned: bool,
) -> Result<Visited, ReadError> {
    let joined = |name: &str| {
        if parent.is_empty() {
            name.to_owned()
        } else {
            format!("{parent}/{name}")
        }
    };
    let subfolder = name
        .to_str()
        .map(joined)
        .filter(|relative| is_visible(name) && Folder::of(relative).is_some());
    if subfolder.is_none() && folder.is_for_folders(name) && path.is_dir() {
        return Ok(Visited::Unread);
    }
    if subfolder.is_none() && !folder.holds(name) {
        return Ok(Visited::Ignored);
    }
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        // A dangling link stays: whoever put it there meant a file.
        Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => {
            return Ok(Visited::Vanished);
        }
        Err(source) => return Err(io_error(path, source)),
    };
    if metadata.is_dir() {
        let Some(relative) = subfolder else {
            return Ok(Visited::Ignored);
        };
        if owned {
            check_dir(path, &metadata)?;
        }
        return Ok(Visited::Folder(relative));
    }
    if !folder.holds(name) {
        return Ok(Visited::Ignored);
    }
    let Some(name) = name.to_str() else {
        return Err(ReadError::Name {
            path: path.to_owned(),
        });
    };
    Ok(Visited::File(Box::new(Found {
        name: joined(name),
        path: path.to_owned(),
        metadata,
    })))
}

fn too_much(dir: &Path, limit: usize, what: &'static str) -> ReadError {
    ReadError::TooMuch {
        path: dir.to_owned(),
        limit: limit as u64,
        what,
    }
}
