//! What one delegate can do to a collection: nothing but spoil its own role. All of it is forged: signed with test keys,
//! as someone who stole a delegation key could.

use serde_json::{Value, json};

use crate::common::forge::{Delegate, Key, Publication, sign, targets, useless_key};
use crate::common::{
    APP, Files, collection, digest_of, gather, key, now, pinned, refused, run, signer_refused,
    update,
};
use portcullis_policy::Digest;
use portcullis_trust::evidence::NotaryEvidence;
use portcullis_trust::notary::{NotaryMemory, Session, Signer, Step, VerifiedCollection, verify};

/// `targets` delegates to these, each with the key test-a but bob with test-b, for every tag.
fn delegating(names: &[&'static str]) -> Publication {
    let (a, b) = (Key::new("test-a"), Key::new("test-b"));
    let mut publication = Publication::new();
    let (of_a, of_b) = ([&a], [&b]);
    let delegates: Vec<Delegate<'_>> = names
        .iter()
        .map(|name| Delegate {
            name,
            keys: if *name == "bob" { &of_b } else { &of_a },
            threshold: 1,
            paths: &[""],
        })
        .collect();
    let signed = targets(1, &[("v1.0", "v1.0")], &delegates);
    publication.targets = sign(&signed, &[&publication.key]);
    publication
}

/// alice publishes this beside bob, who is honest.
fn beside_bob(alice: String) -> Publication {
    let mut publication = delegating(&["alice", "bob"]);
    let bob = sign(
        &targets(1, &[("v1.0", "v1.0")], &[]),
        &[&Key::new("test-b")],
    );
    publication.delegations = vec![("alice", alice), ("bob", bob)];
    publication
}

/// What alice publishes: a delegation to `targets/alice/deep`, changed by `edit`.
fn by_alice(edit: impl FnOnce(&mut Value)) -> String {
    let a = Key::new("test-a");
    let child = Delegate {
        name: "alice/deep",
        keys: &[&a],
        threshold: 1,
        paths: &[""],
    };
    let mut signed = targets(1, &[("v1.0", "v1.0")], &[child]);
    edit(&mut signed);
    sign(&signed, &[&a])
}

/// `count` roles below alice.
fn children(signed: &mut Value, count: usize) {
    let role = signed["delegations"]["roles"][0].clone();
    let roles = (0..count)
        .map(|number| {
            let mut role = role.clone();
            role["name"] = format!("targets/alice/d{number}").into();
            role
        })
        .collect();
    signed["delegations"]["roles"] = Value::Array(roles);
}

fn bob_counts(collection: &VerifiedCollection) -> bool {
    let key = key("test-b.crt");
    let bob = Signer {
        name: "bob",
        key: &key,
    };
    collection.signed("v1.0", &digest_of("v1.0"), bob).is_ok()
}

/// Why alice does not count; the others must.
fn alice_alone_is_spoilt(files: &Files) -> String {
    let collection = collection(files);
    assert!(bob_counts(&collection));
    assert_eq!(collection.target("v1.0"), Ok(digest_of("v1.0")));
    let why = signer_refused(&collection, "v1.0", "alice", "test-a.crt");
    why.strip_prefix("the signature of alice does not count: ")
        .unwrap()
        .to_owned()
}

#[test]
fn a_delegate_with_a_huge_file_spoils_its_own_role_alone() {
    let publication = beside_bob("x".repeat((8 << 20) + 1));
    let files = publication.files();
    assert_eq!(
        alice_alone_is_spoilt(&files),
        "targets/alice is larger than 8388608 bytes"
    );
    let trust = pinned(APP, &files);
    let asked = run(&files, APP, &trust, &NotaryMemory::default(), None, now()).asked;
    assert!(!asked.iter().any(|file| file.starts_with("targets/alice.")));
}

#[test]
fn a_delegate_whose_file_is_no_text_spoils_its_own_role_alone() {
    const NO_TEXT: &[u8] = b"{\"signed\":\"\xff\"}";
    let mut publication = beside_bob(String::new());
    publication.edit_snapshot = |snapshot| {
        let meta = &mut snapshot["meta"]["targets/alice"];
        meta["length"] = NO_TEXT.len().into();
        let sha256 = Digest::of(NO_TEXT);
        meta["hashes"] = json!({"sha256": base64(sha256.as_bytes())});
    };
    let files = publication.files();
    let gathered = |alice: &[u8]| {
        let trust = pinned(APP, &files);
        let mut session = Session::new(APP, &trust, &NotaryMemory::default(), None, now());
        loop {
            match session.step() {
                Step::Fetch(want) if want.file.starts_with("targets/alice.") => {
                    session.supply(Some(alice.to_vec()));
                }
                Step::Fetch(want) => {
                    session.supply(
                        files
                            .0
                            .get(&want.file)
                            .map(|text| text.clone().into_bytes()),
                    );
                }
                Step::Done(result) => return result,
            }
        }
    };
    let (collection, memory) = *gathered(NO_TEXT).unwrap();
    let evidence = NotaryEvidence { collection, memory };
    let verified = verify(&pinned(APP, &files), &evidence).unwrap();
    assert!(bob_counts(&verified));
    assert!(
        signer_refused(&verified, "v1.0", "alice", "test-a.crt")
            .starts_with("the signature of alice does not count: ")
    );
    // Bytes that are not the file listed are the server's doing, and end the update.
    assert_eq!(
        gathered(b"\xff").unwrap_err().to_string(),
        "targets/alice is malformed: not UTF-8"
    );
}

fn base64(bytes: &[u8]) -> String {
    use ::base64::Engine as _;
    ::base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn a_delegate_with_endless_delegations_spoils_its_own_role_alone() {
    let files = beside_bob(by_alice(|signed| children(signed, 129))).files();
    assert_eq!(
        alice_alone_is_spoilt(&files),
        "the trust data has more than 128 delegated roles"
    );
}

#[test]
fn all_delegations_together_are_bounded_and_the_owners_come_first() {
    let files = beside_bob(by_alice(|signed| children(signed, 128))).files();
    let collection = collection(&files);
    assert!(bob_counts(&collection));
    for (child, why) in [
        ("alice/d0", "snapshot does not list targets/alice/d0"),
        ("alice/d125", "snapshot does not list targets/alice/d125"),
        (
            "alice/d126",
            "the trust data has more than 128 delegated roles",
        ),
        (
            "alice/d127",
            "the trust data has more than 128 delegated roles",
        ),
    ] {
        assert_eq!(
            signer_refused(&collection, "v1.0", child, "test-a.crt"),
            format!("the signature of {child} does not count: {why}")
        );
    }
}

#[test]
fn endless_paths_and_keys_of_a_delegation_spoil_the_role_that_lists_them() {
    let paths = by_alice(|signed| {
        let paths: Vec<String> = (0..257).map(|number| format!("p{number}")).collect();
        signed["delegations"]["roles"][0]["paths"] = paths.into();
    });
    assert_eq!(
        alice_alone_is_spoilt(&beside_bob(paths).files()),
        "the trust data has more than 256 paths in a delegation"
    );
    let keys = by_alice(|signed| {
        let (ids, keys): (Vec<String>, serde_json::Map<String, Value>) = (0..65)
            .map(useless_key)
            .map(|(id, key)| (id.clone(), (id, key)))
            .unzip();
        signed["delegations"]["keys"] = keys.into();
        signed["delegations"]["roles"][0]["keyids"] = ids.into();
    });
    assert_eq!(
        alice_alone_is_spoilt(&beside_bob(keys).files()),
        "the trust data has more than 64 keys in a role"
    );
}

#[test]
fn a_key_named_twice_in_a_role_counts_once() {
    let a = Key::new("test-a");
    let files = Publication::delegated(&[&a, &a], 2, &[""], &[&a]).files();
    assert_eq!(
        signer_refused(&collection(&files), "v1.0", "alice", "test-a.crt"),
        "the signature of alice does not count: targets/alice is signed by 1 of its keys, 2 must sign"
    );
}

#[test]
fn a_key_named_without_end_in_a_role_is_one_key() {
    let a = Key::new("test-a");
    let files = Publication::delegated(&[&a; 1000], 1, &[""], &[&a]).files();
    let collection = collection(&files);
    let key = key("test-a.crt");
    let alice = Signer {
        name: "alice",
        key: &key,
    };
    assert!(collection.signed("v1.0", &digest_of("v1.0"), alice).is_ok());
}

#[test]
fn endless_delegations_of_the_owner_are_refused() {
    let a = Key::new("test-a");
    let names: Vec<String> = (0..129).map(|number| format!("d{number}")).collect();
    let keys = [&a];
    let delegates: Vec<Delegate<'_>> = names
        .iter()
        .map(|name| Delegate {
            name,
            keys: &keys,
            threshold: 1,
            paths: &[""],
        })
        .collect();
    let mut publication = Publication::new();
    publication.targets = sign(&targets(1, &[], &delegates), &[&publication.key]);
    assert_eq!(
        refused(&publication.files()),
        "the trust data has more than 128 delegated roles"
    );
}

#[test]
fn all_delegated_files_together_are_bounded_even_if_they_arrive_one_by_one() {
    let mut publication = delegating(&["one", "two", "three"]);
    let huge = || "x".repeat(7 << 20);
    publication.delegations = vec![("one", huge()), ("two", huge())];
    let trust = pinned(APP, &publication.files());
    let before = gather(&publication.files(), APP, &trust).unwrap();
    assert_eq!(before.collection.delegations.len(), 2);
    publication.delegations.push(("three", huge()));
    publication.version = 2;
    let after = update(&publication.files(), &trust, &before).unwrap();
    assert_eq!(after.collection.delegations.len(), 2);
    let verified = verify(&trust, &after).unwrap();
    assert_eq!(
        signer_refused(&verified, "v1.0", "three", "test-a.crt"),
        "the signature of three does not count: what is delegated is larger than 16777216 bytes"
    );
    assert_eq!(verified.target("v1.0"), Ok(digest_of("v1.0")));
}

#[test]
fn version_floors_of_roles_that_came_and_went_are_bounded() {
    let publication = delegating(&["alice", "bob"]);
    let trust = pinned(APP, &publication.files());
    let mut seen = gather(&publication.files(), APP, &trust).unwrap();
    for number in 0..2000 {
        let gone = format!("targets/alice/gone-{number}");
        seen.memory.floors.insert(gone, 1);
    }
    // Not published now, and still delegated to: an older publication of it must not come back.
    seen.memory.floors.insert("targets/alice".to_owned(), 7);
    let floors = update(&publication.files(), &trust, &seen)
        .unwrap()
        .memory
        .floors;
    assert_eq!(floors.get("targets/alice"), Some(&7));
    let kept: Vec<&str> = floors.keys().map(String::as_str).collect();
    assert_eq!(
        kept,
        ["root", "snapshot", "targets", "targets/alice", "timestamp"]
    );
}

#[test]
fn a_role_name_that_is_none_never_becomes_part_of_an_address() {
    let long = format!("targets/alice/{}", "x".repeat(256));
    for name in [
        "targets/alice/../../root",
        "targets/alice/..",
        "targets/alice/%2e%2e",
        "targets/alice%2Froot",
        "targets/alice/a b",
        "targets/alice/a#b",
        "targets/alice/A",
        "targets/alice/\u{e9}",
        "targets/alice/a?b",
        "targets/alice//a",
        "targets/alice/",
        "targets/",
        "targets",
        "root",
        "",
        long.as_str(),
    ] {
        let alice = by_alice(|signed| signed["delegations"]["roles"][0]["name"] = name.into());
        let files = beside_bob(alice).files();
        assert_eq!(
            alice_alone_is_spoilt(&files),
            "targets/alice is malformed: a delegation has no valid name",
            "{name}"
        );
        let trust = pinned(APP, &files);
        let asked = run(&files, APP, &trust, &NotaryMemory::default(), None, now()).asked;
        assert_eq!(asked.len(), 6, "{name}: {asked:?}");
    }
}

#[test]
fn a_delegate_cannot_take_the_name_of_a_role_beside_or_above_it() {
    for name in ["targets/bob", "targets/bob/deep", "targets/alice"] {
        let alice = by_alice(|signed| signed["delegations"]["roles"][0]["name"] = name.into());
        let collection = collection(&beside_bob(alice).files());
        assert!(bob_counts(&collection), "{name}");
        let thief = name.strip_prefix("targets/").unwrap();
        if thief != "alice" {
            signer_refused(&collection, "v1.0", thief, "test-a.crt");
        }
    }
}

#[test]
fn a_threshold_that_is_no_positive_number_is_refused_and_a_huge_one_is_never_met() {
    for threshold in [
        json!(0),
        json!(-1),
        json!("1"),
        json!(null),
        json!(true),
        json!([1]),
    ] {
        let alice = by_alice(|signed| {
            signed["delegations"]["roles"][0]["threshold"] = threshold.clone();
        });
        assert_eq!(
            alice_alone_is_spoilt(&beside_bob(alice).files()),
            "targets/alice is malformed: a role has no threshold above 0",
            "{threshold}"
        );
    }
    let a = Key::new("test-a");
    let files = Publication::delegated(&[&a], u64::MAX, &[""], &[&a]).files();
    assert_eq!(
        signer_refused(&collection(&files), "v1.0", "alice", "test-a.crt"),
        format!(
            "the signature of alice does not count: targets/alice is signed by 1 of its keys, {} must sign",
            u64::MAX
        )
    );
}
