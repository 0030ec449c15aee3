//! The policy in force: read from a directory, reloaded atomically, kept across reboots.

use std::sync::Arc;

use portcullis_policy::Diagnostic;
use portcullis_trust::{CompiledPolicy, Timestamp};

/// One loaded policy with its provenance.
#[derive(Debug, Clone)]
pub struct ActivePolicy {
    /// What decisions are computed from.
    pub policy: CompiledPolicy,
    /// Counts up with each set that takes force.
    pub generation: u64,
    /// SHA-256 over names and bytes of the files.
    pub hash: String,
    /// When it took force.
    pub since: Timestamp,
    /// Warnings of the set in force.
    pub warnings: Vec<Diagnostic>,
    /// Why a newer set on disk is not in force; empty: the directory is what is in force.
    pub refused: Vec<Diagnostic>,
}

/// Hands out the policy in force. Cheap to clone; a reader never waits.
#[derive(Debug, Clone)]
pub struct PolicyHandle {}

impl PolicyHandle {
    /// The policy in force now.
    pub fn current(&self) -> Arc<ActivePolicy> {
        todo!()
    }

    /// A handle that never changes: for tests and `--local`.
    pub fn fixed(_policy: ActivePolicy) -> Self {
        todo!()
    }
}
