//! Statements whose signature counts, by signers 0, 1, ….

use std::time::Duration;

use portcullis_policy::model::{
    AttestationRequirement, CelExpression, Demand, SigstoreSigners, TextMatch, TrustedRootSource,
    VulnerabilityLimits, VulnerabilitySeverity,
};
use portcullis_policy::{Diagnostic, Digest, Span};
use serde_json::{Value, json};

use super::Judge;
use crate::finding::{Refused, Verified};
use crate::sigstore::SignedStatement;
use crate::time::Timestamp;

const SLSA1: &str = "https://slsa.dev/provenance/v1";
const SLSA02: &str = "https://slsa.dev/provenance/v0.2";
const VULN: &str = "https://cosign.sigstore.dev/attestation/vuln/v1";

fn requirement(predicate_type: &str) -> AttestationRequirement {
    AttestationRequirement {
        predicate_type: predicate_type.to_owned(),
        signers: SigstoreSigners {
            of: Vec::new(),
            threshold: 1,
            transparency_log: Demand::Ignore,
            signed_certificate_timestamp: Demand::Ignore,
            trusted_root: TrustedRootSource::PublicGood,
        },
        builder: None,
        source: None,
        reference: None,
        max_age: None,
        vulnerabilities: None,
        cel: None,
        span: Span::nowhere(),
    }
}

fn exact(text: &str) -> TextMatch {
    TextMatch::Exact(text.to_owned())
}

fn digest() -> Digest {
    Digest::of(b"image")
}

fn now() -> Timestamp {
    Timestamp::parse("2026-11-21T00:00:00Z").unwrap()
}

fn signed(signer: usize, predicate_type: &str, predicate: &Value) -> SignedStatement {
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {"sha256": digest().hex()}}],
        "predicateType": predicate_type,
        "predicate": predicate,
    });
    SignedStatement {
        bytes: statement.to_string().into_bytes(),
        signer,
        entries: vec![signer],
        verified: Verified {
            signer: format!("signer {signer}"),
            signed_at: None,
            notes: Vec::new(),
        },
    }
}

fn judge(
    requirement: &AttestationRequirement,
    statements: &[SignedStatement],
) -> Result<Vec<Verified>, String> {
    let mut diagnostics = Vec::new();
    let judge = Judge::compile(requirement, &mut diagnostics);
    assert_eq!(diagnostics, []);
    judge
        .verify(&digest(), statements, now(), Refused::default())
        .map_err(|refused| refused.clause())
}

fn diagnostics(requirement: &AttestationRequirement) -> Vec<String> {
    let mut diagnostics = Vec::new();
    Judge::compile(requirement, &mut diagnostics);
    diagnostics
        .into_iter()
        .map(|Diagnostic { message, .. }| message)
        .collect()
}

fn slsa1() -> Value {
    json!({
        "buildDefinition": {
            "externalParameters": {"workflow": {"ref": "refs/heads/main", "repository": "https://git.example.com/shop/app"}},
            "resolvedDependencies": [{"uri": "git+https://git.example.com/shop/app@refs/heads/main"}],
        },
        "runDetails": {
            "builder": {"id": "https://builder.example.com/v1"},
            "metadata": {"finishedOn": "2026-11-20T00:00:00Z"},
        },
    })
}

fn slsa02() -> Value {
    json!({
        "builder": {"id": "https://builder.example.com/v0"},
        "invocation": {"configSource": {"uri": "git+https://git.example.com/shop/app@refs/tags/v1"}},
        "materials": [{"uri": "git+https://git.example.com/other/tool@refs/heads/x"}],
        "metadata": {"buildFinishedOn": "2026-11-20T00:00:00Z"},
    })
}

fn demanding(predicate_type: &str) -> AttestationRequirement {
    AttestationRequirement {
        builder: Some(TextMatch::Glob("https://builder.example.com/*".to_owned())),
        source: Some(exact("https://git.example.com/shop/app")),
        reference: Some(TextMatch::Regex("refs/(heads/main|tags/v.*)".to_owned())),
        ..requirement(predicate_type)
    }
}

#[test]
fn presence_of_a_signed_statement_of_the_type_is_enough_where_nothing_else_is_asked() {
    let requirement = requirement("https://spdx.dev/Document");
    let other = signed(0, "https://cyclonedx.org/bom", &json!({}));
    let found = judge(&requirement, std::slice::from_ref(&other)).unwrap_err();
    assert_eq!(
        found,
        "1 was found and does not count: its predicate is of another type"
    );
    let document = signed(0, "https://spdx.dev/Document", &json!({}));
    let found = judge(&requirement, &[other, document]).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(judge(&requirement, &[]).unwrap_err(), "none was found");
}

#[test]
fn provenance_says_who_built_it_and_from_what() {
    for (kind, predicate, note) in [
        (
            SLSA1,
            slsa1(),
            "source https://git.example.com/shop/app at refs/heads/main",
        ),
        (
            SLSA02,
            slsa02(),
            "source https://git.example.com/shop/app at refs/tags/v1",
        ),
    ] {
        let found = judge(&demanding(kind), &[signed(0, kind, &predicate)]).unwrap();
        let notes = &found[0].notes;
        assert!(notes.iter().any(|one| one == note), "{notes:?}");
        assert!(
            notes.contains(&"made 2026-11-20T00:00:00Z".to_owned()),
            "{notes:?}"
        );
        assert!(notes[0].starts_with("builder https://builder.example.com/v"));
    }
}

#[test]
fn another_builder_source_or_branch_is_named_in_the_refusal() {
    let edit = |path: &str, value: &str| {
        let mut predicate = slsa1();
        *predicate.pointer_mut(path).unwrap() = value.into();
        judge(&demanding(SLSA1), &[signed(0, SLSA1, &predicate)]).unwrap_err()
    };
    assert_eq!(
        edit("/runDetails/builder/id", "https://evil.example.com/"),
        "1 was found and does not count: its builder is https://evil.example.com/, not https://builder.example.com/*"
    );
    let repository = "/buildDefinition/externalParameters/workflow/repository";
    assert_eq!(
        edit(repository, "https://git.example.com/evil/app"),
        "1 was found and does not count: its source is https://git.example.com/evil/app, not https://git.example.com/shop/app"
    );
    assert_eq!(
        edit(repository, "https://git.example.com/shop/app@refs/heads/x"),
        "1 was found and does not count: it names more than one branch or tag it was built from"
    );
    let reference = "/buildDefinition/externalParameters/workflow/ref";
    assert_eq!(
        edit(reference, "refs/heads/evil"),
        "1 was found and does not count: it names more than one branch or tag it was built from"
    );
}

#[test]
fn two_sources_in_one_statement_are_refused() {
    let mut predicate = slsa1();
    predicate["buildDefinition"]["externalParameters"]["source"] =
        "https://git.example.com/evil/app".into();
    let found = judge(&demanding(SLSA1), &[signed(0, SLSA1, &predicate)]).unwrap_err();
    assert!(
        found.ends_with("it names more than one source repository"),
        "{found}"
    );
    // The same one in another spelling is one.
    predicate["buildDefinition"]["externalParameters"]["source"] =
        json!({"uri": "git+https://git.example.com/shop/app.git@refs/heads/main"});
    assert!(judge(&demanding(SLSA1), &[signed(0, SLSA1, &predicate)]).is_ok());

    // Without a source of its own, dependencies stand in only if there is one.
    let only = |uris: &[&str]| {
        let list: Vec<Value> = uris.iter().map(|uri| json!({"uri": uri})).collect();
        let mut v1 = slsa1();
        v1["buildDefinition"] = json!({"resolvedDependencies": list});
        let mut v02 = slsa02();
        v02["invocation"] = json!({});
        v02["materials"] = list.into();
        [
            judge(&demanding(SLSA1), &[signed(0, SLSA1, &v1)]).is_ok(),
            judge(&demanding(SLSA02), &[signed(0, SLSA02, &v02)]).is_ok(),
        ]
    };
    let app = "git+https://git.example.com/shop/app@refs/heads/main";
    assert_eq!(only(&[app, "pkg:docker/debian@12"]), [true, true]);
    assert_eq!(
        only(&[app, "git+https://git.example.com/evil/app"]),
        [false, false]
    );
    assert_eq!(only(&[app, "git+nonsense"]), [false, false]);
    assert_eq!(only(&["https://git.example.com/shop/app"]), [false, false]);
    assert_eq!(only(&[]), [false, false]);
}

#[test]
fn a_materials_branch_does_not_stand_in_for_that_of_another_repository() {
    let mut predicate = slsa02();
    predicate["invocation"]["configSource"]["uri"] = "git+https://git.example.com/shop/app".into();
    predicate["materials"] =
        json!([{"uri": "git+https://git.example.com/evil/app@refs/heads/main"}]);
    let found = judge(&demanding(SLSA02), &[signed(0, SLSA02, &predicate)]).unwrap_err();
    assert!(
        found.ends_with("it does not name the branch or tag it was built from"),
        "{found}"
    );
}

#[test]
fn what_is_missing_or_misspelt_does_not_match_a_wildcard() {
    let any = AttestationRequirement {
        builder: Some(TextMatch::Glob("*".to_owned())),
        source: Some(TextMatch::Glob("*".to_owned())),
        reference: Some(TextMatch::Glob("*".to_owned())),
        ..requirement(SLSA1)
    };
    assert!(judge(&any, &[signed(0, SLSA1, &slsa1())]).is_ok());
    for (path, value) in [
        ("/runDetails/builder", json!({})),
        ("/runDetails/builder", json!({"id": ""})),
        ("/runDetails/builder", json!({"id": 1})),
        ("/runDetails/builder", json!({"ID": "x"})),
        ("/runDetails/builder", json!({"id": "x", "Id": "y"})),
        ("/runDetails", json!(null)),
        ("/buildDefinition", json!({})),
        ("/buildDefinition", json!([])),
        ("/buildDefinition/externalParameters/workflow", json!("x")),
    ] {
        let mut predicate = slsa1();
        *predicate.pointer_mut(path).unwrap() = value.clone();
        assert!(
            judge(&any, &[signed(0, SLSA1, &predicate)]).is_err(),
            "{path} {value}"
        );
    }
}

#[test]
fn a_max_age_asks_for_a_time_of_the_statement_itself() {
    let aged = AttestationRequirement {
        max_age: Some(Duration::from_hours(25)),
        ..requirement(SLSA1)
    };
    let at = |time: Value| {
        let mut predicate = slsa1();
        predicate["runDetails"]["metadata"]["finishedOn"] = time;
        judge(&aged, &[signed(0, SLSA1, &predicate)])
    };
    assert!(at("2026-11-20T00:00:00Z".into()).is_ok());
    assert!(at("2026-11-21T01:00:00+01:00".into()).is_ok());
    assert_eq!(
        at("2026-11-19T00:00:00Z".into()).unwrap_err(),
        "1 was found and does not count: it was made at 2026-11-19T00:00:00Z, more than 1d1h ago"
    );
    assert!(
        at("2026-11-21T00:06:00Z".into())
            .unwrap_err()
            .contains("in the future")
    );
    for missing in [Value::Null, "yesterday".into(), 1.into(), "".into()] {
        assert!(at(missing.clone()).is_err(), "{missing}");
    }
}

#[test]
fn each_of_the_required_number_of_signers_must_say_it() {
    let two = AttestationRequirement {
        signers: SigstoreSigners {
            threshold: 2,
            ..requirement(SLSA1).signers
        },
        ..demanding(SLSA1)
    };
    let good = |signer| signed(signer, SLSA1, &slsa1());
    let bad = |signer| signed(signer, SLSA1, &json!({}));
    assert_eq!(judge(&two, &[good(0), good(1)]).unwrap().len(), 2);
    assert!(judge(&two, &[good(0), good(0)]).is_err());
    assert_eq!(
        judge(&two, &[good(0), bad(1)]).unwrap_err(),
        "1 of 2 required signers were found: it does not name its builder"
    );
    // What does not hold keeps nothing from counting.
    assert!(judge(&two, &[bad(0), good(1), bad(1), good(0)]).is_ok());
}

#[test]
fn a_statement_that_does_not_hold_takes_no_place_from_one_that_does() {
    let two = AttestationRequirement {
        signers: SigstoreSigners {
            threshold: 2,
            ..requirement(SLSA1).signers
        },
        ..demanding(SLSA1)
    };
    let by = |signer, entries: &[usize], predicate: &Value| SignedStatement {
        entries: entries.to_vec(),
        ..signed(signer, SLSA1, predicate)
    };
    // Signer 0 matches the first pattern alone, 2 the second, 1 both.
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
        let who = |one: usize| [&[0][..], &[0, 1], &[1]][one];
        for bad in 0..3 {
            let statements: Vec<SignedStatement> = order
                .iter()
                .map(|one| {
                    let holds = if *one == bad { json!({}) } else { slsa1() };
                    by(*one, who(*one), &holds)
                })
                .collect();
            assert_eq!(
                judge(&two, &statements).unwrap().len(),
                2,
                "{order:?} {bad}"
            );
        }
    }
    // One who matches both patterns is still one.
    assert!(judge(&two, &[by(1, &[0, 1], &slsa1())]).is_err());
}

fn scan(signer: usize, time: &str, severity: &str) -> SignedStatement {
    let predicate = json!({
        "scanner": {"result": {"Results": [{"Vulnerabilities": [
            {"VulnerabilityID": "CVE-1", "Severity": severity},
        ]}]}},
        "metadata": {"scanFinishedOn": time},
    });
    signed(signer, VULN, &predicate)
}

fn scanned() -> AttestationRequirement {
    AttestationRequirement {
        vulnerabilities: Some(VulnerabilityLimits {
            max_severity: VulnerabilitySeverity::Medium,
            allow_cves: Vec::new(),
            max_scan_age: Some(Duration::from_hours(48)),
        }),
        ..requirement(VULN)
    }
}

#[test]
fn an_older_clean_report_never_overrules_a_newer_bad_one() {
    let (old, new) = ("2026-11-20T00:00:00Z", "2026-11-20T12:00:00Z");
    let clean = |signer, time| scan(signer, time, "LOW");
    let bad = |signer, time| scan(signer, time, "HIGH");
    assert!(judge(&scanned(), &[clean(0, old)]).is_ok());
    assert!(judge(&scanned(), &[bad(0, old), clean(0, new)]).is_ok());
    assert!(judge(&scanned(), &[bad(1, old), clean(0, new)]).is_ok());
    for signer in [0, 1] {
        for statements in [
            [clean(0, old), bad(signer, new)],
            [bad(signer, new), clean(0, old)],
            // Ties.
            [clean(0, new), bad(signer, new)],
        ] {
            let found = judge(&scanned(), &statements).unwrap_err();
            assert!(
                found.contains("CVE-1 (high), above maxSeverity medium"),
                "{found}"
            );
        }
    }
}

#[test]
fn a_report_that_cannot_be_read_or_placed_is_not_passed_over() {
    let clean = || scan(0, "2026-11-20T12:00:00Z", "LOW");
    let untimed = signed(0, VULN, &json!({"scanner": {"result": {"Results": []}}}));
    assert!(judge(&scanned(), &[clean(), untimed]).is_err());
    let future = scan(0, "2027-11-20T12:00:00Z", "LOW");
    assert!(judge(&scanned(), &[clean(), future]).is_err());
    let unknown =
        json!({"scanner": {"result": {}}, "metadata": {"scanFinishedOn": "2026-11-20T13:00:00Z"}});
    assert!(judge(&scanned(), &[clean(), signed(0, VULN, &unknown)]).is_err());
}

#[test]
fn with_several_scanners_each_ones_newest_report_counts() {
    let two = AttestationRequirement {
        signers: SigstoreSigners {
            threshold: 2,
            ..scanned().signers
        },
        ..scanned()
    };
    let (old, new) = ("2026-11-20T00:00:00Z", "2026-11-20T12:00:00Z");
    let clean = |signer, time| scan(signer, time, "LOW");
    let bad = |signer, time| scan(signer, time, "HIGH");
    assert!(judge(&two, &[clean(0, old), clean(1, new)]).is_ok());
    assert!(
        judge(
            &two,
            &[clean(0, old), bad(0, "2026-11-20T06:00:00Z"), clean(1, new)]
        )
        .is_err()
    );
    assert!(judge(&two, &[bad(0, old), clean(0, new), clean(1, new)]).is_ok());
}

#[test]
fn an_old_scan_does_not_count() {
    assert!(judge(&scanned(), &[scan(0, "2026-11-18T23:00:00Z", "LOW")]).is_err());
}

#[test]
fn a_condition_that_its_type_can_never_meet_refuses_the_policy() {
    let odd = AttestationRequirement {
        max_age: Some(Duration::from_hours(1)),
        vulnerabilities: scanned().vulnerabilities,
        cel: Some(CelExpression {
            text: "predicate +".to_owned(),
            span: Span::nowhere(),
        }),
        ..demanding("https://example.com/p")
    };
    let found = diagnostics(&odd);
    assert_eq!(found.len(), 6, "{found:#?}");
    let regex = AttestationRequirement {
        builder: Some(TextMatch::Regex("(".to_owned())),
        ..requirement(SLSA1)
    };
    assert!(diagnostics(&regex)[0].starts_with("the pattern of `builder` cannot be used: "));
}

#[test]
fn an_expression_narrows_what_counts() {
    let asking = |text: &str| AttestationRequirement {
        cel: Some(CelExpression {
            text: text.to_owned(),
            span: Span::nowhere(),
        }),
        ..requirement(SLSA1)
    };
    let statements = [signed(0, SLSA1, &slsa1())];
    let path = "predicate.buildDefinition.externalParameters.workflow.ref";
    assert!(
        judge(
            &asking(&format!("{path} == 'refs/heads/main'")),
            &statements
        )
        .is_ok()
    );
    assert_eq!(
        judge(&asking(&format!("{path} == 'refs/heads/x'")), &statements).unwrap_err(),
        "1 was found and does not count: the CEL expression is false for it"
    );
}
