//! Files changed, swapped or written in two ways. Where no real tool would publish such a thing, `forge` signs it with
//! test keys and the test says so.

use crate::common::forge::Publication;
use crate::common::{APP, Files, app, gather, pinned, refused, text};
use portcullis_trust::notary::{NotaryError, verify};

#[test]
fn a_tampered_file_below_the_snapshot_is_refused_by_its_checksum() {
    for role in ["targets", "targets/releases", "targets/alice"] {
        let mut files = Files::of("app/1");
        files.edit(role, "\"length\":1234", "\"length\":1235");
        assert_eq!(
            refused(&files),
            format!("{role} is not the file listed for it: its sha256 differs")
        );
    }
}

#[test]
fn a_lengthened_file_is_refused_by_its_length() {
    let mut files = Files::of("app/1");
    files.edit("targets", "{", "{ ");
    assert_eq!(
        refused(&files),
        "targets is not the file listed for it: its length differs"
    );
}

#[test]
fn a_tampered_timestamp_is_refused_by_its_signature() {
    let mut files = Files::of("app/1");
    files.edit("timestamp", "\"version\":", "\"version\":1");
    assert_eq!(
        refused(&files),
        "timestamp is signed by 0 of its keys, 1 must sign"
    );
}

#[test]
fn a_tampered_root_is_refused_by_its_signature() {
    let mut files = Files::of("app/1");
    files.edit("root", "\"expires\":\"20", "\"expires\":\"21");
    assert_eq!(
        refused(&files),
        "root is signed by 0 of its keys, 1 must sign"
    );
}

#[test]
fn stored_evidence_that_was_tampered_with_is_refused() {
    let trust = pinned(APP, &Files::of("app/1"));
    let (_, good) = app(1);
    let mut evidence = good.clone();
    evidence.collection.targets = good.collection.targets.replace("1234", "1235");
    assert!(matches!(
        verify(&trust, &evidence),
        Err(NotaryError::Checksum { .. })
    ));
    let mut evidence = good.clone();
    evidence.collection.roots.clear();
    assert_eq!(
        text(verify(&trust, &evidence)),
        "the trust data is incomplete: root is missing"
    );
    let mut evidence = good.clone();
    evidence.collection.delegations.remove("targets/alice");
    assert_eq!(
        text(verify(&trust, &evidence)),
        "the trust data is incomplete: targets/alice is missing"
    );
    let mut evidence = good;
    evidence.collection.server = "https://elsewhere.example.com".to_owned();
    assert_eq!(
        text(verify(&trust, &evidence)),
        "the trust data is of another server or collection"
    );
}

#[test]
fn only_the_sha512_checksum_differing_is_enough_to_refuse() {
    // Forged: notary always writes both checksums of the same file.
    let mut publication = Publication::new();
    publication.edit_snapshot = |snapshot| {
        snapshot["meta"]["targets"]["hashes"]["sha512"] = "AAAA".into();
    };
    assert_eq!(
        refused(&publication.files()),
        "targets is not the file listed for it: its sha512 differs"
    );
}

#[test]
fn a_snapshot_without_sha256_is_refused() {
    // Forged.
    let mut publication = Publication::new();
    publication.edit_snapshot = |snapshot| {
        let hashes = snapshot["meta"]["targets"]["hashes"]
            .as_object_mut()
            .unwrap();
        hashes.remove("sha256");
    };
    assert_eq!(
        refused(&publication.files()),
        "snapshot is malformed: a file is listed without length or sha256"
    );
}

#[test]
fn duplicate_keys_in_a_file_are_refused() {
    let mut files = Files::of("app/1");
    files.edit(
        "timestamp",
        "\"_type\":",
        "\"_type\":\"Timestamp\",\"_type\":",
    );
    assert_eq!(
        refused(&files),
        "timestamp is malformed: not a JSON object without fractions and duplicate keys"
    );
}

#[test]
fn one_kind_of_file_does_not_pass_for_another() {
    // Forged: one key holds every role, so that its signature alone cannot tell a snapshot from a timestamp.
    let mut files = Publication::new().files();
    let snapshot = files.get("snapshot");
    files.substitute("timestamp", &snapshot);
    assert_eq!(
        refused(&files),
        "timestamp is malformed: `_type` is not that of its role"
    );
}

#[test]
fn a_snapshot_of_another_publication_is_refused() {
    let mut files = Files::of("app/2");
    files.substitute("snapshot", &Files::of("app/1").get("snapshot"));
    assert!(
        refused(&files).starts_with("snapshot is not the file listed for it: its "),
        "{}",
        refused(&files)
    );
}

#[test]
fn a_delegation_of_another_publication_is_refused() {
    let mut files = Files::of("app/2");
    files.substitute(
        "targets/releases",
        &Files::of("app/1").get("targets/releases"),
    );
    assert!(
        refused(&files).starts_with("targets/releases is not the file listed for it: its "),
        "{}",
        refused(&files)
    );
}

#[test]
fn a_root_of_another_publication_is_refused() {
    let mut files = Files::of("app/3");
    let trust = pinned(APP, &Files::of("app/1"));
    files
        .0
        .insert("root.json".to_owned(), Files::of("app/3").get("2.root"));
    assert!(matches!(
        gather(&files, APP, &trust),
        Err(NotaryError::Checksum { role, .. }) if role == "root"
    ));
}

#[test]
fn the_delegation_of_one_signer_does_not_pass_for_that_of_another() {
    let mut files = Files::of("app/1");
    files.substitute("targets/bob", &Files::of("app/1").get("targets/alice"));
    assert!(matches!(
        gather(&files, APP, &pinned(APP, &files)),
        Err(NotaryError::Checksum { role, .. }) if role == "targets/bob"
    ));
}
