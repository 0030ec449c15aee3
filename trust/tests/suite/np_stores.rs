//! Trust stores that a policy may not have, and what authorities are asked about.

use std::fs;

use portcullis_policy::Digest;
use portcullis_policy::model::{KeyMaterial, NotationRequirement, TrustStoreKind};
use portcullis_trust::evidence::{RevocationAnswer, RevocationWant};
use portcullis_trust::finding::Verified;
use portcullis_trust::notation::NotationVerifier;

use super::np_common::{crl, digest, envelope, fixture, judge, now, requirement, text, verifier};

fn compile(requirement: &NotationRequirement) -> Result<NotationVerifier, String> {
    NotationVerifier::compile(requirement).map_err(|found| {
        let texts: Vec<String> = found.into_iter().map(|one| one.message).collect();
        texts.join(" | ")
    })
}

/// `any` with other bytes in its one trust store.
fn with(bytes: Vec<u8>, kind: TrustStoreKind) -> NotationRequirement {
    let mut changed = requirement("any").unwrap();
    let span = changed.span.clone();
    let store = changed.trust_stores.first_mut().unwrap();
    store.kind = kind;
    store.certificates = vec![KeyMaterial {
        bytes,
        name: "keys/x.pem".to_owned(),
        span,
    }];
    changed
}

fn pem(name: &str) -> Vec<u8> {
    fs::read(fixture("trust-store/x509").join(name)).unwrap()
}

fn der(name: &str) -> Vec<u8> {
    use base64::Engine as _;
    let text = String::from_utf8(pem(name)).unwrap();
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    base64::engine::general_purpose::STANDARD
        .decode(body)
        .unwrap()
}

#[test]
fn a_store_is_pem_or_der_of_one_or_more_certificates() {
    let (root, other) = ("ca/example/root.pem", "ca/other/otherroot.pem");
    for bytes in [
        pem(root),
        [pem(other), pem(root)].concat(),
        der(root),
        [der(other), der(root)].concat(),
        [b"a comment\n".to_vec(), pem(root)].concat(),
    ] {
        let verifier = compile(&with(bytes, TrustStoreKind::Ca)).unwrap();
        judge(&verifier, &envelope("signed-p256.jws")).unwrap();
    }
}

#[test]
fn a_store_that_is_damaged_refuses_the_policy() {
    let root = "ca/example/root.pem";
    let mut cut = pem(root);
    cut.truncate(200);
    let mut damaged = der(root);
    damaged.truncate(100);
    let key = b"-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n".to_vec();
    for (bytes, why) in [
        (Vec::new(), "it has no certificate in it"),
        (b"hello".to_vec(), "it has no certificate in it"),
        (cut, "its PEM is damaged"),
        (damaged, "it is neither PEM nor DER of certificates"),
        (
            [der(root), b"x".to_vec()].concat(),
            "it is neither PEM nor DER of certificates",
        ),
        (vec![0x30, 0], "a certificate cannot be read"),
        (
            [pem(root), key].concat(),
            "it has more than certificates in it",
        ),
        (
            pem("ca/leaf/p256.pem"),
            "a certificate is neither an authority's nor self-signed: name the authority that issued it",
        ),
    ] {
        assert_eq!(
            compile(&with(bytes, TrustStoreKind::Ca)).unwrap_err(),
            format!("keys/x.pem cannot be used in the trust store ca:example: {why}")
        );
    }
}

#[test]
fn timestamps_are_anchored_at_roots() {
    for name in ["ca/inter/inter.pem", "ca/alone/alone.pem"] {
        let mut changed = with(pem(name), TrustStoreKind::Tsa);
        changed
            .trust_stores
            .extend(requirement("any").unwrap().trust_stores);
        assert_eq!(
            compile(&changed).unwrap_err(),
            "keys/x.pem cannot be used in the trust store tsa:example: a certificate is not that of a root authority"
        );
    }
}

#[test]
fn a_policy_without_anchors_is_refused() {
    let mut none = requirement("any").unwrap();
    none.trust_stores.clear();
    let nobody = "`trustStores` names no `ca` or `signingAuthority` trust store: nobody could sign";
    assert_eq!(compile(&none).unwrap_err(), nobody);
    assert_eq!(
        compile(&requirement("stamps-only").unwrap()).unwrap_err(),
        nobody
    );
    let mut empty = requirement("any").unwrap();
    empty.trust_stores[0].certificates.clear();
    assert_eq!(
        compile(&empty).unwrap_err(),
        "the trust store ca:example has no certificate"
    );
}

#[test]
fn only_a_trusted_signer_names_whom_to_ask() {
    let good = envelope("signed-good.jws");
    let url = text("revocation/url").trim().to_owned();
    let want = RevocationWant::Crl { url };
    let asked =
        |policy, digest: &Digest| verifier(policy).revocation_wants(digest, &[&good, &good]);
    for policy in ["any", "permissive", "audit", "log-revocation"] {
        assert_eq!(
            asked(policy, &digest()),
            std::slice::from_ref(&want),
            "{policy}"
        );
    }
    // Not in a trust store, not a trusted identity, another image, no question at all.
    for policy in [
        "other",
        "release",
        "audit-other",
        "audit-release",
        "no-revocation",
    ] {
        assert_eq!(asked(policy, &digest()), [], "{policy}");
    }
    assert_eq!(asked("any", &Digest::of(b"x")), []);
}

#[test]
fn only_an_answer_to_the_question_by_the_authority_is_kept() {
    let good = envelope("signed-good.cose");
    let accepts = |policy, answer: &RevocationAnswer| {
        verifier(policy).accepts(&digest(), &[&good], answer, None)
    };
    let answer = crl();
    assert!(accepts("any", &answer));
    assert!(!accepts("other", &answer));
    assert!(!accepts("no-revocation", &answer));
    let mut other = RevocationAnswer::clone(&answer);
    other.want = RevocationWant::Crl {
        url: "http://127.0.0.1/other.crl".to_owned(),
    };
    assert!(!accepts("any", &other));
    let mut damaged = RevocationAnswer::clone(&answer);
    *damaged.bytes.last_mut().unwrap() ^= 1;
    assert!(!accepts("any", &damaged));
    assert!(!verifier("any").accepts(&digest(), &[&envelope("signed-p256.jws")], &answer, None));
}

#[test]
fn a_revoked_signer_counts_where_revocation_is_not_enforced() {
    let now = super::np_common::now();
    for form in ["jws", "cose"] {
        let revoked = envelope(&format!("signed-revoked.{form}"));
        let verify = |policy, answers: &[_]| {
            verifier(policy)
                .verify(&digest(), &[&revoked], answers, now)
                .map(|mut one| one.remove(0).notes)
                .map_err(|refused| refused.clause())
        };
        let clause = verify("any", &[crl()]).unwrap_err();
        assert!(
            clause.starts_with(
                "1 was found and does not count: a certificate of the signing chain was revoked at "
            ),
            "{clause}"
        );
        let clause = verify("any", &[]).unwrap_err();
        assert!(
            clause.starts_with("1 was found and does not count: revocation status of the signing chain is unknown: "),
            "{clause}"
        );
        for policy in ["permissive", "audit", "log-revocation"] {
            let notes = verify(policy, &[crl()]).unwrap();
            assert!(
                notes[0].starts_with("revocation failed and is only logged: a certificate of the signing chain was revoked at "),
                "{notes:?}"
            );
        }
        assert_eq!(
            verify("no-revocation", &[crl()]).unwrap(),
            ["the signing time is the signer's own claim"]
        );
    }
}

#[test]
fn what_is_known_about_one_chain_is_not_said_of_another() {
    let (good, revoked) = (envelope("signed-good.jws"), envelope("signed-revoked.jws"));
    for order in [[&good, &revoked, &good], [&revoked, &good, &revoked]] {
        let goods = order.iter().filter(|one| **one == &good).count();
        let found = verifier("any").verify(&digest(), &order, &[crl()], now());
        let certificates = |found: &[Verified]| {
            let signers = found.iter().map(|one| one.signer.clone());
            signers.collect::<std::collections::BTreeSet<_>>().len()
        };
        let found = found.unwrap();
        assert_eq!((found.len(), certificates(&found)), (goods, 1));
    }
    let both = verifier("any").verify(&digest(), &[&revoked, &revoked], &[crl()], now());
    assert!(both.unwrap_err().clause().contains("2 times"));
}
