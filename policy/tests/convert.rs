//! A set written as `portcullis.dev/v1` loads, judges every image as before, and says where it does not.

mod common;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::*;
use portcullis_policy::PolicySet;
use portcullis_policy::convert::{Converted, convert};
use portcullis_policy::load::{LoadOptions, SourceFile, load};
use portcullis_policy::model::{Requirement, Rule, SignatureStore};
use proptest::prelude::*;

fn load_files(files: &[(&str, &str)]) -> PolicySet {
    let files: Vec<SourceFile> = files.iter().map(|(n, t)| file(n, t)).collect();
    load(&files, &LoadOptions::default())
        .unwrap_or_else(|errors| panic!("{:#?}", texts(&errors)))
        .set
}

fn converted(files: &[(&str, &str)]) -> (PolicySet, Converted, PolicySet) {
    let old = load_files(files);
    let converted = convert(&old).unwrap_or_else(|error| panic!("{error}"));
    let new = load_files(&[("converted.yaml", &converted.text)]);
    (old, converted, new)
}

fn differing(converted: &Converted) -> Vec<&str> {
    let notes = converted.notes.iter().filter(|note| note.differs);
    notes.map(|note| note.message.as_str()).collect()
}

/// What governs an image, with stores of registries.d looked up.
fn judged(set: &PolicySet, namespace: Option<&str>, image: &str) -> Vec<Requirement> {
    let image = reference(image);
    let resolve = |rule: &Rule| {
        let mut requirement = rule.requirement.clone().without_places();
        if let Requirement::Simple(simple) = &mut requirement
            && let SignatureStore::RegistriesD(stores) = &simple.store
        {
            simple.store = match stores.lookaside(&image) {
                None => SignatureStore::RegistryExtension,
                Some(url) => SignatureStore::Lookaside(portcullis_policy::model::Lookaside {
                    url: url.clone(),
                    password: None,
                }),
            };
        }
        requirement
    };
    governing(set, namespace, image.raw())
        .into_iter()
        .map(resolve)
        .collect()
}

/// A different keyring for each scope, so that no two rules say the same.
fn signed_by(number: usize) -> String {
    let data = STANDARD.encode(format!("key {number}"));
    format!(r#"[{{"type": "signedBy", "keyType": "GPGKeys", "keyData": "{data}"}}]"#)
}

#[test]
fn scopes_of_policy_json_become_patterns_without_a_difference() {
    let scopes = [
        "",
        "*.example.com",
        "r.example.com",
        "r.example.com/a",
        "r.example.com/a/b:1",
        "docker.io/org",
        "docker.io/library/nginx",
    ];
    let listed: Vec<String> = scopes
        .iter()
        .enumerate()
        .map(|(number, scope)| format!(r#""{scope}": {}"#, signed_by(number)))
        .collect();
    let policy = format!(
        r#"{{"default": [{{"type": "reject"}}], "transports": {{"docker": {{{}}}}}}}"#,
        listed.join(", ")
    );
    let shop = format!(r#"{{"default": {}}}"#, signed_by(50));
    let (old, report, new) = converted(&[
        ("containers/policy.json", &policy),
        ("containers/shop.json", &shop),
    ]);
    assert!(differing(&report).is_empty(), "{:?}", report.notes);
    for namespace in [None, Some("shop")] {
        for image in [
            "nginx",
            "nginx@sha256:HEX",
            "org/app",
            "busybox",
            "r.example.com/a/b:1",
            "r.example.com/a/b:2",
            "s.example.com:5000/x",
            "r.example.com:5000/x",
        ] {
            assert_eq!(
                judged(&old, namespace, image),
                judged(&new, namespace, image),
                "{image}"
            );
        }
    }
}

#[test]
fn a_store_for_a_part_of_a_scope_gets_a_rule_of_its_own() {
    let policy = format!(r#"{{"default": {}}}"#, signed_by(1));
    let stores = "default-docker: {lookaside: \"https://default.example.com\"}\ndocker:\n  r.example.com/a: {lookaside: \"https://a.example.com\"}\n  r.example.com/a/same: {lookaside: \"https://a.example.com\"}\n";
    let (old, report, new) = converted(&[
        ("containers/policy.json", &policy),
        ("containers/registries.d/x.yaml", stores),
    ]);
    assert!(differing(&report).is_empty(), "{:?}", report.notes);
    for image in [
        "nginx",
        "r.example.com/a",
        "r.example.com/a/x:1",
        "r.example.com/ab",
    ] {
        assert_eq!(
            judged(&old, None, image),
            judged(&new, None, image),
            "{image}"
        );
    }
}

#[test]
fn what_cannot_be_said_is_refused_and_never_weaker() {
    let policy = r#"{"default": [{"type": "sigstoreSigned", "keyData": "UEVN"}, {"type": "insecureAcceptAnything"}]}"#;
    let (_, report, new) = converted(&[("containers/policy.json", policy)]);
    assert!(
        differing(&report)
            .iter()
            .any(|note| note.contains("is refused now")),
        "{report:?}"
    );
    let rules = governing(&new, None, "nginx");
    let Requirement::All(of) = &rules[0].requirement else {
        panic!("{rules:?}");
    };
    assert!(matches!(of[0], Requirement::Deny { reason: Some(_) }));

    let policy = format!(r#"{{"default": {}}}"#, signed_by(1));
    let stores = "default-docker: {lookaside: \"file:///var/lib/containers/sigstore\"}\n";
    let (_, report, new) = converted(&[
        ("containers/policy.json", &policy),
        ("containers/registries.d/x.yaml", stores),
    ]);
    assert!(!differing(&report).is_empty());
    assert!(matches!(
        governing(&new, None, "nginx")[0].requirement,
        Requirement::Deny { .. }
    ));
}

#[test]
fn a_repository_that_must_be_named_is_not_dropped_with_the_rest_kept() {
    use portcullis_policy::model::{SignedIdentity, TrustedRootSource};
    let policy = r#"{"default": [{"type": "sigstoreSigned", "keyData": "UEVN"}]}"#;
    let mut set = load_files(&[("containers/policy.json", policy)]);
    let Requirement::Cosign(cosign) = &mut set.rules[0].requirement else {
        panic!();
    };
    assert_eq!(
        cosign.identity,
        Some(SignedIdentity::MatchRepoDigestOrExact)
    );
    cosign.signers.trusted_root = TrustedRootSource::PublicGood;
    let text = convert(&set).unwrap_or_else(|error| panic!("{error}")).text;
    assert!(
        text.contains("deny:") && !text.contains("cosign:"),
        "{text}"
    );
}

#[test]
fn notation_survives_with_its_certificates() {
    let policy = r#"{"version": "1.0", "trustPolicies": [
        {"name": "a", "registryScopes": ["r.example.com/a", "docker.io/nginx"],
         "signatureVerification": {"level": "permissive", "override": {"expiry": "enforce", "revocation": "skip"}, "verifyTimestamp": "afterCertExpiry"},
         "trustStores": ["ca:acme", "tsa:stamp"], "trustedIdentities": ["x509.subject: C=US, ST=WA, O=\"a\""]},
        {"name": "b", "registryScopes": ["*"], "signatureVerification": {"level": "audit"}, "trustStores": ["ca:acme"], "trustedIdentities": ["*"]}]}"#;
    let policy = policy.replace("O=\"a\"", "O=a");
    let (old, report, new) = converted(&[
        ("notation/trustpolicy.json", &policy),
        (
            "notation/x509/ca/acme/a.pem",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ),
        ("notation/x509/tsa/stamp/a.pem", "TSA"),
    ]);
    assert!(report.notes.is_empty(), "{:?}", report.notes);
    for image in ["r.example.com/a:1", "nginx@sha256:HEX", "r.example.com/a/b"] {
        assert_eq!(
            judged(&old, None, image),
            judged(&new, None, image),
            "{image}"
        );
    }
}

#[test]
fn binary_keys_are_armoured() {
    let policy =
        r#"{"default": [{"type": "signedBy", "keyType": "GPGKeys", "keyData": "mQENBAD//w=="}]}"#;
    let (_, report, _) = converted(&[("containers/policy.json", policy)]);
    for line in [
        "-----BEGIN PGP PUBLIC KEY BLOCK-----",
        "mQENBAD//w==",
        "-----END PGP PUBLIC KEY BLOCK-----",
    ] {
        assert!(report.text.contains(line), "{}", report.text);
    }
}

#[test]
fn our_own_kind_survives_whole() {
    let text = r##"
apiVersion: portcullis.dev/v1
kind: ImagePolicy
metadata: {name: apps, namespace: shop}
spec:
  repositories:
  - name: r.example.com/a
    mode: audit
    tags: signed
    maxEvidenceAge: 1d12h
    policy:
      anyOf:
        threshold: 2
        of:
        - cosign:
            keys: [{pem: "PEM 1"}, {pem: "PEM 2"}]
            identities: [{identity: {regex: 'https://x\.example\.com/.*'}, issuer: "https://i"}]
            threshold: 2
            transparencyLog: ignore
            signedCertificateTimestamp: ignore
            trustedRoot: {json: "{\"a\": 1}"}
            annotations: {a.b/c: "yes"}
        - attestations:
            predicateType: vuln
            keys: [{pem: P}]
            maxAge: 30d
            vulnerabilities: {maxSeverity: high, allowCVEs: [CVE-2024-1], maxScanAge: 7d}
            cel: 'predicate.x == "é\u2028"'
        - attestations:
            predicateType: slsaprovenance1
            identities: [{identity: {glob: "*@x"}, issuer: i}]
            builder: b
            source: {glob: "https://git/*"}
            ref: refs/heads/main
        - allOf:
          - annotations: {match: {"on": {glob: "a*"}}, createdWithin: 90d}
          - deny: {reason: 'because "of" \ this'}
        - simple:
            keys: [{pem: K}]
            signedIdentity: {type: remapIdentity, prefix: r.example.com, signedPrefix: docker.io/x}
            storeURL: https://sig.example.com/x
            storeSecret: store
        - trust:
            trustServer: https://notary.example.com
            pins: {"r.example.com/*": 2f3c2c8f3c0d6f4c5b3e8ad6c1ab7b6d2f3c2c8f3c0d6f4c5b3e8ad6c1ab7b6d}
            signers: [{name: bob, publicKey: "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"}]
---
apiVersion: v1
kind: Secret
metadata: {name: store, namespace: shop}
stringData: {username: u, password: "p: \"#'"}
---
apiVersion: portcullis.dev/v1
kind: ImagePolicy
metadata: {name: none, namespace: locked}
spec: {repositories: []}
"##;
    let (old, report, new) = converted(&[("p.yaml", text)]);
    assert!(report.notes.is_empty(), "{:?}", report.notes);
    assert_eq!(old.governed_namespaces, new.governed_namespaces);
    assert_eq!(old.has_cluster_policy, new.has_cluster_policy);
    let blank = |set: &PolicySet| -> Vec<_> {
        let rules = set.rules.iter();
        rules
            .map(|rule| {
                (
                    rule.scope.clone(),
                    rule.pattern.clone(),
                    rule.mode,
                    rule.tags,
                    rule.max_evidence_age,
                    rule.requirement.clone().without_places(),
                )
            })
            .collect()
    };
    assert_eq!(blank(&old), blank(&new), "{}", report.text);
    // A second conversion changes nothing.
    assert_eq!(convert(&new).unwrap().text, report.text);
}

#[test]
fn what_portieris_matched_as_sent_is_named_where_it_differs() {
    let rules = "[{name: 'docker.io/*', policy: {simple: {requirements: [{type: reject}]}}}, {name: '*', policy: {}}]";
    let (_, report, _) = converted(&[("p.yaml", &portieris(rules))]);
    assert!(
        differing(&report)
            .iter()
            .any(|note| note.contains("was governed by `*`, and is by `docker.io/*` now")),
        "{:?}",
        report.notes
    );
}

#[test]
fn two_spellings_that_become_one_pattern_must_both_hold() {
    let rules = "[{name: 'nginx', policy: {}}, {name: 'docker.io/library/nginx', policy: {simple: {requirements: [{type: reject}]}}}]";
    let (_, report, new) = converted(&[("p.yaml", &portieris(rules))]);
    let rules = governing(&new, Some("shop"), "nginx");
    assert_eq!(rules.len(), 1);
    assert!(
        matches!(&rules[0].requirement, Requirement::All(of) if of.contains(&Requirement::Deny { reason: None })),
        "{rules:?}"
    );
    assert!(
        differing(&report)
            .iter()
            .any(|note| note.contains("what both require must hold"))
    );
}

#[test]
fn a_pattern_that_cannot_be_written_refuses_what_it_may_have_meant() {
    let rules = "[{name: 'r.example.com/a/../*', policy: {simple: {requirements: [{type: reject}]}}}, {name: 'r.example.com/b:*:*', policy: {}}]";
    let (_, report, new) = converted(&[("p.yaml", &portieris(rules))]);
    assert!(!differing(&report).is_empty());
    assert!(
        new.rules
            .iter()
            .all(|rule| rule.requirement != Requirement::Allow)
    );
}

const SCOPES: [&str; 14] = [
    "",
    "*.b",
    "*.a.b",
    "a.b",
    "a.b:1",
    "a.a.b",
    "a.b/a",
    "a.b/a/b",
    "a.b/a:b",
    "a.b/a/b:a",
    "docker.io",
    "docker.io/a",
    "docker.io/a/b",
    "docker.io/library/a",
];
const IMAGE: &str = "((a[.])?a[.]b(:1)?/|docker[.]io/)?(a|b)(/(a|b)){0,2}(:(a|b))?";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn policy_json_judges_every_image_as_before(
        chosen in proptest::collection::btree_set(0..SCOPES.len(), 0..8),
        stores in proptest::collection::btree_set(1..SCOPES.len(), 0..4),
        images in proptest::collection::vec(IMAGE, 8),
    ) {
        let listed: Vec<String> = chosen.iter().map(|at| format!(r#""{}": {}"#, SCOPES[*at], signed_by(*at))).collect();
        let policy = format!(r#"{{"default": {}, "transports": {{"docker": {{{}}}}}}}"#, signed_by(99), listed.join(", "));
        let stores: Vec<String> = stores.iter().map(|at| format!("  '{}': {{lookaside: 'https://s{at}.example.com'}}\n", SCOPES[*at])).collect();
        let stores = if stores.is_empty() { String::new() } else { format!("docker:\n{}", stores.concat()) };
        let (old, report, new) = converted(&[("containers/policy.json", &policy), ("containers/registries.d/a.yaml", &stores)]);
        prop_assert!(report.notes.iter().all(|note| !note.differs), "{:?}", report.notes);
        for image in images {
            prop_assert_eq!(judged(&old, None, &image), judged(&new, None, &image), "{}\n{}", image, report.text);
        }
    }

    #[test]
    fn a_portieris_set_that_judges_otherwise_says_so(
        names in proptest::collection::btree_set("(a[.]b/|docker[.]io/)?(a|b|[*])(/?[*])?(:a)?", 1..4),
        images in proptest::collection::vec("(a[.]b/|docker[.]io/|docker[.]io/library/)?(a|b)(/(a|b))?(:(a|b))?", 8),
    ) {
        let rules: Vec<String> = names
            .iter()
            .enumerate()
            .map(|(at, name)| {
                let reject = if at % 2 == 0 { "{}" } else { "{simple: {requirements: [{type: reject}]}}" };
                format!("{{name: '{name}', policy: {reject}}}")
            })
            .collect();
        let text = portieris(&format!("[{}]", rules.join(", ")));
        let (old, report, new) = converted(&[("p.yaml", &text)]);
        for image in images {
            let (before, after) = (judged(&old, Some("shop"), &image), judged(&new, Some("shop"), &image));
            prop_assert!(before == after || !differing(&report).is_empty(), "{image}: {before:?} {after:?}\n{text}\n{}", report.text);
        }
    }
}
