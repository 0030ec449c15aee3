//! Every trap that Portieris has for its users, with what happens here instead. Each test is named after the trap.

mod common;

use common::*;
use portcullis_policy::ImageReference;
use portcullis_policy::load::{LoadOptions, SourceFile, load};
use portcullis_policy::model::{NotaryRequirement, Requirement, Scope};
use portcullis_policy::select::Selection;

fn notary_of(requirement: &Requirement) -> &NotaryRequirement {
    match requirement {
        Requirement::Notary(notary) => notary,
        other => panic!("not a trust requirement: {other:?}"),
    }
}

const SERVER: &str = "trustServer: 'https://notary.example.com:4443'";

// Schema.

#[test]
fn an_absent_null_or_empty_policy_allows_with_a_warning() {
    for policy in [
        "{name: 'r.io/*'}",
        "{name: 'r.io/*', policy: null}",
        "{name: 'r.io/*', policy: }",
        "{name: 'r.io/*', policy: {}}",
    ] {
        for text in [
            portieris(&format!("[{policy}]")),
            portieris_cluster(&format!("[{policy}]")),
            portieris_beta(&format!("[{policy}]")),
        ] {
            let loaded = assert_warned(&text, "is allowed unverified");
            assert_eq!(requirement(&loaded), &Requirement::Allow);
        }
    }
}

#[test]
fn a_policy_with_nothing_switched_on_allows_with_a_warning() {
    for policy in [
        "{trust: {enabled: false}}",
        "{trust: {}}",
        "{trust: null}",
        "{mutateImage: true}",
    ] {
        let loaded = assert_warned(
            &portieris(&format!("[{{name: '*', policy: {policy}}}]")),
            "nothing in this policy is switched on",
        );
        assert_eq!(requirement(&loaded), &Requirement::Allow);
    }
}

#[test]
fn trust_beside_the_policy_is_refused_and_not_read_as_allow() {
    for sibling in [
        "trust: {enabled: true}",
        "simple: {requirements: [{type: reject}]}",
        "mutateImage: false",
    ] {
        assert_refused(
            &portieris(&format!("[{{name: '*', {sibling}}}]")),
            "belongs inside `policy`",
        );
        assert_refused(
            &portieris(&format!("[{{name: '*', policy: , {sibling}}}]")),
            "belongs inside `policy`",
        );
    }
}

#[test]
fn empty_repositories_deny_every_image_of_the_namespace() {
    let text = format!(
        "{}---\n{}",
        portieris("[]"),
        portieris_cluster("[{name: '*'}]")
    );
    let set = loaded(&text).set;
    let selection = set.select(Some("shop"), &reference("nginx"));
    assert_eq!(
        selection,
        Selection::NoRule {
            scope: Some(Scope::Namespace("shop".into()))
        }
    );
    assert_eq!(patterns(&set, Some("other"), "nginx"), ["*"]);
}

#[test]
fn missing_or_null_repositories_are_not_an_empty_list() {
    assert_refused(&portieris("null"), "must be a list");
    assert_refused(
        &portieris("[]").replace("  repositories: []", "  {}"),
        "`repositories` is missing",
    );
}

#[test]
fn a_repository_without_a_name_is_refused() {
    assert_refused(&portieris("[{policy: {}}]"), "`name` is missing");
    assert_refused(&portieris("[{name: '', policy: {}}]"), "cannot be empty");
}

#[test]
fn unknown_fields_are_refused_at_every_level() {
    for repositories in [
        "[{name: '*', polcy: {}}]",
        "[{name: '*', policy: {trsut: {enabled: true}}}]",
        "[{name: '*', policy: {trust: {enable: true}}}]",
        "[{name: '*', policy: {simple: {requirement: []}}}]",
        "[{name: '*', policy: {simple: {requirements: [{type: reject, keySecert: x}]}}}]",
        "[{name: '*', policy: {vulnerability: {iccrva: {}}}}]",
    ] {
        assert_refused(&portieris(repositories), "unknown field");
    }
}

#[test]
fn an_empty_requirement_list_is_refused_and_not_skipped() {
    for simple in ["{requirements: []}", "{}", "{requirements: null}"] {
        assert_refused(
            &portieris(&format!("[{{name: '*', policy: {{simple: {simple}}}}}]")),
            "`requirements` is empty",
        );
    }
}

#[test]
fn fields_that_a_group_does_not_have_are_refused() {
    let key = secret("shop", "k", "{key: armour}");
    let signed =
        "simple: {requirements: [{type: signedBy, keySecret: k, keySecretNamespace: shop}]}";
    let repositories = format!("[{{name: '*', policy: {{{signed}}}}}]");
    loaded(&format!("{}{key}", portieris(&repositories)));
    assert_refused(
        &format!("{}{key}", portieris_beta(&repositories)),
        "unknown field",
    );
    assert_refused(
        &portieris_beta("[{name: '*', policy: {mutateImage: true}}]"),
        "not a field of v1beta1",
    );
    assert_refused(
        &portieris("[{name: '*', policy: {va: {enabled: false}}}]"),
        "`va` is not a field",
    );
    assert_refused(
        &portieris("[{name: '*', mode: audit, policy: {}}]"),
        "field of portcullis.dev/v1",
    );
    assert_refused(
        &portieris("[{name: '*', policy: {cosign: {}}}]"),
        "change apiVersion to portcullis.dev/v1",
    );
}

#[test]
fn vulnerability_advisor_is_refused_when_on_and_never_ignored() {
    let advisor = |on: bool| {
        format!(
            "[{{name: '*', policy: {{vulnerability: {{ICCRVA: {{enabled: {on}, account: a}}}}}}}}]"
        )
    };
    assert_refused(
        &portieris(&advisor(true)),
        "spec.repositories[0].policy.vulnerability.ICCRVA.enabled",
    );
    assert_warned(
        &portieris(&advisor(false)),
        "vulnerability checks do not exist here",
    );
    assert_refused(
        &portieris_beta("[{name: '*', policy: {va: {enabled: true}}}]"),
        "`va.enabled: true` cannot be honoured",
    );
    assert_warned(
        &portieris_beta("[{name: '*', policy: {va: {enabled: false}}}]"),
        "can be removed",
    );
}

#[test]
fn mutate_image_changes_nothing_here() {
    let with = |value: &str| {
        portieris(&format!(
            "[{{name: 'r.io/*', policy: {{mutateImage: {value}}}}}]"
        ))
    };
    assert_warned(&with("false"), "has no effect");
    assert!(
        !texts(&loaded(&with("true")).warnings)
            .iter()
            .any(|warning| warning.contains("has no effect"))
    );
    assert_eq!(
        loaded(&with("true")).set,
        loaded(&with("null ")).set.clone()
    );
}

#[test]
fn a_boolean_of_yaml_1_1_is_refused_and_not_guessed() {
    for word in ["yes", "no", "on", "'true'", "1", "~x"] {
        assert_refused(
            &portieris(&format!(
                "[{{name: '*', policy: {{trust: {{enabled: {word}}}}}}}]"
            )),
            "must be `true` or `false`",
        );
    }
}

// Matching.

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

// What Portieris ships.

#[test]
fn the_policies_that_portieris_ships_load() {
    let names = "[{name: '*'}, {name: 'registry*.bluemix.net/armada/*'}, {name: 'registry*.bluemix.net/armada-worker/*'}, \
                 {name: '*.icr.io/armada/*'}, {name: 'icr.io/armada/*'}, {name: 'icr.io/ext/istio/*'}]";
    let text = format!(
        "{}---\n{}",
        portieris(names),
        portieris_cluster("[{name: '*', policy: null}]")
    );
    let set = loaded(&text).set;
    assert_eq!(
        patterns(&set, Some("shop"), "us.icr.io/armada/x:1"),
        ["*.icr.io/armada/*"]
    );
}

#[test]
fn what_kubectl_prints_loads() {
    let text = "
apiVersion: v1
items:
- apiVersion: portieris.cloud.ibm.com/v1
  kind: ImagePolicy
  metadata:
    annotations:
      kubectl.kubernetes.io/last-applied-configuration: |
        {\"apiVersion\": \"x\"}
    creationTimestamp: \"2026-01-01T00:00:00Z\"
    generation: 1
    labels: {app.kubernetes.io/managed-by: Helm}
    managedFields: [{manager: helm}]
    name: apps
    namespace: shop
    resourceVersion: \"12\"
    uid: 6b0cc5e5
    ownerReferences: []
  spec:
    repositories:
    - name: r.io/*
      policy: null
  status: {}
kind: List
metadata:
  resourceVersion: \"\"
";
    assert_eq!(
        patterns(&loaded(text).set, Some("shop"), "r.io/a"),
        ["r.io/*"]
    );
}

// trust.

#[test]
fn trust_is_off_unless_enabled_is_true() {
    let text = portieris(&format!(
        "[{{name: '*', policy: {{trust: {{{SERVER}, signerSecrets: [{{name: nobody}}]}}}}}}]"
    ));
    let loaded = assert_warned(
        &text,
        "`enabled` is not true, so that nothing here is checked",
    );
    assert_eq!(requirement(&loaded), &Requirement::Allow);
}

#[test]
fn no_registry_has_a_trust_server_built_in() {
    for name in ["docker.io/*", "quay.io/*", "us.icr.io/*", "nginx"] {
        assert_refused(
            &portieris(&format!(
                "[{{name: '{name}', policy: {{trust: {{enabled: true}}}}}}]"
            )),
            "no trust server",
        );
    }
}

#[test]
fn the_trust_server_may_come_from_the_node_if_it_covers_all_that_matches() {
    let text = |name: &str| {
        portieris(&format!(
            "[{{name: '{name}', policy: {{trust: {{enabled: true}}}}}}]"
        ))
    };
    let configured = options(&[
        ("docker.io/*", notary("https://n.example.com")),
        ("r.io/*", notary("https://other.example.com/")),
    ]);
    for (name, server) in [
        ("nginx", "https://n.example.com"),
        ("org/app", "https://n.example.com"),
        ("docker.io/*", "https://n.example.com"),
        ("r.io/shop/*", "https://other.example.com"),
    ] {
        let loaded = loaded_with(&text(name), &configured);
        assert_eq!(
            notary_of(requirement(&loaded)).trust.server,
            server,
            "{name}"
        );
    }
    for name in ["*", "nginx*", "r.io*", "*.io/x", "quay.io/x"] {
        assert!(
            refused_with(&text(name), &configured)
                .iter()
                .any(|e| e.contains("no trust server")),
            "{name}"
        );
    }
    let shadowed = options(&[
        ("r.io/shop/a", notary("https://a.example.com")),
        ("r.io/*", notary("https://b.example.com")),
    ]);
    assert!(
        refused_with(&text("r.io/shop/*"), &shadowed)
            .iter()
            .any(|e| e.contains("no trust server"))
    );
}

#[test]
fn the_first_root_seen_is_not_believed_unless_an_operator_says_so() {
    let text = portieris(&format!(
        "[{{name: 'r.io/*', policy: {{trust: {{enabled: true, {SERVER}}}}}}}]"
    ));
    let bare = assert_warned(
        &text,
        "no root is trusted for https://notary.example.com:4443",
    );
    assert!(!notary_of(requirement(&bare)).trust.trust_on_first_use);

    let mut server = notary("https://notary.example.com:4443/");
    server.ca = Some("/etc/ca.pem".to_owned());
    server.pins.insert("r.io/a".to_owned(), "ab".repeat(32));
    server.trust_on_first_use = true;
    let covered = loaded_with(&text, &options(&[("r.io/*", server.clone())]));
    let trust = &notary_of(requirement(&covered)).trust;
    assert!(trust.trust_on_first_use && trust.ca.is_some() && trust.pins.len() == 1);

    // Another server's entry lends nothing; one for other images lends pins and CA, which are bound, but not first use.
    let mut other = server.clone();
    other.server = "https://elsewhere.example.com".to_owned();
    let trust = notary_of(requirement(&loaded_with(
        &text,
        &options(&[("r.io/*", other)]),
    )))
    .trust
    .clone();
    assert_eq!(
        (trust.ca, trust.pins.len(), trust.trust_on_first_use),
        (None, 0, false)
    );
    let trust = notary_of(requirement(&loaded_with(
        &text,
        &options(&[("q.io/*", server)]),
    )))
    .trust
    .clone();
    assert_eq!((trust.pins.len(), trust.trust_on_first_use), (1, false));
}

#[test]
fn a_trust_server_without_tls_is_refused() {
    for url in [
        "http://notary.example.com",
        "notary.example.com",
        "https://",
        "https://u:p@notary.example.com",
        "https://n.example.com?x",
        "https://n.example.com:0",
    ] {
        let text = portieris(&format!(
            "[{{name: '*', policy: {{trust: {{enabled: true, trustServer: '{url}'}}}}}}]"
        ));
        assert_refused(&text, "spec.repositories[0].policy.trust.trustServer");
    }
}

#[test]
fn docker_hubs_notary_is_warned_about() {
    let text = portieris(
        "[{name: 'docker.io/*', policy: {trust: {enabled: true, trustServer: 'https://notary.docker.io'}}}]",
    );
    assert_warned(&text, "8 December 2026");
}

fn signed_by(secrets: &str) -> String {
    portieris(&format!(
        "[{{name: '*', policy: {{trust: {{enabled: true, {SERVER}, signerSecrets: [{secrets}]}}}}}}]"
    ))
}

#[test]
fn every_listed_signer_is_required() {
    let text = format!(
        "{}{}{}",
        signed_by("{name: a}, {name: b}"),
        secret("shop", "a", "{name: alice, publicKey: KEY-A}"),
        secret("shop", "b", "{name: bob, publicKey: KEY-B}")
    );
    let loaded = loaded(&text);
    let signers: Vec<(&str, &[u8])> = notary_of(requirement(&loaded))
        .signers
        .iter()
        .map(|signer| (signer.name.as_str(), signer.public_key.as_slice()))
        .collect();
    assert_eq!(
        signers,
        [("alice", b"KEY-A".as_slice()), ("bob", b"KEY-B".as_slice())]
    );
}

/// Portieris enforces the last one only.
#[test]
fn two_keys_under_one_signer_name_are_refused() {
    let secrets = |second: &str| {
        format!(
            "{}{}{}",
            signed_by("{name: a}, {name: b}"),
            secret("shop", "a", "{name: alice, publicKey: KEY-A}"),
            secret(
                "shop",
                "b",
                &format!("{{name: alice, publicKey: {second}}}")
            )
        )
    };
    assert_refused(
        &secrets("KEY-B"),
        "signer `alice` has another key at p.yaml:",
    );
    assert_eq!(
        notary_of(requirement(&loaded(&secrets("KEY-A"))))
            .signers
            .len(),
        1
    );
}

#[test]
fn a_signer_secret_that_is_missing_or_incomplete_refuses_the_set() {
    assert_refused(
        &signed_by("{name: a}"),
        "there is no Secret `a` for namespace `shop`",
    );
    let elsewhere = format!(
        "{}{}",
        signed_by("{name: a}"),
        secret("other", "a", "{name: alice, publicKey: K}")
    );
    assert_refused(&elsewhere, "there is no Secret `a` for namespace `shop`");
    for values in [
        "{name: alice}",
        "{publicKey: K}",
        "{name: '', publicKey: K}",
        "{name: alice, publicKey: ''}",
    ] {
        assert_refused(
            &format!("{}{}", signed_by("{name: a}"), secret("shop", "a", values)),
            "needs `name` (the signer) and `publicKey`",
        );
    }
    for name in ["\"alice\\n\"", "targets/alice", "Alice", "a//b"] {
        let text = format!(
            "{}{}",
            signed_by("{name: a}"),
            secret("shop", "a", &format!("{{name: {name}, publicKey: K}}"))
        );
        assert_refused(&text, "delegation without `targets/`");
    }
}

#[test]
fn a_private_key_is_refused_as_a_signers_key() {
    let pem = "\"-----BEGIN EC PRIVATE KEY-----\\nx\"";
    let text = format!(
        "{}{}",
        signed_by("{name: a}"),
        secret("shop", "a", &format!("{{name: alice, publicKey: {pem}}}"))
    );
    let errors = refused(&text);
    assert!(
        errors.iter().any(|e| e.contains("private key"))
            && !errors.iter().any(|e| e.contains("BEGIN")),
        "{errors:?}"
    );
}

/// Portieris reads it from the workload's namespace, so that whoever writes Secrets there chooses the trusted keys.
#[test]
fn a_cluster_policys_secret_is_the_only_one_of_its_name() {
    let cluster = portieris_cluster(&format!(
        "[{{name: '*', policy: {{trust: {{enabled: true, {SERVER}, signerSecrets: [{{name: a}}]}}}}}}]"
    ));
    let here = secret("ops", "a", "{name: alice, publicKey: K}");
    let same = secret("shop", "a", "{name: alice, publicKey: K}");
    let other = secret("shop", "a", "{name: alice, publicKey: OTHER}");
    assert_eq!(
        notary_of(requirement(&loaded(&format!("{cluster}{here}"))))
            .signers
            .len(),
        1
    );
    assert_eq!(
        notary_of(requirement(&loaded(&format!("{cluster}{here}{same}"))))
            .signers
            .len(),
        1
    );
    assert_refused(
        &format!("{cluster}{here}{other}"),
        "a cluster policy cannot choose",
    );
    assert_refused(&cluster, "there is no Secret `a` in the policy directory");
}

#[test]
fn trust_and_simple_on_one_repository_are_both_required_and_can_be_satisfied() {
    let text = format!(
        "{}{}",
        portieris(&format!(
            "[{{name: '*', policy: {{trust: {{enabled: true, {SERVER}}}, simple: {{requirements: [{{type: signedBy, keySecret: k}}]}}}}}}]"
        )),
        secret("shop", "k", "{key: armour}")
    );
    let loaded = assert_warned(&text, "`simple` is not verified by this version");
    match requirement(&loaded) {
        Requirement::All(of) => {
            assert!(
                matches!(of.as_slice(), [Requirement::Notary(_), Requirement::Unsupported { system, .. }] if system == "simple")
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_digest_reference_is_not_looked_up_as_latest() {
    assert_eq!(reference("r.io/a@sha256:HEX").tag(), None);
}

// simple.

fn simple(requirements: &str) -> String {
    format!(
        "{}{}",
        portieris(&format!(
            "[{{name: '*', policy: {{simple: {{requirements: [{requirements}]}}}}}}]"
        )),
        secret("shop", "k", "{key: armour}")
    )
}

#[test]
fn accepting_anything_and_rejecting_are_understood() {
    assert_eq!(
        requirement(&loaded(&simple("{type: insecureAcceptAnything}"))),
        &Requirement::Allow
    );
    assert_eq!(
        requirement(&loaded(&simple("{type: reject}"))),
        &Requirement::Deny { reason: None }
    );
}

#[test]
fn requirements_are_all_required() {
    let both = loaded(&simple(
        "{type: insecureAcceptAnything}, {type: signedBy, keySecret: k}",
    ));
    assert!(
        matches!(requirement(&both), Requirement::Unsupported { .. }),
        "accepting anything does not excuse the other"
    );
    let rejected = loaded(&simple("{type: signedBy, keySecret: k}, {type: reject}"));
    assert_eq!(requirement(&rejected), &Requirement::Deny { reason: None });
    let two = loaded(&simple(
        "{type: signedBy, keySecret: k}, {type: signedBy, keySecret: k, signedIdentity: {type: matchExact}}",
    ));
    assert!(matches!(requirement(&two), Requirement::All(of) if of.len() == 2));
}

#[test]
fn both_spellings_of_an_identity_are_read_and_their_fields_checked() {
    for identity in [
        "{type: ''}",
        "{}",
        "{type: matchExact}",
        "{type: matchRepository}",
        "{type: matchRepoDigestOrExact}",
        "{type: matchExactReference, dockerReference: 'r.io/a:1'}",
        "{type: exactReference, dockerReference: 'r.io/a:1'}",
        "{type: matchExactRepository, dockerRepository: r.io/a}",
        "{type: exactRepository, dockerRepository: r.io/a}",
        "{type: remapIdentity, prefix: a.io, signedPrefix: b.io}",
    ] {
        loaded(&simple(&format!(
            "{{type: signedBy, keySecret: k, signedIdentity: {identity}}}"
        )));
    }
    for (identity, expected) in [
        ("{type: matchEverything}", "must be one of"),
        ("{type: exactReference}", "`dockerReference` is missing"),
        (
            "{type: remapIdentity, prefix: a.io}",
            "`signedPrefix` is missing",
        ),
        (
            "{type: matchExact, dockerReference: x}",
            "does not belong to this `type`",
        ),
    ] {
        assert_refused(
            &simple(&format!(
                "{{type: signedBy, keySecret: k, signedIdentity: {identity}}}"
            )),
            expected,
        );
    }
}

#[test]
fn a_signed_by_without_a_usable_key_is_refused() {
    assert_refused(&simple("{type: signedBy}"), "`keySecret` is missing");
    assert_refused(
        &simple("{type: signedBy, keySecret: other}"),
        "there is no Secret `other`",
    );
    assert_refused(
        &simple("{type: signedBy, keySecret: k, keySecretNamespace: ops}"),
        "for namespace `ops`",
    );
    assert_refused(&simple("{type: signed}"), "must be one of");
    assert_refused(&simple("{keySecret: k}"), "`type` is missing");
    let empty = portieris(
        "[{name: '*', policy: {simple: {requirements: [{type: signedBy, keySecret: e}]}}}]",
    );
    assert_refused(
        &format!("{empty}{}", secret("shop", "e", "{publicKey: x}")),
        "has no `key`",
    );
}

#[test]
fn a_password_in_a_readable_file_is_refused_and_never_shown() {
    let text = format!(
        "{}{}{}",
        portieris(
            "[{name: '*', policy: {simple: {requirements: [{type: signedBy, keySecret: k}], storeURL: 'https://s.example.com', storeSecret: s}}}]"
        ),
        secret("shop", "k", "{key: armour}"),
        secret("shop", "s", "{username: u, password: hunter2}")
    );
    let with_mode = |mode| {
        let file = SourceFile {
            name: "p.yaml".into(),
            bytes: text.clone().into_bytes(),
            mode,
        };
        load(&[file], &LoadOptions::default())
            .map(|_| ())
            .map_err(|errors| texts(&errors))
    };
    assert_eq!(with_mode(Some(0o100_600)), Ok(()));
    assert_eq!(with_mode(None), Ok(()));
    for mode in [0o644, 0o640, 0o604, 0o100_644] {
        let errors = with_mode(Some(mode)).expect_err("is refused");
        assert!(errors.iter().any(|e| e.contains("chmod 600")), "{errors:?}");
        assert!(!errors.iter().any(|e| e.contains("hunter2")), "{errors:?}");
    }
}

#[test]
fn a_signature_store_is_complete_or_refused() {
    let store = |fields: &str| {
        format!(
            "{}{}{}",
            portieris(&format!(
                "[{{name: '*', policy: {{simple: {{requirements: [{{type: signedBy, keySecret: k}}], {fields}}}}}}}]"
            )),
            secret("shop", "k", "{key: armour}"),
            secret("shop", "s", "{username: u}")
        )
    };
    loaded(&store("storeURL: 'http://s.example.com'"));
    assert_refused(&store("storeURL: 'ftp://s.example.com'"), "must begin with");
    assert_refused(&store("storeSecret: s"), "and there is none");
    assert_refused(
        &store("storeURL: 'https://s.example.com', storeSecret: s"),
        "has no `username` and `password`",
    );
}
