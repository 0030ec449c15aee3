//! What each requirement asks for, and what is said when it is not there.

use std::time::Duration;

use portcullis_policy::Digest;
use portcullis_policy::model::{Requirement, TagRule};
use portcullis_trust::notary::NotaryError;
use portcullis_trust::{Decision, DenialReason, Evidence, OriginSource, Timestamp};

use crate::common::policy::{
    alice, any, collection_of, compile, decide, decide_at, deny, gathered, notary, origin, pulled,
    rule, trust,
};
use crate::common::{APP, Files, WEB, digest_of, gather, key, now, pinned};

const SHOP: &str = "rule \"registry.example.com/shop/*\" (apps.yaml:1:1, ImagePolicy/apps)";

fn app(tag: &str) -> String {
    format!("{APP}:{tag}")
}

fn judged(requirement: Requirement, tag: &str, digest: &Digest, evidence: &Evidence) -> Decision {
    decide(
        &compile(vec![rule(requirement)]),
        &app(tag),
        digest,
        evidence,
    )
}

fn denied(decision: &Decision) -> (DenialReason, &str) {
    let denial = decision.denial.as_ref().unwrap();
    (denial.reason, &denial.text)
}

#[test]
fn a_signed_tag_is_allowed_and_the_finding_names_signer_key_and_time() {
    let decision = judged(alice(), "v1.0", &digest_of("v1.0"), &gathered());
    assert!(decision.allowed());
    let [finding] = decision.findings.as_slice() else {
        panic!("{decision:?}");
    };
    assert_eq!(finding.system, "notary");
    assert_eq!(finding.gathered_at, Some(now()));
    let id = finding
        .signer
        .strip_prefix("alice (key ")
        .and_then(|rest| rest.strip_suffix(", targets/alice)"))
        .unwrap();
    assert!(Files::of("app/1").get("targets/alice").contains(id));
    assert_eq!(decision.rules[0].document, "ImagePolicy/apps");
}

#[test]
fn without_signers_the_releasing_role_is_the_finding() {
    let decision = judged(notary(&[]), "v1.0", &digest_of("v1.0"), &gathered());
    assert!(
        decision.findings[0]
            .signer
            .starts_with("targets/releases (key")
    );
}

#[test]
fn a_tag_that_is_not_signed_is_refused_with_the_whole_story() {
    let decision = judged(alice(), "2.0", &digest_of("v1.0"), &gathered());
    assert_eq!(
        denied(&decision),
        (
            DenialReason::NotSatisfied,
            format!(
                "namespace shop may not use {APP}:2.0: the signature required by {SHOP} is missing: tag 2.0 is not \
                 signed. Sign the image with the required keys, or ask who maintains ImagePolicy/apps"
            )
            .as_str()
        )
    );
    assert!(decision.findings.is_empty());
}

#[test]
fn a_tag_signed_for_another_digest_is_refused() {
    let other = digest_of("evil");
    let decision = judged(notary(&[]), "v1.0", &other, &gathered());
    let signed = digest_of("v1.0");
    assert_eq!(
        denied(&decision),
        (
            DenialReason::NotSatisfied,
            format!(
                "namespace shop may not use {APP}:v1.0: the signature required by {SHOP} is missing: tag v1.0 is signed \
                 for {signed}, not for {other}. Sign the image with the required keys, or ask who maintains \
                 ImagePolicy/apps"
            )
            .as_str()
        )
    );
}

#[test]
fn a_digest_is_allowed_if_a_tag_signed_by_every_signer_has_it() {
    let policy = compile(vec![rule(alice())]);
    let by_digest = |content: &str| {
        let digest = digest_of(content);
        decide(&policy, &format!("{APP}@{digest}"), &digest, &gathered())
    };
    assert!(by_digest("v1.0").allowed());
    // Signed, as `latest`, and not by alice. Portieris would have looked up `latest` for every digest.
    assert!(
        denied(&by_digest("latest-1"))
            .1
            .contains("signer alice has not signed tag latest")
    );
    assert!(
        denied(&by_digest("evil"))
            .1
            .contains("is not signed under any tag")
    );
}

#[test]
fn a_tag_beside_a_digest_must_be_signed_for_it() {
    let digest = digest_of("v1.0");
    let policy = compile(vec![rule(notary(&[]))]);
    let image = |tag: &str| format!("{APP}:{tag}@{digest}");
    assert!(decide(&policy, &image("v1.0"), &digest, &gathered()).allowed());
    assert!(!decide(&policy, &image("latest"), &digest, &gathered()).allowed());
}

#[test]
fn an_image_other_than_the_digest_in_its_name_is_refused() {
    let policy = compile(vec![rule(Requirement::Allow)]);
    let (named, other) = (digest_of("v1.0"), digest_of("other"));
    let decision = decide(&policy, &format!("{APP}@{named}"), &other, &pulled(other));
    assert_eq!(denied(&decision).0, DenialReason::NotSatisfied);
}

#[test]
fn missing_trust_data_is_lack_of_evidence() {
    let decision = judged(alice(), "v1.0", &digest_of("v1.0"), &Evidence::default());
    assert_eq!(
        denied(&decision),
        (
            DenialReason::LackOfEvidence,
            format!(
                "namespace shop may not use {APP}:v1.0: the signature required by {SHOP} is not known on this node: no \
                 trust data for {APP} from https://notary.example.com was gathered. Make the trust server reachable and \
                 try again"
            )
            .as_str()
        )
    );
}

#[test]
fn trust_data_of_another_repository_or_server_does_not_count() {
    let web = Files::of("wildcard");
    let mut elsewhere = collection_of("app/1");
    elsewhere.collection.server = "https://elsewhere.example.com".to_owned();
    let evidence = Evidence {
        notary: vec![gather(&web, WEB, &pinned(WEB, &web)).unwrap(), elsewhere],
        ..Evidence::default()
    };
    let decision = judged(notary(&[]), "v1.0", &digest_of("v1.0"), &evidence);
    assert_eq!(denied(&decision).0, DenialReason::LackOfEvidence);
}

#[test]
fn trust_data_that_does_not_verify_is_refused_not_lacking() {
    let mut evidence = gathered();
    evidence.notary[0].collection.timestamp.push(' ');
    evidence.notary[0].collection.targets.push(' ');
    let decision = judged(alice(), "v1.0", &digest_of("v1.0"), &evidence);
    let (reason, text) = denied(&decision);
    assert_eq!(reason, DenialReason::NotSatisfied);
    assert!(
        text.ends_with("targets is not the file listed for it: its length differs. Ask who runs the trust server"),
        "{text}"
    );
}

#[test]
fn a_key_removed_from_the_policy_takes_effect_on_what_is_stored() {
    let (evidence, digest) = (gathered(), digest_of("v1.0"));
    assert!(judged(alice(), "v1.0", &digest, &evidence).allowed());
    let replaced = notary(&[("alice", "bob.pub")]);
    let decision = judged(replaced, "v1.0", &digest, &evidence);
    assert!(
        denied(&decision).1.contains(
            &NotaryError::WrongKey {
                signer: "alice".to_owned()
            }
            .to_string()
        )
    );
    assert_ne!(key("alice.pub"), key("bob.pub"));
}

#[test]
fn one_policy_may_pin_a_collection_in_two_ways_and_each_is_judged_by_its_own() {
    let mut wrong = alice();
    if let Requirement::Notary(notary) = &mut wrong {
        notary.trust.pins.insert(APP.to_owned(), "0".repeat(64));
    }
    let (evidence, digest) = (gathered(), digest_of("v1.0"));
    let policy = compile(vec![rule(any(1, vec![alice(), wrong.clone()]))]);
    assert!(decide(&policy, &app("v1.0"), &digest, &evidence).allowed());
    // The verified form of the collection is remembered by now.
    let policy = compile(vec![rule(Requirement::All(vec![alice(), wrong]))]);
    for _ in 0..2 {
        assert!(!decide(&policy, &app("v1.0"), &digest, &evidence).allowed());
    }
}

#[test]
fn allow_needs_an_origin_of_the_same_repository_and_digest() {
    let digest = digest_of("v1.0");
    let evidence = |origins| Evidence {
        origins,
        ..Evidence::default()
    };
    let judge = |evidence: &Evidence| judged(Requirement::Allow, "v1.0", &digest, evidence);
    assert!(judge(&pulled(digest)).allowed());
    let elsewhere = evidence(vec![origin(WEB, digest), origin(APP, digest_of("other"))]);
    let decision = judge(&elsewhere);
    assert_eq!(
        denied(&decision),
        (
            DenialReason::LackOfEvidence,
            format!(
                "namespace shop may not use {APP}:v1.0: a record that this digest comes from {APP} required by {SHOP} is \
                 missing. Make the registry reachable, or have root run `portcullis adopt`"
            )
            .as_str()
        )
    );
}

#[test]
fn an_adopted_origin_says_why() {
    let digest = digest_of("v1.0");
    let mut evidence = pulled(digest);
    evidence.origins[0].source = OriginSource::Adopted;
    evidence.origins[0].reason = Some("from the installer's\narchive".to_owned());
    assert_eq!(
        judged(Requirement::Allow, "v1.0", &digest, &evidence).signers(),
        ["allow: adopted: from the installer's archive"]
    );
}

#[test]
fn a_deny_says_its_reason_on_one_line() {
    let decision = judged(
        deny(Some("end of life:\nuse v3")),
        "v1.0",
        &digest_of("v1.0"),
        &gathered(),
    );
    assert_eq!(
        denied(&decision),
        (
            DenialReason::Denied,
            format!(
                "namespace shop may not use {APP}:v1.0: {SHOP} denies it: end of life: use v3. Use another image, or ask \
                 who maintains ImagePolicy/apps"
            )
            .as_str()
        )
    );
}

#[test]
fn all_needs_every_one_and_the_failure_that_cannot_be_mended_counts() {
    let digest = digest_of("v1.0");
    let both = || Requirement::All(vec![alice(), Requirement::Allow]);
    let mut evidence = gathered();
    assert_eq!(
        denied(&judged(both(), "v1.0", &digest, &evidence)).0,
        DenialReason::LackOfEvidence
    );
    evidence.origins = pulled(digest).origins;
    let decision = judged(both(), "v1.0", &digest, &evidence);
    assert!(decision.allowed());
    assert_eq!(decision.findings.len(), 2);
    let wrong = Requirement::All(vec![Requirement::Allow, notary(&[("pair", "erin.crt")])]);
    assert_eq!(
        denied(&judged(wrong, "v1.0", &digest, &gathered())).0,
        DenialReason::NotSatisfied
    );
}

#[test]
fn any_counts_what_holds_against_its_threshold() {
    let digest = digest_of("v1.0");
    let of = || vec![alice(), notary(&[("pair", "erin.crt")]), Requirement::Allow];
    let judge = |threshold| judged(any(threshold, of()), "v1.0", &digest, &gathered());
    assert!(judge(1).allowed());
    // alice holds, the origin could still be gathered.
    let two = judge(2);
    assert_eq!(denied(&two).0, DenialReason::LackOfEvidence);
    assert!(
        denied(&two)
            .1
            .contains("needs 2 of 3 alternatives and has 1: ")
    );
    // erin's signature cannot.
    let three = judge(3);
    assert_eq!(denied(&three).0, DenialReason::NotSatisfied);
}

#[test]
fn evidence_older_than_the_rule_allows_is_lacking() {
    let digest = digest_of("v1.0");
    let mut strict = rule(alice());
    strict.max_evidence_age = Some(Duration::from_hours(1));
    let policy = compile(vec![strict.clone()]);
    let at = |seconds: i64| {
        let then = Timestamp(now().0 + seconds);
        decide_at(&policy, &app("v1.0"), &digest, &gathered(), then)
    };
    assert!(at(3600).allowed());
    assert_eq!(denied(&at(3601)).0, DenialReason::LackOfEvidence);
    // A clock set back proves no age.
    assert_eq!(denied(&at(-1)).0, DenialReason::LackOfEvidence);
    strict.requirement = Requirement::Allow;
    let policy = compile(vec![strict]);
    let later = Timestamp(now().0 + 3601);
    let decision = decide_at(&policy, &app("v1.0"), &digest, &pulled(digest), later);
    assert!(
        denied(&decision)
            .1
            .contains("is older than the rule's maxEvidenceAge")
    );
}

#[test]
fn without_a_limit_evidence_does_not_age() {
    let years = Timestamp(now().0 + 400_000_000);
    let policy = compile(vec![rule(alice())]);
    assert!(
        decide_at(
            &policy,
            &app("v1.0"),
            &digest_of("v1.0"),
            &gathered(),
            years
        )
        .allowed()
    );
}

#[test]
fn signed_tags_are_not_satisfied_by_a_bare_allow() {
    let mut signed = rule(any(1, vec![Requirement::Allow, alice()]));
    signed.tags = TagRule::Signed;
    let policy = compile(vec![signed]);
    let digest = digest_of("v1.0");
    let mut evidence = pulled(digest);
    let decision = decide(&policy, &app("v1.0"), &digest, &evidence);
    assert_eq!(denied(&decision).0, DenialReason::LackOfEvidence);
    assert!(
        denied(&decision)
            .1
            .contains("accepts signed tags and digests alone")
    );
    assert!(decide(&policy, &format!("{APP}@{digest}"), &digest, &evidence).allowed());
    evidence.notary = gathered().notary;
    assert!(decide(&policy, &app("v1.0"), &digest, &evidence).allowed());
    evidence.origins = pulled(digest_of("latest-1")).origins;
    let decision = decide(&policy, &app("latest"), &digest_of("latest-1"), &evidence);
    assert_eq!(denied(&decision).0, DenialReason::NotSatisfied);
}

#[test]
fn an_unpinned_server_is_refused_with_the_key_to_pin() {
    let mut unpinned = alice();
    if let Requirement::Notary(notary) = &mut unpinned {
        notary.trust.pins.clear();
    }
    let id = trust().pins[APP].clone();
    let decision = judged(unpinned, "v1.0", &digest_of("v1.0"), &gathered());
    assert_eq!(denied(&decision).0, DenialReason::NotSatisfied);
    assert!(denied(&decision).1.contains(&id));
}

#[test]
fn a_signature_in_a_branch_that_cannot_hold_binds_no_tag_and_is_not_waited_for() {
    let hopeless = Requirement::All(vec![alice(), deny(None)]);
    let mut signed = rule(any(1, vec![Requirement::Allow, hopeless]));
    signed.tags = TagRule::Signed;
    let digest = digest_of("v1.0");
    let decision = decide(
        &compile(vec![signed]),
        &app("v1.0"),
        &digest,
        &pulled(digest),
    );
    assert_eq!(denied(&decision).0, DenialReason::NotSatisfied);
}
