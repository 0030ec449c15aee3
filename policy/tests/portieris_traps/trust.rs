//! `trust`: which server, which root, which signers.

use crate::common::*;
use crate::{SERVER, notary_of};
use portcullis_policy::model::Requirement;

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
    let loaded = loaded(&text);
    match requirement(&loaded) {
        Requirement::All(of) => {
            assert!(matches!(
                of.as_slice(),
                [Requirement::Notary(_), Requirement::Simple(_)]
            ));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_digest_reference_is_not_looked_up_as_latest() {
    assert_eq!(reference("r.io/a@sha256:HEX").tag(), None);
}

#[test]
fn a_trust_server_is_not_chosen_by_how_a_host_ends() {
    let configured = options(&[("docker.io/*", notary("https://n.example.com"))]);
    for name in [
        "evildocker.io/*",
        "my.docker.io/x",
        "docker.io.evil.example/x",
        "docker.io:5000/x",
        "evil.example/docker.io/x",
    ] {
        let text = portieris(&format!(
            "[{{name: '{name}', policy: {{trust: {{enabled: true}}}}}}]"
        ));
        assert!(
            refused_with(&text, &configured)
                .iter()
                .any(|e| e.contains("no trust server")),
            "{name}"
        );
    }
}
