//! The loader: file names and bytes in, a [`PolicySet`] or the diagnostics that refuse it out.

use crate::model::{NotaryServer, PolicySet};
use crate::span::Diagnostic;

/// One policy file as read from the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Name relative to the policy directory.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Permission bits; `None` where the caller has none (standard input, tests). A file with a Secret that holds
    /// a password must not be readable by group or others (CONTRACTS §1).
    pub mode: Option<u32>,
}

/// What the node's configuration adds to the documents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// `notary:` of config.yaml: (pattern on the normalised repository, server), first match wins.
    pub notary: Vec<(String, NotaryServer)>,
}

/// A set that loaded, with its warnings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The compiled set.
    pub set: PolicySet,
    /// Warnings only.
    pub warnings: Vec<Diagnostic>,
}

/// Loads every document of `files` as one set.
///
/// # Errors
/// All diagnostics (at least one error among them) if anything in any file is not understood completely.
pub fn load(_files: &[SourceFile], _options: &LoadOptions) -> Result<Loaded, Vec<Diagnostic>> {
    todo!()
}
