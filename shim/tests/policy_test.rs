//! `portcullis policy test`: cases, recorded evidence, exit statuses.

mod ops_support;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use ops_support::{Node, stderr, stdout};
use portcullis_trust::evidence::{Artefact, ArtefactKind, Recorded, SignatureSet, SignatureSource};
use portcullis_trust::{Evidence, Timestamp};
use serde_json::Value;

const POLICY: &str = "\
apiVersion: portcullis.dev/v1
kind: ImagePolicy
metadata: {name: apps, namespace: shop}
spec:
  repositories:
  - name: registry.example.com/shop/*
    policy:
      attestations:
        predicateType: slsaprovenance1
        keys: [{file: keys/builder.pub}]
        transparencyLog: ignore
        source: https://git.example.com/shop/app
        maxAge: 30d
        cel: predicate.buildDefinition.internalParameters.github.runner_environment == 'github-hosted'
  - name: registry.example.com/shop/retired
    policy: {deny: {reason: retired in May}}
  - name: registry.example.com/shop/tried
    mode: audit
    policy: {deny: {}}
";

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../trust/tests/fixtures/attestation");
    fs::read(folder.join(name)).unwrap()
}

/// A node with the policy, a key, and evidence by the real cosign for registry.example.com/shop/app:1.
fn node() -> Node {
    let node = Node::new();
    node.write("policy.d/apps.yaml", POLICY);
    fs::create_dir_all(node.path("policy.d/keys")).unwrap();
    fs::write(
        node.path("policy.d/keys/builder.pub"),
        fixture("keys/builder.pub"),
    )
    .unwrap();
    fs::create_dir(node.path("evidence")).unwrap();
    let digest = String::from_utf8(fixture("digest")).unwrap();
    let digest = digest.trim().parse().unwrap();
    let at = Timestamp::parse("2026-11-21T00:00:00Z").unwrap();
    let bundles = SignatureSet {
        source: SignatureSource::Bundles,
        repository: "registry.example.com/shop/app".to_owned(),
        subject: digest,
        artefacts: vec![Artefact {
            kind: ArtefactKind::SigstoreBundle,
            bytes: fixture("bundle/slsa1.json"),
            annotations: [].into(),
        }],
        earlier: Vec::new(),
        truncated: false,
        gathered_at: at,
    };
    let recorded = Recorded {
        version: 1,
        image: "registry.example.com/shop/app:1".to_owned(),
        digest,
        recorded_at: at,
        evidence: Evidence {
            signatures: vec![Arc::new(bundles)],
            ..Evidence::default()
        },
    };
    let text = serde_json::to_string(&recorded).unwrap();
    node.write("evidence/app.json", &text);
    node
}

const GOOD: &str = "\
evidence: ['evidence/*.json']
cases:
- {name: built by us, namespace: shop, image: 'registry.example.com/shop/app:1', expect: allow, rule: 'apps.yaml: registry.example.com/shop/*'}
- {namespace: shop, image: 'registry.example.com/shop/app:1', expect: deny, now: 2027-11-21T00:00:00Z, denial: 'more than 30d ago'}
- {namespace: shop, image: 'registry.example.com/shop/unsigned:1', expect: deny}
- {namespace: shop, image: 'registry.example.com/shop/retired', expect: deny, denial: retired in May}
- {namespace: shop, image: 'registry.example.com/shop/tried', expect: wouldDeny}
- {namespace: shop, image: nginx, expect: deny}
- {image: nginx, expect: deny}
";

#[test]
fn a_policy_is_tried_on_recorded_evidence_without_a_network() {
    let node = node();
    node.write("cases.yaml", GOOD);
    let cases = node.path("cases.yaml");
    let policy = node.path("policy.d");
    let (cases, policy) = (cases.to_str().unwrap(), policy.to_str().unwrap());
    for args in [
        &["policy", "test", cases, "--policy", policy][..],
        &["policy", "test", cases],
    ] {
        let output = node.run(args);
        let text = stdout(&output);
        assert_eq!(output.status.code(), Some(0), "{text}{}", stderr(&output));
        assert!(text.ends_with("ok: 7 cases\n"), "{text}");
    }
}

#[test]
fn what_is_not_as_expected_is_1_and_says_why() {
    let node = node();
    node.write(
        "cases.yaml",
        &GOOD.replace("image: nginx, expect: deny", "image: nginx, expect: allow"),
    );
    let cases = node.path("cases.yaml");
    let args = ["policy", "test", cases.to_str().unwrap()];
    let output = node.run(&args);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("expected allow, got deny"), "{text}");
    assert!(text.ends_with("failed: 2 of 7 cases\n"), "{text}");
    let json = node.run(&[&args[..], &["--output", "json"]].concat());
    let report: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(
        (&report["cases"], &report["failed"]),
        (&7.into(), &2.into())
    );
    let failed = &report["results"][5];
    assert_eq!(failed["ok"], false);
    assert_eq!(failed["expected"], "allow");
    assert_eq!(failed["found"], "deny");
    assert_eq!(report["results"][0]["rules"][0]["file"], "apps.yaml");
    assert_eq!(report["results"][4]["found"], "wouldDeny");
}

#[test]
fn files_that_cannot_be_used_are_2_and_named() {
    let node = node();
    let one = "{image: nginx, expect: deny}";
    for (file, expected) in [
        (String::new(), "cases.yaml:"),
        ("cases: []".to_owned(), "there is no case in it"),
        (format!("cases: [{one}]\nnow: yesterday"), "not a time"),
        (format!("cases: [{one}]\nnwo: x"), "nwo"),
        ("cases: [{image: nginx}]".to_owned(), "expect"),
        (
            "cases: [{image: nginx, expect: denied}]".to_owned(),
            "denied",
        ),
        (
            format!("evidence: [none.json]\ncases: [{one}]"),
            "none.json",
        ),
        (
            format!("evidence: ['none*.json']\ncases: [{one}]"),
            "there is no such file",
        ),
        (
            format!("evidence: ['cases.yaml']\ncases: [{one}]"),
            "check --record` writes it",
        ),
        (
            format!("evidence: [evidence/old.json]\ncases: [{one}]"),
            "record it again",
        ),
    ] {
        node.write("cases.yaml", &file);
        let app = fs::read_to_string(node.path("evidence/app.json")).unwrap();
        node.write(
            "evidence/old.json",
            &app.replace("\"version\":1", "\"version\":2"),
        );
        let cases = node.path("cases.yaml");
        let output = node.run(&["policy", "test", cases.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2), "{file}: {}", stdout(&output));
        assert!(
            stderr(&output).contains(expected),
            "{file}: {}",
            stderr(&output)
        );
        assert!(output.stdout.is_empty());
    }
    node.write("cases.yaml", GOOD);
    let cases = node.path("cases.yaml");
    for policy in ["nowhere", "evidence/app.yaml"] {
        let policy = node.path(policy);
        let args = [
            "policy",
            "test",
            cases.to_str().unwrap(),
            "--policy",
            policy.to_str().unwrap(),
        ];
        assert_eq!(node.run(&args).status.code(), Some(2));
    }
    node.write(
        "policy.d/apps.yaml",
        &POLICY.replace("builder.pub", "missing.pub"),
    );
    let output = node.run(&["policy", "test", cases.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("the policy does not load"),
        "{}",
        stderr(&output)
    );
}
