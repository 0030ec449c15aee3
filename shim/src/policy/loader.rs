//! Files to a policy that can decide: the pure part of loading.

use portcullis_policy::bootstrap::Bootstrap;
use portcullis_policy::load::{LoadOptions, SourceFile};
use portcullis_policy::model::Mode;
use portcullis_policy::{Diagnostic, PolicySet, load};
use portcullis_trust::CompiledPolicy;
use sha2::{Digest as _, Sha256};

/// Name under which bootstrap.yaml is kept with a set. No file in a directory can be called this.
pub const BOOTSTRAP_NAME: &str = "/bootstrap.yaml";

/// Turns files into a policy. A trait so that reloading can be tested without documents.
pub trait Loader: Send + Sync + 'static {
    /// Parses the bootstrap list.
    ///
    /// # Errors
    /// Diagnostics, at least one of them an error.
    fn bootstrap(&self, file: &SourceFile) -> Result<Bootstrap, Vec<Diagnostic>>;

    /// Loads and compiles a set; no files mean the empty set, under which everything is denied. Also gives its
    /// warnings.
    ///
    /// # Errors
    /// Diagnostics, at least one of them an error.
    fn policy(
        &self,
        files: &[SourceFile],
        bootstrap: Bootstrap,
    ) -> Result<(CompiledPolicy, Vec<Diagnostic>), Vec<Diagnostic>>;
}

/// The loader of the daemon.
#[derive(Debug, Clone)]
pub struct SetLoader {
    /// What the configuration adds to the documents.
    pub options: LoadOptions,
    /// The node's mode.
    pub mode: Mode,
}

impl Loader for SetLoader {
    fn bootstrap(&self, file: &SourceFile) -> Result<Bootstrap, Vec<Diagnostic>> {
        Bootstrap::parse(file)
    }

    fn policy(
        &self,
        files: &[SourceFile],
        bootstrap: Bootstrap,
    ) -> Result<(CompiledPolicy, Vec<Diagnostic>), Vec<Diagnostic>> {
        let (set, warnings) = if files.is_empty() {
            (PolicySet::default(), Vec::new())
        } else {
            let loaded = load::load(files, &self.options)?;
            (loaded.set, loaded.warnings)
        };
        CompiledPolicy::compile(set, bootstrap, self.mode).map(|policy| (policy, warnings))
    }
}

/// SHA-256 over names and bytes, in order, each with its length in front so that no two sets look alike.
pub fn set_hash(files: &[SourceFile], bootstrap: Option<&SourceFile>) -> String {
    let mut hash = Sha256::new();
    let named = bootstrap.map(|file| (BOOTSTRAP_NAME, file));
    for (name, file) in files
        .iter()
        .map(|file| (file.name.as_str(), file))
        .chain(named)
    {
        for part in [name.as_bytes(), &file.bytes] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, bytes: &str) -> SourceFile {
        SourceFile {
            name: name.to_owned(),
            bytes: bytes.as_bytes().to_vec(),
            mode: None,
        }
    }

    #[test]
    fn moving_bytes_between_names_and_files_changes_the_hash() {
        let sets = [
            vec![file("a", "bc")],
            vec![file("ab", "c")],
            vec![file("a", "b"), file("c", "")],
            vec![file("a", "b"), file("", "c")],
            vec![],
        ];
        let hashes: std::collections::BTreeSet<_> =
            sets.iter().map(|set| set_hash(set, None)).collect();
        assert_eq!(hashes.len(), sets.len());
        assert_ne!(set_hash(&[], Some(&file("x", ""))), set_hash(&[], None));
    }
}
