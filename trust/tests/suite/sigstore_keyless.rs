//! Signatures with a certificate, made by cosign 3.1.1 with an own CA and an own timestamp authority, and no logs.

use portcullis_policy::ImageReference;
use portcullis_policy::model::{Demand, SigstoreSigner, SigstoreSigners, TextMatch};
use portcullis_trust::Timestamp;
use portcullis_trust::evidence::Artefact;
use portcullis_trust::finding::{Refused, Verified};
use portcullis_trust::sigstore::CosignVerifier;

use crate::common::time;
use crate::sigstore_fixture::{
    IDENTITY, ISSUER, app, by, case, clause, exact, key, names, offline, requirement, root, verify,
};

fn release() -> SigstoreSigners {
    offline(vec![exact(IDENTITY, ISSUER)])
}

fn identity(identity: TextMatch) -> SigstoreSigners {
    offline(vec![by(identity, TextMatch::Exact(ISSUER.to_owned()))])
}

fn regex(text: &str) -> TextMatch {
    TextMatch::Regex(text.to_owned())
}

fn verify_at(
    signers: SigstoreSigners,
    artefacts: &[Artefact],
    now: Timestamp,
) -> Result<Vec<Verified>, Refused> {
    let verifier = CosignVerifier::compile(&requirement(signers)).unwrap();
    let artefacts: Vec<&Artefact> = artefacts.iter().collect();
    let reference = ImageReference::parse("registry.example.com/shop/app:1").unwrap();
    verifier.verify(&reference, &app(), &artefacts, now)
}

fn why(signers: SigstoreSigners, name: &str) -> String {
    let clause = clause(verify(signers, &case(name)));
    clause
        .strip_prefix("1 was found and does not count: ")
        .unwrap()
        .to_owned()
}

#[test]
fn the_right_identity_counts_long_after_its_certificate_was_over() {
    let found = verify(release(), &case("keyless-release")).unwrap();
    assert_eq!(found[0].signer, format!("{IDENTITY} by {ISSUER}"));
    let signed_at = found[0].signed_at.unwrap();
    assert!(signed_at > time("2026-11-20T00:00:00Z"));
    assert!(signed_at < crate::sigstore_fixture::now());
}

#[test]
fn another_identity_or_issuer_does_not() {
    let other = offline(vec![exact(&format!("{IDENTITY}x"), ISSUER)]);
    assert_eq!(
        why(other, "keyless-release"),
        format!("it is signed by {IDENTITY} by {ISSUER}, who is not listed")
    );
    let other = offline(vec![exact(IDENTITY, "https://issuer.example.test/")]);
    assert_eq!(
        why(other, "keyless-release"),
        format!("it is signed by {IDENTITY} by {ISSUER}, who is not listed")
    );
}

#[test]
fn an_expression_cannot_be_met_by_a_part_of_the_identity() {
    let pattern = r"https://git\.example\.test/org/app/.*";
    names(verify(identity(regex(pattern)), &case("keyless-release")));
    // Its identity is https://evil.example.test/?https://git.example.test/org/app/…
    assert!(why(identity(regex(pattern)), "keyless-evil").ends_with("who is not listed"));
    let issuer = by(
        TextMatch::Exact(IDENTITY.to_owned()),
        regex(r"https://issuer\.example"),
    );
    assert!(why(offline(vec![issuer]), "keyless-release").ends_with("who is not listed"));
}

#[test]
fn every_name_in_a_certificate_counts() {
    for name in ["alice@example.test", "https://id.example.test/alice"] {
        let signers = identity(TextMatch::Exact(name.to_owned()));
        assert_eq!(
            names(verify(signers, &case("keyless-alice"))),
            [format!("{name} by {ISSUER}")]
        );
    }
    let user = identity(TextMatch::Exact("bob!example.test".to_owned()));
    names(verify(user, &case("keyless-user")));
}

#[test]
fn a_certificate_of_an_unknown_authority_does_not_count() {
    assert_eq!(
        why(release(), "keyless-rogue"),
        "its certificate is not by a trusted authority, or was not valid when it was signed"
    );
    let mut public = release();
    public.trusted_root = portcullis_policy::model::TrustedRootSource::PublicGood;
    assert_eq!(
        why(public, "keyless-release"),
        "its timestamp is not by a trusted authority over this signature"
    );
}

#[test]
fn without_a_log_a_signed_timestamp_is_required() {
    assert_eq!(
        why(release(), "keyless-unstamped"),
        "nothing proves when it was signed"
    );
}

#[test]
fn a_timestamp_of_an_authority_out_of_its_validity_does_not_count() {
    // cosign 3.1.1 without --use-signed-timestamps does not look at it.
    let mut signers = release();
    signers.trusted_root = root("tsa-over.json");
    assert_eq!(
        why(signers, "keyless-release"),
        "its timestamp is by an authority that was not in force then"
    );
}

#[test]
fn what_was_stamped_after_now_does_not_count() {
    let before = time("2026-11-19T00:00:00Z");
    let found = clause(verify_at(release(), &case("keyless-release"), before));
    assert!(
        found.ends_with("it was signed after this node's time"),
        "{found}"
    );
    let mut stamped = offline(vec![key("p256.pub")]);
    let found = clause(verify_at(stamped.clone(), &case("stamped"), before));
    assert!(
        found.ends_with("it was signed after this node's time"),
        "{found}"
    );
    stamped.transparency_log = Demand::Ignore;
    assert!(
        verify(stamped, &case("stamped")).unwrap()[0]
            .signed_at
            .is_some()
    );
}

#[test]
fn logs_are_required_unless_the_policy_says_otherwise() {
    let mut signers = release();
    signers.transparency_log = Demand::Require;
    assert_eq!(
        why(signers, "keyless-release"),
        "its transparency log entry is missing"
    );
    let mut signers = offline(vec![key("p256.pub")]);
    signers.transparency_log = Demand::Require;
    for name in ["bundle-p256", "legacy-p256", "stamped"] {
        assert_eq!(
            why(signers.clone(), name),
            "its transparency log entry is missing"
        );
    }
}

#[test]
fn a_log_entry_that_is_not_asked_for_is_not_looked_at() {
    let mut artefact = case("keyless-release").remove(0);
    let mut json: serde_json::Value = serde_json::from_slice(&artefact.bytes).unwrap();
    json["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.1".into();
    json["verificationMaterial"]["tlogEntries"] = serde_json::json!([{
        "logIndex": "1",
        "logId": {"keyId": "AAAA"},
        "kindVersion": {"kind": "dsse", "version": "0.0.1"},
        "integratedTime": "1",
        "inclusionPromise": {"signedEntryTimestamp": "AAAA"},
        "canonicalizedBody": "AAAA",
    }]);
    artefact.bytes = serde_json::to_vec(&json).unwrap();
    names(verify(release(), std::slice::from_ref(&artefact)));
    let mut signers = release();
    signers.transparency_log = Demand::Require;
    assert!(verify(signers, &[artefact]).is_err());
}

#[test]
fn certificate_timestamps_are_required_unless_the_policy_says_otherwise() {
    let mut signers = release();
    signers.signed_certificate_timestamp = Demand::Require;
    assert_eq!(
        why(signers, "keyless-release"),
        "its certificate has no certificate timestamp by a trusted log"
    );
}

#[test]
fn the_legacy_format_follows_the_same_rules() {
    names(verify(release(), &case("keyless-legacy")));
    let other = offline(vec![exact(&format!("{IDENTITY}x"), ISSUER)]);
    assert!(why(other, "keyless-legacy").ends_with("who is not listed"));
    let mut unstamped = case("keyless-legacy");
    unstamped[0]
        .annotations
        .remove("dev.sigstore.cosign/rfc3161timestamp")
        .unwrap();
    let found = clause(verify(release(), &unstamped));
    assert!(
        found.ends_with("nothing proves when it was signed"),
        "{found}"
    );
}

#[test]
fn a_certificate_swapped_for_another_does_not_verify() {
    let mut artefacts = case("keyless-legacy");
    let other: serde_json::Value = serde_json::from_slice(&case("keyless-evil")[0].bytes).unwrap();
    let der = other["verificationMaterial"]["certificate"]["rawBytes"]
        .as_str()
        .unwrap();
    artefacts[0].annotations.insert(
        "dev.sigstore.cosign/certificate".to_owned(),
        format!("-----BEGIN CERTIFICATE-----\n{der}\n-----END CERTIFICATE-----\n"),
    );
    let found = clause(verify(identity(regex("https://evil.*")), &artefacts));
    assert!(found.ends_with("its signature does not verify"), "{found}");
}

#[test]
fn keys_and_identities_do_not_stand_in_for_each_other() {
    let keys = offline(vec![key("p256.pub")]);
    assert_eq!(
        why(keys, "keyless-release"),
        "it is signed with a certificate, and only keys are listed"
    );
    assert_eq!(
        why(release(), "bundle-p256"),
        "it has no certificate, and only identities are listed"
    );
    let both: Vec<SigstoreSigner> = vec![key("p256.pub"), exact(IDENTITY, ISSUER)];
    names(verify(offline(both.clone()), &case("keyless-release")));
    names(verify(offline(both), &case("bundle-p256")));
}
