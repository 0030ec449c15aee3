//! The policy in force: read from a directory, reloaded atomically, kept across reboots.
//!
//! One keeper thread does all the reading; decisions only ever see a whole set through [`PolicyHandle::current`] and
//! never wait for a disk. A set that does not load never replaces one that does (docs/rules.md rule 10).

mod bootstrap_file;
mod directory;
mod handle;
mod keeper;
mod last_good;
mod loader;
pub mod safe_file;
mod state;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

use portcullis_policy::Diagnostic;
use portcullis_trust::{CompiledPolicy, Timestamp};

pub use bootstrap_file::read_bootstrap;
pub use directory::{Contents, DirectoryReader, ReadError};
pub(crate) use directory::{files_unowned, unread_folders};
pub use handle::{PolicyHandle, ResetError};
pub use keeper::{PolicyKeeper, StartError};
pub use last_good::{FileLastGood, LastGood, LastGoodError};
pub use loader::{BOOTSTRAP_NAME, Loader, SetLoader, set_hash};

/// One loaded policy with its provenance.
#[derive(Debug, Clone)]
pub struct ActivePolicy {
    /// What decisions are computed from.
    pub policy: CompiledPolicy,
    /// Counts up with each set that takes force.
    pub generation: u64,
    /// SHA-256 over names and bytes of the files, bootstrap.yaml included.
    pub hash: String,
    /// When it took force.
    pub since: Timestamp,
    /// Warnings of the set in force.
    pub warnings: Vec<Diagnostic>,
    /// Why a newer set on disk is not in force; empty: the directory is what is in force.
    pub refused: Vec<Diagnostic>,
}

/// Where the policy is and how patiently it is read.
#[derive(Debug, Clone)]
pub struct PolicySettings {
    /// The policy directory.
    pub dir: PathBuf,
    /// bootstrap.yaml.
    pub bootstrap: PathBuf,
    /// How long plain files must rest before they count as one set (docs/configuration.md).
    pub quiet: Duration,
    /// How often the directory is compared with what is in force even if nothing was reported.
    pub poll: Duration,
}

impl PolicySettings {
    /// The settings of docs/configuration.md for a directory and a bootstrap list.
    pub fn new(dir: impl Into<PathBuf>, bootstrap: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            bootstrap: bootstrap.into(),
            quiet: Duration::from_millis(200),
            poll: Duration::from_secs(30),
        }
    }
}
