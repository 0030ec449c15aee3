//! `annotations` of portcullis.dev/v1.

mod common;

use std::time::Duration;

use common::*;
use portcullis_policy::model::{AnnotationsRequirement, Requirement, TextMatch};

fn annotations(fields: &str) -> String {
    with(&format!("{{annotations: {{{fields}}}}}"))
}

fn annotations_of(requirement: &Requirement) -> &AnnotationsRequirement {
    match requirement {
        Requirement::Annotations(one) => one,
        other => panic!("{other:?}"),
    }
}

#[test]
fn short_names_stand_for_the_keys_of_the_image_specification() {
    let loaded = loaded(&annotations(
        "match: {team: shop}, source: {glob: 'https://example.com/acme/*'}, revision: abc, createdWithin: 90d",
    ));
    let found = annotations_of(requirement(&loaded));
    let values: Vec<(&str, &TextMatch)> = found
        .values
        .iter()
        .map(|(key, text)| (key.as_str(), text))
        .collect();
    assert_eq!(
        values,
        [
            (
                "org.opencontainers.image.revision",
                &TextMatch::Exact("abc".into())
            ),
            (
                "org.opencontainers.image.source",
                &TextMatch::Glob("https://example.com/acme/*".into())
            ),
            ("team", &TextMatch::Exact("shop".into())),
        ]
    );
    assert_eq!(found.max_age, Some(Duration::from_hours(90 * 24)));
}

#[test]
fn a_requirement_that_requires_nothing_is_refused() {
    assert_each_refused(
        annotations,
        &[
            ("", "nothing is required"),
            ("match: {}", "nothing is named here"),
            ("match: []", "must be a mapping"),
            ("match: {team: ''}", "must not be empty"),
            ("match: {team: 1}", "must be text"),
            ("match: {team: [a, b]}", "must be text"),
            ("source: null", "must be text"),
            ("createdWithin: 90", "must be text"),
            ("createdWithin: 90x", "not a length of time"),
            ("created: 90d", "unknown field"),
            (
                "source: a, match: {org.opencontainers.image.source: b}",
                "which stands under `match` too",
            ),
        ],
    );
}

#[test]
fn annotations_that_nothing_signs_are_pointed_out() {
    let alone = "{annotations: {source: s}}";
    let signed = "{cosign: {keys: [{pem: K}]}}";
    for weak in [
        alone.to_owned(),
        format!("{{anyOf: [{alone}, {signed}]}}"),
        format!("{{allOf: [{alone}, {{anyOf: [{{allow: {{}}}}, {signed}]}}]}}"),
    ] {
        assert_lint(&with(&weak), "nothing here needs a signature");
    }
    for sound in [
        format!("{{allOf: [{signed}, {alone}]}}"),
        format!("{{anyOf: {{threshold: 2, of: [{signed}, {alone}]}}}}"),
        format!("{{anyOf: [{{allOf: [{alone}, {signed}]}}, {signed}]}}"),
    ] {
        assert_no_lint(&with(&sound));
    }
}

#[test]
fn a_value_that_everything_has_is_pointed_out() {
    assert_lint(
        &with(
            "{allOf: [{cosign: {keys: [{pem: K}]}}, {annotations: {match: {team: {glob: '*'}}}}]}",
        ),
        "only its presence counts",
    );
}
