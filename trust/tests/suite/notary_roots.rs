//! Other roots than the one that is pinned or was believed.

use crate::common::forge::{Key, Publication, root, sign};
use crate::common::{
    APP, Files, app, first_use, gather, now, pinned, pinned_to, refused, root_key_id, run, text,
    time, update,
};
use portcullis_policy::Digest;
use portcullis_trust::notary::{NotaryError, NotaryMemory, verify};

#[test]
fn another_servers_collection_of_the_same_name_is_refused_by_the_pin() {
    let (good, impostor) = (Files::of("app/1"), Files::of("impostor"));
    let (pin, offered) = (root_key_id(&good), root_key_id(&impostor));
    assert_eq!(
        text(gather(&impostor, APP, &pinned(APP, &good))),
        format!("the root of {APP} is not signed by the pinned key {pin} but by {offered}")
    );
}

#[test]
fn another_servers_collection_is_refused_after_first_use() {
    let seen = gather(&Files::of("app/1"), APP, &first_use()).unwrap();
    let impostor = Files::of("impostor");
    assert_eq!(
        text(update(&impostor, &first_use(), &seen)),
        "another root of version 1 is served than the one trusted: the collection was replaced"
    );
    let again = run(&impostor, APP, &first_use(), &seen.memory, None, now());
    let first = Digest::of(Files::of("app/1").get("root").as_bytes());
    assert_eq!(
        text(again.result),
        format!(
            "the root of {APP} does not descend from the root believed on first use ({first}): the collection was \
             replaced or is another one"
        )
    );
}

#[test]
fn a_root_that_the_old_keys_did_not_sign_is_refused() {
    // Forged: the next version, by another key, for the same collection.
    let mut publication = Publication::new();
    let trust = pinned(APP, &publication.files());
    let seen = gather(&publication.files(), APP, &trust).unwrap();
    let thief = Key::new("test-b");
    publication
        .roots
        .push(sign(&root(2, &[&thief], 1, &thief), &[&thief]));
    assert_eq!(
        text(update(&publication.files(), &trust, &seen)),
        "root version 2 is not signed by the keys of root version 1"
    );
}

#[test]
fn a_root_that_its_own_keys_did_not_sign_is_refused() {
    // Forged: the old key names a new one that has not agreed.
    let mut publication = Publication::new();
    let trust = pinned(APP, &publication.files());
    let seen = gather(&publication.files(), APP, &trust).unwrap();
    let new = Key::new("test-b");
    let next = root(2, &[&new], 1, &publication.key);
    publication.roots.push(sign(&next, &[&publication.key]));
    assert_eq!(
        text(update(&publication.files(), &trust, &seen)),
        "root is signed by 0 of its keys, 1 must sign"
    );
}

#[test]
fn without_a_pin_or_first_use_nothing_is_believed_and_the_text_says_how_to_pin() {
    let files = Files::of("app/1");
    let mut trust = first_use();
    trust.trust_on_first_use = false;
    let id = root_key_id(&files);
    assert_eq!(
        text(gather(&files, APP, &trust)),
        format!(
            "no root of trust is configured for {APP}: the server offers the root key {id}; if its publisher confirms \
             that id by another way, add it to `pins`"
        )
    );
}

#[test]
fn a_pin_for_another_collection_is_no_pin_for_this_one() {
    let files = Files::of("app/1");
    let trust = pinned_to("registry.example.com/shop/ap", &root_key_id(&files));
    assert!(matches!(
        gather(&files, APP, &trust),
        Err(NotaryError::Unpinned { .. })
    ));
}

#[test]
fn the_exact_pin_beats_a_wildcard_and_the_longest_wildcard_a_shorter_one() {
    let files = Files::of("app/1");
    let good = root_key_id(&files);
    let mut trust = pinned_to(APP, &"0".repeat(64));
    trust
        .pins
        .insert("registry.example.com/*".to_owned(), good.clone());
    assert!(matches!(
        gather(&files, APP, &trust),
        Err(NotaryError::PinMismatch { .. })
    ));
    trust.pins.remove(APP);
    assert!(gather(&files, APP, &trust).is_ok());
    trust
        .pins
        .insert("registry.example.com/shop/*".to_owned(), "0".repeat(64));
    assert!(matches!(
        gather(&files, APP, &trust),
        Err(NotaryError::PinMismatch { .. })
    ));
}

#[test]
fn a_pin_that_changes_takes_effect_on_what_is_stored() {
    let (_, evidence) = app(3);
    let trust = pinned_to(APP, &"0".repeat(64));
    assert!(matches!(
        verify(&trust, &evidence),
        Err(NotaryError::PinMismatch { .. })
    ));
    let mut unpinned = trust;
    unpinned.pins.clear();
    assert!(matches!(
        verify(&unpinned, &evidence),
        Err(NotaryError::Unpinned { .. })
    ));
}

#[test]
fn the_key_of_another_role_is_no_pin() {
    let files = Files::of("app/1");
    let root: serde_json::Value = serde_json::from_str(&files.get("root")).unwrap();
    let targets = root["signed"]["roles"]["targets"]["keyids"][0]
        .as_str()
        .unwrap();
    let trust = pinned_to(APP, targets);
    assert!(matches!(
        gather(&files, APP, &trust),
        Err(NotaryError::PinMismatch { .. })
    ));
}

#[test]
fn a_root_certificate_for_another_collection_is_refused() {
    let files = Files::of("app/1");
    let other = "registry.example.com/shop/app2";
    assert_eq!(
        text(gather(&files, other, &pinned(other, &files))),
        format!("no root certificate is valid for {other}: its common name is another")
    );
    let files = Files::of("wildcard");
    let outside = "registry.example.com/shopping";
    assert!(matches!(
        gather(&files, outside, &pinned(outside, &files)),
        Err(NotaryError::RootCertificate { .. })
    ));
}

#[test]
fn a_root_certificate_out_of_force_is_refused() {
    // Forged: the metadata outlives the certificate, which was made in November 2026 for ten years.
    let mut publication = Publication::new();
    let mut long = root(1, &[&publication.key], 1, &publication.key);
    long["expires"] = "2099-01-01T00:00:00Z".into();
    publication.roots = vec![sign(&long, &[&publication.key])];
    let files = publication.files();
    let trust = pinned(APP, &files);
    let at = |at| {
        text(
            run(
                &files,
                APP,
                &trust,
                &NotaryMemory::default(),
                None,
                time(at),
            )
            .result,
        )
    };
    assert_eq!(
        at("2037-01-01T00:00:00Z"),
        format!("no root certificate is valid for {APP}: it has expired")
    );
    assert_eq!(
        at("2026-11-01T00:00:00Z"),
        format!("no root certificate is valid for {APP}: it is not valid yet")
    );
}

#[test]
fn an_intermediate_root_that_its_own_keys_did_not_sign_is_refused() {
    // Forged: the old key alone names a thief, and the thief signs what follows.
    let mut publication = Publication::new();
    let trust = pinned(APP, &publication.files());
    let seen = gather(&publication.files(), APP, &trust).unwrap();
    let new = Key::new("test-b");
    let second = sign(&root(2, &[&new], 1, &publication.key), &[&publication.key]);
    let third = sign(&root(3, &[&new], 1, &publication.key), &[&new]);
    publication.roots.extend([second, third]);
    assert_eq!(
        text(update(&publication.files(), &trust, &seen)),
        "root is signed by 0 of its keys, 1 must sign"
    );
}

#[test]
fn root_versions_only_grow() {
    let files = Files::of("app/1");
    let trust = pinned(APP, &files);
    let mut evidence = gather(&files, APP, &trust).unwrap();
    let again = evidence.collection.roots[0].clone();
    evidence.collection.roots.push(again);
    assert_eq!(
        text(verify(&trust, &evidence)),
        "root was rolled back: version 1 is served, version 1 was seen before"
    );
}

#[test]
fn a_root_certificate_that_is_a_ca_is_refused() {
    // Forged: notary's client makes leaf certificates.
    let mut publication = Publication::new();
    let ca = Key::listed("test-a", "test-ca");
    publication.roots = vec![sign(&root(1, &[&ca], 1, &publication.key), &[&ca])];
    assert_eq!(
        refused(&publication.files()),
        format!("no root certificate is valid for {APP}: the first certificate is a CA")
    );
}

#[test]
fn a_root_needs_its_own_threshold() {
    // Forged: two keys must sign, one did; then both did.
    let mut publication = Publication::new();
    let other = Key::new("test-b");
    let two = root(1, &[&publication.key, &other], 2, &publication.key);
    publication.roots = vec![sign(&two, &[&publication.key])];
    assert_eq!(
        refused(&publication.files()),
        "root is signed by 1 of its keys, 2 must sign"
    );
    publication.roots = vec![sign(&two, &[&publication.key, &other])];
    let files = publication.files();
    assert!(gather(&files, APP, &pinned(APP, &files)).is_ok());
}

#[test]
fn a_root_key_with_a_certificate_of_no_use_cannot_pass_trust_on() {
    // Forged: root 1 lists a second key, whose certificate is a CA's, and that key names root 2.
    let mut publication = Publication::new();
    let (ca, new) = (Key::listed("test-a", "test-ca"), Key::new("test-b"));
    let first = root(1, &[&publication.key, &ca], 1, &publication.key);
    publication.roots = vec![sign(&first, &[&publication.key])];
    let trust = pinned_to(APP, &publication.key.id);
    let seen = gather(&publication.files(), APP, &trust).unwrap();
    let second = root(2, &[&new], 1, &publication.key);
    publication.roots.push(sign(&second, &[&ca, &new]));
    assert_eq!(
        text(update(&publication.files(), &trust, &seen)),
        "root version 2 is not signed by the keys of root version 1"
    );
    publication.roots[1] = sign(&second, &[&publication.key, &new]);
    assert!(update(&publication.files(), &trust, &seen).is_ok());
}

#[test]
fn a_bundle_has_one_leaf_and_it_comes_first() {
    // Forged.
    let refused_with = |certificates: &[&str]| {
        let mut publication = Publication::new();
        let key = Key::bundled("test-a", certificates);
        publication.roots = vec![sign(&root(1, &[&key], 1, &publication.key), &[&key])];
        let files = publication.files();
        gather(&files, APP, &pinned_to(APP, &key.id)).map_err(|error| error.to_string())
    };
    assert!(refused_with(&["test-a", "test-ca"]).is_ok());
    for (certificates, problem) in [
        (
            ["test-a", "test-a-again"],
            "there is more than one leaf certificate",
        ),
        (
            ["test-a", "test-b"],
            "there is more than one leaf certificate",
        ),
        (["test-ca", "test-a"], "the first certificate is a CA"),
    ] {
        assert_eq!(
            refused_with(&certificates).unwrap_err(),
            format!("no root certificate is valid for {APP}: {problem}")
        );
    }
    // Without end: none of them counts.
    assert_eq!(
        refused_with(&["test-a"; 17]).unwrap_err(),
        "root is signed by 0 of its keys, 1 must sign"
    );
}

#[test]
fn a_pin_is_found_whatever_the_case_of_host_and_key_id() {
    let files = Files::of("app/1");
    let mut trust = pinned_to(
        "Registry.Example.com/shop/app",
        &root_key_id(&files).to_uppercase(),
    );
    assert!(gather(&files, APP, &trust).is_ok());
    // An image whose host is in capitals does not slip into trust on first use.
    trust.pins = [("registry.example.com/*".to_owned(), "0".repeat(64))].into();
    trust.trust_on_first_use = true;
    for gun in [APP, "REGISTRY.example.com/shop/app"] {
        assert!(
            !matches!(
                gather(&files, gun, &trust),
                Ok(_) | Err(NotaryError::Unpinned { .. })
            ),
            "{gun}"
        );
    }
}

#[test]
fn a_pin_with_a_port_is_for_that_port() {
    let files = Files::of("app/1");
    for pattern in [
        "registry.example.com:5000/shop/app",
        "registry.example.com:5000/*",
    ] {
        assert!(matches!(
            gather(&files, APP, &pinned_to(pattern, &root_key_id(&files))),
            Err(NotaryError::Unpinned { .. })
        ));
    }
}

#[test]
fn stored_roots_count_towards_the_size_of_a_collection() {
    // Forged: sixteen mebibytes of believed roots.
    let publication = Publication::new();
    let trust = pinned(APP, &publication.files());
    let mut seen = gather(&publication.files(), APP, &trust).unwrap();
    let padded = |version| {
        let text = sign(
            &root(version, &[&publication.key], 1, &publication.key),
            &[&publication.key],
        );
        format!("{text}{}", " ".repeat(1_000_000))
    };
    seen.collection.roots.extend((2..19).map(padded));
    let mut newest = Publication::new();
    newest.roots = seen.collection.roots[17..].to_vec();
    assert_eq!(
        text(update(&newest.files(), &trust, &seen)),
        "the collection is larger than 16777216 bytes"
    );
}
