//! Old publications served again, and ones that ran out.

use crate::common::forge::{Delegate, FAR, Key, Publication, sign, targets};
use crate::common::{
    APP, Files, app, collection, digest_of, gather, now, pinned, refused, run, signer_refused,
    text, time, update,
};
use portcullis_trust::evidence::NotaryEvidence;
use portcullis_trust::notary::{NotaryError, NotaryMemory, verify};

#[test]
fn an_older_publication_is_refused_after_a_newer_one() {
    let (_, seen) = app(2);
    let trust = pinned(APP, &Files::of("app/1"));
    let floor = seen.memory.floors["timestamp"];
    let error = update(&Files::of("app/1"), &trust, &seen).unwrap_err();
    assert!(matches!(&error, NotaryError::Rollback { role, .. } if role == "timestamp"));
    let version = floor - 1;
    assert_eq!(
        error.to_string(),
        format!(
            "timestamp was rolled back: version {version} is served, version {floor} was seen before"
        )
    );
}

#[test]
fn an_older_publication_is_refused_even_where_the_copy_was_lost() {
    let (_, seen) = app(2);
    let trust = pinned(APP, &Files::of("app/1"));
    let again = run(&Files::of("app/1"), APP, &trust, &seen.memory, None, now());
    assert!(matches!(again.result, Err(NotaryError::Rollback { .. })));
}

#[test]
fn an_older_root_is_refused_after_a_newer_one() {
    let (_, seen) = app(3);
    let trust = pinned(APP, &Files::of("app/1"));
    assert_eq!(
        text(update(&Files::of("app/2"), &trust, &seen)),
        "root was rolled back: version 1 is served, version 3 was seen before"
    );
}

#[test]
fn an_older_stored_copy_is_refused_beside_newer_floors() {
    let (_, old) = app(1);
    let (_, new) = app(2);
    let mixed = NotaryEvidence {
        collection: old.collection,
        memory: new.memory,
    };
    let trust = pinned(APP, &Files::of("app/1"));
    assert!(matches!(
        verify(&trust, &mixed),
        Err(NotaryError::Rollback { .. })
    ));
}

#[test]
fn a_rolled_back_delegation_counts_for_nothing() {
    // Forged: a server that holds the snapshot key lists an old delegation in a new snapshot.
    let a = Key::new("test-a");
    let mut publication = Publication::delegated(&[&a], 1, &[""], &[&a]);
    let trust = pinned(APP, &publication.files());
    let mut seen = gather(&publication.files(), APP, &trust).unwrap();
    seen.memory.floors.insert("targets/alice".to_owned(), 2);
    publication.version = 2;
    let after = update(&publication.files(), &trust, &seen).unwrap();
    assert_eq!(
        signer_refused(
            &verify(&trust, &after).unwrap(),
            "v1.0",
            "alice",
            "test-a.crt"
        ),
        "the signature of alice does not count: targets/alice was rolled back: version 1 is served, version 2 was seen \
         before"
    );
}

#[test]
fn a_delegation_that_was_seen_may_not_vanish() {
    // Forged: releases is still delegated to, and the snapshot no longer lists it, so that an older entry of targets shows.
    let a = Key::new("test-a");
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
        sign(&targets(1, &[("v1.0", "newer")], &[]), &[&a]),
    )];
    let trust = pinned(APP, &publication.files());
    let seen = gather(&publication.files(), APP, &trust).unwrap();
    assert_eq!(
        verify(&trust, &seen).unwrap().target("v1.0"),
        Ok(digest_of("newer"))
    );
    publication.delegations.clear();
    publication.version = 2;
    let after = update(&publication.files(), &trust, &seen).unwrap();
    assert_eq!(
        text(verify(&trust, &after).unwrap().target("v1.0")),
        "what is released is unknown: snapshot does not list targets/releases"
    );
}

#[test]
fn expired_files_are_refused_when_gathered() {
    let files = Files::of("app/1");
    let trust = pinned(APP, &files);
    let late = |at| {
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
    let error = late("2026-12-10T00:00:00Z");
    assert!(error.starts_with("timestamp version "), "{error}");
    assert!(error.contains(" expired at 2026-12-04T"), "{error}");
    assert!(late("2040-01-01T00:00:00Z").starts_with("root version 1 expired at 2036-"));
}

#[test]
fn an_expired_snapshot_is_refused() {
    // Forged: a live timestamp over a snapshot that has run out.
    let mut publication = Publication::new();
    publication.snapshot_expires = "2026-11-01T00:00:00Z".to_owned();
    assert_eq!(
        refused(&publication.files()),
        "snapshot version 1 expired at 2026-11-01T00:00:00Z"
    );
}

#[test]
fn what_was_fresh_when_gathered_stays_good() {
    let (_, evidence) = app(1);
    // No clock is asked: the node may have been off the network for years.
    assert!(verify(&pinned(APP, &Files::of("app/1")), &evidence).is_ok());
}

#[test]
fn an_expired_delegation_counts_for_nothing() {
    // Forged.
    let a = Key::new("test-a");
    let mut publication = Publication::delegated(&[&a], 1, &[""], &[&a]);
    let mut old = targets(1, &[("v1.0", "v1.0")], &[]);
    old["expires"] = "2026-11-01T00:00:00Z".into();
    publication.delegations = vec![("alice", sign(&old, &[&a]))];
    let collection = collection(&publication.files());
    assert_eq!(collection.target("v1.0"), Ok(digest_of("v1.0")));
    assert_eq!(
        signer_refused(&collection, "v1.0", "alice", "test-a.crt"),
        "the signature of alice does not count: targets/alice version 1 expired at 2026-11-01T00:00:00Z"
    );
}

#[test]
fn a_clock_set_back_makes_no_old_file_fresh_again() {
    // Forged: a timestamp that had run out when the collection was gathered last.
    let mut publication = Publication::new();
    let trust = pinned(APP, &publication.files());
    let seen = run(
        &publication.files(),
        APP,
        &trust,
        &NotaryMemory::default(),
        None,
        time("2026-11-30T00:00:00Z"),
    );
    let seen = seen.result.unwrap();
    publication.version = 2;
    publication.timestamp_expires = "2026-11-25T00:00:00Z".to_owned();
    assert_eq!(
        text(update(&publication.files(), &trust, &seen)),
        "timestamp version 2 expired at 2026-11-25T00:00:00Z"
    );
    publication.timestamp_expires = FAR.to_owned();
    let after = update(&publication.files(), &trust, &seen).unwrap();
    assert_eq!(after.collection.gathered_at, time("2026-11-30T00:00:00Z"));
}
