//! Wakes the keeper when something moves in the policy directory. Only a hint: the keeper compares contents, and polls.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::directory::{folders, may_be_folder};
use super::handle::Command;

/// Watches directories, never files: files are replaced by renames.
pub(super) struct Watch {
    watcher: Option<RecommendedWatcher>,
    /// The policy directory.
    dir: PathBuf,
    /// The directories in which it, and bootstrap.yaml, may be re-created.
    parents: Vec<PathBuf>,
    /// What is watched now.
    watched: Vec<PathBuf>,
    /// A directory of the set came, went or was renamed, so that its watch may be gone.
    stale: Arc<AtomicBool>,
}

/// What of an event is worth a reading.
struct Interest {
    dir: PathBuf,
    bootstrap: PathBuf,
}

impl Watch {
    /// Watches the policy directory and its folders, the directory in which it may be re-created, and that of
    /// bootstrap.yaml.
    pub(super) fn new(dir: &Path, bootstrap: &Path, control: SyncSender<Command>) -> Self {
        let interest = Interest {
            dir: dir.to_owned(),
            bootstrap: bootstrap.to_owned(),
        };
        let parents = [dir.parent(), bootstrap.parent()];
        let parents = parents.into_iter().flatten().map(Path::to_owned).collect();
        let stale = Arc::new(AtomicBool::new(true));
        let mark = stale.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if let Ok(event) = &event {
                if !interest.in_event(event) {
                    return;
                }
                if interest.in_directory_itself(event) {
                    mark.store(true, Ordering::Release);
                }
            }
            // Full means that the keeper is about to read anyway.
            control.try_send(Command::Changed).ok();
        });
        let watcher = watcher
            .inspect_err(|error| {
                tracing::warn!(%error, "policy changes are noticed by polling only: no file watches");
            })
            .ok();
        Self {
            watcher,
            dir: dir.to_owned(),
            parents,
            watched: Vec::new(),
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
        for dir in self.watched.drain(..) {
            watcher.unwatch(&dir).ok();
        }
        self.watched = folders(&self.dir);
        self.watched.push(self.dir.clone());
        self.watched.extend(self.parents.iter().cloned());
        self.watched.sort();
        self.watched.dedup();
        for dir in &self.watched {
            // A directory that does not exist is watched through its parent.
            if let Err(error) = watcher.watch(dir, RecursiveMode::NonRecursive)
                && dir.exists()
            {
                tracing::warn!(dir = %dir.display(), %error, "this directory is polled only: it cannot be watched");
            }
        }
    }
}

impl Interest {
    fn in_event(&self, event: &Event) -> bool {
        changes(event.kind)
            && (event.need_rescan()
                || event
                    .paths
                    .iter()
                    .any(|path| path.starts_with(&self.dir) || *path == self.bootstrap))
    }

    fn in_directory_itself(&self, event: &Event) -> bool {
        event.need_rescan()
            || event
                .paths
                .iter()
                .any(|path| may_be_folder(&self.dir, path))
    }
}

/// Reading must not count as a change, or every reading would cause the next.
fn changes(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, ModifyKind};

    use super::*;

    #[test]
    fn what_neighbours_do_and_what_the_keeper_reads_wakes_nobody() {
        let interest = Interest {
            dir: "/etc/portcullis/policy.d".into(),
            bootstrap: "/etc/portcullis/bootstrap.yaml".into(),
        };
        let created = EventKind::Create(CreateKind::File);
        for (kind, path, wanted) in [
            (created, "/etc/portcullis/policy.d", true),
            (created, "/etc/portcullis/policy.d/..data", true),
            (created, "/etc/portcullis/policy.d/keys/a.pub", true),
            (
                created,
                "/etc/portcullis/policy.d/notation/x509/ca/a/b.pem",
                true,
            ),
            (created, "/etc/portcullis/bootstrap.yaml", true),
            (created, "/etc/portcullis/config.yaml", false),
            (created, "/etc/portcullis/policy.d.old", false),
            (
                EventKind::Modify(ModifyKind::Any),
                "/etc/portcullis/policy.d/a.yaml",
                true,
            ),
            (
                EventKind::Access(AccessKind::Open(AccessMode::Any)),
                "/etc/portcullis/policy.d/a.yaml",
                false,
            ),
        ] {
            let event = Event::new(kind).add_path(path.into());
            assert_eq!(interest.in_event(&event), wanted, "{kind:?} {path}");
        }
    }

    #[test]
    fn a_folder_that_comes_or_goes_is_watched_anew() {
        let interest = Interest {
            dir: "/etc/portcullis/policy.d".into(),
            bootstrap: "/etc/portcullis/bootstrap.yaml".into(),
        };
        for (path, wanted) in [
            ("/etc/portcullis/policy.d", true),
            ("/etc/portcullis/policy.d/keys", true),
            ("/etc/portcullis/policy.d/containers/registries.d", true),
            ("/etc/portcullis/policy.d/notation/x509/ca/acme", true),
            (
                "/etc/portcullis/policy.d/notation/x509/ca/acme/root.pem",
                false,
            ),
            ("/etc/portcullis/policy.d/a.yaml", false),
            ("/etc/portcullis/policy.d/keys/a.pub", false),
            ("/etc/portcullis/policy.d.old", false),
        ] {
            let event = Event::new(EventKind::Create(CreateKind::Any)).add_path(path.into());
            assert_eq!(interest.in_directory_itself(&event), wanted, "{path}");
        }
    }
}
