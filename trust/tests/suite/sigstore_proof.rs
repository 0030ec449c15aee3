//! Log entries in bundles: proved to be in the log, under a checkpoint that it signed, and about this signature.

use portcullis_policy::model::{Demand, SigstoreSigners};
use portcullis_trust::evidence::Artefact;
use serde_json::{Value, json};

use crate::sigstore_fixture::{case, clause, key, names, offline, read, verify};
use crate::sigstore_rekor::{
    Log, b64, dsse, hashed, hashed_v2, intoto, parts, unb64, with_entries,
};

/// In 2027, before now.
const TIME: i64 = 1_810_000_000;

fn p256(log: &Log) -> SigstoreSigners {
    SigstoreSigners {
        transparency_log: Demand::Require,
        trusted_root: log.root(),
        ..offline(vec![key("p256.pub")])
    }
}

fn pem() -> Vec<u8> {
    read("keys/p256.pub")
}

fn bundle() -> Artefact {
    case("bundle-p256").remove(0)
}

fn why(log: &Log, artefact: Artefact) -> String {
    let clause = clause(verify(p256(log), &[artefact]));
    clause
        .strip_prefix("1 was found and does not count: its transparency log entry ")
        .unwrap_or(&clause)
        .to_owned()
}

/// Entries of every kind that a log has for a signed statement.
fn entries(log: &Log, bundle: &Artefact) -> Vec<Value> {
    let parts = parts(bundle);
    vec![
        log.entry(
            "dsse",
            "0.0.1",
            &dsse(&parts.payload, &parts.signature, &pem()),
        ),
        log.entry(
            "intoto",
            "0.0.2",
            &intoto(&parts.payload, &parts.signature, &pem()),
        ),
        log.entry(
            "hashedrekord",
            "0.0.2",
            &hashed_v2(&parts.encoded, &parts.signature, &pem()),
        ),
    ]
}

#[test]
fn an_inclusion_proof_under_a_checkpoint_counts_for_every_kind_of_entry() {
    let log = Log::new();
    for entry in entries(&log, &bundle()) {
        names(verify(p256(&log), &[with_entries(&bundle(), vec![entry])]));
    }
}

#[test]
fn a_checkpoint_of_another_log_does_not_count() {
    let log = Log::new();
    for entry in entries(&Log::new(), &bundle()) {
        assert_eq!(
            why(&log, with_entries(&bundle(), vec![entry])),
            "has a checkpoint that no trusted log signed"
        );
    }
}

#[test]
fn signatures_of_witnesses_are_left_aside_and_a_flood_of_them_is_not_verified() {
    let log = Log::new();
    for entry in entries(&log, &bundle()) {
        let envelope = &entry["inclusionProof"]["checkpoint"]["envelope"];
        let (note, signature) = envelope.as_str().unwrap().split_once("\n\n").unwrap();
        // They name the log's own key: each would have to be verified.
        let (origin, encoded) = signature.trim_end().rsplit_once(' ').unwrap();
        let hint = unb64(encoded)[..4].to_vec();
        let with = |others: u8| {
            let forged = |one: u8| format!("{origin} {}\n", b64([&hint[..], &[one; 70]].concat()));
            let others: String = (0..others).map(forged).collect();
            let mut entry = entry.clone();
            entry["inclusionProof"]["checkpoint"]["envelope"] =
                format!("{note}\n\n{others}{signature}").into();
            with_entries(&bundle(), vec![entry])
        };
        names(verify(p256(&log), &[with(31)]));
        assert_eq!(
            why(&log, with(32)),
            "1 was found and does not count: it has more certificates, log entries, timestamps or witnesses than are looked at"
        );
    }
}

#[test]
fn a_body_that_is_not_in_the_tree_does_not_count() {
    let log = Log::new();
    for mut entry in entries(&log, &bundle()) {
        let body = unb64(entry["canonicalizedBody"].as_str().unwrap());
        entry["canonicalizedBody"] = b64([&body[..], b" "].concat()).into();
        assert_eq!(
            why(&log, with_entries(&bundle(), vec![entry])),
            "is not in its log: the proof of inclusion does not verify"
        );
    }
}

#[test]
fn a_proof_that_contradicts_its_checkpoint_does_not_count() {
    let log = Log::new();
    let [mut entry, ..] = <[Value; 3]>::try_from(entries(&log, &bundle())).unwrap();
    entry["inclusionProof"]["rootHash"] = b64([7; 32]).into();
    assert_eq!(
        why(&log, with_entries(&bundle(), vec![entry])),
        "contradicts its checkpoint"
    );
    for mut entry in entries(&log, &bundle()) {
        entry["inclusionProof"]["checkpoint"] = json!({"envelope": ""});
        assert_eq!(
            why(&log, with_entries(&bundle(), vec![entry])),
            "has no checkpoint"
        );
    }
}

#[test]
fn entries_about_other_statements_signatures_and_keys_do_not_count() {
    let log = Log::new();
    let parts = parts(&bundle());
    let other = read("keys/other.pub");
    let stranger = b64("another signature");
    let mut retyped = intoto(&parts.payload, &parts.signature, &pem());
    retyped["spec"]["content"]["envelope"]["payloadType"] = "application/json".into();
    let bodies: Vec<(&str, &str, Value)> = vec![
        ("dsse", "0.0.1", dsse(b"{}", &parts.signature, &pem())),
        ("dsse", "0.0.1", dsse(&parts.payload, &stranger, &pem())),
        (
            "dsse",
            "0.0.1",
            dsse(&parts.payload, &parts.signature, &other),
        ),
        ("intoto", "0.0.2", intoto(b"{}", &parts.signature, &pem())),
        ("intoto", "0.0.2", intoto(&parts.payload, &stranger, &pem())),
        (
            "intoto",
            "0.0.2",
            intoto(&parts.payload, &parts.signature, &other),
        ),
        ("intoto", "0.0.2", retyped),
        (
            "hashedrekord",
            "0.0.2",
            hashed_v2(b"x", &parts.signature, &pem()),
        ),
        (
            "hashedrekord",
            "0.0.2",
            hashed_v2(&parts.encoded, &stranger, &pem()),
        ),
        (
            "hashedrekord",
            "0.0.2",
            hashed_v2(&parts.encoded, &parts.signature, &other),
        ),
    ];
    for (kind, version, body) in bodies {
        let entry = log.entry(kind, version, &body);
        assert_eq!(
            why(&log, with_entries(&bundle(), vec![entry])),
            "is about another signature",
            "{body}"
        );
    }
    // Of a kind that Rekor keeps for files.
    let body = hashed(&parts.encoded, &parts.signature, &pem());
    let entry = log.entry("hashedrekord", "0.0.1", &body);
    assert_eq!(
        why(&log, with_entries(&bundle(), vec![entry])),
        "is of a kind that does not go with this signature"
    );
}

#[test]
fn every_entry_must_hold_and_a_promise_alone_is_not_enough_in_newer_bundles() {
    let log = Log::new();
    let [good, ..] = <[Value; 3]>::try_from(entries(&log, &bundle())).unwrap();
    let mut bare = good.clone();
    bare.as_object_mut().unwrap().remove("inclusionProof");
    assert_eq!(
        why(
            &log,
            with_entries(&bundle(), vec![good.clone(), bare.clone()])
        ),
        "has neither proof nor promise of its log"
    );
    let body = unb64(good["canonicalizedBody"].as_str().unwrap());
    let mut promised = bare;
    promised["logIndex"] = "7".into();
    promised["integratedTime"] = TIME.to_string().into();
    promised["inclusionPromise"] = json!({"signedEntryTimestamp": log.promise(&body, TIME)});
    assert_eq!(
        why(&log, with_entries(&bundle(), vec![promised.clone()])),
        "has no proof of its log, which this version of bundles needs"
    );
    names(verify(
        p256(&log),
        &[with_entries(
            &bundle(),
            vec![promised.clone(), good.clone()],
        )],
    ));
    let many = vec![good; 9];
    assert_eq!(
        why(&log, with_entries(&bundle(), many)),
        "1 was found and does not count: it has more certificates, log entries, timestamps or witnesses than are looked at"
    );
}
