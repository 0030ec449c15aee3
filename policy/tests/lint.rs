//! What lint adds to the loader's warnings.

mod common;

use common::*;

fn open(name: &str) -> String {
    ours(&format!("[{{name: '{name}', policy: {{allow: {{}}}}}}]"))
}

#[test]
fn a_sound_set_has_no_findings() {
    let text = ours(
        "[{name: 'registry.example.com/shop/*', policy: {trust: {trustServer: 'https://n.example.com', trustOnFirstUse: true}}}, {name: '*', policy: {deny: {}}}]",
    );
    assert_eq!(linted(&text), Vec::<String>::new());
}

#[test]
fn lint_reports_the_errors_of_a_refused_set() {
    assert!(
        linted("kind: x\n")
            .iter()
            .any(|finding| finding.contains("error: `apiVersion` is missing"))
    );
}

#[test]
fn allowing_everything_is_pointed_out() {
    assert_lint(&open("*"), "allows every image");
    assert_lint(&portieris("[{name: '*'}]"), "allows every image");
}

#[test]
fn a_host_that_others_can_extend_is_pointed_out() {
    assert_lint(&portieris("[{name: 'icr.io*'}]"), "`icr.io.example.net`");
    assert_lint(
        &open("registry.example.com*/x"),
        "`registry.example.com.example.net`",
    );
    assert_lint(&open("*example.com/x"), "write `*.example.com`");
    for sound in ["*.example.com/x", "localhost:*/x", "*/x"] {
        assert!(
            !linted(&open(sound))
                .iter()
                .any(|finding| finding.contains("also matches hosts")),
            "{sound}"
        );
    }
}

#[test]
fn a_namespace_that_is_locked_is_pointed_out() {
    assert_lint(
        &portieris("[]"),
        "every image in namespace `shop` is refused",
    );
}

#[test]
fn a_secret_that_nobody_uses_is_pointed_out() {
    assert_lint(
        &format!(
            "{}{}",
            portieris("[{name: r.io/a}]"),
            secret("shop", "old", "{name: x}")
        ),
        "no policy uses Secret `old`",
    );
}

#[test]
fn a_pattern_that_matches_nothing_is_pointed_out() {
    assert_lint(&portieris("[{name: r.io/App}]"), "matches nothing");
    assert_lint(&portieris("[{name: 'r.io/App/*'}]"), "matches nothing");
    assert_lint(&portieris("[{name: r.io/ns/}]"), "matches nothing");
    assert_lint(&portieris("[{name: icr.io}]"), "write `icr.io/*`");
    assert_lint(&portieris("[{name: 'docker.io/*'}]"), "never `nginx`");
}

#[test]
fn a_deny_that_a_digest_escapes_is_pointed_out() {
    let reject = "{simple: {requirements: [{type: reject}]}}";
    assert_lint(
        &portieris(&format!("[{{name: r.io/app, policy: {reject}}}]")),
        "named by digest is judged by other rules",
    );
    assert_lint(
        &ours("[{name: 'r.io/app:1', policy: {deny: {}}}]"),
        "named by digest is judged by other rules",
    );
    assert!(linted(&ours("[{name: r.io/app, policy: {deny: {}}}]")).is_empty());
}

#[test]
fn a_choice_with_an_open_door_is_pointed_out() {
    assert_lint(
        &ours("[{name: r.io/app, policy: {anyOf: [{allow: {}}, {deny: {}}]}}]"),
        "satisfied by `allow`",
    );
}

#[test]
fn a_signer_who_counts_twice_towards_a_threshold_is_pointed_out() {
    let rule = |second: &str| {
        ours(&format!(
            "[{{name: r.io/app, policy: {{anyOf: {{threshold: 2, of: [{{cosign: {{keys: [{{pem: A}}, {{pem: B}}]}}}}, {second}]}}}}}}]"
        ))
    };
    let expected = "have a signer in common";
    for second in [
        "{cosign: {keys: [{pem: B}, {pem: C}]}}",
        "{anyOf: [{cosign: {keys: [{pem: C}]}}, {cosign: {keys: [{pem: A}], transparencyLog: ignore}}]}",
    ] {
        assert_lint(&rule(second), expected);
    }
    for second in [
        "{cosign: {keys: [{pem: C}]}}",
        "{simple: {keys: [{pem: A}]}}",
        "{cosign: {identities: [{identity: A, issuer: x}]}}",
    ] {
        assert_no_lint(&rule(second));
    }
}
