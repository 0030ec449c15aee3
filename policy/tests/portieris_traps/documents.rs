//! What a document says, leaves out or misspells.

use crate::common::*;
use portcullis_policy::model::{Requirement, Scope};
use portcullis_policy::select::Selection;

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

#[test]
fn a_label_or_an_owner_skips_nothing() {
    // Portieris leaves alone what carries its label or names an owner of the right kind, whether or not that exists.
    let plain = "{name: apps, namespace: shop}";
    let skipping = "{name: apps, namespace: shop, \
                    labels: {securityenforcement.admission.cloud.ibm.com/namespace: skip}, \
                    annotations: {securityenforcement.admission.cloud.ibm.com/namespace: skip}, \
                    ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: x, uid: x}]}";
    let decided = |metadata: &str| {
        let text = policy(
            "portieris.cloud.ibm.com/v1",
            "ImagePolicy",
            metadata,
            "[{name: 'r.io/*', policy: {simple: {requirements: [{type: reject}]}}}]",
        );
        let set = loaded(&text).set;
        let rules = governing(&set, Some("shop"), "r.io/a:1");
        rules
            .iter()
            .map(|rule| rule.requirement.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(decided(plain), [Requirement::Deny { reason: None }]);
    assert_eq!(decided(skipping), decided(plain));
}
