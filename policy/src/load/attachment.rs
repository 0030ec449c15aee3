//! Key files that documents name with `file:`. They are files of the same set, so that a set is one thing that is
//! replaced as a whole; nothing outside it is ever read.

use std::collections::BTreeMap;

use super::SourceFile;

const EXTENSIONS: [&str; 6] = [".pem", ".pub", ".crt", ".cer", ".asc", ".gpg"];

/// The folder in which every file is a key, whatever it is called (`keys/trusted_root.json`), and how a `ConfigMap`, which
/// has no folders, spells it.
const FOLDERS: [&str; 2] = ["keys/", "keys__"];

/// Whether a file of this name is a key rather than documents.
pub(super) fn is_attachment(name: &str) -> bool {
    FOLDERS.iter().any(|folder| name.starts_with(folder))
        || EXTENSIONS.iter().any(|extension| name.ends_with(extension))
}

/// The key files of a set by name.
pub(super) struct Attachments<'a> {
    files: BTreeMap<&'a str, &'a [u8]>,
}

impl<'a> Attachments<'a> {
    pub(super) fn of(files: &'a [SourceFile]) -> Self {
        let keys = files.iter().filter(|file| is_attachment(&file.name));
        Self {
            files: keys
                .map(|file| (file.name.as_str(), file.bytes.as_slice()))
                .collect(),
        }
    }

    /// The bytes of the file that a document calls `name`.
    pub(super) fn get(&self, name: &str) -> Result<&'a [u8], String> {
        if !is_attachment(name) {
            return Err(
                "a key file is in `keys/`, or ends with .pem, .pub, .crt, .cer, .asc or .gpg"
                    .to_owned(),
            );
        }
        let found = self
            .files
            .get(name)
            .or_else(|| self.files.get(name.replace('/', "__").as_str()));
        found.copied().ok_or_else(|| {
            format!("there is no file `{name}` in the policy directory (in a ConfigMap, spell `/` as `__`)")
        })
    }
}
