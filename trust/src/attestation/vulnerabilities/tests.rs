use portcullis_policy::model::{VulnerabilityLimits, VulnerabilitySeverity as Severity};
use serde_json::{Value, json};

use super::{COSIGN, IN_TOTO, check};
use crate::attestation::flaw::Flaw;
use crate::strict_json::Object;

fn limits(max_severity: Severity, allow: &[&str]) -> VulnerabilityLimits {
    VulnerabilityLimits {
        max_severity,
        allow_cves: allow.iter().map(|&id| id.to_owned()).collect(),
        max_scan_age: None,
    }
}

fn judge(kind: &str, result: &Value, max: Severity, allow: &[&str]) -> Result<String, Flaw> {
    let predicate = json!({"scanner": {"result": result}});
    check(kind, Object::of(&predicate).unwrap(), &limits(max, allow))
}

fn trivy(severity: &Value) -> Value {
    json!({"Results": [{"Target": "a"}, {"Vulnerabilities": [
        {"VulnerabilityID": "CVE-1", "VendorIDs": ["DSA-1"], "Severity": severity},
    ]}]})
}

fn grype(severity: &Value) -> Value {
    json!({"matches": [{
        "vulnerability": {"id": "GHSA-1", "severity": severity},
        "relatedVulnerabilities": [{"id": "CVE-1"}],
    }]})
}

#[test]
fn the_highest_severity_allowed_is_the_last_that_passes() {
    for report in [trivy, grype] {
        for (severity, max, holds) in [
            ("LOW", Severity::Low, true),
            ("Medium", Severity::Low, false),
            ("HIGH", Severity::High, true),
            ("Critical", Severity::High, false),
            ("Critical", Severity::Critical, true),
            ("Negligible", Severity::None, false),
        ] {
            let report = report(&severity.into());
            let judged = judge(COSIGN, &report, max, &[]);
            assert_eq!(judged.is_ok(), holds, "{severity} {max:?}");
        }
    }
}

#[test]
fn a_severity_the_scanner_does_not_know_counts_as_the_worst() {
    for report in [trivy, grype] {
        let report = report(&"Unknown".into());
        assert!(judge(COSIGN, &report, Severity::High, &[]).is_err());
        assert!(judge(COSIGN, &report, Severity::Critical, &[]).is_ok());
    }
}

#[test]
fn a_form_that_is_not_known_is_never_a_clean_report() {
    for result in [
        json!({}),
        json!([]),
        json!(null),
        json!("clean"),
        json!({"runs": []}),
        json!({"runs": [], "Results": []}),
        json!({"Results": [], "matches": []}),
        json!({"results": []}),
        json!({"Matches": []}),
        json!({"SchemaVersion": 2}),
        json!({"SchemaVersion": 3, "ArtifactName": "a"}),
        json!({"Results": {}}),
        json!({"Results": [[]]}),
        json!({"Results": [{"vulnerabilities": [{"VulnerabilityID": "CVE-1", "Severity": "LOW"}]}]}),
        json!({"Results": [{"Vulnerabilities": [{"VulnerabilityID": "CVE-1"}]}]}),
        json!({"Results": [{"Vulnerabilities": [{"Severity": "LOW"}]}]}),
        json!({"matches": [{"vulnerability": {"id": "", "severity": "Low"}}]}),
        json!({"matches": [{}]}),
        trivy(&json!("Terrible")),
        trivy(&json!(3)),
    ] {
        assert!(
            judge(COSIGN, &result, Severity::Critical, &[]).is_err(),
            "{result}"
        );
    }
    for result in [
        json!({}),
        json!(null),
        json!([{}]),
        json!([{"id": "CVE-1", "severity": "low"}]),
    ] {
        assert!(
            judge(IN_TOTO[1], &result, Severity::High, &[]).is_err(),
            "{result}"
        );
    }
}

#[test]
fn a_report_without_findings_is_clean() {
    for result in [
        json!({"Results": []}),
        json!({"Results": [{"Target": "a", "Vulnerabilities": null}]}),
        json!({"SchemaVersion": 2, "ArtifactName": "scratch"}),
        json!({"matches": []}),
    ] {
        let judged = judge(COSIGN, &result, Severity::None, &[]);
        assert_eq!(judged, Ok("no vulnerability".to_owned()), "{result}");
    }
    assert!(judge(IN_TOTO[0], &json!([]), Severity::None, &[]).is_ok());
}

#[test]
fn an_allowed_vulnerability_is_allowed_by_any_of_its_names_and_by_no_part_of_one() {
    let worst = "CRITICAL".into();
    for (report, allow, holds) in [
        (trivy(&worst), "CVE-1", true),
        (trivy(&worst), "DSA-1", true),
        (grype(&worst), "GHSA-1", true),
        (grype(&worst), "CVE-1", true),
        (trivy(&worst), "CVE-", false),
        (trivy(&worst), "cve-1", false),
        (trivy(&worst), "CVE-1 ", false),
        (grype(&worst), "*", false),
    ] {
        let judged = judge(COSIGN, &report, Severity::Low, &[allow]);
        assert_eq!(judged.is_ok(), holds, "{allow}");
    }
}

#[test]
fn in_toto_severities_are_words_or_scores_and_the_highest_counts() {
    let of = |severity: &Value| {
        let result = json!([{"id": "CVE-1", "severity": severity}]);
        judge(IN_TOTO[1], &result, Severity::Medium, &[])
    };
    for good in [
        json!([{"method": "nvd", "score": "medium"}]),
        json!([{"method": "cvss_score", "score": "6.9"}]),
        json!([{"method": "cvss_score", "score": 4}]),
        json!([{"method": "nvd", "score": "low"}, {"method": "cvss_score", "score": "0.0"}]),
    ] {
        assert!(of(&good).is_ok(), "{good}");
    }
    for bad in [
        json!([]),
        json!([{"method": "nvd", "score": "high"}]),
        json!([{"method": "nvd", "score": "low"}, {"method": "cvss_score", "score": "7.0"}]),
        json!([{"method": "nvd", "score": "low"}, {"method": "nvd", "score": "unknown"}]),
        json!([{"method": "cvss_score", "score": "-1"}]),
        json!([{"method": "cvss_score", "score": "11"}]),
        json!([{"method": "cvss_score", "score": "NaN"}]),
        json!([{"method": "cvss_score"}]),
    ] {
        assert!(of(&bad).is_err(), "{bad}");
    }
}

#[test]
fn a_refusal_names_the_worst_and_counts_the_rest() {
    let one = |id: &str, severity: &str| json!({"VulnerabilityID": id, "Severity": severity});
    let result = json!({"Results": [{"Vulnerabilities": [
        one("CVE-5", "HIGH"), one("CVE-4", "HIGH"), one("CVE-3", "CRITICAL"), one("CVE-2", "UNKNOWN"),
        one("CVE-3", "CRITICAL"), one("CVE-1", "LOW"),
    ]}]});
    let flaw = judge(COSIGN, &result, Severity::Low, &[]).unwrap_err();
    assert_eq!(
        flaw.to_string(),
        "it reports CVE-2 (of unknown severity), CVE-3 (critical), CVE-4 (high) and 1 more, above maxSeverity low"
    );
}
