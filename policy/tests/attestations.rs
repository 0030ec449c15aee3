//! `attestations` of portcullis.dev/v1: types, conditions, and which belong together.

mod common;

use std::time::Duration;

use common::*;
use portcullis_policy::model::{
    AttestationRequirement, Requirement, TextMatch, VulnerabilitySeverity,
};

fn of_type(predicate: &str, fields: &str) -> String {
    with(&format!(
        "{{attestations: {{predicateType: {predicate}, keys: [{{pem: K}}]{}{fields}}}}}",
        if fields.is_empty() { "" } else { ", " }
    ))
}

fn attestation_of(requirement: &Requirement) -> &AttestationRequirement {
    match requirement {
        Requirement::Attestation(one) => one,
        other => panic!("{other:?}"),
    }
}

#[test]
fn short_names_are_cosigns_own() {
    for (short, uri) in [
        ("slsaprovenance", "https://slsa.dev/provenance/v0.2"),
        ("slsaprovenance02", "https://slsa.dev/provenance/v0.2"),
        ("slsaprovenance1", "https://slsa.dev/provenance/v1"),
        ("spdx", "https://spdx.dev/Document"),
        ("spdxjson", "https://spdx.dev/Document"),
        ("cyclonedx", "https://cyclonedx.org/bom"),
        ("vuln", "https://cosign.sigstore.dev/attestation/vuln/v1"),
        ("link", "https://in-toto.io/Link/v1"),
        ("openvex", "https://openvex.dev/ns"),
        ("custom", "https://cosign.sigstore.dev/attestation/v1"),
        (
            "'https://example.com/review/v1'",
            "https://example.com/review/v1",
        ),
    ] {
        let loaded = loaded(&of_type(short, ""));
        assert_eq!(attestation_of(requirement(&loaded)).predicate_type, uri);
    }
}

#[test]
fn a_type_that_is_missing_or_misspelt_is_refused() {
    assert_refused(
        &with("{attestations: {keys: [{pem: K}]}}"),
        "`predicateType` is missing",
    );
    for (predicate, expected) in [
        (
            "slsaprovanance",
            "must be a URI, or one of `slsaprovenance`",
        ),
        ("''", "must not be empty"),
        ("null", "must be text"),
        ("{glob: '*'}", "must be text"),
        ("'https:'", "must be a URI"),
        ("'https://a b'", "must be a URI"),
        ("':x'", "must be a URI"),
    ] {
        assert_refused(&of_type(predicate, ""), expected);
    }
}

#[test]
fn a_signature_is_not_required_as_an_attestation() {
    assert_refused(
        &of_type("'https://sigstore.dev/cosign/sign/v1'", ""),
        "require one with `cosign`",
    );
}

#[test]
fn conditions_arrive_in_the_model() {
    let text = of_type(
        "slsaprovenance1",
        "builder: 'https://builder.example.com/v1', source: {glob: 'https://example.com/acme/*'}, ref: {regex: 'refs/tags/v.*'}, \
         maxAge: 30d, cel: 'predicate.x == 1', threshold: 1, transparencyLog: ignore",
    );
    let loaded = loaded(&text);
    let found = attestation_of(requirement(&loaded));
    assert_eq!(
        found.builder,
        Some(TextMatch::Exact("https://builder.example.com/v1".into()))
    );
    assert_eq!(
        found.source,
        Some(TextMatch::Glob("https://example.com/acme/*".into()))
    );
    assert_eq!(
        found.reference,
        Some(TextMatch::Regex("refs/tags/v.*".into()))
    );
    assert_eq!(found.max_age, Some(Duration::from_hours(720)));
    let cel = found.cel.as_ref().expect("an expression");
    assert_eq!(cel.text, "predicate.x == 1");
    assert_eq!(
        cel.span.path,
        "spec.repositories[0].policy.attestations.cel"
    );

    let limited = common::loaded(&of_type(
        "vuln",
        "vulnerabilities: {maxSeverity: medium, allowCVEs: [CVE-2024-3094, GHSA-jfh8-c2jp-5v3q], maxScanAge: 7d}",
    ));
    let limits = attestation_of(requirement(&limited))
        .vulnerabilities
        .clone()
        .expect("limits");
    assert_eq!(limits.max_severity, VulnerabilitySeverity::Medium);
    assert_eq!(limits.allow_cves, ["CVE-2024-3094", "GHSA-jfh8-c2jp-5v3q"]);
    assert_eq!(limits.max_scan_age, Some(Duration::from_hours(168)));
}

#[test]
fn a_condition_that_no_statement_of_the_type_can_meet_is_refused() {
    for (predicate, condition) in [
        ("vuln", "builder: x"),
        ("vuln", "source: x"),
        ("spdx", "ref: x"),
        ("custom", "builder: x"),
        ("'https://slsa.dev/provenance/v0.1'", "builder: x"),
        ("slsaprovenance1", "vulnerabilities: {maxSeverity: low}"),
        ("cyclonedx", "vulnerabilities: {maxSeverity: low}"),
        ("custom", "maxAge: 1d"),
        ("link", "maxAge: 1d"),
        ("'https://example.com/review/v1'", "maxAge: 1d"),
    ] {
        assert_refused(&of_type(predicate, condition), "can meet this: only");
    }
    for (predicate, condition) in [
        (
            "slsaprovenance02",
            "builder: x, source: y, ref: z, maxAge: 1d",
        ),
        (
            "'https://in-toto.io/attestation/vulns/v0.1'",
            "vulnerabilities: {maxSeverity: low}",
        ),
        (
            "'https://in-toto.io/attestation/vulns/v0.2'",
            "vulnerabilities: {maxSeverity: low}, maxAge: 1d",
        ),
        ("cyclonedx", "maxAge: 1d"),
        ("'https://spdx.dev/Document/v2.3'", "maxAge: 1d"),
        ("spdxjson", "maxAge: 1d"),
        ("custom", "cel: 'true'"),
    ] {
        loaded(&of_type(predicate, condition));
    }
}

#[test]
fn a_condition_that_is_not_understood_is_refused() {
    for (predicate, condition, expected) in [
        ("vuln", "vulnerabilities: {}", "`maxSeverity` is missing"),
        (
            "vuln",
            "vulnerabilities: {maxSeverity: moderate}",
            "must be one of `none`",
        ),
        (
            "vuln",
            "vulnerabilities: {maxSeverity: High}",
            "must be one of `none`",
        ),
        ("vuln", "vulnerabilities: null", "must be a mapping"),
        (
            "vuln",
            "vulnerabilities: {maxSeverity: low, allowCVE: [x]}",
            "unknown field",
        ),
        (
            "vuln",
            "vulnerabilities: {maxSeverity: low, allowCVEs: []}",
            "the list is empty",
        ),
        (
            "vuln",
            "vulnerabilities: {maxSeverity: low, allowCVEs: [CVE-1, CVE-1]}",
            "given twice",
        ),
        (
            "vuln",
            "vulnerabilities: {maxSeverity: low, allowCVEs: ['CVE-*']}",
            "not the name of a vulnerability",
        ),
        (
            "vuln",
            "vulnerabilities: {maxSeverity: low, maxScanAge: 7}",
            "must be text",
        ),
        (
            "vuln",
            "vulnerabilities: {maxSeverity: low, maxScanAge: 0d}",
            "not a length of time",
        ),
        ("slsaprovenance1", "maxAge: soon", "not a length of time"),
        ("slsaprovenance1", "builder: ''", "must not be empty"),
        ("slsaprovenance1", "reference: x", "unknown field"),
        ("slsaprovenance1", "cel: ''", "must not be empty"),
        ("slsaprovenance1", "cel: true", "must be text"),
        ("slsaprovenance1", "annotations: {a: b}", "unknown field"),
        ("slsaprovenance1", "threshold: 2", "between 1 and"),
    ] {
        assert_refused(&of_type(predicate, condition), expected);
    }
}

#[test]
fn a_statement_by_nobody_in_particular_is_refused() {
    assert_refused(
        &with("{attestations: {predicateType: vuln}}"),
        "nobody is named",
    );
    assert_refused(
        &with("{attestations: [{predicateType: vuln, keys: [{pem: K}]}]}"),
        "must be a mapping",
    );
}

#[test]
fn a_builder_that_serves_everyone_needs_a_source() {
    let generator = |condition: &str| {
        with(&format!(
            "{{attestations: {{predicateType: slsaprovenance02, identities: [{{identity: {{glob: 'https://github.com/slsa-framework/slsa-github-generator/.github/workflows/generator_container_slsa3.yml@refs/tags/v*'}}, issuer: 'https://token.actions.githubusercontent.com'}}]{condition}}}}}"
        ))
    };
    assert_lint(&generator(""), "name the repository under `source`");
    assert_no_lint(&generator(", source: 'https://github.com/acme/app'"));
}

#[test]
fn a_source_in_a_spelling_that_would_never_match_is_refused() {
    for spelling in [
        "'git+https://git.example.com/shop/app'",
        "'https://git.example.com/shop/app.git'",
        "'https://git.example.com/shop/app/'",
        "{glob: 'git+https://git.example.com/shop/*'}",
    ] {
        assert_refused(
            &of_type("slsaprovenance1", &format!("source: {spelling}")),
            "leave them out",
        );
    }
    assert_no_lint(&of_type(
        "slsaprovenance1",
        "source: 'https://git.example.com/shop/app'",
    ));
}

#[test]
fn a_condition_that_everything_meets_is_pointed_out() {
    assert_lint(
        &of_type("slsaprovenance1", "source: {glob: '*'}"),
        "every `source` satisfies this",
    );
    assert_lint(
        &of_type(
            "slsaprovenance1",
            "builder: {regex: 'https://builder.example.com/.*'}",
        ),
        "`builder`: `.` stands for any character",
    );
    assert_lint(
        &of_type("vuln", "vulnerabilities: {maxSeverity: critical}"),
        "allows every vulnerability",
    );
    assert_no_lint(&of_type("vuln", "vulnerabilities: {maxSeverity: high}"));
}
