//! What must not count as a cosign signature by a key, and what must not keep a good one from counting.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_policy::model::{SignedIdentity, SigstoreSigners};
use portcullis_trust::evidence::{Artefact, ArtefactKind};
use portcullis_trust::sigstore::CosignVerifier;
use serde_json::Value;

use crate::sigstore_fixture::{case, clause, key, names, offline, requirement, verify, verify_as};

const APP: &str = "registry.example.com/shop/app:1";

fn p256() -> SigstoreSigners {
    offline(vec![key("p256.pub")])
}

/// The one artefact of a case.
fn one(name: &str) -> Artefact {
    let [one]: [Artefact; 1] = case(name).try_into().unwrap();
    one
}

fn why(artefact: Artefact) -> String {
    let clause = clause(verify(p256(), &[artefact]));
    clause
        .strip_prefix("1 was found and does not count: ")
        .unwrap()
        .to_owned()
}

/// A bundle with its JSON changed.
fn edited(name: &str, edit: impl FnOnce(&mut Value)) -> Artefact {
    let mut artefact = one(name);
    let mut json = serde_json::from_slice(&artefact.bytes).unwrap();
    edit(&mut json);
    artefact.bytes = serde_json::to_vec(&json).unwrap();
    artefact
}

/// A bundle whose signed statement is replaced by one that is changed.
fn restated(name: &str, from: &str, to: &str) -> Artefact {
    edited(name, |json| {
        let payload = &mut json["dsseEnvelope"]["payload"];
        let text = String::from_utf8(STANDARD.decode(payload.as_str().unwrap()).unwrap()).unwrap();
        assert!(text.contains(from), "{text}");
        *payload = STANDARD.encode(text.replace(from, to)).into();
    })
}

#[test]
fn a_signature_over_another_digest_does_not_count() {
    let found = clause(verify(p256(), &case("other-digest")));
    assert_eq!(
        found,
        "2 were found and none counts: 2 times: it is about another digest"
    );
}

#[test]
fn a_statement_that_was_changed_is_not_signed() {
    let other = crate::sigstore_fixture::image("other").hex();
    let this = crate::sigstore_fixture::app().hex();
    let mut artefact = case("other-digest").remove(0);
    let mut json: Value = serde_json::from_slice(&artefact.bytes).unwrap();
    let payload = &mut json["dsseEnvelope"]["payload"];
    let text = String::from_utf8(STANDARD.decode(payload.as_str().unwrap()).unwrap()).unwrap();
    *payload = STANDARD.encode(text.replace(&other, &this)).into();
    artefact.bytes = serde_json::to_vec(&json).unwrap();
    assert_eq!(why(artefact), "it is not signed by a listed key");
}

#[test]
fn a_payload_that_was_changed_is_not_signed() {
    let mut artefact = case("other-digest").remove(1);
    assert_eq!(artefact.kind, ArtefactKind::CosignSignature);
    let other = crate::sigstore_fixture::image("other").hex();
    let this = crate::sigstore_fixture::app().hex();
    let text = String::from_utf8(artefact.bytes).unwrap();
    artefact.bytes = text.replace(&other, &this).into();
    assert_eq!(why(artefact), "it is not signed by a listed key");
}

#[test]
fn a_signature_that_was_changed_does_not_verify() {
    let flipped = |text: &str| {
        let mut bytes = STANDARD.decode(text).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        STANDARD.encode(bytes)
    };
    let bundle = edited("bundle-p256", |json| {
        let signature = &mut json["dsseEnvelope"]["signatures"][0]["sig"];
        *signature = flipped(signature.as_str().unwrap()).into();
    });
    assert_eq!(why(bundle), "it is not signed by a listed key");
    let mut legacy = one("legacy-p256");
    let signature = legacy
        .annotations
        .get_mut("dev.cosignproject.cosign/signature")
        .unwrap();
    *signature = flipped(signature);
    assert_eq!(why(legacy), "it is not signed by a listed key");
}

#[test]
fn attestations_alone_are_no_signature() {
    // cosign 3.1.1 verifies a bundle of any predicate type as a signature.
    let found = clause(verify(p256(), &case("attested-bundle")));
    assert_eq!(
        found,
        "2 were found and none counts: 2 times: it is an attestation, not a signature"
    );
    assert_eq!(
        clause(verify(p256(), &case("attested-legacy"))),
        "none was found"
    );
}

#[test]
fn an_attestation_cannot_be_passed_off_as_a_legacy_signature() {
    let mut artefact = case("attested-legacy").remove(0);
    artefact.kind = ArtefactKind::CosignSignature;
    artefact.annotations.insert(
        "dev.cosignproject.cosign/signature".to_owned(),
        "MEUCIQ==".to_owned(),
    );
    assert_eq!(
        why(artefact),
        "it cannot be read: its payload is no simple-signing payload"
    );
}

#[test]
fn a_predicate_type_that_only_begins_like_the_right_one_is_another() {
    let artefact = restated(
        "bundle-p256",
        "https://sigstore.dev/cosign/sign/v1",
        "https://sigstore.dev/cosign/sign/v1x",
    );
    assert_eq!(why(artefact), "it is an attestation, not a signature");
}

#[test]
fn a_strangers_bundle_does_not_hide_a_good_signature() {
    // cosign 3.1.1 looks at bundles only as soon as there is one, so that whoever may push can deny.
    let artefacts = case("hidden");
    assert_eq!(artefacts.len(), 2);
    names(verify(p256(), &artefacts));
}

#[test]
fn rubbish_beside_a_good_signature_changes_nothing_in_any_order() {
    let good = one("bundle-p256");
    let rubbish = |kind, bytes: &[u8]| Artefact {
        kind,
        bytes: bytes.to_vec(),
        annotations: [(
            "dev.cosignproject.cosign/signature".to_owned(),
            "!".to_owned(),
        )]
        .into(),
    };
    let deep = ["[".repeat(200_000), "]".repeat(200_000)].concat();
    let mut all = vec![
        rubbish(ArtefactKind::SigstoreBundle, b""),
        rubbish(ArtefactKind::SigstoreBundle, b"{}"),
        rubbish(ArtefactKind::SigstoreBundle, &[0xff, 0xfe]),
        rubbish(ArtefactKind::SigstoreBundle, deep.as_bytes()),
        rubbish(ArtefactKind::SigstoreBundle, &vec![b' '; (4 << 20) + 1]),
        rubbish(ArtefactKind::CosignSignature, b"{}"),
        rubbish(ArtefactKind::CosignSignature, &vec![b' '; (64 << 10) + 1]),
        rubbish(ArtefactKind::CosignAttestation, b"{}"),
        rubbish(ArtefactKind::NotationJws, b"{}"),
        one("bundle-p384"),
    ];
    let without = clause(verify(p256(), &all));
    all.push(good);
    let found = names(verify(p256(), &all));
    all.reverse();
    assert_eq!(names(verify(p256(), &all)), found);
    all.remove(0);
    assert_eq!(clause(verify(p256(), &all)), without);
}

#[test]
fn what_is_too_large_is_not_read() {
    let mut bundle = one("bundle-p256");
    bundle.bytes.resize(8 << 20, b' ');
    names(verify(p256(), std::slice::from_ref(&bundle)));
    bundle.bytes.push(b' ');
    assert_eq!(why(bundle), "it is larger than is looked at");
    let mut legacy = one("legacy-p256");
    legacy.bytes.resize((64 << 10) + 1, b' ');
    assert_eq!(why(legacy), "it is larger than is looked at");
    let mut legacy = one("legacy-p256");
    legacy
        .annotations
        .insert("x".to_owned(), " ".repeat((256 << 10) + 1));
    assert_eq!(why(legacy), "it is larger than is looked at");
}

#[test]
fn parts_that_are_out_of_proportion_or_unknown_are_not_read() {
    // What the parser does not know it would keep in memory, at many times its size.
    let numbers = || Value::from(vec![0; 200_000]);
    let places: [fn(&mut Value) -> &mut Value; 2] =
        [|json| json, |json| &mut json["verificationMaterial"]];
    for place in places {
        let artefact = edited("bundle-p256", |json| place(json)["more"] = Value::Null);
        assert_eq!(why(artefact), "it cannot be read: it is no Sigstore bundle");
    }
    let large: [fn(&mut Value) -> &mut Value; 4] = [
        |json| &mut json["verificationMaterial"]["tlogEntries"],
        |json| &mut json["mediaType"],
        |json| &mut json["dsseEnvelope"]["signatures"],
        |json| &mut json["dsseEnvelope"]["payloadType"],
    ];
    for place in large {
        let artefact = edited("bundle-p256", |json| *place(json) = numbers());
        assert_eq!(why(artefact), "it is larger than is looked at");
    }
    let artefact = edited("bundle-p256", |json| {
        json["dsseEnvelope"]["payload"] = numbers();
    });
    assert_eq!(
        why(artefact),
        "it cannot be read: its payload is no in-toto statement"
    );
}

#[test]
fn the_same_artefact_twice_is_one() {
    let artefacts = [one("bundle-p384"), one("bundle-p384")];
    assert!(clause(verify(p256(), &artefacts)).starts_with("1 was found"));
}

#[test]
fn more_artefacts_than_are_looked_at_are_said_to_be() {
    let many: Vec<Artefact> = (0..300)
        .map(|number| Artefact {
            kind: ArtefactKind::SigstoreBundle,
            bytes: format!("{{\"a\":{number:03}}}").into_bytes(),
            annotations: BTreeMap::new(),
        })
        .collect();
    let found = clause(verify(p256(), &many));
    assert!(
        found.contains("44 times: it comes after more signatures than are looked at"),
        "{found}"
    );
}

#[test]
fn a_signature_over_a_file_is_none_over_an_image() {
    let file = Artefact {
        kind: ArtefactKind::SigstoreBundle,
        bytes: crate::sigstore_fixture::read("public-good/managed-key.sigstore.json"),
        annotations: BTreeMap::new(),
    };
    assert_eq!(
        why(file),
        "it is a signature over a file, not over an image"
    );
}

#[test]
fn signed_annotations_must_all_be_there_with_their_values() {
    let mut wanted = requirement(p256());
    wanted.annotations = [("env".to_owned(), "prod".to_owned())].into();
    for format in ["bundle", "legacy"] {
        let annotated = case(&format!("{format}-annotated"));
        names(verify_as(&wanted, APP, &annotated));
        let plain = case(&format!("{format}-p256"));
        let found = clause(verify_as(&wanted, APP, &plain));
        assert!(
            found.ends_with("it does not have the signed annotation env"),
            "{found}"
        );
        let mut other = wanted.clone();
        other.annotations.insert("team".to_owned(), "b".to_owned());
        let found = clause(verify_as(&other, APP, &annotated));
        assert!(
            found.ends_with("it does not have the signed annotation team"),
            "{found}"
        );
    }
}

#[test]
fn annotations_of_the_layer_are_not_signed() {
    let mut wanted = requirement(p256());
    wanted.annotations = [("env".to_owned(), "prod".to_owned())].into();
    let mut artefact = one("legacy-p256");
    artefact
        .annotations
        .insert("env".to_owned(), "prod".to_owned());
    let found = clause(verify_as(&wanted, APP, &[artefact]));
    assert!(found.ends_with("it does not have the signed annotation env"));
}

#[test]
fn a_bundle_names_no_repository_and_a_legacy_signature_must_name_this_one() {
    let mut wanted = requirement(p256());
    wanted.identity = Some(SignedIdentity::MatchRepository);
    let bundle = case("bundle-p256");
    let legacy = case("legacy-p256");
    assert!(
        clause(verify_as(&wanted, APP, &bundle))
            .ends_with("it names no repository, and one is to be compared")
    );
    names(verify_as(&wanted, APP, &legacy));
    for other in [
        "registry.example.com/shop/web:1",
        "evil.example.com/shop/app:1",
    ] {
        assert!(
            clause(verify_as(&wanted, other, &legacy))
                .ends_with("it is for another repository or reference")
        );
    }
    // Without a requirement the name in the signature is not looked at.
    wanted.identity = None;
    names(verify_as(&wanted, "evil.example.com/shop/app:1", &legacy));
}

#[test]
fn every_way_to_compare_the_repository() {
    let legacy = case("legacy-p256");
    let mut wanted = requirement(p256());
    let digest = format!(
        "registry.example.com/shop/app@{}",
        crate::sigstore_fixture::app()
    );
    let mut counts = |identity, reference: &str| {
        wanted.identity = Some(identity);
        verify_as(&wanted, reference, &legacy).is_ok()
    };
    // cosign signs the repository without a tag: nothing is exactly that.
    assert!(!counts(SignedIdentity::MatchExact, APP));
    assert!(!counts(SignedIdentity::MatchRepoDigestOrExact, APP));
    assert!(!counts(SignedIdentity::MatchRepoDigestOrExact, &digest));
    assert!(!counts(SignedIdentity::ExactReference(APP.to_owned()), APP));
    let repository = |name: &str| SignedIdentity::ExactRepository(name.to_owned());
    assert!(counts(
        repository("registry.example.com/shop/app"),
        "mirror.example.com/x:1"
    ));
    assert!(!counts(repository("registry.example.com/shop"), APP));
    assert!(counts(SignedIdentity::MatchRepository, &digest));
}

#[test]
fn a_signed_identity_that_can_match_nothing_is_found_at_load() {
    let remap = |prefix: &str, signed_prefix: &str| SignedIdentity::Remap {
        prefix: prefix.to_owned(),
        signed_prefix: signed_prefix.to_owned(),
    };
    for identity in [
        SignedIdentity::ExactReference("registry.example.com/shop/app".to_owned()),
        SignedIdentity::ExactRepository("Not A Repository".to_owned()),
        // Without a host it would be taken for one on Docker Hub.
        remap("registry.example.com", "shop"),
        remap("mirror/shop", "registry.example.com"),
    ] {
        let mut wanted = requirement(p256());
        wanted.identity = Some(identity.clone());
        let found = CosignVerifier::compile(&wanted).unwrap_err();
        let message = &found.first().unwrap().message;
        assert!(
            message.starts_with("the signed identity can match nothing: "),
            "{identity:?}: {message}"
        );
    }
}
