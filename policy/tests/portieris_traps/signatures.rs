//! `simple`, and `trust` beside it.

use crate::common::*;
use portcullis_policy::load::{LoadOptions, SourceFile, load};
use portcullis_policy::model::{Requirement, SignatureStore, SignedIdentity};

fn simple(requirements: &str) -> String {
    format!(
        "{}{}",
        portieris(&format!(
            "[{{name: '*', policy: {{simple: {{requirements: [{requirements}]}}}}}}]"
        )),
        secret("shop", "k", "{key: armour}")
    )
}

#[test]
fn accepting_anything_and_rejecting_are_understood() {
    assert_eq!(
        requirement(&loaded(&simple("{type: insecureAcceptAnything}"))),
        &Requirement::Allow
    );
    assert_eq!(
        requirement(&loaded(&simple("{type: reject}"))),
        &Requirement::Deny { reason: None }
    );
}

#[test]
fn requirements_are_all_required() {
    let both = loaded(&simple(
        "{type: insecureAcceptAnything}, {type: signedBy, keySecret: k}",
    ));
    assert!(
        matches!(requirement(&both), Requirement::Simple(_)),
        "accepting anything does not excuse the other"
    );
    let rejected = loaded(&simple("{type: signedBy, keySecret: k}, {type: reject}"));
    assert_eq!(requirement(&rejected), &Requirement::Deny { reason: None });
    let two = loaded(&simple(
        "{type: signedBy, keySecret: k}, {type: signedBy, keySecret: k, signedIdentity: {type: matchExact}}",
    ));
    assert!(matches!(requirement(&two), Requirement::All(of) if of.len() == 2));
}

#[test]
fn both_spellings_of_an_identity_are_read_and_their_fields_checked() {
    for identity in [
        "{type: ''}",
        "{}",
        "{type: matchExact}",
        "{type: matchRepository}",
        "{type: matchRepoDigestOrExact}",
        "{type: matchExactReference, dockerReference: 'r.io/a:1'}",
        "{type: exactReference, dockerReference: 'r.io/a:1'}",
        "{type: matchExactRepository, dockerRepository: r.io/a}",
        "{type: exactRepository, dockerRepository: r.io/a}",
        "{type: remapIdentity, prefix: a.io, signedPrefix: b.io}",
    ] {
        loaded(&simple(&format!(
            "{{type: signedBy, keySecret: k, signedIdentity: {identity}}}"
        )));
    }
    for (identity, expected) in [
        ("{type: matchEverything}", "must be one of"),
        ("{type: exactReference}", "`dockerReference` is missing"),
        (
            "{type: remapIdentity, prefix: a.io}",
            "`signedPrefix` is missing",
        ),
        (
            "{type: matchExact, dockerReference: x}",
            "does not belong to this `type`",
        ),
    ] {
        assert_refused(
            &simple(&format!(
                "{{type: signedBy, keySecret: k, signedIdentity: {identity}}}"
            )),
            expected,
        );
    }
}

#[test]
fn a_signed_by_compiles_to_its_key_identity_and_store() {
    let text = format!(
        "{}{}{}",
        portieris(
            "[{name: '*', policy: {simple: {storeURL: 'https://s.example.com/', storeSecret: s, requirements: [{type: signedBy, keySecret: k, signedIdentity: {type: matchExactRepository, dockerRepository: r.io/a}}]}}}]"
        ),
        secret("shop", "k", "{key: armour}"),
        secret("shop", "s", "{username: u, password: p}")
    );
    let found = loaded(&text);
    let Requirement::Simple(found) = requirement(&found) else {
        panic!("{found:?}");
    };
    assert_eq!(
        found
            .keys
            .first()
            .map(|key| (&*key.bytes, key.name.as_str())),
        Some((b"armour".as_slice(), "Secret k"))
    );
    assert_eq!(
        found.identity,
        SignedIdentity::ExactRepository("r.io/a".into())
    );
    assert!(matches!(
        &found.store,
        SignatureStore::Lookaside(store) if store.url.0 == "https://s.example.com" && store.password.is_some()
    ));

    let plain = loaded(&simple("{type: signedBy, keySecret: k}"));
    assert!(matches!(
        requirement(&plain),
        Requirement::Simple(one) if one.store == SignatureStore::RegistryExtension
            && one.identity == SignedIdentity::MatchRepoDigestOrExact
    ));
}

#[test]
fn a_private_key_in_a_key_secret_is_refused() {
    let text = format!(
        "{}{}",
        portieris(
            "[{name: '*', policy: {simple: {requirements: [{type: signedBy, keySecret: p}]}}}]"
        ),
        secret(
            "shop",
            "p",
            "{key: '-----BEGIN PGP PRIVATE KEY BLOCK-----'}"
        )
    );
    assert_refused(&text, "this is a private key");
}

#[test]
fn a_signed_by_without_a_usable_key_is_refused() {
    assert_refused(&simple("{type: signedBy}"), "`keySecret` is missing");
    assert_refused(
        &simple("{type: signedBy, keySecret: other}"),
        "there is no Secret `other`",
    );
    assert_refused(
        &simple("{type: signedBy, keySecret: k, keySecretNamespace: ops}"),
        "for namespace `ops`",
    );
    assert_refused(&simple("{type: signed}"), "must be one of");
    assert_refused(&simple("{keySecret: k}"), "`type` is missing");
    let empty = portieris(
        "[{name: '*', policy: {simple: {requirements: [{type: signedBy, keySecret: e}]}}}]",
    );
    assert_refused(
        &format!("{empty}{}", secret("shop", "e", "{publicKey: x}")),
        "has no `key`",
    );
}

#[test]
fn a_password_in_a_readable_file_is_refused_and_never_shown() {
    let text = format!(
        "{}{}{}",
        portieris(
            "[{name: '*', policy: {simple: {requirements: [{type: signedBy, keySecret: k}], storeURL: 'https://s.example.com', storeSecret: s}}}]"
        ),
        secret("shop", "k", "{key: armour}"),
        secret("shop", "s", "{username: u, password: hunter2}")
    );
    let with_mode = |mode| {
        let file = SourceFile {
            name: "p.yaml".into(),
            bytes: text.clone().into_bytes(),
            mode,
        };
        load(&[file], &LoadOptions::default())
            .map(|_| ())
            .map_err(|errors| texts(&errors))
    };
    assert_eq!(with_mode(Some(0o100_600)), Ok(()));
    assert_eq!(with_mode(None), Ok(()));
    for mode in [0o644, 0o640, 0o604, 0o100_644] {
        let errors = with_mode(Some(mode)).expect_err("is refused");
        assert!(errors.iter().any(|e| e.contains("chmod 600")), "{errors:?}");
        assert!(!errors.iter().any(|e| e.contains("hunter2")), "{errors:?}");
    }
}

#[test]
fn a_signature_store_is_complete_or_refused() {
    let store = |fields: &str| {
        format!(
            "{}{}{}",
            portieris(&format!(
                "[{{name: '*', policy: {{simple: {{requirements: [{{type: signedBy, keySecret: k}}], {fields}}}}}}}]"
            )),
            secret("shop", "k", "{key: armour}"),
            secret("shop", "s", "{username: u}")
        )
    };
    loaded(&store("storeURL: 'http://s.example.com'"));
    assert_refused(&store("storeURL: 'ftp://s.example.com'"), "must begin with");
    assert_refused(&store("storeSecret: s"), "and there is none");
    assert_refused(
        &store("storeURL: 'https://s.example.com', storeSecret: s"),
        "has no `username` and `password`",
    );
}
