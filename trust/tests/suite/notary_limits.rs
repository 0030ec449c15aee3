//! Files that are not there or too large, and tags bound to digests.

use crate::common::forge::{Publication, root, sign};
use crate::common::{
    APP, Files, app, digest_of, first_use, fixture, gather, pinned, refused, span, text, update,
};
use portcullis_policy::model::{NotaryRequirement, NotarySigner};
use portcullis_trust::notary::{NotaryError, bound_digest};

#[test]
fn no_trust_data_is_said_to_be_that() {
    assert_eq!(
        text(gather(&Files::default(), APP, &first_use())),
        format!("the trust server has no trust data for {APP}")
    );
}

#[test]
fn a_missing_file_is_named() {
    let mut files = Files::of("app/1");
    files.0.retain(|name, _| !name.starts_with("snapshot"));
    assert_eq!(
        refused(&files),
        "the trust data is incomplete: snapshot is missing"
    );
}

#[test]
fn files_beyond_the_limits_are_refused() {
    let mut files = Files::of("app/1");
    files.substitute("timestamp", &" ".repeat((64 << 10) + 1));
    assert_eq!(refused(&files), "timestamp is larger than 65536 bytes");
    let mut publication = Publication::new();
    publication.edit_snapshot = |snapshot| snapshot["meta"]["targets"]["length"] = (9 << 20).into();
    assert_eq!(
        refused(&publication.files()),
        "targets is larger than 8388608 bytes"
    );
}

#[test]
fn endless_root_versions_are_refused() {
    // Forged: one jump of a thousand versions, each of which would be asked for.
    let mut publication = Publication::new();
    let trust = pinned(APP, &publication.files());
    let seen = gather(&publication.files(), APP, &trust).unwrap();
    let next = root(1000, &[&publication.key], 1, &publication.key);
    publication.roots.push(sign(&next, &[&publication.key]));
    assert_eq!(
        text(update(&publication.files(), &trust, &seen)),
        "the trust data has more than 64 root versions at once"
    );
}

#[test]
fn a_bound_digest_needs_every_signer() {
    let files = Files::of("app/1");
    let (_, evidence) = app(1);
    let signer = |name: &str, pem: &str| NotarySigner {
        name: name.to_owned(),
        public_key: std::fs::read(fixture(&format!("keys/{pem}"))).unwrap(),
        span: span(),
    };
    let mut requirement = NotaryRequirement {
        trust: pinned(APP, &files),
        signers: vec![signer("alice", "alice.pub"), signer("bob", "bob.pub")],
        span: span(),
    };
    let bound = |requirement: &NotaryRequirement, tag| {
        bound_digest(requirement, &evidence.collection, &evidence.memory, tag)
    };
    assert_eq!(bound(&requirement, "v1.0"), Ok(digest_of("v1.0")));
    assert_eq!(
        text(bound(&requirement, "latest")),
        "signer alice has not signed tag latest"
    );
    requirement.signers.push(signer("pair", "erin.crt"));
    assert!(matches!(
        bound(&requirement, "v1.0"),
        Err(NotaryError::DidNotSign { .. })
    ));
    requirement.signers = vec![NotarySigner {
        public_key: b"rubbish".to_vec(),
        ..signer("alice", "alice.pub")
    }];
    assert_eq!(
        text(bound(&requirement, "v1.0")),
        "the key pinned for alice cannot be used: expected exactly one PEM block, `PUBLIC KEY` or `CERTIFICATE`"
    );
}
