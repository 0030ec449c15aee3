//! Certificates and signatures that gpg does not make: what somebody with a key of their own, or a program with other
//! ideas, could write.

use pgp::packet::{SignatureType, Subpacket, SubpacketData};
use pgp::types::{KeyDetails, KeyVersion, RevocationKey, RevocationKeyClass};
use portcullis_trust::finding::Verified;
use portcullis_trust::openpgp::{KeyProblem, Revocation, SimpleError, SimpleVerifier};

use crate::common::openpgp::{judge, keyring, requirement, summer, verifier};
use crate::common::openpgp_forge::{
    Forge, MADE, SIGNED, ends_after, flags, issuer, issuer_id, key_ends_after, made, message,
    packet, primary_user, unknown, user,
};
use crate::common::time;

const VERSIONS: [KeyVersion; 2] = [KeyVersion::V4, KeyVersion::V6];

/// With a good certificate behind it, so that the keyring loads whatever is wrong with this one.
fn judged(certificate: &[u8], message: &[u8]) -> Result<Verified, SimpleError> {
    let ring = [certificate, &keyring("two.gpg")].concat();
    judge(&verifier(ring), message, summer())
}

fn problem(certificate: &[u8], message: &[u8]) -> KeyProblem {
    match judged(certificate, message) {
        Err(SimpleError::Key { problem, .. }) => problem,
        other => panic!("{other:?}"),
    }
}

fn both(test: impl Fn(Forge)) {
    for version in VERSIONS {
        test(Forge::new(version, 1));
    }
}

/// What every self-signature of these tests states, and more.
fn own(forge: &Forge, at: &str, more: Vec<Subpacket>) -> Vec<Subpacket> {
    let mut with = vec![made(at), issuer(&forge.primary)];
    with.extend(more);
    with
}

#[test]
fn keys_of_rfc_9580_sign_with_primary_key_and_subkey() {
    both(|forge| {
        let certificate = forge.certificate();
        assert!(judged(&certificate, &forge.good_message()).is_ok());
        assert!(judged(&certificate, &forge.sub_message()).is_ok());
        let other = Forge::new(forge.primary.version(), 2);
        assert!(matches!(
            judged(&certificate, &other.good_message()),
            Err(SimpleError::OtherKey(_))
        ));
    });
}

#[test]
fn a_critical_part_that_is_not_understood_ends_a_signature_and_another_does_not() {
    both(|forge| {
        let data = |critical| forge.message(own(&forge, SIGNED, vec![unknown(critical)]));
        let certificate = forge.certificate();
        assert!(judged(&certificate, &data(false)).is_ok());
        assert_eq!(
            judged(&certificate, &data(true)),
            Err(SimpleError::Critical)
        );
        let with = |critical| own(&forge, MADE, vec![flags(true), unknown(critical)]);
        let certificate = |critical| forge.primary_alone(with(critical));
        assert!(judged(&certificate(false), &forge.good_message()).is_ok());
        assert_eq!(
            problem(&certificate(true), &forge.good_message()),
            KeyProblem::Unbound
        );
    });
}

#[test]
fn what_is_stated_twice_is_not_stated() {
    both(|forge| {
        let certificate = forge.certificate();
        let says = |with: Vec<Subpacket>| judged(&certificate, &forge.message(with));
        let by = || issuer(&forge.primary);
        assert_eq!(says(vec![by()]), Err(SimpleError::Ambiguous));
        assert_eq!(
            says(vec![by(), made(SIGNED), made(MADE)]),
            Err(SimpleError::Ambiguous)
        );
        assert_eq!(
            says(vec![by(), made(SIGNED), ends_after(9999), ends_after(1)]),
            Err(SimpleError::Ambiguous)
        );
        assert!(says(vec![by(), made(SIGNED), ends_after(0)]).is_ok());
        assert!(says(vec![by(), by(), made(SIGNED)]).is_ok());
    });
}

#[test]
fn a_signature_names_one_key() {
    let forge = Forge::new(KeyVersion::V4, 1);
    let other = Forge::new(KeyVersion::V4, 2);
    let certificate = forge.certificate();
    let says = |with: Vec<Subpacket>| judged(&certificate, &forge.message(with));
    assert_eq!(says(vec![made(SIGNED)]), Err(SimpleError::Issuer));
    assert_eq!(
        says(vec![
            made(SIGNED),
            issuer(&forge.primary),
            issuer(&other.primary)
        ]),
        Err(SimpleError::Issuer)
    );
    assert!(says(vec![made(SIGNED), issuer_id(&forge.primary)]).is_ok());
    assert!(matches!(
        says(vec![
            made(SIGNED),
            issuer(&forge.primary),
            issuer_id(&other.primary)
        ]),
        Err(SimpleError::OtherKey(_))
    ));
}

#[test]
fn a_name_is_no_signature() {
    both(|forge| {
        let thief = Forge::new(forge.primary.version(), 2);
        let stolen = thief.message(vec![made(SIGNED), issuer(&forge.primary)]);
        assert!(matches!(
            judged(&forge.certificate(), &stolen),
            Err(SimpleError::Invalid(_))
        ));
    });
}

#[test]
fn other_kinds_of_signatures_are_not_over_data() {
    let forge = Forge::new(KeyVersion::V4, 1);
    let message = message(
        &forge.primary,
        SignatureType::Text,
        own(&forge, SIGNED, vec![]),
    );
    assert_eq!(
        judged(&forge.certificate(), &message),
        Err(SimpleError::Text)
    );
    // A certification, moved to where a signature over data stands.
    let moved = forge.good_message();
    let literal = moved.iter().position(|byte| *byte == 0xcb).unwrap();
    let direct = forge.direct(own(&forge, SIGNED, vec![]));
    let moved = [direct.as_slice(), moved.get(literal..).unwrap()].concat();
    assert!(judged(&forge.certificate(), &moved).is_err());
}

#[test]
fn a_subkey_signs_only_if_its_newest_binding_says_so() {
    both(|forge| {
        let confirmed = || forge.confirm(&forge, vec![made(MADE), issuer(&forge.sub)]);
        let binding = |at: &str, more: Vec<Subpacket>| {
            let more = [more, vec![confirmed()]].concat();
            forge.bind(&forge, SignatureType::SubkeyBinding, own(&forge, at, more))
        };
        let with = |bindings: Vec<Vec<u8>>| {
            let alone = forge.primary_alone(own(&forge, MADE, vec![flags(true)]));
            [alone, forge.subkey(), bindings.concat()].concat()
        };
        let message = forge.sub_message();
        let signs = || binding(MADE, vec![flags(true)]);
        assert!(judged(&with(vec![signs()]), &message).is_ok());
        assert_eq!(
            problem(&with(vec![binding(MADE, vec![])]), &message),
            KeyProblem::NotForSigning
        );
        let later = || binding("2026-03-01T00:00:00Z", vec![flags(false)]);
        for order in [vec![signs(), later()], vec![later(), signs()]] {
            assert_eq!(problem(&with(order), &message), KeyProblem::NotForSigning);
        }
        // Not yet.
        let coming = binding("2026-12-01T00:00:00Z", vec![flags(false)]);
        assert!(judged(&with(vec![signs(), coming]), &message).is_ok());
        // Nothing older takes the place of one that has expired.
        let expired = binding("2026-03-01T00:00:00Z", vec![flags(true), ends_after(1)]);
        assert_eq!(
            problem(&with(vec![signs(), expired]), &message),
            KeyProblem::UnboundSubkey
        );
        let short = binding(MADE, vec![flags(true), key_ends_after(60)]);
        assert_eq!(
            problem(&with(vec![short]), &message),
            KeyProblem::Expired(time("2026-03-02T12:00:00Z"))
        );
    });
}

#[test]
fn a_subkey_of_somebody_else_is_not_adopted() {
    both(|owner| {
        let thief = Forge::new(owner.primary.version(), 2);
        let adopted = |more: Vec<Subpacket>| {
            let with = own(&thief, MADE, [vec![flags(true)], more].concat());
            [
                thief.primary_alone(own(&thief, MADE, vec![flags(true)])),
                owner.subkey(),
                thief.bind(&owner, SignatureType::SubkeyBinding, with),
            ]
            .concat()
        };
        let message = owner.sub_message();
        let for_owner = owner.confirm(&owner, vec![made(MADE)]);
        for with in [vec![], vec![for_owner]] {
            let adopted = adopted(with);
            assert_eq!(problem(&adopted, &message), KeyProblem::NoBackSignature);
            // Nor does it keep the owner's certificate from counting.
            let found = judged(&[adopted, owner.certificate()].concat(), &message).unwrap();
            let owner = hex::encode_upper(owner.primary.fingerprint().as_bytes());
            assert!(found.signer.contains(&format!("key {owner}, subkey ")));
        }
        let expired = owner.confirm(&thief, vec![made(MADE), ends_after(30)]);
        assert_eq!(
            problem(&adopted(vec![expired]), &message),
            KeyProblem::NoBackSignature
        );
        let confirmed = owner.confirm(&thief, vec![made(MADE)]);
        assert!(judged(&adopted(vec![confirmed]), &message).is_ok());
    });
}

#[test]
fn the_newest_self_signature_decides_and_nothing_older_replaces_it() {
    let forge = Forge::new(KeyVersion::V4, 1);
    let certified = |at: &str, more: Vec<Subpacket>| {
        forge.certified("Forged", SignatureType::CertPositive, own(&forge, at, more))
    };
    let with = |more: Vec<Vec<u8>>| {
        let own = own(&forge, MADE, vec![flags(true)]);
        [forge.primary_alone(own), more.concat()].concat()
    };
    let message = forge.good_message();
    let later = "2026-03-01T12:00:00Z";
    assert!(judged(&with(vec![]), &message).is_ok());
    assert_eq!(
        problem(&with(vec![certified(later, vec![ends_after(1)])]), &message),
        KeyProblem::Unbound
    );
    assert_eq!(
        problem(&with(vec![certified(later, vec![flags(false)])]), &message),
        KeyProblem::NotForSigning
    );
    assert_eq!(
        problem(
            &with(vec![certified(later, vec![key_ends_after(60)])]),
            &message
        ),
        KeyProblem::Expired(time("2026-03-02T12:00:00Z"))
    );
    let coming = certified("2026-12-01T00:00:00Z", vec![flags(false)]);
    assert!(judged(&with(vec![coming]), &message).is_ok());
}

#[test]
fn a_user_id_that_is_revoked_binds_nothing_until_it_is_certified_again() {
    let forge = Forge::new(KeyVersion::V4, 1);
    let about = |typ: SignatureType, at: &str| {
        forge.certified("Forged", typ, own(&forge, at, vec![flags(true)]))
    };
    let alone = || forge.primary_alone(own(&forge, MADE, vec![flags(true)]));
    let message = forge.good_message();
    let later = about(SignatureType::CertRevocation, "2026-03-01T00:00:00Z");
    let revoked = [alone(), later].concat();
    assert_eq!(problem(&revoked, &message), KeyProblem::Unbound);
    let again = about(SignatureType::CertPositive, "2026-04-01T00:00:00Z");
    assert!(judged(&[revoked, again].concat(), &message).is_ok());
    // Of the same second: the revocation counts.
    let same = [alone(), about(SignatureType::CertRevocation, MADE)].concat();
    assert_eq!(problem(&same, &message), KeyProblem::Unbound);
}

#[test]
fn revocations_by_the_key_itself_count_and_those_by_others_do_not() {
    both(|forge| {
        let other = Forge::new(forge.primary.version(), 2);
        let alone = forge.primary_alone(own(&forge, MADE, vec![flags(true)]));
        let key = forge.key();
        let rest = alone.strip_prefix(key.as_slice()).unwrap().to_vec();
        let with = |revocation: Vec<u8>| [key.clone(), revocation, rest.clone()].concat();
        let message = forge.good_message();
        // Dated ahead: it counts all the same.
        let at = "2027-01-01T00:00:00Z";
        let by_self = forge.about(
            &forge,
            SignatureType::KeyRevocation,
            own(&forge, at, vec![]),
        );
        assert_eq!(
            problem(&with(by_self), &message),
            KeyProblem::Revoked(Revocation::Unspecified)
        );
        let by_other = other.about(
            &forge,
            SignatureType::KeyRevocation,
            own(&other, MADE, vec![]),
        );
        assert!(judged(&with(by_other), &message).is_ok());
        let claimed = other.about(
            &forge,
            SignatureType::KeyRevocation,
            own(&forge, MADE, vec![]),
        );
        assert!(judged(&with(claimed), &message).is_ok());
    });
}

#[test]
fn a_revocation_by_the_designated_revoker_counts() {
    let forge = Forge::new(KeyVersion::V4, 1);
    let other = Forge::new(KeyVersion::V4, 2);
    let named = RevocationKey::new(
        RevocationKeyClass::Default,
        other.primary.algorithm(),
        other.primary.fingerprint().as_bytes(),
    );
    let named = Subpacket::regular(SubpacketData::RevocationKey(named)).unwrap();
    let revocation = other.about(
        &forge,
        SignatureType::KeyRevocation,
        own(&other, SIGNED, vec![]),
    );
    let certificate = |revocation: Vec<u8>| {
        let naming = forge.direct(own(&forge, MADE, vec![named.clone()]));
        let user = forge.user("Forged", own(&forge, MADE, vec![flags(true)]));
        [forge.key(), revocation, naming, user].concat()
    };
    assert!(judged(&certificate(vec![]), &forge.good_message()).is_ok());
    assert_eq!(
        problem(&certificate(revocation), &forge.good_message()),
        KeyProblem::Revoked(Revocation::Designated)
    );
}

#[test]
fn a_revoked_subkey_leaves_its_primary_key() {
    both(|forge| {
        let revocation = forge.bind(
            &forge,
            SignatureType::SubkeyRevocation,
            own(&forge, SIGNED, vec![]),
        );
        let certificate = [forge.certificate(), revocation].concat();
        assert!(judged(&certificate, &forge.good_message()).is_ok());
        assert!(matches!(
            problem(&certificate, &forge.sub_message()),
            KeyProblem::Revoked(_)
        ));
    });
}

#[test]
fn a_key_from_the_future_does_not_count_yet() {
    for version in VERSIONS {
        let at = "2026-06-02T00:00:00Z";
        let forge = Forge::made_at(version, 1, at);
        let certificate = forge.primary_alone(own(&forge, at, vec![flags(true)]));
        let message = forge.message(own(&forge, at, vec![]));
        assert_eq!(
            problem(&certificate, &message),
            KeyProblem::Future(time(at))
        );
        let tomorrow = judge(&verifier(certificate.clone()), &message, time(at));
        assert!(tomorrow.is_ok());
        let early = forge.good_message();
        let early = judge(&verifier(certificate), &early, time(at));
        assert_eq!(early, Err(SimpleError::BeforeKey(time(SIGNED))));
    }
}

#[test]
fn a_direct_key_signature_goes_before_user_ids() {
    let forge = Forge::new(KeyVersion::V4, 1);
    let with = |direct: Vec<Subpacket>, of_user: Vec<Subpacket>| {
        [
            forge.key(),
            forge.direct(own(&forge, MADE, direct)),
            forge.user("Forged", own(&forge, MADE, of_user)),
        ]
        .concat()
    };
    let message = forge.good_message();
    assert!(judged(&with(vec![flags(true)], vec![flags(false)]), &message).is_ok());
    assert_eq!(
        problem(&with(vec![flags(false)], vec![flags(true)]), &message),
        KeyProblem::NotForSigning
    );
    assert!(matches!(
        problem(
            &with(vec![key_ends_after(9)], vec![key_ends_after(900)]),
            &message
        ),
        KeyProblem::Expired(_)
    ));
    // Keys from before there were key flags sign.
    assert!(judged(&with(vec![], vec![]), &message).is_ok());
}

#[test]
fn a_certification_by_somebody_else_is_no_self_signature() {
    let forge = Forge::new(KeyVersion::V4, 1);
    let other = Forge::new(KeyVersion::V4, 2);
    let by_other = other.about(
        &forge,
        SignatureType::Key,
        own(&other, MADE, vec![flags(true)]),
    );
    let certificate = [forge.key(), by_other, packet(&user("Forged"))].concat();
    assert_eq!(
        problem(&certificate, &forge.good_message()),
        KeyProblem::Unbound
    );
}

#[test]
fn the_primary_user_id_is_who_signed_and_cannot_disturb_a_terminal() {
    let forge = Forge::new(KeyVersion::V4, 1);
    let own = |at: &str, more: Vec<Subpacket>| own(&forge, at, [vec![flags(true)], more].concat());
    let named = "Ann\n\u{1b}[31m\u{202e} <ann@example.test>";
    let certificate = [
        forge.key(),
        forge.user(named, own(MADE, vec![primary_user()])),
        forge.user("Newer", own("2026-03-01T00:00:00Z", vec![])),
    ]
    .concat();
    let found = judged(&certificate, &forge.good_message()).unwrap();
    let shown = "Ann\u{fffd}\u{fffd}[31m\u{fffd} <ann@example.test> (key ";
    assert!(found.signer.starts_with(shown), "{}", found.signer);
    let long = [
        forge.key(),
        forge.user(&"x".repeat(5000), own(MADE, vec![])),
    ]
    .concat();
    let found = judged(&long, &forge.good_message()).unwrap();
    assert!(found.signer.len() < 200);
}

#[test]
fn a_key_without_a_name_is_named_by_its_fingerprint() {
    let forge = Forge::new(KeyVersion::V6, 1);
    let found = judged(&forge.certificate(), &forge.good_message()).unwrap();
    let fingerprint = hex::encode_upper(forge.primary.fingerprint().as_bytes());
    assert_eq!(found.signer, format!("key {fingerprint}"));
}

#[test]
fn packets_that_are_not_understood_do_not_hide_a_revocation() {
    let forge = Forge::new(KeyVersion::V4, 1);
    // A signature packet that does not parse.
    let broken = [forge.certificate(), vec![0xc2, 3, 4, 0x28, 22]].concat();
    assert!(SimpleVerifier::compile(&requirement(vec![broken])).is_err());
    // A private packet between is nothing.
    let private = [forge.certificate(), vec![0xfc, 1, 0]].concat();
    assert!(judged(&private, &forge.sub_message()).is_ok());
}
