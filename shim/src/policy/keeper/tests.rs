use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::sync::Mutex;

use super::*;
use crate::clock::SystemClock;
use crate::policy::FileLastGood;
use crate::policy::state::tests::Lenient;

pub(super) struct Node {
    root: tempfile::TempDir,
}

impl Node {
    pub(super) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("policy.d")).unwrap();
        Self { root }
    }

    pub(super) fn path(&self, name: &str) -> std::path::PathBuf {
        self.root.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// A directory that is only read when told, unless its watch reports something.
    fn start(&self) -> (PolicyKeeper, PolicyHandle) {
        self.start_with(Box::new(FileLastGood::new(&self.path("state"))))
    }

    fn start_with(&self, last_good: Box<dyn LastGood>) -> (PolicyKeeper, PolicyHandle) {
        self.start_loading(Arc::new(Lenient), last_good)
    }

    pub(super) fn start_loading(
        &self,
        loader: Arc<dyn Loader>,
        last_good: Box<dyn LastGood>,
    ) -> (PolicyKeeper, PolicyHandle) {
        let settings = PolicySettings {
            dir: self.path("policy.d"),
            bootstrap: self.path("bootstrap.yaml"),
            quiet: Duration::from_millis(5),
            poll: Duration::from_hours(1),
        };
        PolicyKeeper::start(settings, loader, last_good, Arc::new(SystemClock))
            .unwrap_or_else(|error| panic!("{error}"))
    }
}

pub(super) fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(async {
            tokio::time::timeout(Duration::from_mins(1), work)
                .await
                .expect("nothing happened")
        })
}

/// Waits until the watch brought a set that satisfies `wanted`.
pub(super) fn wait(handle: &PolicyHandle, wanted: impl Fn(u64) -> bool) {
    run(async {
        handle
            .subscribe()
            .wait_for(|generation| wanted(*generation))
            .await
            .unwrap();
    });
}

#[test]
fn a_new_file_takes_force_without_being_asked() {
    let node = Node::new();
    let (_keeper, handle) = node.start();
    assert_eq!(handle.current().generation, 1);
    node.write("policy.d/a.yaml", "good");
    wait(&handle, |generation| generation > 1);
    assert!(handle.current().refused.is_empty());
    assert!(handle.current().warnings.is_empty());
}

#[test]
fn a_data_flip_takes_force_without_being_asked() {
    let node = Node::new();
    for version in ["..1", "..2"] {
        fs::create_dir(node.path("policy.d").join(version)).unwrap();
        node.write(&format!("policy.d/{version}/a.yaml"), version);
    }
    symlink("..1", node.path("policy.d/..data")).unwrap();
    let (_keeper, handle) = node.start();
    let before = handle.current();
    symlink("..2", node.path("policy.d/..data_tmp")).unwrap();
    fs::rename(
        node.path("policy.d/..data_tmp"),
        node.path("policy.d/..data"),
    )
    .unwrap();
    wait(&handle, |generation| generation > before.generation);
    assert_ne!(handle.current().hash, before.hash);
}

#[test]
fn a_directory_that_is_replaced_is_still_watched() {
    let node = Node::new();
    node.write("policy.d/a.yaml", "one");
    let (_keeper, handle) = node.start();
    fs::remove_dir_all(node.path("policy.d")).unwrap();
    fs::create_dir(node.path("new")).unwrap();
    node.write("new/a.yaml", "two");
    fs::rename(node.path("new"), node.path("policy.d")).unwrap();
    wait(&handle, |generation| generation >= 2);
    // What was reported about the replacement itself is used up.
    for _ in 0..10 {
        run(handle.reload());
    }
    node.write("policy.d/a.yaml", "three");
    wait(&handle, |generation| generation >= 3);
}

#[test]
fn a_key_that_is_exchanged_takes_force_without_being_asked() {
    let node = Node::new();
    node.write("policy.d/a.yaml", "good");
    fs::create_dir(node.path("policy.d/keys")).unwrap();
    node.write("policy.d/keys/shop.pub", "one");
    let (_keeper, handle) = node.start();
    let before = handle.current();
    node.write("policy.d/keys/shop.pub", "two");
    wait(&handle, |generation| generation > before.generation);
    assert_ne!(handle.current().hash, before.hash);
}

#[test]
fn a_new_bootstrap_list_takes_force_without_being_asked() {
    let node = Node::new();
    node.write("policy.d/a.yaml", "good");
    let (_keeper, handle) = node.start();
    node.write("bootstrap.yaml", "list");
    wait(&handle, |generation| generation >= 2);
}

#[test]
fn a_bootstrap_list_that_others_could_have_written_is_refused() {
    let node = Node::new();
    node.write("policy.d/a.yaml", "good");
    node.write("bootstrap.yaml", "list");
    fs::set_permissions(
        node.path("bootstrap.yaml"),
        fs::Permissions::from_mode(0o666),
    )
    .unwrap();
    let (_keeper, handle) = node.start();
    let active = handle.current();
    assert_eq!(active.refused.len(), 1);
    assert!(active.refused[0].span.file.ends_with("bootstrap.yaml"));
    assert!(active.warnings.is_empty(), "the documents are in force");
}

#[test]
fn the_last_good_set_survives_a_restart_with_a_broken_directory() {
    let node = Node::new();
    node.write("policy.d/a.yaml", "good");
    let (keeper, handle) = node.start();
    let good = handle.current().hash.clone();
    node.write("policy.d/a.yaml", "broken");
    run(handle.reload());
    assert_eq!(handle.current().hash, good);
    assert!(!handle.current().refused.is_empty());
    assert_eq!(handle.refusals(), 1);
    drop(keeper);

    let (keeper, handle) = node.start();
    assert_eq!(handle.current().hash, good);
    assert_eq!(handle.current().generation, 1);
    assert!(!handle.current().refused.is_empty());
    drop(keeper);

    fs::remove_dir_all(node.path("policy.d")).unwrap();
    let (_keeper, handle) = node.start();
    assert_eq!(handle.current().hash, good);
    assert!(!handle.current().refused.is_empty());
}

#[test]
fn without_a_last_good_set_a_broken_directory_denies_everything_and_says_so() {
    let node = Node::new();
    node.write("policy.d/a.yaml", "broken");
    let (_keeper, handle) = node.start();
    let active = handle.current();
    assert_eq!(active.refused.len(), 1);
    assert!(!active.warnings.is_empty());
    assert_eq!(active.hash, crate::policy::set_hash(&[], None));
}

#[test]
fn reset_drops_the_last_good_set_for_good() {
    let node = Node::new();
    node.write("policy.d/a.yaml", "good");
    let (keeper, handle) = node.start();
    let good = handle.current().hash.clone();
    fs::remove_file(node.path("policy.d/a.yaml")).unwrap();
    run(handle.reload());
    assert_eq!(handle.current().hash, good);
    run(handle.reset()).unwrap();
    assert_ne!(handle.current().hash, good);
    assert!(handle.current().refused.is_empty());
    drop(keeper);
    let (_keeper, handle) = node.start();
    assert_ne!(handle.current().hash, good);
}

#[test]
fn reset_does_not_drop_the_last_good_set_for_a_broken_one() {
    let node = Node::new();
    node.write("policy.d/a.yaml", "good");
    let (keeper, handle) = node.start();
    let good = handle.current().hash.clone();
    node.write("policy.d/a.yaml", "broken");
    assert!(matches!(
        run(handle.reset()),
        Err(ResetError::Refused(diagnostics)) if diagnostics.len() == 1
    ));
    assert_eq!(handle.current().hash, good);
    drop(keeper);
    let (_keeper, handle) = node.start();
    assert_eq!(handle.current().hash, good);
}

#[test]
fn a_damaged_last_good_set_is_reported() {
    let node = Node::new();
    fs::create_dir(node.path("state")).unwrap();
    node.write("state/policy-last-good.json", "{");
    let (_keeper, handle) = node.start();
    assert!(
        handle
            .current()
            .warnings
            .iter()
            .any(|warning| warning.message.contains("damaged"))
    );
}

/// A disk that can be full.
#[derive(Clone, Default)]
struct Disk {
    full: Arc<AtomicBool>,
    kept: Arc<Mutex<Option<Vec<SourceFile>>>>,
}

impl LastGood for Disk {
    fn load(&self) -> Result<Option<Vec<SourceFile>>, LastGoodError> {
        Ok(self.kept.lock().unwrap().clone())
    }

    fn save(&self, files: &[SourceFile]) -> Result<(), LastGoodError> {
        if self.full.load(Ordering::Relaxed) {
            return Err(LastGoodError {
                path: "/state".into(),
                cause: "full".to_owned(),
            });
        }
        *self.kept.lock().unwrap() = Some(files.to_vec());
        Ok(())
    }

    fn clear(&self) -> Result<(), LastGoodError> {
        *self.kept.lock().unwrap() = None;
        Ok(())
    }
}

#[test]
fn a_full_disk_keeps_no_set_from_taking_force_and_is_made_up_for() {
    let node = Node::new();
    node.write("policy.d/a.yaml", "good");
    let disk = Disk::default();
    disk.full.store(true, Ordering::Relaxed);
    let (_keeper, handle) = node.start_with(Box::new(disk.clone()));
    assert!(handle.current().refused.is_empty());
    assert!(handle.unsaved());
    disk.full.store(false, Ordering::Relaxed);
    run(handle.reload());
    assert!(!handle.unsaved());
    assert!(disk.kept.lock().unwrap().is_some());
}

#[test]
fn a_fixed_policy_cannot_be_reset() {
    let node = Node::new();
    let (_keeper, handle) = node.start();
    let fixed = PolicyHandle::fixed((*handle.current()).clone());
    run(fixed.reload());
    assert!(matches!(run(fixed.reset()), Err(ResetError::NoKeeper)));
}
