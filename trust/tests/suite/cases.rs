//! Cases of a policy, judged on recorded evidence.

use portcullis_policy::Digest;
use portcullis_policy::model::{AnnotationsRequirement, Mode, Requirement, Rule, TextMatch};
use portcullis_trust::cases::{Case, CaseResult, Expected, Moment, judge};
use portcullis_trust::evidence::{ImageDescription, Recorded};
use portcullis_trust::{CompiledPolicy, Evidence, Timestamp};

use super::common::policy::{alice, compile, deny, gathered, origin, rule};
use super::common::{APP, digest_of, now, span, time};

const TAGGED: &str = "registry.example.com/shop/app:v1.0";

fn case(image: &str, expect: Expected) -> Case {
    Case {
        name: None,
        namespace: Some("shop".to_owned()),
        image: image.to_owned(),
        digest: None,
        expect,
        rule: None,
        denial: None,
        now: None,
        evidence: Vec::new(),
    }
}

fn recorded(image: &str, digest: Digest, evidence: Evidence) -> Recorded {
    Recorded {
        version: 1,
        image: image.to_owned(),
        digest,
        recorded_at: now(),
        evidence,
    }
}

fn signed() -> Recorded {
    recorded(TAGGED, digest_of("v1.0"), gathered())
}

fn run(policy: &CompiledPolicy, case: &Case, recorded: &[Recorded]) -> CaseResult {
    judge(policy, case, recorded, None)
}

fn failures(policy: &CompiledPolicy, case: &Case, recorded: &[Recorded]) -> Vec<String> {
    run(policy, case, recorded).failures
}

fn signed_only() -> CompiledPolicy {
    compile(vec![rule(alice())])
}

#[test]
fn recorded_evidence_decides_as_it_would_on_the_node() {
    let policy = signed_only();
    let result = run(&policy, &case(TAGGED, Expected::Allow), &[signed()]);
    assert_eq!(result.failures, [""; 0]);
    assert_eq!(result.digest, Some(digest_of("v1.0")));
    assert_eq!(result.now, Some(now()));
    let wrong = run(&policy, &case(TAGGED, Expected::Deny), &[signed()]);
    assert_eq!(wrong.failures, ["expected deny, got allow"]);
}

#[test]
fn without_evidence_an_image_is_one_that_nobody_signed() {
    let result = run(&signed_only(), &case(TAGGED, Expected::Deny), &[]);
    assert!(result.holds(), "{result:?}");
    let open = compile(vec![rule(Requirement::Allow)]);
    for image in [TAGGED.to_owned(), format!("{APP}@{}", digest_of("x"))] {
        let result = run(&open, &case(&image, Expected::Allow), &[]);
        assert!(result.holds(), "{result:?}");
    }
    let retired = compile(vec![rule(deny(Some("retired")))]);
    let expected = Case {
        denial: Some("retired".to_owned()),
        ..case(TAGGED, Expected::Deny)
    };
    assert_eq!(failures(&retired, &expected, &[]), [""; 0]);
    let elsewhere = case("nginx", Expected::Deny);
    assert_eq!(failures(&open, &elsewhere, &[]), [""; 0]);
}

#[test]
fn audit_is_neither_allow_nor_deny() {
    let policy = compile(vec![Rule {
        mode: Some(Mode::Audit),
        ..rule(alice())
    }]);
    assert_eq!(
        failures(&policy, &case(TAGGED, Expected::WouldDeny), &[]),
        [""; 0]
    );
    assert_eq!(
        failures(&policy, &case(TAGGED, Expected::Deny), &[]),
        ["expected deny, got wouldDeny"]
    );
}

#[test]
fn evidence_of_another_repository_or_digest_is_not_used() {
    let policy = signed_only();
    let denied = case(TAGGED, Expected::Deny);
    let other = "registry.example.com/shop/other:v1.0";
    for record in [
        recorded(other, digest_of("v1.0"), gathered()),
        recorded(&format!("{APP}:v2"), digest_of("v1.0"), gathered()),
        recorded("not an image", digest_of("v1.0"), gathered()),
    ] {
        assert_eq!(failures(&policy, &denied, &[record]), [""; 0]);
    }
    let by_digest = case(&format!("{APP}@{}", digest_of("other")), Expected::Deny);
    assert_eq!(failures(&policy, &by_digest, &[signed()]), [""; 0]);
    let same_digest = Case {
        digest: Some(digest_of("v1.0")),
        ..case(TAGGED, Expected::Deny)
    };
    let elsewhere = recorded(other, digest_of("v1.0"), gathered());
    assert_eq!(failures(&policy, &same_digest, &[elsewhere]), [""; 0]);
    // What a case names itself must be about it.
    let named = Case {
        evidence: vec!["x.json".to_owned()],
        ..case("registry.example.com/shop/other:v1.0", Expected::Deny)
    };
    assert_eq!(
        failures(&policy, &named, &[signed()]),
        ["none of its evidence is about this image"]
    );
}

#[test]
fn two_digests_for_a_tag_have_to_be_told_apart() {
    let policy = signed_only();
    let records = [signed(), recorded(TAGGED, digest_of("v2"), gathered())];
    let either = case(TAGGED, Expected::Allow);
    assert_eq!(
        failures(&policy, &either, &records),
        ["its evidence was recorded for different digests: name one with `digest`"]
    );
    let named = |content: &str, expect| Case {
        digest: Some(digest_of(content)),
        ..case(TAGGED, expect)
    };
    assert_eq!(
        failures(&policy, &named("v1.0", Expected::Allow), &records),
        [""; 0]
    );
    assert_eq!(
        failures(&policy, &named("v2", Expected::Deny), &records),
        [""; 0]
    );
    let contradicting = Case {
        digest: Some(digest_of("v2")),
        ..case(&format!("{APP}@{}", digest_of("v1.0")), Expected::Deny)
    };
    assert_eq!(failures(&policy, &contradicting, &records).len(), 1);
}

#[test]
fn the_rule_and_the_text_of_a_denial_can_be_expected() {
    let policy = compile(vec![rule(deny(None))]);
    let expecting = |rule: &str| Case {
        rule: Some(rule.to_owned()),
        ..case(TAGGED, Expected::Deny)
    };
    for right in [
        "apps.yaml: registry.example.com/shop/*",
        "ImagePolicy/apps: registry.example.com/shop/*",
        "ImagePolicy/apps/registry.example.com/shop/*",
        "registry.example.com/shop/*",
    ] {
        assert_eq!(
            failures(&policy, &expecting(right), &[]),
            [""; 0],
            "{right}"
        );
    }
    assert_eq!(
        failures(&policy, &expecting("apps.yaml: *"), &[]),
        ["expected the rule `apps.yaml: *`, `apps.yaml: registry.example.com/shop/*` spoke"]
    );
    let text = Case {
        denial: Some("signed".to_owned()),
        ..case(TAGGED, Expected::Deny)
    };
    assert_eq!(
        failures(&policy, &text, &[]),
        ["the denial does not contain `signed`"]
    );
    let none = Case {
        rule: Some("x".to_owned()),
        ..case("nginx", Expected::Deny)
    };
    assert_eq!(
        failures(&policy, &none, &[]),
        ["expected the rule `x`, none spoke"]
    );
}

#[test]
fn the_clock_is_that_of_the_case_the_file_or_the_recording() {
    let config = br#"{"created":"2026-11-20T00:00:00Z"}"#.to_vec();
    let manifest = format!(
        r#"{{"schemaVersion":2,"config":{{"digest":"{}"}}}}"#,
        Digest::of(&config)
    )
    .into_bytes();
    let digest = Digest::of(&manifest);
    let description = ImageDescription {
        subject: digest,
        index: None,
        manifest,
        config,
        gathered_at: now(),
    };
    let evidence = Evidence {
        origins: vec![origin(APP, digest)],
        descriptions: vec![description.into()],
        ..Evidence::default()
    };
    let record = recorded(TAGGED, digest, evidence);
    let young = Requirement::Annotations(AnnotationsRequirement {
        values: []
            .into_iter()
            .collect::<std::collections::BTreeMap<String, TextMatch>>(),
        max_age: Some(std::time::Duration::from_hours(48)),
        span: span(),
    });
    let policy = compile(vec![rule(young)]);
    let found = |of_case: Option<Timestamp>, of_file: Option<Timestamp>| {
        let case = Case {
            now: of_case.map(Moment),
            ..case(TAGGED, Expected::Allow)
        };
        judge(
            &policy,
            &case,
            std::slice::from_ref(&record),
            of_file.map(Moment),
        )
        .found
    };
    let later = Some(time("2027-11-20T00:00:00Z"));
    assert_eq!(found(None, None), Some(Expected::Allow));
    assert_eq!(found(None, later), Some(Expected::Deny));
    assert_eq!(found(later, None), Some(Expected::Deny));
    assert_eq!(found(Some(now()), later), Some(Expected::Allow));
}

#[test]
fn what_is_no_image_is_a_failure_and_not_a_denial() {
    let result = run(&signed_only(), &case("UPPER CASE", Expected::Deny), &[]);
    assert!(!result.holds());
    assert_eq!(result.found, None);
}
