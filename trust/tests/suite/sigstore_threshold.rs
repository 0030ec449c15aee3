//! Several signers, and statements.

use portcullis_policy::model::{SigstoreSigners, TextMatch};
use portcullis_trust::evidence::Artefact;
use portcullis_trust::finding::Refused;
use portcullis_trust::sigstore::{SignedStatement, SignerSet};

use crate::sigstore_fixture::{
    IDENTITY, ISSUER, app, by, case, clause, exact, image, key, names, now, offline, verify,
};

fn both(of: Vec<portcullis_policy::model::SigstoreSigner>) -> SigstoreSigners {
    let threshold = 2;
    SigstoreSigners {
        threshold,
        ..offline(of)
    }
}

#[test]
fn a_threshold_counts_different_signers() {
    let signers = || both(vec![key("p384.pub"), key("p256.pub"), key("other.pub")]);
    let found = names(verify(signers(), &case("two")));
    assert_eq!(found.len(), 2);
    // In the order of the policy.
    assert!(found[0].starts_with("keys/p384.pub"), "{found:?}");
    assert_eq!(
        clause(verify(signers(), &case("bundle-p256"))),
        "1 of 2 required signers were found"
    );
}

#[test]
fn two_signatures_by_one_key_are_one_signer() {
    let artefacts = [case("bundle-p256"), case("legacy-p256")].concat();
    let signers = both(vec![key("p256.pub"), key("p384.pub")]);
    assert_eq!(
        clause(verify(signers, &artefacts)),
        "1 of 2 required signers were found"
    );
}

#[test]
fn one_key_listed_twice_is_one_signer() {
    let twice = both(vec![key("p384.pub"), key("p384.crt")]);
    let diagnostics = SignerSet::compile(&twice).unwrap_err();
    assert_eq!(
        diagnostics[0].message,
        "the threshold is 2, and there are 1 different signers"
    );
    let thrice = both(vec![key("p384.pub"), key("p384.crt"), key("other.pub")]);
    assert_eq!(
        clause(verify(thrice, &case("bundle-p384"))),
        "1 of 2 required signers were found"
    );
}

#[test]
fn one_person_who_matches_two_patterns_is_one_signer() {
    let anyone = by(
        TextMatch::Glob("https://git.example.test/*".to_owned()),
        TextMatch::Exact(ISSUER.to_owned()),
    );
    let signers = both(vec![anyone, exact(IDENTITY, ISSUER)]);
    let artefacts = [case("keyless-release"), case("keyless-legacy")].concat();
    assert_eq!(
        clause(verify(signers, &artefacts)),
        "1 of 2 required signers were found"
    );
}

fn statements(signers: &SigstoreSigners, artefacts: &[Artefact]) -> (Vec<SignedStatement>, String) {
    let set = SignerSet::compile(signers).unwrap();
    let artefacts: Vec<&Artefact> = artefacts.iter().collect();
    let mut refused = Refused::default();
    let found = set.statements(&app(), &artefacts, now(), &mut refused);
    (found, refused.clause())
}

#[test]
fn statements_of_both_formats_come_as_they_were_signed() {
    for name in ["attested-bundle", "attested-legacy"] {
        let signers = offline(vec![key("other.pub"), key("p256.pub")]);
        let (found, _) = statements(&signers, &case(name));
        let types: Vec<String> = found
            .iter()
            .map(|one| {
                let json: serde_json::Value = serde_json::from_slice(&one.bytes).unwrap();
                json["predicateType"].as_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(types.len(), 2, "{name}");
        assert!(types.contains(&"https://slsa.dev/provenance/v1".to_owned()));
        assert!(
            found
                .iter()
                .all(|one| one.signer == 0 && one.entries == [1])
        );
        let mut backwards = case(name);
        backwards.reverse();
        assert_eq!(statements(&signers, &backwards).0, found);
    }
}

#[test]
fn a_statement_by_a_stranger_or_about_another_image_is_refused() {
    let stranger = offline(vec![key("other.pub")]);
    for name in ["attested-bundle", "attested-legacy"] {
        let (found, refused) = statements(&stranger, &case(name));
        assert!(found.is_empty());
        assert_eq!(
            refused,
            "2 were found and none counts: 2 times: it is not signed by a listed key"
        );
    }
    let set = SignerSet::compile(&offline(vec![key("p256.pub")])).unwrap();
    let artefacts = case("attested-bundle");
    let artefacts: Vec<&Artefact> = artefacts.iter().collect();
    let mut refused = Refused::default();
    let found = set.statements(&image("other"), &artefacts, now(), &mut refused);
    assert!(found.is_empty());
    assert!(refused.clause().ends_with("it is about another digest"));
}

#[test]
fn a_keyless_statement_counts_by_its_identity() {
    let (found, _) = statements(
        &offline(vec![exact(IDENTITY, ISSUER)]),
        &case("keyless-attested"),
    );
    assert_eq!(found.len(), 1);
    assert!(found[0].verified.signed_at.is_some());
    let (found, _) = statements(
        &offline(vec![exact(IDENTITY, ISSUER)]),
        &case("keyless-attested-legacy"),
    );
    assert!(found[0].verified.signed_at.is_some());
    let (found, _) = statements(
        &offline(vec![exact("https://other.example.test/", ISSUER)]),
        &case("keyless-attested"),
    );
    assert!(found.is_empty());
}
