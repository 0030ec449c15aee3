//! Log entries in the legacy format: promised by a trusted log, in time, and about this signature.

use portcullis_policy::model::{Demand, SigstoreSigner, SigstoreSigners, TrustedRootSource};
use portcullis_trust::evidence::Artefact;
use portcullis_trust::finding::Refused;
use portcullis_trust::sigstore::SignerSet;
use serde_json::{Value, json};

use crate::sigstore_fixture::{
    IDENTITY, ISSUER, app, case, clause, exact, key, material, names, now, offline, read, verify,
};
use crate::sigstore_rekor::{
    Log, b64, dsse, hashed, intoto, parts, signature_of, unb64, with_annotation, with_entries,
};

/// In 2027, before now.
const TIME: i64 = 1_810_000_000;

fn logged(log: &Log, of: Vec<SigstoreSigner>) -> SigstoreSigners {
    SigstoreSigners {
        transparency_log: Demand::Require,
        trusted_root: log.root(),
        ..offline(of)
    }
}

fn p256(log: &Log) -> SigstoreSigners {
    logged(log, vec![key("p256.pub")])
}

fn pem() -> Vec<u8> {
    read("keys/p256.pub")
}

fn legacy() -> Artefact {
    case("legacy-p256").remove(0)
}

fn why(log: &Log, artefact: Artefact) -> String {
    let clause = clause(verify(p256(log), &[artefact]));
    clause
        .strip_prefix("1 was found and does not count: its transparency log entry ")
        .unwrap_or(&clause)
        .to_owned()
}

#[test]
fn a_promise_of_the_log_says_when_it_was_signed() {
    let log = Log::new();
    let legacy = legacy();
    let body = hashed(&legacy.bytes, signature_of(&legacy), &pem());
    let artefact = with_annotation(&legacy, log.annotation(&body, TIME));
    let found = verify(p256(&log), &[artefact]).unwrap();
    assert_eq!(found[0].signed_at.unwrap().0, TIME);
}

#[test]
fn a_promise_by_another_log_does_not_count() {
    let log = Log::new();
    let legacy = legacy();
    let body = hashed(&legacy.bytes, signature_of(&legacy), &pem());
    let other = with_annotation(&legacy, Log::new().annotation(&body, TIME));
    assert_eq!(
        why(&log, other),
        "is in a log that is not trusted, or was not then"
    );
    // The trusted log's id over a promise that another one signed.
    let mut forged: Value = serde_json::from_str(&log.annotation(&body, TIME)).unwrap();
    let signed = Log::new().promise(body.to_string().as_bytes(), TIME);
    forged["SignedEntryTimestamp"] = signed.into();
    assert_eq!(
        why(&log, with_annotation(&legacy, forged.to_string())),
        "has a promise that its log did not sign"
    );
}

#[test]
fn what_a_promise_is_over_cannot_be_changed() {
    let log = Log::new();
    let legacy = legacy();
    let body = hashed(&legacy.bytes, signature_of(&legacy), &pem());
    let changes: [(&str, Value); 2] = [
        ("integratedTime", (TIME - 1).into()),
        ("logIndex", 8.into()),
    ];
    for (name, value) in changes {
        let mut entry: Value = serde_json::from_str(&log.annotation(&body, TIME)).unwrap();
        entry["Payload"][name] = value;
        assert_eq!(
            why(&log, with_annotation(&legacy, entry.to_string())),
            "has a promise that its log did not sign",
            "{name}"
        );
    }
}

#[test]
fn an_entry_of_another_signature_does_not_vouch_for_this_one() {
    // CVE-2022-36056.
    let log = Log::new();
    let legacy = legacy();
    let signature = signature_of(&legacy).to_owned();
    let bodies = [
        hashed(b"another payload", &signature, &pem()),
        hashed(&legacy.bytes, &b64("another signature"), &pem()),
        hashed(&legacy.bytes, &signature, &read("keys/other.pub")),
    ];
    for body in bodies {
        assert_eq!(
            why(&log, with_annotation(&legacy, log.annotation(&body, TIME))),
            "is about another signature"
        );
    }
}

#[test]
fn an_entry_from_the_future_does_not_count() {
    let log = Log::new();
    let legacy = legacy();
    let body = hashed(&legacy.bytes, signature_of(&legacy), &pem());
    let entry = |time| with_annotation(&legacy, log.annotation(&body, time));
    names(verify(p256(&log), &[entry(now().0 + 60)]));
    let found = clause(verify(p256(&log), &[entry(now().0 + 61)]));
    assert!(
        found.ends_with("it was signed after this node's time"),
        "{found}"
    );
}

#[test]
fn a_log_entry_that_is_not_asked_for_is_not_looked_at() {
    let legacy = legacy();
    let body = hashed(b"another payload", signature_of(&legacy), &pem());
    let broken = with_annotation(&legacy, Log::new().annotation(&body, TIME));
    names(verify(offline(vec![key("p256.pub")]), &[broken]));
    let rubbish = with_annotation(&legacy, "rubbish".to_owned());
    names(verify(
        offline(vec![key("p256.pub")]),
        std::slice::from_ref(&rubbish),
    ));
    assert_eq!(why(&Log::new(), rubbish), "cannot be read");
}

#[test]
fn a_legacy_keyless_signature_counts_by_the_time_its_log_promises() {
    let log = Log::new();
    let mut legacy = case("keyless-legacy").remove(0);
    let stamped = offline(vec![exact(IDENTITY, ISSUER)]);
    let found = verify(stamped, std::slice::from_ref(&legacy)).unwrap();
    let time = found[0].signed_at.unwrap().0;
    legacy
        .annotations
        .remove("dev.sigstore.cosign/rfc3161timestamp");
    // Signatures with Fulcio's certificates bring the intermediate one; cosign 3.1.1 leaves out what it is given.
    let chain = String::from_utf8(read("pki/chain.pem")).unwrap();
    legacy
        .annotations
        .insert("dev.sigstore.cosign/chain".to_owned(), chain);
    let pem = legacy.annotations["dev.sigstore.cosign/certificate"].clone();
    let body = hashed(&legacy.bytes, signature_of(&legacy), pem.as_bytes());
    let entry = |time| with_annotation(&legacy, log.annotation(&body, time));
    // Loose parts have no certificate logs: that a policy asks for them changes nothing.
    let signers = || SigstoreSigners {
        signed_certificate_timestamp: Demand::Require,
        ..logged(&log, vec![exact(IDENTITY, ISSUER)])
    };
    let found = verify(signers(), &[entry(time)]).unwrap();
    assert_eq!(found[0].signed_at.unwrap().0, time);
    // Two days before there was no such certificate. (What lies ahead of the system's clock the library refuses by itself.)
    let found = clause(verify(signers(), &[entry(time - 2 * 86_400)]));
    assert!(
        found.ends_with(
            "its certificate is not by a trusted authority, or was not valid when it was signed"
        ),
        "{found}"
    );
    let found = clause(verify(
        logged(&Log::new(), vec![exact(IDENTITY, ISSUER)]),
        &[entry(time)],
    ));
    assert!(
        found.ends_with("its transparency log entry has a promise that its log did not sign"),
        "{found}"
    );
    let swapped = hashed(b"another payload", signature_of(&legacy), pem.as_bytes());
    let artefact = with_annotation(&legacy, log.annotation(&swapped, time));
    let found = clause(verify(signers(), &[artefact]));
    assert!(found.contains("is about another"), "{found}");
}

#[test]
fn a_timestamp_beside_a_required_log_entry_must_be_of_a_trusted_authority() {
    let log = Log::new();
    let stamped = case("stamped").remove(0);
    let parts = parts(&stamped);
    let body = dsse(&parts.payload, &parts.signature, &pem());
    let artefact = with_entries(&stamped, vec![log.entry("dsse", "0.0.1", &body)]);
    // Loose parts know no authority at all: then there is nothing to hold it against.
    names(verify(p256(&log), std::slice::from_ref(&artefact)));
    let with_authority = |name: &str| {
        let mut root: Value = serde_json::from_slice(&read(name)).unwrap();
        root["tlogs"] = json!([log.trusted()]);
        let root = material("root.json", root.to_string().into());
        let signers = SigstoreSigners {
            trusted_root: TrustedRootSource::Json(root),
            ..p256(&log)
        };
        verify(signers, std::slice::from_ref(&artefact))
    };
    let found = with_authority("pki/trusted_root.json").unwrap();
    assert!(found[0].signed_at.is_some());
    let found = clause(with_authority("pki/tsa-over.json"));
    assert!(
        found.ends_with("its timestamp is not by a trusted authority over this signature"),
        "{found}"
    );
}

#[test]
fn legacy_keyless_signatures_with_a_timestamp_nobody_can_judge_count_by_their_log() {
    let log = Log::new();
    let mut legacy = case("keyless-legacy").remove(0);
    let stamped = offline(vec![exact(IDENTITY, ISSUER)]);
    let found = verify(stamped, std::slice::from_ref(&legacy)).unwrap();
    let time = found[0].signed_at.unwrap().0;
    let chain = String::from_utf8(read("pki/chain.pem")).unwrap();
    legacy
        .annotations
        .insert("dev.sigstore.cosign/chain".to_owned(), chain);
    let pem = legacy.annotations["dev.sigstore.cosign/certificate"].clone();
    let body = hashed(&legacy.bytes, signature_of(&legacy), pem.as_bytes());
    let artefact = with_annotation(&legacy, log.annotation(&body, time));
    let signers = logged(&log, vec![exact(IDENTITY, ISSUER)]);
    names(verify(signers.clone(), &[artefact]));
    let unlogged = SigstoreSigners {
        transparency_log: Demand::Ignore,
        ..signers
    };
    let found = clause(verify(unlogged, &[legacy]));
    assert!(
        found.ends_with("its timestamp is not by a trusted authority over this signature"),
        "{found}"
    );
}

#[test]
fn legacy_attestations_need_their_own_entries() {
    let log = Log::new();
    let attestation = case("attested-legacy").remove(0);
    let envelope: Value = serde_json::from_slice(&attestation.bytes).unwrap();
    let payload = unb64(envelope["payload"].as_str().unwrap());
    let signature = envelope["signatures"][0]["sig"].as_str().unwrap();
    let statements = |artefact: &Artefact| {
        let mut refused = Refused::default();
        let set = SignerSet::compile(&p256(&log)).unwrap();
        let found = set.statements(&app(), &[artefact], now(), &mut refused);
        (found, refused.clause())
    };
    for body in [
        dsse(&payload, signature, &pem()),
        intoto(&payload, signature, &pem()),
    ] {
        let artefact = with_annotation(&attestation, log.annotation(&body, TIME));
        let (found, _) = statements(&artefact);
        assert_eq!(found[0].verified.signed_at.unwrap().0, TIME);
    }
    let (found, refused) = statements(&attestation);
    assert!(found.is_empty());
    assert!(refused.ends_with("its transparency log entry is missing"));
    let other = dsse(b"{}", signature, &pem());
    let artefact = with_annotation(&attestation, log.annotation(&other, TIME));
    assert!(
        statements(&artefact)
            .1
            .ends_with("is about another signature")
    );
}
