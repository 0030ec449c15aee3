//! One format per namespace: what would have to be merged refuses the set, naming both places.

mod common;

use common::*;
use portcullis_policy::Severity;
use portcullis_policy::load::{LoadOptions, load};

const CONTAINERS: &str = r#"{"default": [{"type": "reject"}]}"#;
const NOTATION: &str = r#"{"version": "1.0", "trustPolicies": [
    {"name": "a", "registryScopes": ["*"], "signatureVerification": {"level": "skip"}}]}"#;

fn cluster() -> String {
    policy(
        "portcullis.dev/v1",
        "ClusterImagePolicy",
        "{name: all}",
        "[]",
    )
}

fn namespaced() -> String {
    ours("[{name: '*', policy: {allow: {}}}]")
}

fn errors(files: &[(&str, &str)]) -> Vec<String> {
    let files: Vec<_> = files.iter().map(|(name, text)| file(name, text)).collect();
    match load(&files, &LoadOptions::default()) {
        Ok(_) => Vec::new(),
        Err(found) => {
            let errors = found
                .into_iter()
                .filter(|one| one.severity == Severity::Error);
            texts(&errors.collect::<Vec<_>>())
        }
    }
}

#[test]
fn two_formats_for_the_cluster_refuse_the_set() {
    for (first, second) in [
        (
            ("a.yaml", cluster().as_str()),
            ("containers/policy.json", CONTAINERS),
        ),
        (
            ("a.yaml", cluster().as_str()),
            ("notation/trustpolicy.json", NOTATION),
        ),
        (
            ("containers/policy.json", CONTAINERS),
            ("notation/trustpolicy.json", NOTATION),
        ),
    ] {
        let found = errors(&[first, second]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].contains(first.0) && found[0].contains(second.0),
            "{found:?}"
        );
        assert!(
            found[0].contains("the cluster has policy of another format"),
            "{found:?}"
        );
    }
}

#[test]
fn two_formats_for_a_namespace_refuse_the_set() {
    let found = errors(&[
        ("a.yaml", &namespaced()),
        ("containers/shop.json", CONTAINERS),
    ]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("a.yaml:1:1") && found[0].contains("namespace `shop`"),
        "{found:?}"
    );
}

#[test]
fn different_scopes_may_have_different_formats() {
    for files in [
        [
            ("a.yaml", namespaced().as_str()),
            ("containers/policy.json", CONTAINERS),
        ],
        [
            ("a.yaml", cluster().as_str()),
            ("containers/shop.json", CONTAINERS),
        ],
        [
            ("containers/shop.json", CONTAINERS),
            ("notation/trustpolicy.json", NOTATION),
        ],
    ] {
        assert_eq!(errors(&files), Vec::<String>::new());
    }
}

#[test]
fn a_broken_file_claims_its_scope_all_the_same() {
    let found = errors(&[("a.yaml", &cluster()), ("containers/policy.json", "{")]);
    assert!(
        found.iter().any(|e| e.contains("not valid YAML")),
        "{found:?}"
    );
    assert!(
        found.iter().any(|e| e.contains("another format")),
        "{found:?}"
    );
}
