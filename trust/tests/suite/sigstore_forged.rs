//! Signatures by a listed key over what cosign would not write: the signature is good, what it says is not.

use std::collections::BTreeMap;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use portcullis_policy::model::{CosignRequirement, SigstoreSigner, SigstoreSigners};
use portcullis_trust::evidence::{Artefact, ArtefactKind};
use portcullis_trust::finding::Refused;
use portcullis_trust::sigstore::SignerSet;
use serde_json::{Value, json};

use crate::sigstore_fixture::{
    app, case, clause, image, material, names, now, offline, requirement, verify_as,
};
use crate::sigstore_rekor::b64;

const APP: &str = "registry.example.com/shop/app:1";
const SIGN: &str = "https://sigstore.dev/cosign/sign/v1";
const V1: &str = "https://in-toto.io/Statement/v1";

struct Signer(EcdsaKeyPair);

impl Signer {
    fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap())
    }

    fn pem(&self) -> String {
        let der: PublicKeyX509Der<'_> = self.0.public_key().as_der().unwrap();
        format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            b64(der.as_ref())
        )
    }

    fn listed(&self) -> SigstoreSigners {
        offline(vec![SigstoreSigner::Key(material(
            "signer.pub",
            self.pem().into(),
        ))])
    }

    fn requirement(&self) -> CosignRequirement {
        requirement(self.listed())
    }

    fn sign(&self, message: &[u8]) -> String {
        b64(self.0.sign(&SystemRandom::new(), message).unwrap())
    }

    fn envelope(&self, kind: &str, payload: &[u8]) -> Value {
        let head = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len());
        let encoded = [head.as_bytes(), payload].concat();
        json!({
            "payload": b64(payload),
            "payloadType": kind,
            "signatures": [{"sig": self.sign(&encoded)}],
        })
    }

    fn bundle_of(envelope: &Value) -> Artefact {
        let json = json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {"publicKey": {"hint": ""}},
            "dsseEnvelope": envelope,
        });
        Artefact {
            kind: ArtefactKind::SigstoreBundle,
            bytes: json.to_string().into(),
            annotations: BTreeMap::new(),
        }
    }

    fn bundle(&self, statement: &Value) -> Artefact {
        let payload = statement.to_string();
        Self::bundle_of(&self.envelope("application/vnd.in-toto+json", payload.as_bytes()))
    }

    fn legacy(&self, payload: &Value) -> Artefact {
        let bytes = payload.to_string().into_bytes();
        let name = "dev.cosignproject.cosign/signature".to_owned();
        Artefact {
            kind: ArtefactKind::CosignSignature,
            annotations: [(name, self.sign(&bytes))].into(),
            bytes,
        }
    }
}

fn subject(digest: &str) -> Value {
    json!({"digest": {"sha256": digest}})
}

fn statement(version: &str, subjects: &[Value]) -> Value {
    json!({"_type": version, "subject": subjects, "predicateType": SIGN, "predicate": {}})
}

fn payload() -> Value {
    json!({
        "critical": {
            "identity": {"docker-reference": "registry.example.com/shop/app"},
            "image": {"docker-manifest-digest": app().to_string()},
            "type": "cosign container image signature",
        },
        "optional": null,
    })
}

fn why(signer: &Signer, artefact: Artefact) -> String {
    let clause = clause(verify_as(&signer.requirement(), APP, &[artefact]));
    clause
        .strip_prefix("1 was found and does not count: ")
        .unwrap()
        .to_owned()
}

#[test]
fn what_is_varied_below_counts_unvaried() {
    let signer = Signer::new();
    let good = signer.bundle(&statement(V1, &[subject(&app().hex())]));
    names(verify_as(&signer.requirement(), APP, &[good]));
    names(verify_as(
        &signer.requirement(),
        APP,
        &[signer.legacy(&payload())],
    ));
}

#[test]
fn a_statement_of_an_unknown_version_means_nothing() {
    let signer = Signer::new();
    for version in ["https://in-toto.io/Statement/v2", ""] {
        let artefact = signer.bundle(&statement(version, &[subject(&app().hex())]));
        assert_eq!(
            why(&signer, artefact.clone()),
            "it is an in-toto statement of an unknown version"
        );
        let mut refused = Refused::default();
        let set = SignerSet::compile(&signer.listed()).unwrap();
        let found = set.statements(&app(), &[&artefact], now(), &mut refused);
        assert!(found.is_empty());
    }
    let mut missing = statement(V1, &[subject(&app().hex())]);
    missing.as_object_mut().unwrap().remove("_type");
    assert_eq!(
        why(&signer, signer.bundle(&missing)),
        "it cannot be read: its payload is no in-toto statement"
    );
}

#[test]
fn an_envelope_of_another_payload_type_is_no_statement() {
    let signer = Signer::new();
    let text = statement(V1, &[subject(&app().hex())]).to_string();
    let envelope = signer.envelope("application/vnd.example+json", text.as_bytes());
    assert_eq!(
        why(&signer, Signer::bundle_of(&envelope)),
        "it cannot be read: its payload is no in-toto statement"
    );
}

#[test]
fn an_envelope_with_two_signatures_is_refused() {
    // One listed signer must not vouch for the signature of another one beside it.
    let signer = Signer::new();
    let text = statement(V1, &[subject(&app().hex())]).to_string();
    let mut envelope = signer.envelope("application/vnd.in-toto+json", text.as_bytes());
    let signatures = envelope["signatures"].as_array_mut().unwrap();
    signatures.push(json!({"sig": b64("another")}));
    assert_eq!(
        why(&signer, Signer::bundle_of(&envelope)),
        "it cannot be read: it is no Sigstore bundle"
    );
}

#[test]
fn a_payload_of_another_type_or_with_more_that_is_critical_means_nothing() {
    let signer = Signer::new();
    let mut other = payload();
    other["critical"]["type"] = "atomic container image signature".into();
    assert_eq!(
        why(&signer, signer.legacy(&other)),
        "it cannot be read: its payload is no cosign signature"
    );
    let places: [&[&str]; 3] = [&[], &["identity"], &["image"]];
    for place in places {
        let mut more = payload();
        let mut at = &mut more["critical"];
        for name in place {
            at = &mut at[*name];
        }
        at["until"] = "2026-01-01".into();
        assert_eq!(
            why(&signer, signer.legacy(&more)),
            "it cannot be read: its payload is no simple-signing payload"
        );
    }
}

#[test]
fn one_of_several_subjects_is_enough_and_brings_its_own_annotations() {
    let signer = Signer::new();
    let mut here = subject(&app().hex());
    let mut there = subject(&image("other").hex());
    here["annotations"] = json!({"env": "test"});
    there["annotations"] = json!({"env": "prod"});
    let artefact = signer.bundle(&statement(V1, &[there, here]));
    let wanted = |value: &str| CosignRequirement {
        annotations: [("env".to_owned(), value.to_owned())].into(),
        ..signer.requirement()
    };
    let one = std::slice::from_ref(&artefact);
    names(verify_as(&wanted("test"), APP, one));
    assert!(verify_as(&wanted("prod"), APP, one).is_err());
}

#[test]
fn a_digest_is_compared_whole_and_as_it_is_written() {
    let signer = Signer::new();
    let hex = app().hex();
    for digest in [
        &hex.to_uppercase(),
        &hex[..63],
        &format!("sha256:{hex}"),
        "",
    ] {
        let artefact = signer.bundle(&statement(V1, &[subject(digest)]));
        assert_eq!(why(&signer, artefact), "it is about another digest");
    }
    let under = json!({"digest": {"sha512": hex, "gitCommit": hex}});
    let artefact = signer.bundle(&statement(V1, &[under]));
    assert_eq!(why(&signer, artefact), "it is about another digest");
    let artefact = signer.bundle(&statement(V1, &[]));
    assert_eq!(why(&signer, artefact), "it is about another digest");
}

#[test]
fn a_signature_is_of_its_format_alone() {
    // The same bytes as a payload, under a signature made for a statement.
    let signer = Signer::new();
    let text = payload().to_string();
    let envelope = signer.envelope("application/vnd.in-toto+json", text.as_bytes());
    let mut artefact = signer.legacy(&payload());
    artefact.annotations.insert(
        "dev.cosignproject.cosign/signature".to_owned(),
        envelope["signatures"][0]["sig"]
            .as_str()
            .unwrap()
            .to_owned(),
    );
    assert_eq!(why(&signer, artefact), "it is not signed by a listed key");
}

#[test]
fn a_certificate_in_a_bundle_is_not_passed_over_for_its_key() {
    let signer = Signer::new();
    let good = signer.bundle(&statement(V1, &[subject(&app().hex())]));
    let mut json: Value = serde_json::from_slice(&good.bytes).unwrap();
    let other: Value = serde_json::from_slice(&case("keyless-release")[0].bytes).unwrap();
    json["verificationMaterial"] = other["verificationMaterial"].clone();
    let artefact = |json: &Value| Artefact {
        bytes: json.to_string().into(),
        ..good.clone()
    };
    assert_eq!(
        why(&signer, artefact(&json)),
        "it is signed with a certificate, and only keys are listed"
    );
    json["verificationMaterial"] = json!({"x509CertificateChain": {"certificates": []}});
    assert_eq!(
        why(&signer, artefact(&json)),
        "it is signed with a certificate, and only keys are listed"
    );
}
