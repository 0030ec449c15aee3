//! Our own kind: its fields, its requirements, and what it refuses to leave unsaid.

mod common;

use std::time::Duration;

use common::*;
use portcullis_policy::load::{LoadOptions, load};
use portcullis_policy::model::{Mode, Requirement, TagRule};

const TRUST: &str = "trust: {trustServer: 'https://notary.example.com'}";

#[test]
fn the_fields_of_a_rule_are_read() {
    let text = ours(
        "[{name: r.io/app, mode: audit, tags: immutable, maxEvidenceAge: 1d12h, policy: {allow: {}}}, {name: nginx, policy: {deny: {reason: no nginx here}}}]",
    );
    let set = loaded(&text).set;
    let [first, second] = set.rules.as_slice() else {
        panic!("two rules: {set:#?}");
    };
    assert_eq!(
        (first.mode, first.tags),
        (Some(Mode::Audit), TagRule::Immutable)
    );
    assert_eq!(first.max_evidence_age, Some(Duration::from_hours(36)));
    assert_eq!(
        (second.mode, second.tags, second.max_evidence_age),
        (None, TagRule::Floating, None)
    );
    assert_eq!(
        second.requirement,
        Requirement::Deny {
            reason: Some("no nginx here".into())
        }
    );
    assert_eq!(second.document, "ImagePolicy/apps");
    assert_eq!(
        second.span.to_string(),
        "p.yaml:5:117 (spec.repositories[1].name)"
    );
}

#[test]
fn silence_is_never_read_as_allow() {
    assert_refused(&ours("[{name: r.io/app}]"), "`policy` is missing");
    assert_refused(&with("null"), "`policy` is missing");
    assert_refused(&with("{}"), "exactly one of");
    assert_refused(&with("{allow: }"), "must be `allow: {}`");
    assert_refused(&with("{allow: true}"), "must be `allow: {}`");
    assert_refused(&with("{allow: {a: b}}"), "must be `allow: {}`");
    assert_refused(&with("{trust: {enabled: false}}"), "switched off");
}

#[test]
fn a_policy_has_exactly_one_known_requirement() {
    assert_refused(
        &with(&format!("{{{TRUST}, allow: {{}}}}")),
        "list them under `allOf`",
    );
    assert_refused(&with("{cosgin: {}}"), "unknown requirement");
    assert_refused(
        &with("{vulnerability: {}}"),
        "does not exist in portcullis.dev/v1",
    );
    assert_refused(
        &ours("[{name: r.io/app, allow: {}}]"),
        "`allow` belongs inside `policy`",
    );
}

#[test]
fn values_outside_the_words_are_refused() {
    for (fields, expected) in [
        ("mode: warn", "`enforce`, `audit`"),
        ("tags: signd", "`floating`, `signed`, `immutable`"),
        ("maxEvidenceAge: forever", "not a length of time"),
        ("maxEvidenceAge: 30", "must be text"),
        ("mode: null", "must be text"),
    ] {
        assert_refused(
            &ours(&format!(
                "[{{name: r.io/app, {fields}, policy: {{allow: {{}}}}}}]"
            )),
            expected,
        );
    }
    assert_refused(&with("{deny: {reason: \"two\\nlines\"}}"), "one line");
    assert_refused(&with("{deny: {reason: ''}}"), "must not be empty");
    assert_refused(&with("{deny: {why: x}}"), "unknown field");
}

#[test]
fn requirements_nest() {
    let loaded = loaded(&with(&format!(
        "{{allOf: [{{{TRUST}}}, {{anyOf: {{threshold: 2, of: [{{allow: {{}}}}, {{deny: {{}}}}, {{{TRUST}}}]}}}}]}}"
    )));
    let Requirement::All(all) = requirement(&loaded) else {
        panic!("{loaded:?}");
    };
    let [
        Requirement::Notary(_),
        Requirement::Any { threshold: 2, of },
    ] = all.as_slice()
    else {
        panic!("{all:?}");
    };
    assert!(matches!(
        of.as_slice(),
        [
            Requirement::Allow,
            Requirement::Deny { .. },
            Requirement::Notary(_)
        ]
    ));
    assert!(matches!(
        requirement(&common::loaded(&with("{anyOf: [{allow: {}}, {deny: {}}]}"))),
        Requirement::Any { threshold: 1, of } if of.len() == 2
    ));
}

#[test]
fn a_choice_that_nothing_can_or_everything_does_satisfy_is_refused() {
    for (policy, expected) in [
        ("{allOf: []}", "an empty list requires nothing"),
        ("{anyOf: []}", "an empty list requires nothing"),
        (
            "{anyOf: {threshold: 1, of: []}}",
            "an empty list requires nothing",
        ),
        (
            "{anyOf: {threshold: 0, of: [{deny: {}}]}}",
            "must be between 1",
        ),
        (
            "{anyOf: {threshold: 3, of: [{deny: {}}, {deny: {}}]}}",
            "must be between 1",
        ),
        (
            "{anyOf: {threshold: -1, of: [{deny: {}}]}}",
            "must be a whole number",
        ),
        (
            "{anyOf: {threshold: 2, of: [{cosign: {keys: [{pem: A}]}}, {deny: {}}, {cosign: {keys: [{pem: A}]}}]}}",
            "has an alternative twice",
        ),
        ("{anyOf: {of: [MANY]}}", "more than 256 requirements"),
        ("{anyOf: {threshold: 1}}", "`of` is missing"),
        ("{allOf: {of: [{deny: {}}]}}", "must be a list"),
        ("{anyOf: {of: [{deny: {}}], treshold: 1}}", "unknown field"),
    ] {
        let many = ["{deny: {}}"; 257].join(", ");
        assert_refused(&with(&policy.replace("MANY", &many)), expected);
    }
    let mut deep = "{deny: {}}".to_owned();
    for _ in 0..10 {
        deep = format!("{{allOf: [{deep}]}}");
    }
    assert_refused(&with(&deep), "nest at most 8 deep");
}

#[test]
fn trust_is_read_with_root_and_signers() {
    let key_id = "ab".repeat(32);
    let text = format!(
        "{}{}",
        with(&format!(
            "{{trust: {{trustServer: 'https://notary.example.com:4443/', ca: /etc/portcullis/ca.pem, \
             pins: {{r.io/app: {key_id}, 'r.io/*': {key_id}}}, trustOnFirstUse: true, signerSecrets: [{{name: a}}], \
             signers: [{{name: bob, publicKey: KEY-B}}, {{name: team/carol, file: keys/carol.pub}}]}}}}"
        )),
        secret("shop", "a", "{name: alice, publicKey: KEY-A}")
    );
    let files = [file("p.yaml", &text), file("keys__carol.pub", "KEY-C")];
    let loaded = load(&files, &LoadOptions::default())
        .unwrap_or_else(|errors| panic!("{:#?}", texts(&errors)));
    let Requirement::Notary(notary) = requirement(&loaded) else {
        panic!("{loaded:?}");
    };
    assert_eq!(notary.trust.server, "https://notary.example.com:4443");
    assert_eq!(notary.trust.ca.as_deref(), Some("/etc/portcullis/ca.pem"));
    assert_eq!(notary.trust.pins.get("r.io/app"), Some(&key_id));
    assert!(notary.trust.trust_on_first_use);
    let signers: Vec<(&str, &[u8])> = notary
        .signers
        .iter()
        .map(|signer| (signer.name.as_str(), signer.public_key.as_slice()))
        .collect();
    assert_eq!(
        signers,
        [
            ("alice", b"KEY-A".as_slice()),
            ("bob", b"KEY-B"),
            ("team/carol", b"KEY-C")
        ]
    );
    assert!(loaded.warnings.is_empty(), "{:?}", texts(&loaded.warnings));
}

#[test]
fn a_trust_that_is_not_understood_completely_is_refused() {
    for (fields, expected) in [
        ("ca: ca.pem", "absolute path"),
        ("pins: {r.io/app: abc}", "64 lower-case hex digits"),
        ("pins: {'r.io/*/x': abc}", "or a prefix and `*`"),
        ("pins: []", "must be a mapping"),
        ("trustOnFirstUse: yes", "must be `true` or `false`"),
        ("signers: []", "no signer is named"),
        (
            "signers: [{name: bob}]",
            "either `publicKey` (PEM) or `file`",
        ),
        (
            "signers: [{name: bob, publicKey: K, file: a.pub}]",
            "either `publicKey` (PEM) or `file`",
        ),
        ("signers: [{publicKey: K}]", "`name` is missing"),
        ("signers: [{name: bob, publicKey: ''}]", "must not be empty"),
        (
            "signers: [{name: bob, file: a.pub}]",
            "there is no file `a.pub` in the policy directory",
        ),
        (
            "signers: [{name: bob, file: /etc/passwd}]",
            "is in `keys/`, or ends with .pem",
        ),
        ("signers: [{name: bob, file: ../a.pub}]", "there is no file"),
        (
            "signers: [{name: bob, publicKey: K}, {name: bob, publicKey: L}]",
            "signer `bob` has another key",
        ),
        ("pinz: {}", "unknown field"),
    ] {
        assert_refused(
            &with(&format!(
                "{{trust: {{trustServer: 'https://n.example.com', {fields}}}}}"
            )),
            expected,
        );
    }
    assert_refused(&with("{trust: {}}"), "no trust server");
}

#[test]
fn one_image_under_two_spellings_is_one_rule_or_a_contradiction() {
    let same = ours(
        "[{name: nginx, policy: {allow: {}}}, {name: docker.io/library/nginx, policy: {allow: {}}}]",
    );
    assert_eq!(loaded(&same).set.rules.len(), 1);
    let different = ours(
        "[{name: nginx, policy: {allow: {}}}, {name: docker.io/library/nginx, policy: {deny: {}}}]",
    );
    assert_refused(&different, "the order of files decides nothing");
    let mode = ours(
        "[{name: nginx, policy: {allow: {}}}, {name: nginx, mode: audit, policy: {allow: {}}}]",
    );
    assert_refused(&mode, "the order of files decides nothing");
}

#[test]
fn rules_of_both_dialects_may_tie_and_then_both_must_hold() {
    let text = format!(
        "{}---\n{}",
        ours("[{name: r.io/app, policy: {deny: {}}}]"),
        portieris("[{name: r.io/app}]")
    );
    assert_eq!(
        governing(&loaded(&text).set, Some("shop"), "r.io/app:1").len(),
        2
    );
}

#[test]
fn an_ambiguous_name_is_refused_with_what_to_write_instead() {
    let named = |name: &str| ours(&format!("[{{name: '{name}', policy: {{allow: {{}}}}}}]"));
    assert_refused(
        &named("registry.example.com"),
        "write `registry.example.com/*`",
    );
    assert_refused(&named("team-*/app"), "write `docker.io/team-*/app`");
    assert_refused(&named("nginx*"), "write `docker.io/library/nginx*`");
}
