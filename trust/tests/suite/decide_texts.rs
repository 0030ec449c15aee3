//! What people read when an image is refused: one line that says who, what, by which rule of which file, what is missing, and
//! what to do about it.

use std::time::Duration;

use portcullis_policy::model::{Requirement, Rule, TagRule};
use portcullis_trust::{DenialReason, Evidence};

use crate::common::policy::{alice, any, compile, decide, deny, gathered, notary, pulled, rule};
use crate::common::{APP, digest_of};

const SHOP: &str = "rule \"registry.example.com/shop/*\" (apps.yaml:1:1, ImagePolicy/apps)";

/// Why `v1.0` (or another tag) with this content is refused, after `namespace … may not use …: `.
fn why(rules: Vec<Rule>, tag: &str, content: &str, evidence: &Evidence) -> String {
    let image = format!("{APP}:{tag}");
    let denial = decide(&compile(rules), &image, &digest_of(content), evidence)
        .denial
        .unwrap();
    denial
        .text
        .strip_prefix(&format!("namespace shop may not use {image}: "))
        .unwrap()
        .to_owned()
}

#[test]
fn every_kind_of_refusal_reads_as_it_should() {
    let nothing = Evidence::default();
    let one = |requirement| vec![rule(requirement)];
    let unsigned = |requirement| why(one(requirement), "v1.0", "v1.0", &nothing);
    assert_eq!(
        unsigned(alice()),
        format!(
            "the signature required by {SHOP} is not known on this node: no trust data for {APP} from \
             https://notary.example.com was gathered. Make the trust server reachable and try again"
        )
    );
    assert_eq!(
        unsigned(Requirement::Allow),
        format!(
            "a record that this digest comes from {APP} required by {SHOP} is missing. Make the registry reachable, or have \
             root run `portcullis adopt`"
        )
    );
    assert_eq!(
        why(one(alice()), "v1.0", "evil", &gathered()),
        format!(
            "the signature required by {SHOP} is missing: tag v1.0 is signed for {}, not for {}. Sign the image with the \
             required keys, or ask who maintains ImagePolicy/apps",
            digest_of("v1.0"),
            digest_of("evil")
        )
    );
    let wrong_key = notary(&[("alice", "bob.pub")]);
    assert_eq!(
        why(one(wrong_key), "v1.0", "v1.0", &gathered()),
        format!(
            "the signature required by {SHOP} is missing: targets/alice does not belong to the key pinned for alice. Compare \
             the keys with those of the publisher, then ask who maintains ImagePolicy/apps"
        )
    );
    let mut aged = rule(alice());
    aged.max_evidence_age = Some(Duration::from_secs(1));
    let mut old = gathered();
    old.notary[0].collection.gathered_at.0 -= 60;
    assert_eq!(
        why(vec![aged], "v1.0", "v1.0", &old),
        format!(
            "the signature required by {SHOP} does not count: its trust data, gathered at 2026-11-20T23:59:00Z, is older than \
             the rule's maxEvidenceAge. Make the trust server reachable and try again"
        )
    );
}

#[test]
fn alternatives_are_each_said_with_what_they_lack() {
    let of = vec![alice(), Requirement::Allow, deny(None)];
    assert_eq!(
        why(vec![rule(any(2, of))], "v9", "v1.0", &gathered()),
        format!(
            "{SHOP} needs 2 of 3 alternatives and has 0: the signature is missing: tag v9 is not signed; a record that this \
             digest comes from {APP} is missing; {SHOP} denies it. Sign the image with the required keys, or ask who maintains \
             ImagePolicy/apps"
        )
    );
}

#[test]
fn an_alternative_that_cannot_hold_neither_helps_nor_hides_what_would() {
    let either = || any(1, vec![deny(None), alice()]);
    let judged = |evidence: &Evidence| {
        let image = format!("{APP}:v1.0");
        decide(
            &compile(vec![rule(either())]),
            &image,
            &digest_of("v1.0"),
            evidence,
        )
    };
    assert!(judged(&gathered()).allowed());
    let denial = judged(&Evidence::default()).denial.unwrap();
    assert_eq!(denial.reason, DenialReason::LackOfEvidence);
    assert!(
        denial
            .text
            .ends_with(". Make the trust server reachable and try again")
    );
}

#[test]
fn nobody_is_told_to_sign_what_is_denied() {
    for rules in [
        vec![rule(Requirement::All(vec![alice(), deny(None)]))],
        vec![rule(alice()), rule(deny(None))],
    ] {
        assert_eq!(
            why(rules, "latest", "latest-1", &gathered()),
            format!(
                "the signature required by {SHOP} is missing: signer alice has not signed tag latest; {SHOP} denies it. Use \
                 another image, or ask who maintains ImagePolicy/apps"
            )
        );
    }
}

#[test]
fn a_tag_that_is_not_bound_is_told_apart_from_one_that_is_not_known() {
    let signed = || {
        vec![Rule {
            tags: TagRule::Signed,
            ..rule(any(1, vec![Requirement::Allow, alice()]))
        }]
    };
    let pulled_alone = pulled(digest_of("v1.0"));
    assert_eq!(
        why(signed(), "v1.0", "v1.0", &pulled_alone),
        format!(
            "{SHOP} accepts signed tags and digests alone, and the signature is not known on this node: no trust data for \
             {APP} from https://notary.example.com was gathered. Make the trust server reachable and try again"
        )
    );
    let mut both = gathered();
    both.origins = pulled(digest_of("latest-1")).origins;
    assert_eq!(
        why(signed(), "latest", "latest-1", &both),
        format!(
            "{SHOP} accepts signed tags and digests alone, and no signature binds this tag. Sign the tag, or use the image by \
             its digest"
        )
    );
}

#[test]
fn a_refusal_fits_a_header_however_many_alternatives_there_are() {
    let reason = "x".repeat(300);
    let many = vec![deny(Some(&reason)); 500];
    let text = why(vec![rule(any(1, many))], "v1.0", "v1.0", &gathered());
    assert!(text.len() < 4096, "{}", text.len());
    assert!(text.ends_with("…. Use another image, or ask who maintains ImagePolicy/apps"));
}

#[test]
fn what_turns_a_line_around_is_not_shown() {
    let reason = "ask\u{202e}reverse\u{2028}now\u{feff}";
    let text = why(
        vec![rule(deny(Some(reason)))],
        "v1.0",
        "v1.0",
        &Evidence::default(),
    );
    assert!(text.contains("ask reverse now "), "{text}");
}
