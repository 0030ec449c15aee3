//! Which rule speaks: none, several, in audit, or beside the bootstrap list; and what matching alone may say.

use portcullis_policy::bootstrap::Bootstrap;
use portcullis_policy::model::{Mode, Pattern, Requirement, Rule, Scope, TagRule};
use portcullis_policy::{ImageReference, PolicySet};
use portcullis_trust::compile::{Needs, Prematch};
use portcullis_trust::{CompiledPolicy, DenialReason, Evidence, Question};

use crate::common::policy::{
    alice, any, bootstrapped, compile, decide, deny, gathered, notary, pulled, reference, rule, set,
};
use crate::common::{APP, digest_of, now};

const V1: &str = "registry.example.com/shop/app:v1.0";

fn audited(requirement: Requirement) -> Rule {
    Rule {
        mode: Some(Mode::Audit),
        ..rule(requirement)
    }
}

/// Another pattern of equal quality for the same images.
fn tied(rule: Rule) -> Rule {
    Rule {
        pattern: Pattern {
            // As many characters besides `*` as `registry.example.com/shop/*` has.
            text: "registry.example.com/*hop/a*".to_owned(),
            ..rule.pattern
        },
        ..rule
    }
}

fn refused(policy: &CompiledPolicy, image: &str) -> (DenialReason, Mode) {
    match policy.prematch(Some("shop"), &reference(image)) {
        Prematch::Refused(decision) => (decision.denial.unwrap().reason, decision.mode),
        Prematch::Governed(needs) => panic!("governed: {needs:?}"),
    }
}

fn governed<'a>(policy: &'a CompiledPolicy, image: &ImageReference) -> Needs<'a> {
    match policy.prematch(Some("shop"), image) {
        Prematch::Governed(needs) => needs,
        Prematch::Refused(decision) => panic!("refused: {decision:?}"),
    }
}

#[test]
fn no_rule_is_refused_and_says_whose_rules_were_read() {
    let cases = [
        (
            set(Vec::new()),
            "no rule in the ImagePolicies of namespace shop matches it. Add a rule for it there, or use an image that one allows",
        ),
        (
            PolicySet {
                has_cluster_policy: true,
                ..PolicySet::default()
            },
            "no rule in the ClusterImagePolicies matches it. Add a rule for it, or use an image that one allows",
        ),
        (
            PolicySet::default(),
            "there is no ImagePolicy or ClusterImagePolicy for it. Add one",
        ),
    ];
    for (set, text) in cases {
        let policy = CompiledPolicy::compile(set, Bootstrap::default(), Mode::Enforce).unwrap();
        let decision = decide(&policy, V1, &digest_of("v1.0"), &gathered());
        let denial = decision.denial.unwrap();
        assert_eq!(denial.reason, DenialReason::NoRule);
        assert_eq!(
            denial.text,
            format!("namespace shop may not use {V1}: {text}")
        );
        assert_eq!(refused(&policy, V1), (DenialReason::NoRule, Mode::Enforce));
    }
}

#[test]
fn a_call_without_a_pod_is_named_as_that() {
    let policy = compile(Vec::new());
    let image = reference(V1);
    let digest = digest_of("v1.0");
    let question = Question {
        namespace: None,
        reference: &image,
        digest: &digest,
    };
    let decision = policy.decide(&question, &Evidence::default(), now());
    assert_eq!(
        decision.denial.unwrap().text,
        format!(
            "a call without a pod may not use {V1}: there is no ImagePolicy or ClusterImagePolicy for it. Add one"
        )
    );
}

#[test]
fn scope_of_says_who_governs() {
    let both = PolicySet {
        has_cluster_policy: true,
        ..set(Vec::new())
    };
    let policy = CompiledPolicy::compile(both, Bootstrap::default(), Mode::Enforce).unwrap();
    assert_eq!(
        policy.scope_of(Some("shop")),
        Some(Scope::Namespace("shop".to_owned()))
    );
    assert_eq!(policy.scope_of(Some("other")), Some(Scope::Cluster));
    assert_eq!(policy.scope_of(None), Some(Scope::Cluster));
    assert_eq!(compile(Vec::new()).scope_of(Some("other")), None);
}

#[test]
fn what_can_never_hold_is_refused_before_any_network() {
    for (requirement, reason) in [
        (deny(None), DenialReason::Denied),
        (
            Requirement::All(vec![alice(), deny(None)]),
            DenialReason::Denied,
        ),
        (
            any(1, vec![deny(None), deny(Some("retired"))]),
            DenialReason::Denied,
        ),
        (any(2, vec![alice(), deny(None)]), DenialReason::Denied),
    ] {
        let policy = compile(vec![rule(requirement.clone())]);
        assert_eq!(
            refused(&policy, V1),
            (reason, Mode::Enforce),
            "{requirement:?}"
        );
    }
}

#[test]
fn immutable_tags_are_refused_and_never_taken_as_floating() {
    let mut immutable = rule(Requirement::Allow);
    immutable.tags = TagRule::Immutable;
    let policy = compile(vec![immutable]);
    assert_eq!(
        refused(&policy, V1),
        (DenialReason::Unsupported, Mode::Enforce)
    );
    let text = match policy.prematch(Some("shop"), &reference(V1)) {
        Prematch::Refused(decision) => decision.denial.unwrap().text,
        Prematch::Governed(needs) => panic!("governed: {needs:?}"),
    };
    assert!(text.contains("`tags: immutable`"), "{text}");
    assert!(text.contains("Use the image by its digest"), "{text}");
    let by_digest = reference(&format!("{APP}@{}", digest_of("v1.0")));
    assert!(governed(&policy, &by_digest).origin);
}

#[test]
fn signed_tags_without_a_signature_system_are_refused_before_any_network() {
    let mut signed = rule(Requirement::Allow);
    signed.tags = TagRule::Signed;
    let policy = compile(vec![signed]);
    assert_eq!(refused(&policy, V1).0, DenialReason::NotSatisfied);
    let by_digest = reference(&format!("{APP}@{}", digest_of("v1.0")));
    assert!(governed(&policy, &by_digest).origin);
}

#[test]
fn needs_are_those_of_the_branches_that_can_hold() {
    let bob = notary(&[("bob", "bob.pub")]);
    let policy = compile(vec![rule(any(
        1,
        vec![
            deny(None),
            alice(),
            alice(),
            Requirement::All(vec![bob, deny(None)]),
        ],
    ))]);
    let image = reference(V1);
    let needs = governed(&policy, &image);
    assert_eq!(needs.notary.len(), 1);
    assert_eq!(needs.notary[0].signers[0].name, "alice");
    assert!(!needs.origin);
    assert_eq!((needs.rules.len(), needs.mode), (1, Mode::Enforce));
}

#[test]
fn rules_that_tie_must_all_hold() {
    let policy = compile(vec![
        rule(alice()),
        tied(rule(notary(&[("pair", "erin.crt")]))),
    ]);
    let decision = decide(&policy, V1, &digest_of("v1.0"), &gathered());
    assert_eq!(decision.rules.len(), 2);
    assert_eq!(decision.denial.unwrap().reason, DenialReason::NotSatisfied);
    let policy = compile(vec![
        rule(alice()),
        tied(rule(notary(&[("pair", "dave.crt")]))),
    ]);
    let decision = decide(&policy, V1, &digest_of("v1.0"), &gathered());
    assert!(decision.allowed());
    assert_eq!(decision.findings.len(), 2);
}

#[test]
fn a_refusal_is_enforced_if_one_failing_rule_is() {
    let digest = digest_of("v1.0");
    let mode = |rules| {
        let decision = decide(&compile(rules), V1, &digest, &gathered());
        (decision.denial.map(|denial| denial.reason), decision.mode)
    };
    let fails = || notary(&[("pair", "erin.crt")]);
    let hard = Some(DenialReason::NotSatisfied);
    assert_eq!(mode(vec![audited(fails())]), (hard, Mode::Audit));
    assert_eq!(
        mode(vec![audited(fails()), tied(rule(alice()))]),
        (hard, Mode::Audit)
    );
    assert_eq!(
        mode(vec![audited(fails()), tied(rule(fails()))]),
        (hard, Mode::Enforce)
    );
    // What is only audited does not stop the enforced rule from being mended by gathering.
    assert_eq!(
        mode(vec![audited(fails()), tied(rule(Requirement::Allow))]),
        (Some(DenialReason::LackOfEvidence), Mode::Enforce)
    );
}

#[test]
fn the_node_in_audit_covers_every_rule_and_no_rule() {
    let policy = CompiledPolicy::compile(
        set(vec![Rule {
            mode: Some(Mode::Enforce),
            ..rule(deny(None))
        }]),
        Bootstrap::default(),
        Mode::Audit,
    )
    .unwrap();
    assert_eq!(refused(&policy, V1), (DenialReason::Denied, Mode::Audit));
    assert_eq!(
        refused(&policy, "docker.io/library/nginx:1"),
        (DenialReason::NoRule, Mode::Audit)
    );
}

#[test]
fn a_hopeless_rule_in_audit_does_not_hide_an_enforced_one() {
    let policy = compile(vec![audited(any(1, vec![deny(None)])), tied(rule(alice()))]);
    let image = reference(V1);
    assert_eq!(governed(&policy, &image).mode, Mode::Enforce);
    let decision = decide(&policy, V1, &digest_of("evil"), &gathered());
    assert_eq!(decision.mode, Mode::Enforce);
    let policy = compile(vec![
        audited(any(1, vec![deny(None)])),
        tied(audited(alice())),
    ]);
    assert_eq!(refused(&policy, V1), (DenialReason::Denied, Mode::Audit));
}

#[test]
fn a_bootstrap_image_needs_no_rule_and_no_evidence() {
    let digest = digest_of("v1.0");
    for rules in [Vec::new(), vec![rule(alice())]] {
        let policy = bootstrapped(rules, digest);
        for image in [V1.to_owned(), format!("{APP}@{digest}")] {
            let decision = decide(&policy, &image, &digest, &Evidence::default());
            assert!(decision.allowed(), "{decision:?}");
            assert_eq!(decision.findings[0].system, "bootstrap");
        }
        let by_digest = reference(&format!("{APP}@{digest}"));
        let needs = governed(&policy, &by_digest);
        assert!(needs.rules.is_empty() && needs.notary.is_empty() && !needs.origin);
    }
}

#[test]
fn the_bootstrap_list_is_for_its_digest_and_namespace_alone() {
    let policy = bootstrapped(Vec::new(), digest_of("v1.0"));
    let other = decide(&policy, V1, &digest_of("other"), &Evidence::default());
    assert_eq!(other.denial.unwrap().reason, DenialReason::NoRule);
    let (image, digest) = (reference(V1), digest_of("v1.0"));
    let question = Question {
        namespace: Some("other"),
        reference: &image,
        digest: &digest,
    };
    assert!(
        !policy
            .decide(&question, &Evidence::default(), now())
            .allowed()
    );
}

#[test]
fn an_explicit_deny_beats_the_bootstrap_list() {
    let digest = digest_of("v1.0");
    for requirement in [
        deny(None),
        Requirement::All(vec![Requirement::Allow, deny(None)]),
        any(2, vec![Requirement::Allow, deny(None)]),
    ] {
        let policy = bootstrapped(vec![rule(requirement)], digest);
        let decision = decide(&policy, V1, &digest, &pulled(digest));
        assert_eq!(decision.denial.unwrap().reason, DenialReason::Denied);
        let by_digest = format!("{APP}@{digest}");
        assert_eq!(refused(&policy, &by_digest).0, DenialReason::Denied);
    }
    let policy = bootstrapped(
        vec![rule(any(1, vec![Requirement::Allow, deny(None)]))],
        digest,
    );
    assert!(decide(&policy, V1, &digest, &Evidence::default()).allowed());
}
