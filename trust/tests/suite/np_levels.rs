//! What each failed check comes to under the levels and their overrides, and the edges of time.

use portcullis_policy::model::{NotationAction, NotationCheck, NotationLevel, NotationRequirement};
use portcullis_trust::Timestamp;
use portcullis_trust::notation::NotationVerifier;

use super::np_common::{envelope, judge, judge_at, now, refusal, requirement, verifier};

fn compile(requirement: &NotationRequirement) -> Result<NotationVerifier, String> {
    NotationVerifier::compile(requirement).map_err(|found| {
        let texts: Vec<String> = found.into_iter().map(|one| one.message).collect();
        texts.join(" | ")
    })
}

fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

const CLAIM: &str = "the signing time is the signer's own claim";

#[test]
fn an_untrusted_signer_counts_under_audit_alone_and_is_not_named() {
    for form in ["jws", "cose"] {
        let file = format!("signed-self.{form}");
        for policy in ["any", "permissive"] {
            assert_eq!(
                refusal(&file, policy),
                "no certificate of a signature's chain is in a trust store that the policy names"
            );
        }
        let verified = judge(&verifier("audit"), &envelope(&file)).unwrap();
        assert!(
            verified
                .signer
                .starts_with("an untrusted signer (certificate "),
            "{}",
            verified.signer
        );
        assert_eq!(
            verified.notes,
            [
                "authenticity failed and is only logged: no certificate of a signature's chain is in a trust store that the policy names",
                CLAIM
            ]
        );
    }
}

#[test]
fn integrity_is_enforced_at_every_level() {
    for policy in ["audit", "log-authenticity", "log-times"] {
        for file in [
            "forged-by-other-key",
            "forged-crit-unknown",
            "forged-other-digest",
            "forged-leaf-authority",
            "forged-chain-no-root",
        ] {
            refusal(&format!("{file}.jws"), policy);
            refusal(&format!("{file}.cose"), policy);
        }
    }
    let mut changed = requirement("audit").unwrap();
    for action in [
        NotationAction::Log,
        NotationAction::Skip,
        NotationAction::Enforce,
    ] {
        changed.overrides.insert(NotationCheck::Integrity, action);
        assert_eq!(
            compile(&changed).unwrap_err(),
            "integrity cannot be overridden: it is always enforced"
        );
    }
}

#[test]
fn only_revocation_can_be_skipped() {
    for check in [
        NotationCheck::Authenticity,
        NotationCheck::AuthenticTimestamp,
        NotationCheck::Expiry,
    ] {
        let mut changed = requirement("any").unwrap();
        changed.overrides.insert(check, NotationAction::Skip);
        assert_eq!(
            compile(&changed).unwrap_err(),
            "only revocation can be skipped"
        );
    }
    verifier("no-revocation");
}

#[test]
fn an_expired_signature_counts_where_expiry_is_logged() {
    for form in ["jws", "cose"] {
        let file = format!("forged-expired.{form}");
        for policy in ["any", "log-times", "hard-expiry"] {
            assert!(refusal(&file, policy).starts_with("a signature expired at "));
        }
        for policy in ["permissive", "audit", "log-expiry"] {
            let verified = judge(&verifier(policy), &envelope(&file)).unwrap();
            assert!(
                verified.notes[0]
                    .starts_with("expiry failed and is only logged: a signature expired at ")
            );
        }
    }
}

#[test]
fn the_second_of_expiry_is_too_late() {
    let verifier = verifier("any");
    let soon = envelope("signed-soon.jws");
    let text = judge(&verifier, &soon).unwrap_err();
    let expiry = time(text.strip_prefix("a signature expired at ").unwrap());
    judge_at(&verifier, &soon, Timestamp(expiry.0 - 1)).unwrap();
    assert_eq!(judge_at(&verifier, &soon, expiry).unwrap_err(), text);
}

#[test]
fn certificates_are_valid_from_their_first_second_to_their_last() {
    let strict = verifier("any");
    let good = envelope("signed-p256.cose");
    for (at, text) in [
        (
            "2025-12-31T23:59:59Z",
            "a certificate of the chain was not valid at the present time: it is not valid yet",
        ),
        ("2026-01-01T00:00:00Z", ""),
        ("2046-01-01T00:00:00Z", ""),
        (
            "2046-01-01T00:00:01Z",
            "a certificate of the chain was not valid at the present time: it has expired",
        ),
    ] {
        let verdict = judge_at(&strict, &good, time(at));
        assert_eq!(verdict.err().unwrap_or_default(), text, "{at}");
    }
    let late = judge_at(&verifier("permissive"), &good, time("2050-01-01T00:00:00Z")).unwrap();
    assert_eq!(
        late.notes[0],
        "authenticTimestamp failed and is only logged: a certificate of the chain was not valid at the present time: it has expired"
    );
}

#[test]
fn a_timestamp_outlives_the_certificate_and_proves_the_time() {
    for form in ["jws", "cose"] {
        let stamped = envelope(&format!("forged-brief.{form}"));
        let bare = envelope(&format!("forged-brief-unstamped.{form}"));
        for policy in ["stamps", "stamps-late"] {
            let verified = judge(&verifier(policy), &stamped).unwrap();
            assert_eq!(
                verified.notes,
                ["the signing time is proved by a timestamp"]
            );
            assert!(verified.signed_at.unwrap() < now());
            assert_eq!(
                judge(&verifier(policy), &bare).unwrap_err(),
                "a signature has no timestamp, and the policy asks for one"
            );
        }
        assert_eq!(
            judge(&verifier("any"), &stamped).unwrap_err(),
            "a certificate of the chain was not valid at the present time: it has expired"
        );
        judge(&verifier("stamps-other"), &stamped).unwrap_err();
    }
}

#[test]
fn a_timestamp_is_over_this_signature_and_within_the_chains_validity() {
    for form in ["jws", "cose"] {
        assert_eq!(
            refusal(&format!("forged-stamped-other.{form}"), "stamps"),
            "the timestamp is over another signature"
        );
        assert_eq!(
            refusal(&format!("forged-stamped-old.{form}"), "stamps"),
            "a certificate of the chain was not valid at the time of the timestamp"
        );
        assert!(
            refusal(&format!("forged-stamp-garbage.{form}"), "stamps")
                .starts_with("the timestamp cannot be read: ")
        );
    }
}

#[test]
fn after_cert_expiry_a_timestamp_is_asked_for_only_then() {
    let verifier = verifier("stamps-late");
    let bare = envelope("signed-p256.jws");
    judge(&verifier, &bare).unwrap();
    assert_eq!(
        judge_at(&verifier, &bare, time("2046-01-01T00:00:01Z")).unwrap_err(),
        "a signature has no timestamp, and the policy asks for one"
    );
    assert_eq!(
        refusal("signed-p256.jws", "stamps"),
        "a signature has no timestamp, and the policy asks for one"
    );
}

#[test]
fn user_metadata_is_there_with_its_value_at_every_level() {
    for level in [NotationLevel::Strict, NotationLevel::Audit] {
        for form in ["jws", "cose"] {
            let file = format!("signed-metadata.{form}");
            let asking = |pairs: &[(&str, &str)]| {
                let mut changed = requirement("any").unwrap();
                changed.level = level;
                changed.user_metadata = pairs
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                    .collect();
                judge(&compile(&changed).unwrap(), &envelope(&file))
            };
            asking(&[("env", "prod")]).unwrap();
            asking(&[("env", "prod"), ("team", "a b")]).unwrap();
            for (pairs, lacks) in [
                (&[("env", "dev")][..], "env=dev"),
                (&[("env", "prod"), ("team", "a")], "team=a"),
                (&[("Env", "prod")], "Env=prod"),
                (&[("other", "")], "other="),
            ] {
                assert_eq!(
                    asking(pairs).unwrap_err(),
                    format!("a signature lacks the user metadata `{lacks}`")
                );
            }
        }
    }
}

#[test]
fn reserved_annotations_are_no_user_metadata() {
    let mut changed = requirement("any").unwrap();
    changed
        .user_metadata
        .insert("io.cncf.notary.x".to_owned(), "y".to_owned());
    assert_eq!(
        compile(&changed).unwrap_err(),
        "`io.cncf.notary.x` is not user metadata: names that begin with `io.cncf.notary` are reserved"
    );
}
