//! Signatures that must not count.

use crate::common::forge::{Delegate, Key, Publication, root, sign, targets};
use crate::common::{Files, collection, digest_of, key, refused, signer_refused, text};
use portcullis_trust::notary::Signer;

#[test]
fn a_key_that_is_listed_but_did_not_sign_does_not_count() {
    let collection = collection(&Files::of("app/1"));
    assert_eq!(
        signer_refused(&collection, "v1.0", "pair", "erin.crt"),
        "the key pinned for pair is listed in targets/pair but has not signed it"
    );
}

#[test]
fn another_signers_key_does_not_count() {
    let collection = collection(&Files::of("app/1"));
    assert_eq!(
        signer_refused(&collection, "v1.0", "alice", "bob.pub"),
        "targets/alice does not belong to the key pinned for alice"
    );
}

#[test]
fn a_signer_without_a_delegation_does_not_count() {
    let collection = collection(&Files::of("app/1"));
    assert_eq!(
        signer_refused(&collection, "v1.0", "mallory", "alice.pub"),
        "signer mallory has no delegation targets/mallory"
    );
    assert_eq!(
        signer_refused(&collection, "v1.0", "empty", "carol.crt"),
        "the signature of empty does not count: snapshot does not list targets/empty"
    );
}

#[test]
fn a_signer_who_signed_another_digest_or_tag_does_not_count() {
    let collection = collection(&Files::of("app/1"));
    assert_eq!(
        signer_refused(&collection, "v1.0", "carol", "carol.crt"),
        "signer carol has signed tag v1.0 for another digest than the one released"
    );
    assert_eq!(
        signer_refused(&collection, "old", "alice", "alice.pub"),
        "signer alice has not signed tag old"
    );
}

#[test]
fn one_key_with_two_certificates_counts_once() {
    // Forged: two ids, one key. notary itself counts ids.
    let (once, again) = (Key::new("test-a"), Key::listed("test-a", "test-a-again"));
    assert_ne!(once.id, again.id);
    let both = [&once, &again];
    let publication = Publication::delegated(&both, 2, &[""], &both);
    assert_eq!(
        signer_refused(
            &collection(&publication.files()),
            "v1.0",
            "alice",
            "test-a.crt"
        ),
        "the signature of alice does not count: targets/alice is signed by 1 of its keys, 2 must sign"
    );
    let other = Key::new("test-b");
    let two = [&once, &other];
    let publication = Publication::delegated(&two, 2, &[""], &two);
    let key = key("test-a.crt");
    let signer = Signer {
        name: "alice",
        key: &key,
    };
    assert!(
        collection(&publication.files())
            .signed("v1.0", &digest_of("v1.0"), signer)
            .is_ok()
    );
}

#[test]
fn one_signature_repeated_counts_once() {
    // Forged.
    let (a, b) = (Key::new("test-a"), Key::new("test-b"));
    let publication = Publication::delegated(&[&a, &b], 2, &[""], &[&a, &a]);
    assert_eq!(
        signer_refused(
            &collection(&publication.files()),
            "v1.0",
            "alice",
            "test-a.crt"
        ),
        "the signature of alice does not count: targets/alice is signed by 1 of its keys, 2 must sign"
    );
}

#[test]
fn a_key_under_an_id_that_is_not_its_own_is_refused() {
    // Forged: the thief's key under the id of the key that is pinned.
    let mut publication = Publication::new();
    let thief = Key::new("test-b");
    let mut forged = root(1, &[&publication.key], 1, &publication.key);
    let entry = root(1, &[&thief], 1, &thief)["keys"][&thief.id].take();
    forged["keys"][&publication.key.id] = entry;
    publication.roots = vec![sign(&forged, &[&thief])];
    assert_eq!(
        refused(&publication.files()),
        "root lists a key under an id that is not its own"
    );
}

#[test]
fn a_delegate_cannot_sign_outside_its_paths() {
    // Forged: notary's own client would refuse to publish it.
    let a = Key::new("test-a");
    let publication = Publication::delegated(&[&a], 1, &["rc", "v2"], &[&a]);
    assert_eq!(
        signer_refused(
            &collection(&publication.files()),
            "v1.0",
            "alice",
            "test-a.crt"
        ),
        "signer alice has not signed tag v1.0"
    );
}

#[test]
fn a_delegate_cannot_hand_on_more_than_it_holds_nor_to_a_sibling() {
    // Forged.
    let (a, b) = (Key::new("test-a"), Key::new("test-b"));
    let mut publication = Publication::delegated(&[&a], 1, &["rc"], &[&a]);
    let wide = Delegate {
        name: "alice/deep",
        keys: &[&b],
        threshold: 1,
        paths: &["", "rc-1"],
    };
    let sibling = Delegate {
        name: "bob",
        keys: &[&b],
        threshold: 1,
        paths: &[""],
    };
    let tags = [("v1.0", "v1.0"), ("rc-1", "rc-1"), ("rc-2", "rc-2")];
    publication.delegations = vec![
        ("alice", sign(&targets(1, &[], &[wide, sibling]), &[&a])),
        ("alice/deep", sign(&targets(1, &tags, &[]), &[&b])),
        ("bob", sign(&targets(1, &tags, &[]), &[&b])),
    ];
    let collection = collection(&publication.files());
    let key = key("test-b.crt");
    let deep = Signer {
        name: "alice/deep",
        key: &key,
    };
    assert!(collection.signed("rc-1", &digest_of("rc-1"), deep).is_ok());
    for tag in ["v1.0", "rc-2"] {
        assert_eq!(
            text(collection.signed(tag, &digest_of(tag), deep)),
            format!("signer alice/deep has not signed tag {tag}")
        );
    }
    assert_eq!(
        signer_refused(&collection, "v1.0", "bob", "test-b.crt"),
        "signer bob has no delegation targets/bob"
    );
}

#[test]
fn a_delegate_that_publishes_rubbish_spoils_its_own_role_alone() {
    // Forged: properly listed, not properly signed metadata.
    let a = Key::new("test-a");
    let mut publication = Publication::delegated(&[&a], 1, &[""], &[&a]);
    publication.delegations = vec![("alice", "{\"signed\":{},\"signed\":{}}".to_owned())];
    let collection = collection(&publication.files());
    assert_eq!(collection.target("v1.0"), Ok(digest_of("v1.0")));
    assert!(
        signer_refused(&collection, "v1.0", "alice", "test-a.crt")
            .starts_with("the signature of alice does not count: targets/alice is malformed")
    );
}

#[test]
fn releases_that_cannot_be_read_are_not_replaced_by_older_targets() {
    // Forged: the key of releases did not sign it.
    let (a, b) = (Key::new("test-a"), Key::new("test-b"));
    let mut publication = Publication::new();
    let releases = Delegate {
        name: "releases",
        keys: &[&a],
        threshold: 1,
        paths: &[""],
    };
    publication.targets = sign(
        &targets(1, &[("v1.0", "older")], &[releases]),
        &[&publication.key],
    );
    publication.delegations = vec![(
        "releases",
        sign(&targets(1, &[("v1.0", "newer")], &[]), &[&b]),
    )];
    assert_eq!(
        text(collection(&publication.files()).target("v1.0")),
        "what is released is unknown: targets/releases is signed by 0 of its keys, 1 must sign"
    );
}

#[test]
fn a_signature_under_the_id_of_another_key_does_not_count() {
    // Forged.
    let (a, b) = (Key::new("test-a"), Key::new("test-b"));
    let mut publication = Publication::delegated(&[&a, &b], 1, &[""], &[&a]);
    publication.delegations[0].1 = publication.delegations[0].1.replace(&a.id, &b.id);
    assert!(
        signer_refused(
            &collection(&publication.files()),
            "v1.0",
            "alice",
            "test-a.crt"
        )
        .ends_with("targets/alice is signed by 0 of its keys, 1 must sign")
    );
}

#[test]
fn two_delegations_of_one_name_are_refused() {
    // Forged: which of them is alice?
    let (a, b) = (Key::new("test-a"), Key::new("test-b"));
    let mut publication = Publication::delegated(&[&a], 1, &[""], &[&a]);
    let keys = [[&a], [&b]];
    let twice: Vec<Delegate<'_>> = keys
        .iter()
        .map(|keys| Delegate {
            name: "alice",
            keys,
            threshold: 1,
            paths: &[""],
        })
        .collect();
    publication.targets = sign(&targets(1, &[], &twice), &[&publication.key]);
    assert_eq!(
        refused(&publication.files()),
        "targets is malformed: two delegations have the same name"
    );
}

#[test]
fn a_threshold_of_zero_is_refused() {
    // Forged.
    let a = Key::new("test-a");
    let publication = Publication::delegated(&[&a], 0, &[""], &[]);
    assert_eq!(
        refused(&publication.files()),
        "targets is malformed: a role has no threshold above 0"
    );
}
