//! Laws of the decision, over arbitrary requirements and evidence.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use portcullis_policy::Digest;
use portcullis_policy::model::{Mode, Requirement, Rule, TagRule};
use portcullis_trust::compile::Prematch;
use portcullis_trust::evidence::{NotaryEvidence, Origin};
use portcullis_trust::notary::{VerifiedCollection, verify};
use portcullis_trust::{CompiledPolicy, Decision, DenialReason, Evidence};
use proptest::bool;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::common::policy::{
    alice, any as any_of, bootstrapped, collection_of, compile, decide, deny, notary, origin,
    reference, rule, trust,
};
use crate::common::{APP, Files, WEB, digest_of, gather};
use crate::laws_evidence::{descriptions, images, requirements, signatures};
use crate::np_common::crl;

/// Good, newer, tampered with, and rolled back.
static COLLECTIONS: LazyLock<Vec<NotaryEvidence>> = LazyLock::new(|| {
    let good = collection_of("app/1");
    let newer = collection_of("app/2");
    let mut tampered = good.clone();
    tampered.collection.targets.push(' ');
    let mut rolled_back = good.clone();
    rolled_back.memory = newer.memory.clone();
    vec![good, newer, tampered, rolled_back]
});

static FILES: LazyLock<Files> = LazyLock::new(|| Files::of("app/1"));
static GOOD: LazyLock<VerifiedCollection> =
    LazyLock::new(|| verify(&trust(), &collection_of("app/1")).unwrap());

fn origins() -> Vec<Origin> {
    let v1 = digest_of("v1.0");
    vec![
        origin(APP, v1),
        origin(WEB, v1),
        origin(APP, digest_of("latest-1")),
    ]
}

fn requirement() -> impl Strategy<Value = Requirement> {
    let leaf = prop_oneof![
        Just(Requirement::Allow),
        Just(deny(None)),
        Just(notary(&[])),
        Just(alice()),
        Just(notary(&[("alice", "alice.pub"), ("bob", "bob.pub")])),
        Just(notary(&[("pair", "erin.crt")])),
        // As often as all the others.
        select(requirements()),
        select(requirements()),
        select(requirements()),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Requirement::All),
            (prop::collection::vec(inner, 1..4), 1..4_usize)
                .prop_map(|(of, threshold)| any_of(threshold.min(of.len()), of)),
        ]
    })
}

fn evidence() -> impl Strategy<Value = Evidence> {
    let bits = || prop_oneof![Just(u64::MAX), any::<u64>(), Just(0)];
    let notary = subsequence(COLLECTIONS.clone(), 0..=4);
    let origins = subsequence(origins(), 0..=3);
    (notary, origins, bits(), any::<u64>(), bool::ANY, bool::ANY).prop_map(
        |(notary, origins, keep, earlier, described, revoked)| Evidence {
            notary,
            origins,
            signatures: signatures(keep, earlier),
            revocations: revoked.then(crl).into_iter().collect(),
            descriptions: if described {
                descriptions()
            } else {
                Vec::new()
            },
        },
    )
}

/// Requirement of a rule, in a mode and with a rule on tags.
fn any_rule() -> impl Strategy<Value = Rule> {
    (
        requirement(),
        select(vec![None, Some(Mode::Audit), Some(Mode::Enforce)]),
        select(vec![TagRule::Floating, TagRule::Signed]),
    )
        .prop_map(|(requirement, mode, tags)| Rule {
            mode,
            tags,
            ..rule(requirement)
        })
}

/// (image, the digest it stands for)
fn image() -> impl Strategy<Value = (String, Digest)> {
    select(images())
}

fn judge(policy: &CompiledPolicy, image: &(String, Digest), evidence: &Evidence) -> Decision {
    decide(policy, &image.0, &image.1, evidence)
}

/// A copy of `rules` in which every one is enforced, so that only "does it hold" is compared.
fn holds(rules: Vec<Rule>, image: &(String, Digest), evidence: &Evidence) -> bool {
    judge(&compile(rules), image, evidence).allowed()
}

/// Laws about requirements that never hold would say nothing.
#[test]
fn every_kind_of_requirement_holds_for_some_image() {
    let all = Evidence {
        signatures: signatures(u64::MAX, 0),
        revocations: vec![crl()],
        descriptions: descriptions(),
        ..Evidence::default()
    };
    let mut systems = BTreeSet::new();
    for requirement in requirements() {
        let policy = compile(vec![rule(requirement)]);
        for image in images() {
            let findings = judge(&policy, &image, &all).findings;
            systems.extend(findings.into_iter().map(|finding| finding.system));
        }
    }
    let expected = [
        "annotations",
        "attestations",
        "cosign",
        "notation",
        "simple",
    ];
    assert!(systems.iter().eq(expected), "{systems:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn another_requirement_never_turns_deny_into_allow(
        one in any_rule(), more in requirement(), image in image(), evidence in evidence()
    ) {
        let mut both = one.clone();
        both.requirement = Requirement::All(vec![one.requirement.clone(), more.clone()]);
        let tied = Rule { requirement: more, ..one.clone() };
        let alone = holds(vec![one.clone()], &image, &evidence);
        prop_assert!(alone || !holds(vec![one.clone(), tied], &image, &evidence));
        both.tags = TagRule::Floating;
        let floating = Rule { tags: TagRule::Floating, ..one };
        prop_assert!(holds(vec![floating], &image, &evidence) || !holds(vec![both], &image, &evidence));
    }

    /// A revocation is evidence against an image, and so is not left out here; of descriptions each has to hold.
    #[test]
    fn less_evidence_never_turns_deny_into_allow(
        one in any_rule(), image in image(), more in evidence(), keep in any::<u8>(),
        keep_signatures in any::<u64>()
    ) {
        let mut at = 0_u32;
        let mut kept = || {
            at += 1;
            keep_signatures.rotate_left(at) & 1 != 0
        };
        let mut less = more.clone();
        for set in &mut less.signatures {
            let set = Arc::make_mut(set);
            set.artefacts.retain(|_| kept());
            set.earlier.retain(|_| kept());
        }
        less.signatures.retain(|_| kept());
        let kept = |index: usize| keep & (1 << index) != 0;
        less.notary = more.notary.iter().enumerate().filter(|(i, _)| kept(*i)).map(|(_, e)| e.clone()).collect();
        less.origins = more.origins.iter().enumerate().filter(|(i, _)| kept(i + 4)).map(|(_, e)| e.clone()).collect();
        let policy = compile(vec![one]);
        prop_assert!(judge(&policy, &image, &more).allowed() || !judge(&policy, &image, &less).allowed());
    }

    #[test]
    fn the_order_of_evidence_never_matters(
        one in any_rule(), image in image(), evidence in evidence(), turn in any::<usize>()
    ) {
        fn turned<T>(of: &mut [T], by: usize) {
            if !of.is_empty() {
                of.rotate_left(by % of.len());
                of.reverse();
            }
        }
        let mut other = evidence.clone();
        for set in &mut other.signatures {
            let set = Arc::make_mut(set);
            turned(&mut set.artefacts, turn);
            turned(&mut set.earlier, turn);
        }
        turned(&mut other.signatures, turn);
        turned(&mut other.origins, turn);
        turned(&mut other.descriptions, turn);
        let policy = compile(vec![one]);
        prop_assert_eq!(judge(&policy, &image, &other), judge(&policy, &image, &evidence));
    }

    #[test]
    fn the_order_of_rules_and_requirements_decides_nothing(
        rules in prop::collection::vec(any_rule(), 1..4), image in image(), evidence in evidence()
    ) {
        fn turned(requirement: &Requirement) -> Requirement {
            let all = |of: &[Requirement]| of.iter().rev().map(turned).collect();
            match requirement {
                Requirement::All(of) => Requirement::All(all(of)),
                Requirement::Any { threshold, of } => any_of(*threshold, all(of)),
                other => other.clone(),
            }
        }
        let other = rules.iter().rev().map(|one| Rule {
            requirement: turned(&one.requirement),
            ..one.clone()
        });
        let other = judge(&compile(other.collect()), &image, &evidence);
        let one = judge(&compile(rules), &image, &evidence);
        prop_assert_eq!(one.mode, other.mode);
        let reason = |of: &Decision| of.denial.as_ref().map(|denial| denial.reason);
        prop_assert_eq!(reason(&one), reason(&other));
    }

    #[test]
    fn what_matching_refuses_no_evidence_can_allow(
        rules in prop::collection::vec(any_rule(), 1..3), image in image(), evidence in evidence()
    ) {
        let policy = compile(rules);
        let refused = match policy.prematch(Some("shop"), &reference(&image.0)) {
            Prematch::Refused(decision) => Some(decision),
            Prematch::Governed(_) => None,
        };
        if let Some(refused) = refused {
            let decision = judge(&policy, &image, &evidence);
            prop_assert!(!decision.allowed());
            if refused.mode == Mode::Enforce {
                prop_assert_eq!(decision.mode, Mode::Enforce);
            }
            prop_assert_ne!(refused.denial.unwrap().reason, DenialReason::LackOfEvidence);
        }
    }

    #[test]
    fn lack_of_evidence_means_that_some_evidence_would_do(
        one in any_rule(), image in image(), evidence in evidence()
    ) {
        let policy = compile(vec![one]);
        if let Some(denial) = judge(&policy, &image, &evidence).denial
            && denial.reason == DenialReason::LackOfEvidence
        {
            // And that the gate is told what to gather for it.
            match policy.prematch(Some("shop"), &reference(&image.0)) {
                Prematch::Governed(needs) => {
                    let asked = needs.origin || !needs.notary.is_empty() || !needs.sources.is_empty();
                    prop_assert!(asked || needs.description);
                },
                Prematch::Refused(refused) => prop_assert!(false, "{refused:?}"),
            }
        }
    }

    #[test]
    fn a_mode_never_changes_what_holds_only_what_a_refusal_does(
        rules in prop::collection::vec(any_rule(), 1..4), image in image(), evidence in evidence()
    ) {
        let enforced: Vec<Rule> = rules.iter().map(|one| Rule { mode: None, ..one.clone() }).collect();
        let strict = judge(&compile(enforced), &image, &evidence);
        let decision = judge(&compile(rules.clone()), &image, &evidence);
        prop_assert_eq!(decision.allowed(), strict.allowed());
        // A refusal is enforced exactly if an enforced rule fails by itself.
        if !decision.allowed() {
            let fails = |one: &Rule| !holds(vec![one.clone()], &image, &evidence);
            let blocks = rules.iter().any(|one| one.mode != Some(Mode::Audit) && fails(one));
            prop_assert_eq!(decision.mode == Mode::Enforce, blocks);
        }
    }

    #[test]
    fn the_bootstrap_list_only_ever_adds_and_never_beats_a_deny(
        one in any_rule(), image in image(), evidence in evidence()
    ) {
        let digest = image.1;
        let without = judge(&compile(vec![one.clone()]), &image, &evidence);
        let with = judge(&bootstrapped(vec![one.clone()], digest), &image, &evidence);
        prop_assert!(with.allowed() || !without.allowed());
        let denied = Rule { requirement: Requirement::All(vec![one.requirement.clone(), deny(None)]), ..one };
        prop_assert!(!judge(&bootstrapped(vec![denied], digest), &image, &evidence).allowed());
    }

    #[test]
    fn the_decision_is_the_same_again_and_after_the_evidence_was_stored(
        one in any_rule(), image in image(), evidence in evidence()
    ) {
        let policy = compile(vec![one.clone()]);
        let first = judge(&policy, &image, &evidence);
        let stored: Evidence = serde_json::from_str(&serde_json::to_string(&evidence).unwrap()).unwrap();
        prop_assert_eq!(&judge(&policy, &image, &stored), &first);
        prop_assert_eq!(&judge(&compile(vec![one]), &image, &evidence), &first);
    }

    #[test]
    fn one_changed_byte_changes_nothing_that_is_believed(
        file in select(FILES.0.keys().cloned().collect::<Vec<_>>()), at in proptest::num::usize::ANY, byte in 0x20_u8..0x7f
    ) {
        let mut files = FILES.clone();
        let text = files.0.get_mut(&file).unwrap();
        let mut bytes = std::mem::take(text).into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        *text = String::from_utf8(bytes).unwrap();
        if let Ok(evidence) = gather(&files, APP, &trust()) {
            let verified = verify(&trust(), &evidence).unwrap();
            for tag in ["v1.0", "latest", "old"] {
                prop_assert_eq!(verified.target(tag), GOOD.target(tag));
            }
        }
    }

    #[test]
    fn a_refusal_is_one_line_and_names_namespace_and_image(
        one in any_rule(), image in image(), evidence in evidence()
    ) {
        if let Some(denial) = judge(&compile(vec![one]), &image, &evidence).denial {
            let begins = format!("namespace shop may not use {}: ", image.0);
            prop_assert!(denial.text.starts_with(&begins));
            prop_assert!(!denial.text.contains(char::is_control));
        }
    }
}
