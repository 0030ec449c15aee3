//! Files changed, swapped or written in two ways. Where no real tool would publish such a thing, `forge` signs it with
//! test keys and the test says so.

use crate::common::forge::{Delegate, Key, Publication, sign, targets};
use crate::common::signer_refused;
use crate::common::{APP, Files, app, collection, digest_of, gather, key, pinned, refused, text};
use portcullis_trust::notary::{NotaryError, Signer, Subject, verify};
use serde_json::json;

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
        signer_refused(
            &verify(&trust, &evidence).unwrap(),
            "v1.0",
            "alice",
            "alice.pub"
        ),
        "the signature of alice does not count: the trust data is incomplete: targets/alice is missing"
    );
    evidence.collection.delegations.remove("targets/releases");
    assert_eq!(
        text(verify(&trust, &evidence).unwrap().target("old")),
        "what is released is unknown: the trust data is incomplete: targets/releases is missing"
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

/// `targets/releases` says this of `v1.0` beside an older entry in `targets`.
fn released_as(hashes: serde_json::Value) -> Publication {
    let a = Key::new("test-a");
    let mut publication = Publication::new();
    let releases = Delegate {
        name: "releases",
        keys: &[&a],
        threshold: 1,
        paths: &[""],
    };
    let signed = targets(1, &[("v1.0", "older")], &[releases]);
    publication.targets = sign(&signed, &[&publication.key]);
    let mut released = targets(1, &[("v1.0", "newer")], &[]);
    released["targets"]["v1.0"]["hashes"] = hashes;
    publication.delegations = vec![("releases", sign(&released, &[&a]))];
    publication
}

#[test]
fn a_target_counts_by_its_sha256_alone_and_nothing_stands_in_for_it() {
    // Forged.
    let sha256 = "+o+RnJCdXrnjc9CQkoFw6w53k2rCDPQTMytSCQUxaO4=";
    for hashes in [
        json!({"sha512": sha256}),
        json!({"SHA256": sha256}),
        json!({"md5": sha256, "sha-256": sha256}),
        json!({}),
    ] {
        let collection = collection(&released_as(hashes.clone()).files());
        assert_eq!(
            text(collection.target("v1.0")),
            "tag v1.0 is not signed",
            "{hashes}"
        );
    }
    for hashes in [
        json!({"sha256": ""}),
        json!({"sha256": "AAAA"}),
        json!({"sha256": 1}),
        json!({"sha256": null}),
        json!({"sha256": sha256.trim_end_matches('=')}),
        json!({"sha256": "fa8b919c909d5eb9e373d090928170eb0e7936ac20ccf413332b96520903168e"}),
    ] {
        let collection = collection(&released_as(hashes.clone()).files());
        assert_eq!(
            text(collection.target("v1.0")),
            "what is released is unknown: targets/releases is malformed: a target is not of the form of one",
            "{hashes}"
        );
    }
}

#[test]
fn what_a_target_says_beside_its_digest_changes_nothing() {
    // Forged.
    let mut publication = Publication::new();
    let mut signed = targets(1, &[("v1.0", "v1.0")], &[]);
    signed["targets"]["v1.0"]["custom"] = json!({"hashes": {"sha256": "AAAA"}, "digest": "x"});
    signed["custom"] = json!([[[]]]);
    publication.targets = sign(&signed, &[&publication.key]);
    assert_eq!(
        collection(&publication.files()).target("v1.0"),
        Ok(digest_of("v1.0"))
    );
}

#[test]
fn the_name_of_a_target_is_never_shown_nor_taken_for_a_tag_if_it_is_none() {
    // Forged: whoever holds the targets key writes a line into the log of every node.
    let a = Key::new("test-a");
    let digest = digest_of("v1.0");
    for name in ["v1: allowed", "", "../x", "a b", "-v1", "\u{e9}"] {
        let mut publication = Publication::delegated(&[&a], 1, &[""], &[&a]);
        let alice = Delegate {
            name: "alice",
            keys: &[&a],
            threshold: 1,
            paths: &[""],
        };
        let signed = targets(1, &[(name, "v1.0")], &[alice]);
        publication.targets = sign(&signed, &[&publication.key]);
        publication.delegations[0].1 = sign(&targets(1, &[(name, "v1.0")], &[]), &[&a]);
        let collection = collection(&publication.files());
        let key = key("test-b.crt");
        let signer = Signer {
            name: "alice",
            key: &key,
        };
        assert_eq!(
            text(collection.satisfied(Subject::Digest(&digest), &[signer])),
            format!("{digest} is not signed under any tag"),
            "{name}"
        );
    }
}

#[test]
fn a_tag_is_compared_byte_for_byte() {
    // Forged: Go's JSON would take `\u0076` for `v`, and so does this reader; composed and decomposed letters are two.
    let mut publication = Publication::new();
    let signed = targets(
        1,
        &[("V1.0", "v1.0"), ("v1.0 ", "v1.0"), ("v1\u{2024}0", "v1.0")],
        &[],
    );
    publication.targets = sign(&signed, &[&publication.key]);
    let verified = collection(&publication.files());
    assert_eq!(text(verified.target("v1.0")), "tag v1.0 is not signed");
    let escaped = sign(&targets(1, &[("v1.0", "v1.0")], &[]), &[&publication.key])
        .replace("\"v1.0\"", "\"\\u00761.0\"");
    publication.targets = escaped;
    let verified = collection(&publication.files());
    assert_eq!(verified.target("v1.0"), Ok(digest_of("v1.0")));
}
