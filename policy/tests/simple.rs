//! `simple` of portcullis.dev/v1; that of Portieris' kinds is among its traps.

mod common;

use common::*;
use portcullis_policy::model::{
    Lookaside, LookasideUrl, Requirement, SignatureStore, SignedIdentity, SimpleRequirement,
};

fn simple(fields: &str) -> String {
    with(&format!("{{simple: {{{fields}}}}}"))
}

fn simple_of(requirement: &Requirement) -> &SimpleRequirement {
    match requirement {
        Requirement::Simple(one) => one,
        other => panic!("{other:?}"),
    }
}

#[test]
fn keyrings_are_alternatives_and_the_store_is_the_registrys_by_default() {
    let text = format!(
        "{}{}",
        simple("keys: [{file: keys/red.gpg}, {secret: blue}, {pem: GREEN}]"),
        secret("shop", "blue", "{key: BLUE}")
    );
    let loaded = loaded_beside(&text, &[("keys/red.gpg", "RED")]);
    let found = simple_of(requirement(&loaded));
    let keys: Vec<&[u8]> = found.keys.iter().map(|key| &*key.bytes).collect();
    assert_eq!(keys, [b"RED".as_slice(), b"BLUE", b"GREEN"]);
    assert_eq!(found.identity, SignedIdentity::MatchRepoDigestOrExact);
    assert_eq!(found.store, SignatureStore::RegistryExtension);
}

#[test]
fn a_store_is_kept_without_its_trailing_slash_and_with_its_password() {
    let text = format!(
        "{}{}",
        simple("keys: [{pem: K}], storeURL: 'https://s.example.com:8443/sigs//', storeSecret: s"),
        secret("shop", "s", "{username: reader, password: hunter2}")
    );
    let loaded = loaded(&text);
    let SignatureStore::Lookaside(Lookaside { url, password }) =
        &simple_of(requirement(&loaded)).store
    else {
        panic!("{loaded:?}");
    };
    assert_eq!(url, &LookasideUrl("https://s.example.com:8443/sigs".into()));
    let password = password.as_ref().expect("a password");
    assert_eq!(
        (&*password.username, &*password.password),
        ("reader", "hunter2")
    );
    assert!(
        !format!("{loaded:?}").contains("hunter2"),
        "it is never printed"
    );
}

#[test]
fn a_store_that_is_not_understood_is_refused() {
    assert_each_refused(
        |fields| simple(&format!("keys: [{{pem: K}}], {fields}")),
        &[
            ("storeURL: 'ftp://s.example.com'", "must begin with"),
            ("storeURL: s.example.com", "must begin with"),
            ("storeURL: 'file:///var/lib/sigs'", "must begin with"),
            ("storeURL: 'https://'", "must be `https://host"),
            (
                "storeURL: 'https://u:p@s.example.com'",
                "under `storeSecret`",
            ),
            (
                "storeURL: 'https://s.example.com/?a=b'",
                "without credentials, query",
            ),
            (
                "storeURL: 'https://s.example.com/a/../b'",
                "must be `https://host",
            ),
            ("storeURL: ''", "must not be empty"),
            ("storeSecret: s", "and there is none"),
            (
                "storeURL: 'https://s.example.com', storeSecret: s",
                "there is no Secret `s`",
            ),
        ],
    );
    for (values, expected) in [
        ("{username: u}", "has no `username` and `password`"),
        ("{username: u, password: \"p\\n\"}", "without a line break"),
    ] {
        let text = format!(
            "{}{}",
            simple("keys: [{pem: K}], storeURL: 'https://s.example.com', storeSecret: s"),
            secret("shop", "s", values)
        );
        assert_refused(&text, expected);
    }
}

#[test]
fn a_password_that_travels_unencrypted_is_pointed_out() {
    let text = format!(
        "{}{}",
        simple("keys: [{pem: K}], storeURL: 'http://s.example.com', storeSecret: s"),
        secret("shop", "s", "{username: u, password: p}")
    );
    assert_warned(&text, "unencrypted");
    assert_no_lint(&simple(
        "keys: [{pem: K}], storeURL: 'http://s.example.com'",
    ));
}

#[test]
fn every_identity_arrives_in_the_model() {
    for (written, expected) in [
        (
            "{type: matchRepoDigestOrExact}",
            SignedIdentity::MatchRepoDigestOrExact,
        ),
        ("{type: matchExact}", SignedIdentity::MatchExact),
        ("{type: matchRepository}", SignedIdentity::MatchRepository),
        (
            "{type: exactReference, dockerReference: 'r.io/a:1'}",
            SignedIdentity::ExactReference("r.io/a:1".into()),
        ),
        (
            "{type: exactRepository, dockerRepository: r.io/a}",
            SignedIdentity::ExactRepository("r.io/a".into()),
        ),
        (
            "{type: remapIdentity, prefix: 'mirror.io:5000/x', signedPrefix: r.io}",
            SignedIdentity::Remap {
                prefix: "mirror.io:5000/x".into(),
                signed_prefix: "r.io".into(),
            },
        ),
    ] {
        let loaded = loaded(&simple(&format!(
            "keys: [{{pem: K}}], signedIdentity: {written}"
        )));
        assert_eq!(simple_of(requirement(&loaded)).identity, expected);
    }
}

#[test]
fn an_identity_that_could_mean_something_else_is_refused() {
    assert_each_refused(
        |identity| simple(&format!("keys: [{{pem: K}}], signedIdentity: {identity}")),
        &[
            ("{type: matchAll}", "must be one of"),
            (
                "{type: exactReference, dockerReference: r.io/a}",
                "with a tag or a digest",
            ),
            (
                "{type: exactReference, dockerReference: 'R.io/A:1'}",
                "with a tag or a digest",
            ),
            (
                "{type: exactRepository, dockerRepository: 'r.io/a:1'}",
                "without tag or digest",
            ),
            ("{type: exactRepository}", "`dockerRepository` is missing"),
            (
                "{type: remapIdentity, prefix: 'r.io/', signedPrefix: s.io}",
                "must be `host[:port]`",
            ),
            (
                "{type: remapIdentity, prefix: 'r.io/a:1', signedPrefix: s.io}",
                "must be `host[:port]`",
            ),
            (
                "{type: remapIdentity, prefix: '*.io', signedPrefix: s.io}",
                "must be `host[:port]`",
            ),
            (
                "{type: matchExact, prefix: r.io}",
                "does not belong to this `type`",
            ),
            ("matchExact", "must be a mapping"),
        ],
    );
}

#[test]
fn a_signature_without_a_key_or_with_a_private_one_is_refused() {
    assert_each_refused(
        simple,
        &[
            ("", "`keys` is missing"),
            ("keys: []", "the list is empty"),
            (
                "keys: [{pem: '-----BEGIN PGP PRIVATE KEY BLOCK-----'}]",
                "this is a private key",
            ),
            ("keys: [{pem: K}], requirements: []", "listed under `allOf`"),
            (
                "keys: [{pem: K}], keySecret: k",
                "write `keys: [{secret: NAME}]`",
            ),
            ("keys: [{pem: K}], type: signedBy", "unknown field"),
        ],
    );
}
