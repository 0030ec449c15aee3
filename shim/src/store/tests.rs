//! Rules of the store that need its inside: bounds, and values that were tampered with behind valid checksums.

use std::collections::{BTreeMap, HashSet};

use portcullis_policy::Digest;
use portcullis_trust::Timestamp;
use portcullis_trust::evidence::{
    Artefact, ArtefactKind, NotaryEvidence, Origin, OriginSource, SignatureSet, SignatureSource,
};
use portcullis_trust::notary::{NotaryCollection, NotaryMemory};

use super::file;
use super::layout;
use super::memory::Change;
use super::table::{Caps, Table};
use super::{Link, Resolution, ResolutionSource, Store, StoreError};

fn trust_data(gun: &str, version: u64, size: usize) -> NotaryEvidence {
    NotaryEvidence {
        collection: NotaryCollection {
            server: "https://notary.example".to_owned(),
            gun: gun.to_owned(),
            gathered_at: Timestamp(1_000),
            roots: vec!["x".repeat(size)],
            timestamp: version.to_string(),
            snapshot: String::new(),
            targets: String::new(),
            delegations: BTreeMap::new(),
        },
        memory: NotaryMemory {
            floors: BTreeMap::from([("timestamp".to_owned(), version)]),
            first_root: None,
        },
    }
}

fn link(n: u8) -> Link {
    Link {
        root: Digest::of(&[n, 1]),
        manifest: Digest::of(&[n, 2]),
        config: Digest::of(&[n, 3]),
        chain_id: Digest::of(&[n, 4]),
        user: String::new(),
    }
}

fn resolution(namespace: Option<&str>, reference: &str, digest: Digest) -> Resolution {
    Resolution {
        namespace: namespace.map(str::to_owned),
        reference: reference.to_owned(),
        digest,
        source: ResolutionSource::Registry,
        gathered_at: Timestamp(7),
    }
}

fn small() -> Caps {
    Caps {
        artefacts: 4,
        artefact_bytes: 1_000,
        artefacts_bytes: 1_700,
        links: 4,
        resolutions: 4,
        origins: 4,
        sandboxes: 2,
        ..Caps::default()
    }
}

/// Changes rows of a closed file, as an attacker with the disk or a later version would.
fn tamper(dir: &std::path::Path, changes: &[Change]) {
    let path = file::path_in(dir).unwrap();
    let opened = file::open(&path).unwrap();
    file::apply(&opened.database, changes).unwrap();
}

#[tokio::test]
async fn evidence_of_live_images_is_never_evicted_for_newcomers() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open_with(dir.path(), small()).unwrap();
    let live: HashSet<Digest> = (0..4).map(|n| link(n).config).collect();
    for n in 0..4 {
        store.put_link(link(n));
    }
    store.retain(&live);
    store.retain(&live);
    store.put_link(link(9));
    assert_eq!(store.links_to(&link(9).config), vec![]);
    assert_eq!(store.health().refused, 1);
    for n in 0..4 {
        assert_eq!(store.links_to(&link(n).config), vec![link(n)]);
    }
    // Once an image is gone, its link gives way.
    let live = (1..4).map(|n| link(n).config).collect();
    store.retain(&live);
    store.put_link(link(9));
    assert_eq!(store.links_to(&link(9).config), vec![link(9)]);
    assert_eq!(store.links_from(&link(9).root), vec![link(9)]);
    assert_eq!(store.links_from(&link(0).root), vec![]);
    // What was evicted does not come back.
    store.flush().await.unwrap();
    drop(store);
    let store = Store::open_with(dir.path(), small()).unwrap();
    assert_eq!(store.links_to(&link(0).config), vec![]);
    assert_eq!(store.links_to(&link(1).config), vec![link(1)]);
}

#[tokio::test]
async fn trust_data_stays_while_a_live_image_was_accepted_from_its_repository() {
    let store = Store::open_with(tempfile::tempdir().unwrap().path(), small()).unwrap();
    for n in 0..4_u8 {
        store
            .put_notary(trust_data(&format!("reg:5000/a{n}"), 1, 10))
            .await
            .unwrap();
        store.put_link(link(n));
        store.put_resolution(resolution(None, &format!("reg:5000/a{n}:1"), link(n).root));
    }
    let live: HashSet<Digest> = HashSet::from([link(0).config]);
    store.retain(&live);
    store.retain(&live);
    assert!(
        store
            .notary("https://notary.example", "reg:5000/a0")
            .is_some()
    );
    assert!(
        store
            .notary("https://notary.example", "reg:5000/a1")
            .is_none(),
        "oldest of the idle"
    );
    let floors = store
        .notary_memory("https://notary.example", "reg:5000/a1")
        .unwrap();
    assert_eq!(
        floors.floors["timestamp"], 1,
        "floors outlive the collection"
    );
}

#[tokio::test]
async fn too_large_or_too_many_collections_are_refused_and_counted() {
    let store = Store::open_with(tempfile::tempdir().unwrap().path(), small()).unwrap();
    let large = store.put_notary(trust_data("big", 1, 1_000)).await;
    assert!(
        matches!(large, Err(StoreError::TooLarge { .. })),
        "{large:?}"
    );
    store.put_notary(trust_data("a", 1, 600)).await.unwrap();
    store.put_notary(trust_data("b", 1, 600)).await.unwrap();
    let full = store.put_notary(trust_data("c", 5, 600)).await;
    assert!(matches!(full, Err(StoreError::Full { .. })), "{full:?}");
    let (server, grown) = ("https://notary.example", trust_data("a", 2, 780));
    let full = store.put_notary(grown).await;
    assert!(matches!(full, Err(StoreError::Full { .. })), "{full:?}");
    let kept = store.notary(server, "a").unwrap();
    assert_eq!(
        *kept,
        trust_data("a", 1, 600),
        "evidence in use is not lost to its successor"
    );
    assert_eq!(store.notary_memory(server, "c"), None);
    assert_eq!(store.health().refused, 3);
    store.put_notary(trust_data("a", 2, 700)).await.unwrap();
}

#[tokio::test]
async fn a_sandbox_beyond_the_cap_displaces_the_oldest() {
    let store = Store::open_with(tempfile::tempdir().unwrap().path(), small()).unwrap();
    for id in ["a", "b", "c"] {
        store.put_sandbox(crate::containerd::Sandbox {
            id: id.to_owned(),
            namespace: "ns".to_owned(),
            name: "pod".to_owned(),
            uid: "u".to_owned(),
            runtime_handler: String::new(),
        });
    }
    assert_eq!(store.sandbox("a"), None);
    assert!(store.sandbox("b").is_some() && store.sandbox("c").is_some());
}

#[tokio::test]
async fn an_artefact_that_does_not_hash_to_its_key_is_not_trusted_but_its_floors_are() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.put_notary(trust_data("app", 3, 10)).await.unwrap();
    drop(store);
    let (digest, _) = layout::artefact(&trust_data("app", 3, 10).collection).unwrap();
    let (_, forged) = layout::artefact(&trust_data("app", 2, 10).collection).unwrap();
    tamper(
        dir.path(),
        &[Change {
            table: Table::Artefacts,
            key: digest.hex(),
            value: Some(forged),
        }],
    );
    let store = Store::open(dir.path()).unwrap();
    assert!(store.notary("https://notary.example", "app").is_none());
    assert_eq!(store.health().damaged_records, 1);
    let floors = store
        .notary_memory("https://notary.example", "app")
        .unwrap();
    assert_eq!(floors.floors["timestamp"], 3);
}

#[tokio::test]
async fn a_record_moved_under_another_key_or_of_another_version_is_dropped_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let origin = Origin {
        repository: "reg/app".to_owned(),
        digest: Digest::of(b"1"),
        source: OriginSource::Pull,
        at: Timestamp(1),
        reason: None,
    };
    store.put_origin(origin.clone());
    store.put_link(link(1));
    store.flush().await.unwrap();
    drop(store);
    let moved = layout::put(Table::Origins, &"another key", &origin).unwrap();
    let future = Change {
        table: Table::Links,
        key: "future".to_owned(),
        value: Some(br#"{"v":2,"sum":"","body":{}}"#.to_vec()),
    };
    tamper(dir.path(), &[moved, future]);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.health().damaged_records, 2);
    assert_eq!(store.health().set_aside, None);
    assert_eq!(store.origins(&origin.digest), vec![origin]);
    assert_eq!(store.links_to(&link(1).config), vec![link(1)]);
    // The dropped rows are gone from the file too.
    store.flush().await.unwrap();
    drop(store);
    assert_eq!(Store::open(dir.path()).unwrap().health().damaged_records, 0);
}

fn set(repository: &str, size: usize) -> SignatureSet {
    SignatureSet {
        source: SignatureSource::Bundles,
        repository: repository.to_owned(),
        subject: Digest::of(repository.as_bytes()),
        artefacts: vec![Artefact {
            kind: ArtefactKind::SigstoreBundle,
            bytes: vec![7; size],
            annotations: BTreeMap::new(),
        }],
        earlier: Vec::new(),
        truncated: false,
        gathered_at: Timestamp(1),
    }
}

#[tokio::test]
async fn a_neighbour_who_fills_the_store_does_not_keep_others_from_being_judged() {
    let caps = Caps {
        found_bytes: 2_000,
        all_found_bytes: 4_000,
        ..small()
    };
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open_with(dir.path(), caps).unwrap();
    for name in ["reg/greedy-1", "reg/greedy-2"] {
        store.put_signatures(set(name, 1_200));
    }
    let other = set("reg/other", 300);
    let get = |store: &Store| store.signatures(&other.source, &other.repository, &other.subject);
    store.put_signatures(other.clone());
    assert_eq!(get(&store).as_deref(), Some(&other));
    assert_eq!(store.health().refused, 1, "and it is told");
    // It is not in the file, which stays within its bounds.
    store.flush().await.unwrap();
    drop(store);
    let store = Store::open_with(dir.path(), caps).unwrap();
    assert_eq!(get(&store), None);
}

#[tokio::test]
async fn damaged_signatures_and_those_of_a_later_version_are_dropped_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let (good, moved) = (set("reg/good", 10), set("reg/moved", 10));
    store.put_signatures(good.clone());
    store.flush().await.unwrap();
    drop(store);
    // Evidence of one repository under the name of another, and records that nobody can read.
    let key = (moved.subject, "reg/victim", SignatureSource::Bundles);
    let moved = layout::put(Table::Signatures, &key, &moved).unwrap();
    let mut changes = vec![moved];
    for table in [Table::Signatures, Table::Revocations, Table::Descriptions] {
        changes.push(Change {
            table,
            key: "future".to_owned(),
            value: Some(br#"{"v":2,"sum":"","body":{}}"#.to_vec()),
        });
    }
    tamper(dir.path(), &changes);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.health().damaged_records, 4);
    assert_eq!(store.health().set_aside, None);
    let found = store.signatures(&good.source, &good.repository, &good.subject);
    assert_eq!(found.as_deref(), Some(&good));
}
