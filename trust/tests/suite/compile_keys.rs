//! Bad keys and pins are found when the policy is loaded, with their place.

use portcullis_policy::bootstrap::Bootstrap;
use portcullis_policy::model::{Mode, Requirement, Rule};
use portcullis_policy::{Diagnostic, Severity, Span};
use portcullis_trust::CompiledPolicy;

use crate::common::policy::{alice, any, notary, rule, set};

fn diagnostics(rules: Vec<Rule>) -> Vec<Diagnostic> {
    CompiledPolicy::compile(set(rules), Bootstrap::default(), Mode::Enforce).unwrap_err()
}

fn with_key(pem: &[u8]) -> Requirement {
    let mut requirement = alice();
    if let Requirement::Notary(notary) = &mut requirement {
        notary.signers[0].public_key = pem.to_vec();
        notary.signers[0].span = Span {
            file: "secret.yaml".into(),
            line: 7,
            column: 3,
            path: "data.publicKey".to_owned(),
        };
    }
    requirement
}

fn message(pem: &[u8]) -> String {
    diagnostics(vec![rule(with_key(pem))])[0].message.clone()
}

#[test]
fn a_bad_key_is_an_error_at_its_place_and_said_once() {
    let bad = || with_key(b"rubbish");
    let found = diagnostics(vec![rule(bad()), rule(any(1, vec![alice(), bad()]))]);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].severity, Severity::Error);
    assert_eq!(
        found[0].to_string(),
        "secret.yaml:7:3 (data.publicKey): error: the public key of signer alice cannot be used: expected exactly one \
         PEM block, `PUBLIC KEY` or `CERTIFICATE`"
    );
}

#[test]
fn two_keys_in_one_file_are_refused_as_ambiguous() {
    let pem = std::fs::read(crate::common::fixture("keys/alice.pub")).unwrap();
    assert!(message(&[pem.as_slice(), pem.as_slice()].concat()).contains("exactly one PEM block"));
}

#[test]
fn weak_unknown_and_damaged_keys_are_refused() {
    // RSA with 1024 bits, ECDSA on secp256k1, both made by openssl; and alice's key with its point cut short.
    for (pem, text) in [
        (
            "-----BEGIN PUBLIC KEY-----\nMIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDvLYLDqPvsk7mrP7QvDv9yWFPn\nshvsApK+0oWv2nNn5iKJSYfG4ZVaHZMPfhQUC2uPUuxiqKKkbD+lBrBJqv/VUlUh\nuguoS3JY2b8ygFWVMJV9O626kxhM8W4lLjjVmUB/Vt55Y5fXqNdCU3kYDseqR8o2\nGj6T3ikfSLrIzD+4AwIDAQAB\n-----END PUBLIC KEY-----\n",
            "RSA keys must have 2048 to 8192 bits",
        ),
        (
            "-----BEGIN PUBLIC KEY-----\nMFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEhag2OjKiTLYNPYntfIEWrOS3nuYyDJDC\ntr75MVa0/1a7TB1enoUkDd0b1wBA0Ot/MU9eKNbV9zu/7UItSi9UDw==\n-----END PUBLIC KEY-----\n",
            "unsupported key type: use ECDSA P-256, P-384 or P-521, RSA or Ed25519",
        ),
        (
            "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n",
            "the key is damaged: its DER does not parse",
        ),
    ] {
        let message = message(pem.as_bytes());
        assert!(message.ends_with(text), "{message}");
    }
}

#[test]
fn a_pin_that_is_no_key_id_is_an_error() {
    let mut requirement = alice();
    if let Requirement::Notary(notary) = &mut requirement {
        notary
            .trust
            .pins
            .insert("docker.io/*".to_owned(), "sha256:abc".to_owned());
    }
    assert_eq!(
        diagnostics(vec![rule(requirement)])[0].message,
        "the pin for docker.io/* is not a TUF key id: expected 64 hex digits"
    );
}

#[test]
fn a_pin_that_could_never_match_is_refused_and_does_not_leave_its_image_to_first_use() {
    let pinned_as = |name: &str| {
        let mut requirement = notary(&[]);
        if let Requirement::Notary(notary) = &mut requirement {
            notary.trust.pins = [(name.to_owned(), "ab".repeat(32))].into();
        }
        CompiledPolicy::compile(
            set(vec![rule(requirement)]),
            Bootstrap::default(),
            Mode::Enforce,
        )
    };
    for name in [
        "*",
        "docker.io/library/nginx",
        "docker.io/*",
        "registry.example.com:5000/shop/app",
        "registry.example.com:5000/*",
        "registry.example.com/shop/app-*",
        "Registry.example.com/shop/app",
    ] {
        assert!(pinned_as(name).is_ok(), "{name}");
    }
    for name in [
        "nginx",
        "nginx*",
        "docker.io/nginx",
        "index.docker.io/library/nginx",
        "registry.example.com/app:1",
        "registry.example.com/App",
        "registry.example.com",
        "https://registry.example.com/app",
        "",
    ] {
        let diagnostics = pinned_as(name).unwrap_err();
        assert!(
            diagnostics[0].message.contains("would never be used"),
            "{name}"
        );
    }
}

#[test]
fn a_list_that_requires_nothing_is_no_policy() {
    for requirement in [
        Requirement::All(Vec::new()),
        any(0, vec![Requirement::Allow]),
        any(0, Vec::new()),
        any(2, vec![Requirement::Allow]),
        any(1, vec![Requirement::All(Vec::new())]),
    ] {
        let all = diagnostics(vec![rule(requirement)]);
        assert!(all[0].message.contains("a list of requirements is empty"));
    }
}
