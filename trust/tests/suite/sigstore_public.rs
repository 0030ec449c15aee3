//! Real bundles of Sigstore's public-good and staging instances (tests/fixtures/sigstore/public-good/README.md).

use portcullis_policy::Digest;
use portcullis_policy::model::{Demand, SigstoreSigner, SigstoreSigners, TrustedRootSource};
use portcullis_trust::sigstore::bundle::{Subject, verify_artifact};
use portcullis_trust::sigstore::{Reason, SignerSet};
use sigstore_trust_root::SIGSTORE_STAGING_TRUSTED_ROOT;

use crate::common::time;
use crate::sigstore_fixture::{app, case, exact, image, key, material, now, offline, read};
use crate::sigstore_rekor::unb64;

const GITHUB: &str = "https://token.actions.githubusercontent.com";
const LOGIN: &str = "https://github.com/login/oauth";

fn set(signer: SigstoreSigner, trusted_root: TrustedRootSource) -> SignerSet {
    SignerSet::compile(&SigstoreSigners {
        transparency_log: Demand::Require,
        signed_certificate_timestamp: Demand::Require,
        trusted_root,
        ..offline(vec![signer])
    })
    .unwrap()
}

fn staging() -> TrustedRootSource {
    TrustedRootSource::Json(material("staging", SIGSTORE_STAGING_TRUSTED_ROOT.into()))
}

fn managed() -> SigstoreSigner {
    SigstoreSigner::Key(material("managed", read("public-good/managed-key.pub")))
}

fn bundle(name: &str) -> Vec<u8> {
    read(&format!("public-good/{name}.sigstore.json"))
}

/// The digest that a bundle says its file has.
fn declared(bundle: &[u8]) -> Digest {
    let json: serde_json::Value = serde_json::from_slice(bundle).unwrap();
    let digest = &json["messageSignature"]["messageDigest"]["digest"];
    Digest::from_bytes(unb64(digest.as_str().unwrap()).try_into().unwrap())
}

#[test]
fn a_key_with_an_entry_of_the_public_log() {
    let set = set(managed(), TrustedRootSource::PublicGood);
    let file = read("public-good/managed-key.txt");
    let found =
        verify_artifact(&set, &bundle("managed-key"), Subject::Bytes(&file), now()).unwrap();
    assert_eq!(found.signed_at, Some(time("2025-12-18T17:04:39Z")));
    let digest = Subject::Digest(Digest::of(&file));
    assert_eq!(
        verify_artifact(&set, &bundle("managed-key"), digest, now()).unwrap(),
        found
    );
    for other in [
        Subject::Bytes(b"other"),
        Subject::Digest(Digest::of(b"other")),
    ] {
        assert_eq!(
            verify_artifact(&set, &bundle("managed-key"), other, now()),
            Err(Reason::OtherDigest)
        );
    }
    assert_eq!(
        verify_artifact(
            &set,
            &bundle("managed-key"),
            digest,
            time("2025-12-18T17:03:00Z")
        ),
        Err(Reason::Future)
    );
}

#[test]
fn a_keys_entry_is_not_in_the_log_of_another_instance() {
    let set = set(managed(), staging());
    let file = read("public-good/managed-key.txt");
    let why = verify_artifact(&set, &bundle("managed-key"), Subject::Bytes(&file), now());
    assert_eq!(
        why,
        Err(Reason::Log("has a checkpoint that no trusted log signed"))
    );
}

#[test]
fn a_keyless_signature_with_everything() {
    let signer = exact("w.vollprecht@gmail.com", LOGIN);
    let good = set(signer, TrustedRootSource::PublicGood);
    let file = read("public-good/cosign-v3-blob.txt");
    let subject = Subject::Bytes(&file);
    let found = verify_artifact(&good, &bundle("cosign-v3-blob"), subject, now()).unwrap();
    assert_eq!(found.signer, format!("w.vollprecht@gmail.com by {LOGIN}"));
    assert_eq!(
        verify_artifact(
            &good,
            &bundle("cosign-v3-blob"),
            subject,
            time("2025-12-01T00:00:00Z")
        ),
        Err(Reason::Future)
    );
    assert_eq!(
        verify_artifact(
            &good,
            &bundle("cosign-v3-blob"),
            Subject::Bytes(b"other"),
            now()
        ),
        Err(Reason::OtherDigest)
    );
    let elsewhere = set(exact("w.vollprecht@gmail.com", LOGIN), staging());
    assert!(verify_artifact(&elsewhere, &bundle("cosign-v3-blob"), subject, now()).is_err());
    let other = set(
        exact("w.vollprecht@gmail.com", GITHUB),
        TrustedRootSource::PublicGood,
    );
    assert_eq!(
        verify_artifact(&other, &bundle("cosign-v3-blob"), subject, now()),
        Err(Reason::OtherIdentity(format!(
            "w.vollprecht@gmail.com by {LOGIN}"
        )))
    );
}

#[test]
fn a_keyless_signature_in_the_second_version_of_the_log() {
    let file = read("public-good/staging-rekor-v2.txt");
    let good = set(exact("jku@goto.fi", LOGIN), staging());
    verify_artifact(
        &good,
        &bundle("staging-rekor-v2"),
        Subject::Bytes(&file),
        now(),
    )
    .unwrap();
    let public = set(exact("jku@goto.fi", LOGIN), TrustedRootSource::PublicGood);
    assert!(
        verify_artifact(
            &public,
            &bundle("staging-rekor-v2"),
            Subject::Bytes(&file),
            now()
        )
        .is_err()
    );
}

#[test]
fn an_entry_borrowed_from_another_signature() {
    // CVE-2022-36056.
    let set = set(exact("x", "y"), staging());
    let bundle = bundle("cve-2022-36056");
    let why = verify_artifact(&set, &bundle, Subject::Digest(declared(&bundle)), now());
    assert_eq!(why, Err(Reason::Log("is about another signature")));
}

#[test]
fn a_certificate_timestamp_by_an_unknown_log() {
    let root = material("root", read("public-good/invalid-ct-key.trusted_root.json"));
    let set = set(exact("x", "y"), TrustedRootSource::Json(root));
    let bundle = bundle("invalid-ct-key");
    let why = verify_artifact(&set, &bundle, Subject::Digest(declared(&bundle)), now());
    assert_eq!(
        why,
        Err(Reason::Certificate(
            "has no certificate timestamp by a trusted log"
        ))
    );
}

#[test]
fn a_statement_is_about_its_subjects_alone() {
    let set = SignerSet::compile(&offline(vec![key("p256.pub")])).unwrap();
    let bundle = &case("attested-bundle")[0].bytes;
    verify_artifact(&set, bundle, Subject::Digest(app()), now()).unwrap();
    for other in [Subject::Digest(image("other")), Subject::Bytes(b"other")] {
        assert_eq!(
            verify_artifact(&set, bundle, other, now()),
            Err(Reason::OtherDigest)
        );
    }
}

#[test]
fn a_trusted_root_that_cannot_be_used_is_an_error_with_its_place() {
    let broken = [
        "{}".to_owned(),
        "rubbish".to_owned(),
        SIGSTORE_STAGING_TRUSTED_ROOT.replacen("\"start\"", "\"begin\"", 1),
    ];
    for json in broken {
        let signers = SigstoreSigners {
            trusted_root: TrustedRootSource::Json(material("root.json", json.into())),
            ..offline(vec![managed()])
        };
        let diagnostics = SignerSet::compile(&signers).unwrap_err();
        assert!(
            diagnostics[0]
                .message
                .starts_with("the trusted root root.json cannot be used: "),
            "{diagnostics:?}"
        );
    }
}
