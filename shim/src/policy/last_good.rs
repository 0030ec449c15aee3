//! The last set that loaded, kept on disk so that a broken directory does not survive a reboot as "no policy".

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_policy::load::SourceFile;
use serde::{Deserialize, Serialize};

use super::loader::set_hash;
use super::safe_file::{self, SafeFileError};

/// Largest stored set: the largest directory in base64, and names.
const MAX_BYTES: u64 = 48 * 1024 * 1024;
const VERSION: u32 = 1;

/// Why the last good set could not be read, written or dropped.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}", path.display())]
pub struct LastGoodError {
    /// Where it is kept.
    pub path: PathBuf,
    /// What is wrong.
    pub cause: String,
}

/// Where the last good set is kept.
pub trait LastGood: Send + 'static {
    /// The set kept; `None`: there is none.
    ///
    /// # Errors
    /// [`LastGoodError`] if there is one that cannot be used; it is then left alone.
    fn load(&self) -> Result<Option<Vec<SourceFile>>, LastGoodError>;

    /// Keeps `files` instead. Durable when it returns.
    ///
    /// # Errors
    /// [`LastGoodError`]; what was kept before is still there.
    fn save(&self, files: &[SourceFile]) -> Result<(), LastGoodError>;

    /// Keeps nothing.
    ///
    /// # Errors
    /// [`LastGoodError`]; what was kept before is still there.
    fn clear(&self) -> Result<(), LastGoodError>;
}

/// Keeps it in `policy-last-good.json` of the state directory, readable by root only (it may hold a policy's
/// Secrets).
#[derive(Debug, Clone)]
pub struct FileLastGood {
    path: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    v: u32,
    sha256: String,
    files: Vec<StoredFile>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredFile {
    name: String,
    mode: Option<u32>,
    base64: String,
}

impl FileLastGood {
    /// Keeps the set in `state_dir`, which is made when first needed.
    pub fn new(state_dir: &Path) -> Self {
        Self {
            path: state_dir.join("policy-last-good.json"),
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "for errors as they come")]
    fn error(&self, cause: impl ToString) -> LastGoodError {
        LastGoodError {
            path: self.path.clone(),
            cause: cause.to_string(),
        }
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let dir = self.path.parent().unwrap_or(Path::new("/"));
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)?;
        let new = self.path.with_extension("json.new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        File::open(dir)?.sync_all()
    }
}

impl LastGood for FileLastGood {
    fn load(&self) -> Result<Option<Vec<SourceFile>>, LastGoodError> {
        let file = match safe_file::read(&self.path, MAX_BYTES) {
            Ok(file) => file,
            Err(SafeFileError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(error) => return Err(self.error(error)),
        };
        decode(&file.bytes)
            .map(Some)
            .map_err(|cause| self.error(cause))
    }

    fn save(&self, files: &[SourceFile]) -> Result<(), LastGoodError> {
        let bytes = encode(files).map_err(|error| self.error(error))?;
        self.write(&bytes).map_err(|error| self.error(error))
    }

    fn clear(&self) -> Result<(), LastGoodError> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.error(error)),
            _ => Ok(()),
        }
    }
}

fn encode(files: &[SourceFile]) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&Stored {
        v: VERSION,
        sha256: set_hash(files, None),
        files: files
            .iter()
            .map(|file| StoredFile {
                name: file.name.clone(),
                mode: file.mode,
                base64: STANDARD.encode(&file.bytes),
            })
            .collect(),
    })
}

fn decode(bytes: &[u8]) -> Result<Vec<SourceFile>, &'static str> {
    let stored: Stored =
        serde_json::from_slice(bytes).map_err(|_| "damaged: not what was written")?;
    if stored.v != VERSION {
        return Err("written by another version");
    }
    let files = stored
        .files
        .into_iter()
        .map(|file| {
            Ok(SourceFile {
                name: file.name,
                bytes: STANDARD
                    .decode(file.base64)
                    .map_err(|_| "damaged: not what was written")?,
                mode: file.mode,
            })
        })
        .collect::<Result<Vec<_>, &'static str>>()?;
    if set_hash(&files, None) == stored.sha256 {
        Ok(files)
    } else {
        Err("damaged: its bytes do not have the hash it was written with")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn files() -> Vec<SourceFile> {
        vec![SourceFile {
            name: "a.yaml".to_owned(),
            bytes: vec![0, 255, b'\n'],
            mode: Some(0o600),
        }]
    }

    #[test]
    fn a_set_survives_and_is_readable_by_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let kept = FileLastGood::new(&dir.path().join("state"));
        assert_eq!(kept.load().unwrap(), None);
        kept.save(&files()).unwrap();
        assert_eq!(kept.load().unwrap(), Some(files()));
        let mode = fs::metadata(&kept.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        kept.clear().unwrap();
        kept.clear().unwrap();
        assert_eq!(kept.load().unwrap(), None);
    }

    #[test]
    fn a_damaged_copy_is_never_used() {
        let dir = tempfile::tempdir().unwrap();
        let kept = FileLastGood::new(dir.path());
        kept.save(&files()).unwrap();
        let good = fs::read(&kept.path).unwrap();
        for at in 0..good.len() {
            let mut torn = good.clone();
            torn[at] ^= 1;
            fs::write(&kept.path, &torn).unwrap();
            match kept.load() {
                Err(_) => {}
                // The permission bits are not part of the hash; they only make the loader stricter or refuse.
                Ok(Some(read)) => {
                    assert_eq!(read[0].bytes, files()[0].bytes);
                    assert_eq!(read[0].name, files()[0].name);
                }
                Ok(None) => panic!("taken for absent"),
            }
        }
        for length in 0..good.len() {
            fs::write(&kept.path, &good[..length]).unwrap();
            kept.load().unwrap_err();
        }
    }

    #[test]
    fn a_copy_that_others_could_have_written_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let kept = FileLastGood::new(dir.path());
        kept.save(&files()).unwrap();
        fs::set_permissions(&kept.path, fs::Permissions::from_mode(0o606)).unwrap();
        kept.load().unwrap_err();
    }
}
