//! What real collections prove.

use crate::common::{
    APP, Files, WEB, digest_of, first_use, gather, key, now, pinned, pinned_to, root_key_id, run,
    text, update,
};
use portcullis_policy::Digest;
use portcullis_trust::evidence::NotaryEvidence;
use portcullis_trust::notary::{NotaryMemory, Signer, Subject, VerifiedCollection, verify};

fn verified(step: u8) -> VerifiedCollection {
    let files = Files::of(&format!("app/{step}"));
    let trust = pinned(APP, &files);
    verify(&trust, &gather(&files, APP, &trust).unwrap()).unwrap()
}

fn signed(
    collection: &VerifiedCollection,
    tag: &str,
    name: &str,
    pem: &str,
) -> Result<String, String> {
    let key = key(pem);
    let digest = digest_of(tag);
    collection
        .signed(tag, &digest, Signer { name, key: &key })
        .map(|by| by.role)
        .map_err(|error| error.to_string())
}

#[test]
fn tags_mean_what_releases_or_else_targets_say() {
    let collection = verified(2);
    assert_eq!(collection.target("latest"), Ok(digest_of("latest-2")));
    assert_eq!(collection.target("v1.1"), Ok(digest_of("v1.1")));
    assert_eq!(collection.target("old"), Ok(digest_of("old")));
}

#[test]
fn a_tag_signed_by_another_delegation_alone_has_no_digest() {
    let collection = verified(1);
    assert_eq!(
        text(collection.target("only-alice")),
        "tag only-alice is not signed"
    );
    assert!(signed(&collection, "only-alice", "alice", "alice.pub").is_ok());
}

#[test]
fn signers_with_p256_p384_and_rsa_keys_are_verified() {
    let collection = verified(2);
    for (tag, name, pem) in [
        ("v1.0", "alice", "alice.pub"),
        ("v1.0", "alice", "alice.crt"),
        ("v1.0", "bob", "bob.pub"),
        ("v1.0", "bob", "bob.crt"),
        ("v1.1", "carol", "carol.crt"),
        ("v1.0", "pair", "dave.crt"),
    ] {
        assert_eq!(
            signed(&collection, tag, name, pem),
            Ok(format!("targets/{name}"))
        );
    }
}

#[test]
fn ed25519_server_keys_are_verified() {
    let files = Files::of("impostor");
    let trust = pinned(APP, &files);
    assert!(gather(&files, APP, &trust).is_ok());
}

#[test]
fn a_digest_reference_is_looked_up_by_its_digest() {
    let collection = verified(2);
    let alice = key("alice.pub");
    let signer = Signer {
        name: "alice",
        key: &alice,
    };
    let found = collection
        .satisfied(Subject::Digest(&digest_of("v1.0")), &[signer])
        .unwrap();
    assert_eq!(found[0].role, "targets/alice");
    let replaced = collection.satisfied(Subject::Digest(&digest_of("latest-1")), &[]);
    assert_eq!(
        text(replaced),
        format!("{} is not signed under any tag", digest_of("latest-1"))
    );
    let unsigned_by_alice = collection.satisfied(Subject::Digest(&digest_of("v1.1")), &[signer]);
    assert_eq!(
        text(unsigned_by_alice),
        "signer alice has not signed tag v1.1"
    );
}

#[test]
fn without_pinned_signers_the_releasing_role_is_the_finding() {
    let found = verified(2)
        .satisfied(Subject::Tag("v1.1", &digest_of("v1.1")), &[])
        .unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].role, "targets/releases");
    assert!(!found[0].key_ids.is_empty());
}

#[test]
fn a_rotated_root_is_followed_from_the_stored_one() {
    let (old, new) = (Files::of("app/1"), Files::of("app/3"));
    let trust = pinned(APP, &old);
    let before = gather(&old, APP, &trust).unwrap();
    let after = update(&new, &trust, &before).unwrap();
    assert_eq!(after.collection.roots.len(), 3);
    assert_eq!(after.memory.floors["root"], 3);
    assert_eq!(
        verify(&trust, &after).unwrap().target("latest"),
        Ok(digest_of("latest-2"))
    );
}

#[test]
fn a_pin_on_an_old_root_key_leads_to_the_newest_root() {
    let files = Files::of("app/3");
    let trust = pinned(APP, &Files::of("app/1"));
    let evidence = gather(&files, APP, &trust).unwrap();
    assert_eq!(evidence.collection.roots.len(), 3);
    assert!(verify(&trust, &evidence).is_ok());
}

#[test]
fn a_root_may_be_linked_where_the_server_kept_no_intermediates() {
    let old = Files::of("app/1");
    let mut new = Files::of("app/3");
    new.0.remove("2.root.json");
    let trust = pinned(APP, &old);
    let before = gather(&old, APP, &trust).unwrap();
    assert_eq!(
        update(&new, &trust, &before)
            .unwrap()
            .collection
            .roots
            .len(),
        2
    );
}

#[test]
fn a_pin_moved_to_the_new_root_key_accepts_what_is_stored() {
    let (old, new) = (Files::of("app/1"), Files::of("app/3"));
    let before = gather(&old, APP, &pinned(APP, &old)).unwrap();
    let after = update(&new, &pinned(APP, &old), &before).unwrap();
    assert_ne!(root_key_id(&old), root_key_id(&new));
    assert!(verify(&pinned(APP, &new), &after).is_ok());
}

#[test]
fn a_wildcard_certificate_and_a_wildcard_pin_cover_a_collection() {
    let files = Files::of("wildcard");
    let exact = pinned(WEB, &files);
    assert!(gather(&files, WEB, &exact).is_ok());
    let prefix = pinned_to("registry.example.com/shop/*", &root_key_id(&files));
    let evidence = gather(&files, WEB, &prefix).unwrap();
    assert_eq!(
        verify(&prefix, &evidence).unwrap().target("v1.0"),
        Ok(digest_of("web"))
    );
}

#[test]
fn the_root_believed_on_first_use_is_remembered() {
    let files = Files::of("app/1");
    let evidence = gather(&files, APP, &first_use()).unwrap();
    let root = Digest::of(files.get("root").as_bytes());
    assert_eq!(evidence.memory.first_root, Some(root));
    assert!(verify(&first_use(), &evidence).is_ok());
    assert!(update(&Files::of("app/3"), &first_use(), &evidence).is_ok());
}

#[test]
fn a_lost_copy_is_gathered_again_from_the_root_remembered() {
    let evidence = gather(&Files::of("app/1"), APP, &first_use()).unwrap();
    let again = run(
        &Files::of("app/3"),
        APP,
        &first_use(),
        &evidence.memory,
        None,
        now(),
    );
    assert_eq!(again.result.unwrap().collection.roots.len(), 3);
}

#[test]
fn an_update_asks_only_for_what_changed() {
    let files = Files::of("app/1");
    let trust = pinned(APP, &files);
    let evidence = gather(&files, APP, &trust).unwrap();
    let NotaryEvidence { collection, memory } = &evidence;
    let again = run(&files, APP, &trust, memory, Some(collection), now());
    assert_eq!(again.asked, ["root.json", "timestamp.json"]);
    assert_eq!(again.result.unwrap(), evidence);
}

#[test]
fn evidence_verifies_alike_after_being_stored() {
    let files = Files::of("app/3");
    let trust = pinned(APP, &files);
    let evidence = gather(&files, APP, &trust).unwrap();
    let stored: NotaryEvidence =
        serde_json::from_str(&serde_json::to_string(&evidence).unwrap()).unwrap();
    assert_eq!(stored, evidence);
    assert_eq!(
        verify(&trust, &stored).unwrap().target("v1.1"),
        Ok(digest_of("v1.1"))
    );
}

#[test]
fn step_repeats_itself_until_it_is_supplied() {
    let files = Files::of("app/1");
    let trust = pinned(APP, &files);
    let mut session =
        portcullis_trust::notary::Session::new(APP, &trust, &NotaryMemory::default(), None, now());
    assert_eq!(
        format!("{:?}", session.step()),
        format!("{:?}", session.step())
    );
}
