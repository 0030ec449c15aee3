//! Which rule an image falls under.

use crate::common::*;
use portcullis_policy::ImageReference;

#[test]
fn names_match_as_written_without_docker_normalisation() {
    let set = loaded(&portieris("[{name: 'docker.io/*'}, {name: 'quay.io/x'}]")).set;
    assert!(patterns(&set, Some("shop"), "nginx").is_empty());
    assert_eq!(
        patterns(&set, Some("shop"), "docker.io/nginx"),
        ["docker.io/*"]
    );
    for (pattern, expected) in [
        ("nginx", true),
        ("*", true),
        ("*nginx", true),
        ("library/nginx", false),
        ("docker.io/library/nginx", false),
    ] {
        let set = loaded(&portieris(&format!("[{{name: '{pattern}'}}]"))).set;
        assert_eq!(
            !patterns(&set, Some("shop"), "nginx").is_empty(),
            expected,
            "{pattern}"
        );
    }
}

#[test]
fn a_repository_covers_its_tags_but_not_its_digests() {
    let set = loaded(&portieris("[{name: 'r.io/ns/img'}]")).set;
    let matches = |image: &str| !patterns(&set, Some("shop"), image).is_empty();
    assert!(matches("r.io/ns/img"));
    assert!(matches("r.io/ns/img:1"));
    assert!(matches("r.io/ns/img:1@sha256:HEX"));
    assert!(!matches("r.io/ns/img@sha256:HEX"));
    assert!(!matches("r.io/ns/imgx:1"));
    assert!(!matches("r.io/ns/img/x:1"));
    let set = loaded(&portieris("[{name: 'r.io/ns/img@*'}]")).set;
    assert_eq!(
        patterns(&set, Some("shop"), "r.io/ns/img@sha256:HEX"),
        ["r.io/ns/img@*"]
    );
}

/// Fixed in 0.14.2: the whole string used to be one glob.
#[test]
fn a_host_wildcard_does_not_reach_into_the_path() {
    let set = loaded(&portieris("[{name: '*.icr.io/armada/*'}]")).set;
    assert!(patterns(&set, Some("shop"), "evil.com/x.icr.io/armada/y").is_empty());
    assert_eq!(
        patterns(&set, Some("shop"), "us.icr.io/armada/y"),
        ["*.icr.io/armada/*"]
    );
    assert_eq!(
        patterns(&set, Some("shop"), "us.icr.io/armada/y/z:1"),
        ["*.icr.io/armada/*"]
    );
}

#[test]
fn a_pattern_without_slash_is_not_anchored_and_lint_says_so() {
    let text = portieris("[{name: 'icr.io*'}]");
    let set = loaded(&text).set;
    assert_eq!(
        patterns(&set, Some("shop"), "icr.io.evil.com/x"),
        ["icr.io*"]
    );
    let warnings = linted(&text);
    assert!(
        warnings
            .iter()
            .any(|warning| warning.contains("icr.io.example.net")),
        "{warnings:?}"
    );
}

#[test]
fn matching_is_case_sensitive_and_has_no_other_wildcards() {
    let set = loaded(&portieris("[{name: 'r.io/ab*'}]")).set;
    assert!(patterns(&set, Some("shop"), "R.io/abc").is_empty());
    assert_refused(
        &portieris("[{name: 'r.io/a?'}]"),
        "never occurs in an image reference",
    );
    assert_refused(
        &portieris("[{name: 'r.io/{a,b}'}]"),
        "never occurs in an image reference",
    );
}

#[test]
fn a_literal_name_wins_over_longer_patterns() {
    let set = loaded(&portieris(
        "[{name: 'r.io/img:1*******'}, {name: 'r.io/img:1'}, {name: 'r.io/*mg:1'}]",
    ))
    .set;
    assert_eq!(patterns(&set, Some("shop"), "r.io/img:1"), ["r.io/img:1"]);
}

#[test]
fn the_first_of_a_tie_does_not_win_all_of_it_must_hold() {
    let set = loaded(&portieris("[{name: 'r.io/a*'}, {name: 'r.io/*a'}]")).set;
    assert_eq!(
        patterns(&set, Some("shop"), "r.io/aa"),
        ["r.io/*a", "r.io/a*"]
    );
}

#[test]
fn the_same_pattern_with_two_meanings_is_refused_and_not_decided_by_list_order() {
    let reject = "{simple: {requirements: [{type: reject}]}}";
    let text = format!("[{{name: 'r.io/*'}}, {{name: 'r.io/*', policy: {reject}}}]");
    let errors = refused(&portieris(&text));
    assert!(
        errors
            .iter()
            .any(|e| e.contains("p.yaml:5:") && e.contains("spec.repositories[0].name")),
        "{errors:?}"
    );
    let across = format!(
        "{}---\n{}",
        portieris("[{name: 'r.io/*'}]"),
        portieris(&format!("[{{name: 'r.io/*', policy: {reject}}}]"))
            .replace("name: apps", "name: more")
    );
    assert_refused(&across, "the order of files decides nothing");
    let repeated = format!(
        "{}---\n{}---\n{}",
        portieris("[{name: 'r.io/*'}, {name: 'r.io/*'}]"),
        portieris("[{name: 'r.io/*', policy: {}}]").replace("name: apps", "name: more"),
        portieris_beta("[{name: 'r.io/*'}]"),
    );
    assert_eq!(loaded(&repeated).set.rules.len(), 1);
}

#[test]
fn policies_of_a_namespace_are_one_list_across_groups_and_cluster_policies_are_not_read() {
    let text = format!(
        "{}---\n{}---\n{}---\n{}",
        portieris("[{name: 'a.io/*'}]"),
        portieris_beta("[{name: 'b.io/*'}]"),
        ours("[{name: 'c.io/*', policy: {allow: {}}}]"),
        portieris_cluster("[{name: 'd.io/*'}]"),
    );
    let set = loaded(&text).set;
    for (image, expected) in [
        ("a.io/x", true),
        ("b.io/x", true),
        ("c.io/x", true),
        ("d.io/x", false),
    ] {
        assert_eq!(
            !patterns(&set, Some("shop"), image).is_empty(),
            expected,
            "{image}"
        );
        assert_eq!(
            !patterns(&set, Some("other"), image).is_empty(),
            !expected,
            "{image}"
        );
    }
}

#[test]
fn a_blank_image_is_no_image_and_not_skipped() {
    assert!(ImageReference::parse("").is_err());
    assert!(ImageReference::parse(" ").is_err());
}
