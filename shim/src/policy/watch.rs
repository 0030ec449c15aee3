//! Wakes the keeper when something moves in the policy directory. Only a hint: the keeper compares contents, and polls.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::handle::Command;

/// Watches directories, never files: files are replaced by renames.
pub(super) struct Watch {
    watcher: Option<RecommendedWatcher>,
    dirs: BTreeSet<PathBuf>,
    /// A watched directory itself came, went or was renamed, so that its watch may be gone.
    stale: Arc<AtomicBool>,
}

impl Watch {
    /// Watches `dirs` and their parents, in which they may be re-created.
    pub(super) fn new(dirs: &[&Path], control: SyncSender<Command>) -> Self {
        let dirs: BTreeSet<PathBuf> = dirs
            .iter()
            .flat_map(|dir| [Some(*dir), dir.parent()])
            .flatten()
            .map(Path::to_owned)
            .collect();
        let stale = Arc::new(AtomicBool::new(true));
        let watcher = {
            let (dirs, stale) = (dirs.clone(), stale.clone());
            notify::recommended_watcher(move |event: notify::Result<Event>| {
                if let Ok(event) = &event {
                    if !matters(event.kind) {
                        return;
                    }
                    if event.need_rescan() || event.paths.iter().any(|path| dirs.contains(path)) {
                        stale.store(true, Ordering::Release);
                    }
                }
                // Full means that the keeper is about to read anyway.
                control.try_send(Command::Changed).ok();
            })
        };
        let watcher = watcher
            .inspect_err(|error| {
                tracing::warn!(%error, "policy changes are noticed by polling only: no file watches");
            })
            .ok();
        Self {
            watcher,
            dirs,
            stale,
        }
    }

    /// Renews the watches if a directory was replaced. Called before each reading, so that whatever moves after it is
    /// noticed.
    pub(super) fn rearm(&mut self) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        if !self.stale.swap(false, Ordering::AcqRel) {
            return;
        }
        for dir in &self.dirs {
            watcher.unwatch(dir).ok();
            // A directory that does not exist is watched through its parent.
            if let Err(error) = watcher.watch(dir, RecursiveMode::NonRecursive)
                && dir.exists()
            {
                tracing::warn!(dir = %dir.display(), %error, "this directory is polled only: it cannot be watched");
            }
        }
    }
}

/// Reading must not count as a change, or every reading would cause the next.
fn matters(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
}
