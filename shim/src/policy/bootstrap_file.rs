//! Reading bootstrap.yaml.

use std::io;
use std::path::Path;

use portcullis_policy::load::SourceFile;
use portcullis_policy::{Diagnostic, Severity};

use super::safe_file::{self, SafeFileError};
use super::state::whole_file;

/// Largest bootstrap.yaml.
const MAX_BYTES: u64 = 1024 * 1024;

/// The file at `path`; `None`: there is none.
///
/// # Errors
/// If it cannot be read, or others than root (or the user this runs as) could have written it.
pub fn read_bootstrap(path: &Path) -> Result<Option<SourceFile>, Diagnostic> {
    let name = path.display().to_string();
    match safe_file::read(path, MAX_BYTES) {
        Ok(file) => Ok(Some(SourceFile {
            name,
            bytes: file.bytes,
            mode: Some(file.mode),
        })),
        Err(SafeFileError::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(whole_file(&name, Severity::Error, error.to_string())),
    }
}
