//! The evidence store against what happens to files: restarts, damage, permissions, full disks.

mod evidence;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use evidence::{
    SERVER, description, floor, link, origin, policy, resolution, sandbox, signatures, trust_data,
};
use portcullis::store::{Store, StoreError};
use portcullis_policy::Digest;
use portcullis_trust::Timestamp;

async fn fill(store: &Store) {
    store.put_notary(trust_data("app", 7)).await.unwrap();
    store.put_link(link());
    store.put_resolution(resolution(Some("shop"), "docker.io/library/app:1"));
    store.put_resolution(resolution(None, "docker.io/library/app:1"));
    store.put_sandbox(sandbox("s1"));
    store.put_sandbox(sandbox("s2"));
    store.remove_sandbox("s2");
    store.put_origin(origin());
    store.put_signatures(signatures());
    store.put_description(description());
    store.put_last_time(Timestamp(100_000));
    store.put_policy_last_good(policy()).await.unwrap();
    store.flush().await.unwrap();
}

fn file(dir: &Path) -> std::path::PathBuf {
    dir.join("evidence.redb")
}

fn set_aside(dir: &Path) -> usize {
    fs::read_dir(dir)
        .unwrap()
        .filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().starts_with("evidence.redb.damaged-")
        })
        .count()
}

#[tokio::test]
async fn everything_put_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    fill(&store).await;
    drop(store);

    let store = Store::open(dir.path()).unwrap();
    assert_eq!(*store.notary(SERVER, "app").unwrap(), trust_data("app", 7));
    assert_eq!(store.links_to(&link().config), vec![link()]);
    assert_eq!(store.links_from(&link().root), vec![link()]);
    assert_eq!(store.links_from(&link().config), vec![]);
    let name = "docker.io/library/app:1";
    let in_shop = Some(resolution(Some("shop"), name));
    assert_eq!(store.resolution(Some("shop"), name), in_shop);
    assert_eq!(
        store.resolution(Some("other"), name),
        None,
        "judged per namespace"
    );
    let root = Digest::of(b"root");
    assert_eq!(
        store.references_of(None, &root),
        vec![resolution(None, name)]
    );
    assert_eq!(store.references_of(Some("other"), &root), vec![]);
    assert_eq!(store.sandbox("s1"), Some(sandbox("s1")));
    assert_eq!(store.sandbox("s2"), None);
    assert_eq!(store.origins(&origin().digest), vec![origin()]);
    assert_eq!(store.origins(&Digest::of(b"other")), vec![]);
    let set = signatures();
    let found = store.signatures(&set.source, &set.repository, &set.subject);
    assert_eq!(found.as_deref(), Some(&set));
    let described = store.descriptions(&description().subject);
    assert_eq!(described.len(), 1);
    assert_eq!(*described[0], description());
    assert_eq!(store.last_time(), Some(Timestamp(100_000)));
    assert_eq!(store.policy_last_good(), Some(policy()));
    let counts: BTreeMap<_, _> = store.counts().into_iter().collect();
    assert_eq!((counts["resolutions"], counts["artefacts"]), (2, 1));
    assert!(store.health().durable);
    store.drop_policy_last_good().await.unwrap();
    drop(store);
    assert_eq!(Store::open(dir.path()).unwrap().policy_last_good(), None);
}

#[tokio::test]
async fn the_file_and_its_directory_are_closed_to_others() {
    let outer = tempfile::tempdir().unwrap();
    let dir = outer.path().join("state");
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, Permissions::from_mode(0o755)).unwrap();
    drop(Store::open(&dir).unwrap());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&dir), mode(&file(&dir))), (0o700, 0o600));
}

#[tokio::test]
async fn floors_never_go_down() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.put_notary(trust_data("app", 7)).await.unwrap();
    let older = store.put_notary(trust_data("app", 6)).await;
    assert!(
        matches!(older, Err(StoreError::Rollback { .. })),
        "{older:?}"
    );
    let mut other_root = trust_data("app", 8);
    other_root.memory.first_root = Some(Digest::of(b"another root"));
    let refused = store.put_notary(other_root).await;
    assert!(
        matches!(refused, Err(StoreError::Rollback { .. })),
        "{refused:?}"
    );
    let mut fewer = trust_data("app", 9);
    fewer.memory.floors.remove("root");
    fewer.memory.first_root = None;
    store.put_notary(fewer).await.unwrap();
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    let kept = store.notary(SERVER, "app").unwrap();
    assert_eq!(kept.memory.floors["timestamp"], 9);
    assert_eq!(
        kept.memory.floors["root"], 1,
        "a role not named keeps its floor"
    );
    assert_eq!(kept.memory.first_root, Some(Digest::of(b"root")));
    store.forget_notary(SERVER, "app").await.unwrap();
    store.put_notary(trust_data("app", 1)).await.unwrap();
}

#[tokio::test]
async fn a_second_process_is_told_that_the_store_is_in_use_and_harms_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    fill(&store).await;
    assert!(matches!(
        Store::open(dir.path()),
        Err(StoreError::Busy { .. })
    ));
    assert_eq!(set_aside(dir.path()), 0);
    store.put_notary(trust_data("app", 8)).await.unwrap();
    drop(store);
    assert_eq!(floor(&Store::open(dir.path()).unwrap(), "app"), Some(8));
}

#[tokio::test]
async fn a_deleted_file_starts_an_empty_store() {
    let dir = tempfile::tempdir().unwrap();
    fill(&Store::open(dir.path()).unwrap()).await;
    fs::remove_file(file(dir.path())).unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert!(store.notary(SERVER, "app").is_none());
    assert_eq!(store.policy_last_good(), None);
}

#[tokio::test]
async fn a_truncated_file_is_set_aside_and_never_trusted() {
    let source = tempfile::tempdir().unwrap();
    fill(&Store::open(source.path()).unwrap()).await;
    let good = fs::read(file(source.path())).unwrap();
    for part in [1, 100, 4_096, good.len() / 2, good.len() - 1] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(file(dir.path()), &good[..part]).unwrap();
        let store = Store::open(dir.path()).unwrap_or_else(|e| panic!("{part} bytes: {e}"));
        let whole = store.notary(SERVER, "app").is_some();
        assert_eq!(whole, set_aside(dir.path()) == 0, "{part} bytes");
        store.put_notary(trust_data("app", 7)).await.unwrap();
    }
}

#[tokio::test]
async fn flipped_bits_lose_records_but_never_change_them() {
    let source = tempfile::tempdir().unwrap();
    fill(&Store::open(source.path()).unwrap()).await;
    let good = fs::read(file(source.path())).unwrap();
    let used: Vec<usize> = (0..good.len()).filter(|at| good[*at] != 0).collect();
    let mut noticed = 0;
    for at in used.iter().step_by(used.len() / 150 + 1) {
        let dir = tempfile::tempdir().unwrap();
        let mut bad = good.clone();
        bad[*at] ^= 1 << (at % 8);
        fs::write(file(dir.path()), &bad).unwrap();
        let store = Store::open(dir.path()).unwrap_or_else(|e| panic!("byte {at}: {e}"));
        if let Some(found) = store.notary(SERVER, "app") {
            assert_eq!(
                found.collection,
                trust_data("app", 7).collection,
                "byte {at}"
            );
        }
        for found in store.links_to(&link().config) {
            assert_eq!(found, link(), "byte {at}");
        }
        for found in store.origins(&origin().digest) {
            assert_eq!(found, origin(), "byte {at}");
        }
        let set = signatures();
        if let Some(found) = store.signatures(&set.source, &set.repository, &set.subject) {
            assert_eq!(*found, set, "byte {at}");
        }
        for found in store.descriptions(&description().subject) {
            assert_eq!(*found, description(), "byte {at}");
        }
        if let Some(found) = store.policy_last_good() {
            assert_eq!(found, policy(), "byte {at}");
        }
        let health = store.health();
        noticed += usize::from(health.set_aside.is_some() || health.damaged_records > 0);
        store.put_notary(trust_data("app", 7)).await.unwrap();
    }
    assert!(noticed > 10, "only {noticed} flips were noticed");
}

#[tokio::test]
async fn damaged_files_kept_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..12 {
        fs::write(file(dir.path()), b"this is no database, whatever its name").unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert!(store.health().set_aside.is_some());
    }
    assert_eq!(set_aside(dir.path()), 5);
}

#[tokio::test]
async fn a_directory_or_link_in_place_of_the_file_is_an_error_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(file(dir.path())).unwrap();
    assert!(matches!(
        Store::open(dir.path()),
        Err(StoreError::Io { .. })
    ));
    assert!(file(dir.path()).is_dir());

    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("elsewhere");
    fs::write(&target, b"").unwrap();
    std::os::unix::fs::symlink(&target, file(dir.path())).unwrap();
    assert!(matches!(
        Store::open(dir.path()),
        Err(StoreError::Io { .. })
    ));
    assert_eq!(fs::read(&target).unwrap(), b"");
}

/// A small file system of its own, unmounted at the end.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    /// `None` where mounting is not permitted.
    fn new() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
            .arg(dir.path());
        mount
            .status()
            .is_ok_and(|status| status.success())
            .then_some(Self(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all the space that is left.
    fn fill(&self) {
        let mut filler = fs::File::create(self.path().join("filler")).unwrap();
        while std::io::Write::write_all(&mut filler, &[1; 1024]).is_ok() {}
    }

    fn free(&self) {
        fs::remove_file(self.path().join("filler")).unwrap();
    }

    fn remount(&self, option: &str) {
        let mut mount = Command::new("mount");
        mount
            .arg("-o")
            .arg(format!("remount,{option}"))
            .arg(self.path());
        assert!(mount.status().unwrap().success());
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_stops_no_decision_and_everything_is_written_once_there_is_room() {
    let Some(disk) = Tmpfs::new() else {
        eprintln!("skipped: a tmpfs cannot be mounted here");
        return;
    };
    let store = Store::open(disk.path()).unwrap();
    fill(&store).await;
    disk.fill();
    let mut refused = None;
    for n in 0..2_000 {
        let put = store.put_notary(trust_data(&format!("gun-{n}"), 1)).await;
        if let Err(error) = put {
            refused = Some((n, error));
            break;
        }
    }
    let (n, error) = refused.expect("8 MiB do not hold 2000 collections");
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
    store.put_sandbox(sandbox("s3"));
    assert!(store.flush().await.is_err());
    let health = store.health();
    assert!(health.failed >= 2 && health.pending > 0, "{health:?}");
    assert_eq!(health.last_error, Some("disk full or read-only"));
    let last = format!("gun-{n}");
    assert_eq!(
        floor(&store, &last),
        Some(1),
        "memory has what the disk refused"
    );
    assert_eq!(store.sandbox("s3"), Some(sandbox("s3")));
    assert_eq!(set_aside(disk.path()), 0, "a full disk is no damage");

    disk.free();
    store.flush().await.unwrap();
    assert_eq!(store.health().last_error, None);
    drop(store);
    let store = Store::open(disk.path()).unwrap();
    assert_eq!(floor(&store, &last), Some(1));
    assert_eq!(floor(&store, "app"), Some(7));
    assert_eq!(store.sandbox("s3"), Some(sandbox("s3")));
}

#[tokio::test]
async fn a_read_only_disk_at_start_still_serves_what_it_holds() {
    let Some(disk) = Tmpfs::new() else {
        eprintln!("skipped: a tmpfs cannot be mounted here");
        return;
    };
    fill(&Store::open(disk.path()).unwrap()).await;
    disk.remount("ro");
    let store = Store::open(disk.path()).unwrap();
    assert_eq!(*store.notary(SERVER, "app").unwrap(), trust_data("app", 7));
    assert_eq!(store.health().last_error, Some("disk full or read-only"));
    let refused = store.put_notary(trust_data("app", 8)).await;
    assert!(matches!(refused, Err(StoreError::Io { .. })), "{refused:?}");
    assert_eq!(floor(&store, "app"), Some(8));
    assert_eq!(set_aside(disk.path()), 0);
    disk.remount("rw");
    store.flush().await.unwrap();
    drop(store);
    assert_eq!(floor(&Store::open(disk.path()).unwrap(), "app"), Some(8));
}

#[tokio::test]
async fn a_restart_while_the_disk_is_full_finds_what_was_durable() {
    let Some(disk) = Tmpfs::new() else {
        eprintln!("skipped: a tmpfs cannot be mounted here");
        return;
    };
    let store = Store::open(disk.path()).unwrap();
    fill(&store).await;
    disk.fill();
    let mut tried = 0;
    while store
        .put_notary(trust_data(&format!("gun-{tried}"), 1))
        .await
        .is_ok()
    {
        tried += 1;
    }
    drop(store);
    let store = Store::open(disk.path()).unwrap();
    assert_eq!(set_aside(disk.path()), 0);
    assert_eq!(floor(&store, "app"), Some(7));
    disk.free();
    store.put_notary(trust_data("app", 8)).await.unwrap();
    assert_eq!(store.health().last_error, None);
}

#[tokio::test]
async fn the_recorded_time_advances_by_at_most_a_day_and_never_back() {
    let store = Store::in_memory();
    let day = 24 * 60 * 60;
    assert_eq!(store.last_time(), None);
    store.put_last_time(Timestamp(1_000));
    store.put_last_time(Timestamp(500));
    assert_eq!(store.last_time(), Some(Timestamp(1_000)));
    store.put_last_time(Timestamp(1_000 + 50 * day));
    assert_eq!(store.last_time(), Some(Timestamp(1_000 + day)));
    store.put_last_time(Timestamp(i64::MAX));
    assert_eq!(store.last_time(), Some(Timestamp(1_000 + 2 * day)));
    store.reset_last_time(Timestamp(2_000)).await.unwrap();
    assert_eq!(store.last_time(), Some(Timestamp(2_000)));
}

#[tokio::test]
async fn sandboxes_that_are_gone_are_forgotten() {
    let store = Store::in_memory();
    store.put_sandbox(sandbox("s1"));
    store.put_sandbox(sandbox("s2"));
    store.retain_sandboxes(&["s2".to_owned()].into());
    assert_eq!(store.sandbox("s1"), None);
    assert_eq!(store.sandbox("s2"), Some(sandbox("s2")));
    assert!(!store.health().durable);
    store.flush().await.unwrap();
}
