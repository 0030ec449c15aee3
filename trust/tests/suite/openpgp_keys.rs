//! Keys that sign and keys that must not: every reason by its name, with fixtures of gpg.

use portcullis_policy::model::SignedIdentity;
use portcullis_trust::openpgp::{
    KeyProblem, KeyringError, Revocation, SimpleError, SimpleVerifier,
};

use crate::common::openpgp::{
    compile, judge, judged, keyring, requirement, signature, summer, verifier,
};
use crate::common::{span, time};

fn problem(name: &str, ring: &str) -> KeyProblem {
    match judged(name, ring) {
        Err(SimpleError::Key { problem, .. }) => problem,
        other => panic!("{name} {ring}: {other:?}"),
    }
}

fn refused(keyring: Vec<u8>) -> String {
    let [diagnostic] = compile(keyring).unwrap_err().try_into().unwrap();
    assert_eq!(diagnostic.span, span());
    diagnostic.message
}

fn unusable(ring: &str) -> KeyProblem {
    let message = refused(keyring(ring));
    let all = [
        KeyProblem::Revoked(Revocation::Compromised),
        KeyProblem::Revoked(Revocation::Superseded),
        KeyProblem::Revoked(Revocation::Unspecified),
        KeyProblem::Unbound,
        KeyProblem::NotForSigning,
        KeyProblem::Short,
        KeyProblem::Algorithm,
    ];
    all.into_iter()
        .find(|problem| message.ends_with(&problem.to_string()))
        .unwrap_or_else(|| panic!("{message}"))
}

#[test]
fn every_supported_algorithm_verifies_and_the_finding_names_user_key_and_time() {
    for name in ["rsa", "rsa2048", "dsa2048", "ed", "p256", "p384", "p521"] {
        let found = judged(name, &format!("{name}.asc")).unwrap();
        let user = format!("{name} <{name}@example.test> (key ");
        assert!(found.signer.starts_with(&user), "{}", found.signer);
        assert_eq!(
            found
                .signed_at
                .unwrap()
                .since(time("2026-02-01T12:00:00Z"))
                .as_secs()
                / 60,
            0
        );
        assert_eq!(found.notes, Vec::<String>::new());
    }
}

#[test]
fn a_signing_subkey_is_named_beside_its_primary_key() {
    let found = judged("sub", "sub.asc").unwrap();
    let keys = found
        .signer
        .strip_prefix("sub <sub@example.test> (key ")
        .unwrap();
    let (primary, subkey) = keys
        .strip_suffix(')')
        .unwrap()
        .split_once(", subkey ")
        .unwrap();
    assert_eq!((primary.len(), subkey.len()), (40, 40));
    assert_ne!(primary, subkey);
}

#[test]
fn a_key_counts_while_it_is_in_force_and_not_after() {
    assert_eq!(
        problem("expired", "expired.asc"),
        KeyProblem::Expired(time("2026-03-01T12:00:00Z"))
    );
    let at = |at: &str| {
        judge(
            &verifier(keyring("expired.asc")),
            &signature("expired"),
            time(at),
        )
        .is_ok()
    };
    assert!(at("2026-03-01T11:59:59Z"));
    assert!(!at("2026-03-01T12:00:00Z"));
}

#[test]
fn the_newest_self_signature_decides_when_a_key_expires() {
    assert!(judged("extended", "extended.asc").is_ok());
    assert!(matches!(
        problem("shortened", "shortened.asc"),
        KeyProblem::Expired(_)
    ));
}

#[test]
fn a_subkey_ends_with_itself_and_with_its_primary_key() {
    for name in ["sub-expired", "sub-primary-expired"] {
        let ring = format!("{name}.asc");
        assert!(
            matches!(problem(name, &ring), KeyProblem::Expired(_)),
            "{name}"
        );
    }
}

#[test]
fn a_revoked_key_has_never_signed_whatever_the_reason() {
    for (name, reason) in [
        ("revoked-compromised", Revocation::Compromised),
        ("revoked-superseded", Revocation::Superseded),
    ] {
        // With a good key beside it, so that the keyring loads. The signatures are older than the revocations.
        let rings = [format!("{name}.asc"), "ed.asc".to_owned()]
            .map(|ring| keyring(&ring))
            .concat();
        assert_eq!(
            judge(&verifier(rings), &signature(name), summer()).unwrap_err(),
            SimpleError::Key {
                fingerprint: judged_key(name),
                problem: KeyProblem::Revoked(reason),
            }
        );
        assert_eq!(
            unusable(&format!("{name}.asc")),
            KeyProblem::Revoked(reason)
        );
    }
}

/// Fingerprint of the key that made a fixture.
fn judged_key(name: &str) -> String {
    match judged(name, "ed.asc") {
        Err(SimpleError::OtherKey(fingerprint)) => fingerprint,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_revocation_in_one_copy_of_a_certificate_counts_for_all_copies() {
    let before = keyring("sub-revoked-before.asc");
    let after = keyring("sub-revoked.asc");
    assert!(
        judge(
            &verifier(before.clone()),
            &signature("sub-revoked"),
            summer()
        )
        .is_ok()
    );
    let apart = SimpleVerifier::compile(&requirement(vec![before.clone(), keyring("ed.asc")]));
    assert!(judge(&apart.unwrap(), &signature("sub-revoked"), summer()).is_ok());
    for rings in [
        vec![[before.clone(), after.clone()].concat()],
        vec![[after, before].concat()],
    ] {
        let diagnostics = SimpleVerifier::compile(&requirement(rings)).unwrap_err();
        assert!(
            diagnostics[0]
                .message
                .contains("contains no key that can sign")
        );
    }
    // In a keyring of its own the copy would load; together they revoke.
    let mut with_other = keyring("sub-revoked.asc");
    with_other.extend(keyring("ed.asc"));
    let both = requirement(vec![keyring("sub-revoked-before.asc"), with_other]);
    let both = SimpleVerifier::compile(&both).unwrap();
    assert!(matches!(
        judge(&both, &signature("sub-revoked"), summer()),
        Err(SimpleError::Key {
            problem: KeyProblem::Revoked(_),
            ..
        })
    ));
}

#[test]
fn a_key_that_is_not_made_for_signing_does_not_count() {
    // They could sign when they signed; their flags were changed since.
    assert_eq!(unusable("unusable.asc"), KeyProblem::NotForSigning);
    assert_eq!(unusable("sub-unusable.asc"), KeyProblem::NotForSigning);
    let rings = [keyring("sub-unusable.asc"), keyring("ed.asc")].concat();
    assert!(matches!(
        judge(&verifier(rings), &signature("sub-unusable"), summer()),
        Err(SimpleError::Key {
            problem: KeyProblem::NotForSigning,
            ..
        })
    ));
}

#[test]
fn a_subkey_that_is_not_bound_or_has_not_confirmed_its_primary_key_does_not_count() {
    let with_good = |ring: &str| requirement(vec![[keyring(ring), keyring("two.gpg")].concat()]);
    for (ring, expected) in [
        ("sub-unconfirmed.gpg", KeyProblem::NoBackSignature),
        ("sub-unbound.gpg", KeyProblem::UnboundSubkey),
    ] {
        let verifier = SimpleVerifier::compile(&with_good(ring)).unwrap();
        match judge(&verifier, &signature("sub-unconfirmed"), summer()) {
            Err(SimpleError::Key { problem, .. }) => assert_eq!(problem, expected),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_bare_key_without_a_self_signature_is_no_certificate() {
    assert_eq!(unusable("nouser.gpg"), KeyProblem::Unbound);
}

#[test]
fn an_old_key_may_speak_of_itself_with_sha1() {
    assert!(judged("sha1-certified", "sha1-certified.asc").is_ok());
}

#[test]
fn weak_keys_do_not_load() {
    assert_eq!(unusable("rsa1024.asc"), KeyProblem::Short);
    assert_eq!(unusable("dsa1024.asc"), KeyProblem::Short);
    assert_eq!(unusable("k256.asc"), KeyProblem::Algorithm);
}

#[test]
fn every_block_and_every_certificate_of_a_keyring_counts() {
    for ring in ["two.gpg", "two-blocks.asc"] {
        assert!(judged("rsa", ring).is_ok());
        assert!(judged("ed", ring).is_ok());
        assert!(matches!(
            judged("other", ring),
            Err(SimpleError::OtherKey(_))
        ));
    }
    let indented: Vec<u8> = String::from_utf8(keyring("two-blocks.asc"))
        .unwrap()
        .lines()
        .flat_map(|line| format!("    {line}\r\n").into_bytes())
        .collect();
    assert!(judge(&verifier(indented), &signature("ed"), summer()).is_ok());
    let apart = requirement(vec![keyring("rsa.gpg"), keyring("ed.asc")]);
    let apart = SimpleVerifier::compile(&apart).unwrap();
    assert!(judge(&apart, &signature("rsa"), summer()).is_ok());
    assert!(judge(&apart, &signature("ed"), summer()).is_ok());
}

#[test]
fn what_is_no_public_keyring_is_refused_with_its_place_and_what_to_do() {
    let says = |keyring: Vec<u8>, what: KeyringError| {
        assert_eq!(
            refused(keyring),
            format!("the keyring keys/shop.asc {what}")
        );
    };
    says(keyring("private.asc"), KeyringError::PrivateKey);
    says(keyring("private.gpg"), KeyringError::PrivateKey);
    says(
        [keyring("ed.asc"), keyring("private.asc")].concat(),
        KeyringError::PrivateKey,
    );
    says(keyring("pubring.kbx"), KeyringError::Keybox);
    says(Vec::new(), KeyringError::Empty);
    says(b"  \n".to_vec(), KeyringError::Empty);
    says(
        b"-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n".to_vec(),
        KeyringError::NotOpenPgp,
    );
    says(signature("armoured"), KeyringError::OtherBlock);
    says(signature("uncompressed"), KeyringError::NotOpenPgp);
    says(
        vec![0xc6; 5 << 20],
        KeyringError::TooLarge {
            bytes: 4 << 20,
            packets: 4096,
        },
    );
    // 5000 empty trust packets.
    says(
        [0xcc, 0].repeat(5000),
        KeyringError::TooLarge {
            bytes: 4 << 20,
            packets: 4096,
        },
    );
    let armour = String::from_utf8(keyring("ed.asc")).unwrap();
    let half = &armour[..armour.len() / 2];
    says(
        half.into(),
        KeyringError::Malformed("an armoured block has no end"),
    );
}

#[test]
fn a_keyring_that_is_cut_off_anywhere_is_refused_or_loads_less() {
    let whole = keyring("rsa.gpg");
    for length in 0..whole.len() {
        if let Ok(verifier) = compile(whole[..length].to_vec()) {
            // Cut behind the primary key's self-signature: it is a whole certificate.
            assert!(
                judge(&verifier, &signature("rsa"), summer()).is_ok(),
                "{length}"
            );
        }
    }
}

#[test]
fn an_identity_that_nothing_can_match_is_refused() {
    let mut bad = requirement(vec![keyring("ed.asc")]);
    bad.identity = SignedIdentity::ExactReference("registry.example.com/shop/app".to_owned());
    let [diagnostic] = SimpleVerifier::compile(&bad)
        .unwrap_err()
        .try_into()
        .unwrap();
    assert_eq!(
        diagnostic.message,
        "the signed identity can match nothing: `registry.example.com/shop/app` is not an image reference with a tag or digest"
    );
}

#[test]
fn every_bad_keyring_is_told_at_once() {
    let bad = requirement(vec![
        keyring("private.asc"),
        keyring("nouser.gpg"),
        keyring("ed.asc"),
    ]);
    assert_eq!(SimpleVerifier::compile(&bad).unwrap_err().len(), 2);
}
