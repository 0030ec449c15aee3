//! Simple signing in decisions: beside Notary, for signed tags, and by the repository it was gathered from.

use std::sync::Arc;

use portcullis_policy::model::{Requirement, Rule, SignedIdentity, TagRule};
use portcullis_policy::{Digest, ImageReference};
use portcullis_trust::compile::Prematch;
use portcullis_trust::evidence::{SignatureSet, SignatureSource};
use portcullis_trust::{Decision, DenialReason, Evidence};

use crate::common::openpgp::{artefact, keyring, requirement, signature};
use crate::common::policy::{
    alice, any, compile, decide, deny, gathered as notary_gathered, origin, rule,
};
use crate::common::{APP, WEB, digest_of, now};

fn simple(identity: SignedIdentity) -> Requirement {
    let mut simple = requirement(vec![keyring("ed.asc")]);
    simple.identity = identity;
    Requirement::Simple(simple)
}

/// Signatures that were found for `digest` in `repository`.
fn found(repository: &str, digest: Digest, names: &[&str]) -> Evidence {
    let set = SignatureSet {
        source: SignatureSource::RegistryExtension,
        repository: repository.to_owned(),
        subject: digest,
        artefacts: names.iter().map(|name| artefact(signature(name))).collect(),
        earlier: Vec::new(),
        truncated: false,
        gathered_at: now(),
    };
    Evidence {
        signatures: vec![Arc::new(set)],
        ..Evidence::default()
    }
}

fn with_notary(mut evidence: Evidence) -> Evidence {
    evidence.notary = notary_gathered().notary;
    evidence
}

fn judged(requirement: Requirement, tag: &str, digest: &Digest, evidence: &Evidence) -> Decision {
    let policy = compile(vec![rule(requirement)]);
    decide(&policy, &format!("{APP}:{tag}"), digest, evidence)
}

fn tags_signed(requirement: Requirement) -> Rule {
    let mut rule = rule(requirement);
    rule.tags = TagRule::Signed;
    rule
}

fn denied(decision: &Decision) -> (DenialReason, &str) {
    let denial = decision.denial.as_ref().unwrap();
    (denial.reason, &denial.text)
}

#[test]
fn a_signature_allows_and_says_who() {
    let digest = digest_of("v1.0");
    let evidence = found(APP, digest, &["ed"]);
    let decision = judged(
        simple(SignedIdentity::default()),
        "v1.0",
        &digest,
        &evidence,
    );
    assert!(decision.allowed(), "{decision:?}");
    let [finding] = decision.findings.as_slice() else {
        panic!("{decision:?}");
    };
    assert_eq!(finding.system, "simple");
    assert!(finding.signer.starts_with("ed <ed@example.test> (key "));
    assert!(finding.signed_at.is_some());
    assert_eq!(finding.gathered_at, Some(now()));
}

#[test]
fn what_is_missing_is_told_with_the_rule_and_what_to_do() {
    let digest = digest_of("v1.0");
    let evidence = found(APP, digest, &["other-tag"]);
    let decision = judged(
        simple(SignedIdentity::default()),
        "v1.0",
        &digest,
        &evidence,
    );
    assert_eq!(
        denied(&decision),
        (
            DenialReason::Unsigned,
            format!(
                "namespace shop may not use {APP}:v1.0: a simple signature required by rule \
                 \"registry.example.com/shop/*\" (apps.yaml:1:1, ImagePolicy/apps) is missing: 1 was found and does not \
                 count: it was signed for another reference than {APP}:v1.0. Sign the image as apps.yaml:1:1 asks and make \
                 {APP} reachable, or ask who maintains ImagePolicy/apps"
            )
            .as_str()
        )
    );
}

/// Portieris compared two digests by where they lie in memory and so refused every image that had both.
#[test]
fn notary_and_simple_together_allow_the_digest_that_both_signed() {
    let digest = digest_of("v1.0");
    let both = || Requirement::All(vec![alice(), simple(SignedIdentity::default())]);
    let evidence = with_notary(found(APP, digest, &["ed"]));
    let decision = judged(both(), "v1.0", &digest, &evidence);
    assert!(decision.allowed(), "{decision:?}");
    let systems: Vec<_> = decision
        .findings
        .iter()
        .map(|one| one.system.as_str())
        .collect();
    assert_eq!(systems, ["notary", "simple"]);
    assert!(!judged(both(), "v1.0", &digest, &found(APP, digest, &["ed"])).allowed());
    assert!(!judged(both(), "v1.0", &digest, &notary_gathered()).allowed());
}

#[test]
fn notary_and_simple_together_refuse_where_they_signed_different_digests() {
    let both = || Requirement::All(vec![alice(), simple(SignedIdentity::default())]);
    // Notary has v1.0 for the tag, the simple signature has evil.
    let (named, other) = (digest_of("v1.0"), digest_of("evil"));
    let mut evidence = with_notary(found(APP, other, &["other-digest"]));
    evidence
        .signatures
        .extend(found(APP, named, &["other-digest"]).signatures);
    for digest in [named, other] {
        let decision = judged(both(), "v1.0", &digest, &evidence);
        assert!(!decision.allowed(), "{digest}");
    }
    // Each alone would do for its own.
    assert!(judged(alice(), "v1.0", &named, &evidence).allowed());
    assert!(judged(simple(SignedIdentity::default()), "v1.0", &other, &evidence).allowed());
}

#[test]
fn a_signature_gathered_for_another_repository_or_digest_does_not_count() {
    let digest = digest_of("v1.0");
    let anywhere = || simple(SignedIdentity::ExactRepository(APP.to_owned()));
    assert!(judged(anywhere(), "v1.0", &digest, &found(APP, digest, &["ed"])).allowed());
    for evidence in [
        found(WEB, digest, &["ed"]),
        found(APP, digest_of("evil"), &["ed"]),
        Evidence::default(),
    ] {
        assert!(!judged(anywhere(), "v1.0", &digest, &evidence).allowed());
    }
    // Nor does a signature for one digest count where it was found for another.
    let evil = digest_of("evil");
    assert!(!judged(anywhere(), "v1.0", &evil, &found(APP, evil, &["ed"])).allowed());
}

#[test]
fn a_simple_signature_binds_a_tag_where_the_whole_reference_is_compared() {
    let digest = digest_of("v1.0");
    let allowed = |identity: SignedIdentity, tag: &str| {
        let policy = compile(vec![tags_signed(simple(identity))]);
        let evidence = found(APP, digest, &["ed"]);
        decide(&policy, &format!("{APP}:{tag}"), &digest, &evidence).allowed()
    };
    for identity in [
        SignedIdentity::MatchRepoDigestOrExact,
        SignedIdentity::MatchExact,
        SignedIdentity::Remap {
            prefix: "registry.example.com".to_owned(),
            signed_prefix: "registry.example.com".to_owned(),
        },
    ] {
        assert!(allowed(identity.clone(), "v1.0"), "{identity:?}");
        assert!(!allowed(identity.clone(), "v2.0"), "{identity:?}");
    }
    // The signature holds, and says nothing about the tag.
    for identity in [
        SignedIdentity::MatchRepository,
        SignedIdentity::ExactReference(format!("{APP}:v1.0")),
        SignedIdentity::ExactRepository(APP.to_owned()),
    ] {
        assert!(!allowed(identity.clone(), "v1.0"), "{identity:?}");
        let policy = compile(vec![tags_signed(simple(identity))]);
        let by_digest = format!("{APP}@{digest}");
        let evidence = found(APP, digest, &["ed"]);
        assert!(decide(&policy, &by_digest, &digest, &evidence).allowed());
    }
}

#[test]
fn another_branch_does_not_bind_the_tag_for_simple() {
    let digest = digest_of("v1.0");
    let either = any(
        1,
        vec![Requirement::Allow, simple(SignedIdentity::default())],
    );
    let policy = compile(vec![tags_signed(either)]);
    let image = format!("{APP}:v1.0");
    let pulled = Evidence {
        origins: vec![origin(APP, digest)],
        ..Evidence::default()
    };
    let lacking = decide(&policy, &image, &digest, &pulled);
    assert_eq!(denied(&lacking).0, DenialReason::LackOfEvidence);
    assert!(
        denied(&lacking)
            .1
            .contains("accepts signed tags and digests alone, and a simple signature is not known")
    );
    let mut both = found(APP, digest, &["ed"]);
    both.origins = pulled.origins;
    assert!(decide(&policy, &image, &digest, &both).allowed());
    both.signatures = found(APP, digest, &["other-tag"]).signatures;
    assert!(!decide(&policy, &image, &digest, &both).allowed());
}

#[test]
fn a_branch_that_is_denied_asks_for_no_signature() {
    let reference = ImageReference::parse(&format!("{APP}:v1.0")).unwrap();
    let sources = |requirement: Requirement| {
        let policy = compile(vec![rule(requirement)]);
        match policy.prematch(Some("shop"), &reference) {
            Prematch::Governed(needs) => needs.sources,
            Prematch::Refused(_) => Vec::new(),
        }
    };
    let extension = vec![SignatureSource::RegistryExtension];
    assert_eq!(sources(simple(SignedIdentity::default())), extension);
    let denied = Requirement::All(vec![simple(SignedIdentity::default()), deny(None)]);
    assert_eq!(sources(denied), Vec::new());
}

#[test]
fn a_key_that_expired_since_no_longer_counts_at_create() {
    let digest = digest_of("v1.0");
    let mut expiring = requirement(vec![keyring("expired.asc")]);
    expiring.identity = SignedIdentity::default();
    let evidence = found(APP, digest, &["expired"]);
    let decision = judged(Requirement::Simple(expiring), "v1.0", &digest, &evidence);
    assert!(
        denied(&decision)
            .1
            .contains("which expired at 2026-03-01T12:00:00Z")
    );
}
