//! Files of other tools made to be read otherwise than they look: nothing is dropped in silence, nothing panics, and every
//! refusal says where.

mod common;

use common::*;
use portcullis_policy::Severity;
use portcullis_policy::load::{LoadOptions, Loaded, SourceFile, load};
use proptest::prelude::*;

const REJECT: &str = r#"{"default": [{"type": "reject"}]}"#;
const SIGNED: &str = r#"{"default": [{"type": "reject"}], "transports": {"docker": {"r.example.com/a": [
    {"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/etc/pki/a.gpg", "signedIdentity": {"type": "remapIdentity", "prefix": "r.example.com", "signedPrefix": "s.example.com"}}]}}}"#;
const TRUST: &str = r#"{"version": "1.0", "trustPolicies": [{"name": "a", "registryScopes": ["r.example.com/a"],
    "signatureVerification": {"level": "strict", "override": {"revocation": "log"}, "verifyTimestamp": "always"},
    "trustStores": ["ca:acme"], "trustedIdentities": ["x509.subject: C=US, ST=WA, O=Acme"]}]}"#;
const STORES: &str = "docker:\n  r.example.com: {lookaside: \"https://s.example.com\", use-sigstore-attachments: true}\n";

fn result(files: &[(&str, &[u8])]) -> Result<Loaded, Vec<String>> {
    let files: Vec<SourceFile> = files
        .iter()
        .map(|(name, bytes)| SourceFile {
            name: (*name).to_owned(),
            bytes: bytes.to_vec(),
            mode: None,
        })
        .collect();
    load(&files, &LoadOptions::default()).map_err(|found| {
        let errors = found
            .into_iter()
            .filter(|one| one.severity == Severity::Error);
        texts(&errors.collect::<Vec<_>>())
    })
}

/// All three formats in one set that loads, with one of its files replaced.
fn with(name: &str, bytes: &[u8]) -> Result<Loaded, Vec<String>> {
    let mut files: Vec<(&str, &[u8])> = vec![
        ("containers/shop.json", SIGNED.as_bytes()),
        ("containers/registries.d/a.yaml", STORES.as_bytes()),
        ("containers/a.gpg", b"PGP"),
        ("notation/trustpolicy.json", TRUST.as_bytes()),
        ("notation/x509/ca/acme/root.pem", b"PEM"),
    ];
    files.retain(|(other, _)| *other != name);
    files.push((name, bytes));
    result(&files)
}

#[track_caller]
fn refused_with_each(cases: &[(&str, &str, &str)]) {
    for (name, text, expected) in cases {
        let Err(errors) = with(name, text.as_bytes()) else {
            panic!("{name} loaded: {text}");
        };
        assert!(
            errors.iter().any(|error| error.contains(expected)),
            "expected {expected:?} in {errors:#?} for {name}: {text}"
        );
    }
}

#[test]
fn a_key_given_twice_is_refused_at_every_level_however_it_is_spelt() {
    for (name, text) in [
        ("containers/shop.json", SIGNED),
        ("notation/trustpolicy.json", TRUST),
    ] {
        assert!(with(name, text.as_bytes()).is_ok());
        for key in text.split('"').skip(1).step_by(2) {
            let written = format!("\"{key}\":");
            if !text.contains(&written) {
                continue;
            }
            // The same key, with its first character as an escape.
            let mut characters = key.chars();
            let first = characters.next().map_or(0, u32::from);
            let escaped = format!("\"\\u{first:04x}{}\":", characters.as_str());
            for twin in [&written, &escaped] {
                let twice = text.replacen(&written, &format!("{twin} 1, {written}"), 1);
                let errors = with(name, twice.as_bytes()).expect_err(&twice);
                assert!(
                    errors.iter().any(|error| error.contains("given twice")),
                    "{twice}: {errors:?}"
                );
            }
            // A key that Go would take for the same one.
            let capital = text.replacen(&written, &written.to_uppercase(), 1);
            assert!(with(name, capital.as_bytes()).is_err(), "{capital}");
        }
    }
}

#[test]
fn a_file_that_ends_early_is_refused_wherever_it_ends() {
    for (name, text) in [
        ("containers/shop.json", SIGNED),
        ("notation/trustpolicy.json", TRUST),
    ] {
        for end in 0..text.trim_end().len() {
            let errors = with(name, &text.as_bytes()[..end]).expect_err("cut");
            assert!(
                errors.iter().any(|error| error.starts_with(name)),
                "{errors:?}"
            );
        }
    }
}

#[test]
fn bytes_that_are_no_text_are_refused_with_their_place() {
    for name in [
        "containers/shop.json",
        "containers/registries.d/a.yaml",
        "notation/trustpolicy.json",
    ] {
        let errors = with(name, b"{\"default\": \"\xff\"}").expect_err(name);
        assert_eq!(errors, [format!("{name}: error: not UTF-8 after byte 13")]);
    }
}

#[test]
fn line_ends_and_a_byte_order_mark_change_nothing() {
    let plain = result(&[
        ("containers/policy.json", SIGNED.as_bytes()),
        ("keys/a.gpg", b"P"),
    ]);
    let rules = |text: &str| {
        let loaded = result(&[
            ("containers/policy.json", text.as_bytes()),
            ("keys/a.gpg", b"P"),
        ]);
        let rules = loaded.unwrap().set.rules.into_iter();
        rules
            .map(|rule| (rule.pattern, rule.requirement.without_places()))
            .collect::<Vec<_>>()
    };
    let plain: Vec<_> = plain
        .unwrap()
        .set
        .rules
        .into_iter()
        .map(|rule| (rule.pattern, rule.requirement.without_places()))
        .collect();
    assert_eq!(rules(&SIGNED.replace('\n', "\r\n")), plain);
    assert_eq!(rules(&format!("\u{feff}{SIGNED}")), plain);
}

#[test]
fn values_of_another_kind_are_refused_with_their_field() {
    refused_with_each(&[
        (
            "containers/shop.json",
            r#"{"default": 1e999}"#,
            "containers/shop.json:1:13 (default): error: must be a list",
        ),
        (
            "containers/shop.json",
            r#"{"default": [[]]}"#,
            "containers/shop.json:1:14 (default[0])",
        ),
        (
            "containers/shop.json",
            r#"{"default": [{"type": 1}]}"#,
            "(default[0].type)",
        ),
        (
            "containers/shop.json",
            r#"{"default": [{"type": ["reject"]}]}"#,
            "(default[0].type)",
        ),
        (
            "containers/shop.json",
            r#"{"default": [{"type": "reject"}], "transports": null}"#,
            "(transports)",
        ),
        (
            "containers/shop.json",
            r#"{"default": [{"type": "reject"}], "transports": {"docker": []}}"#,
            "(transports.docker)",
        ),
        (
            "containers/shop.json",
            r#"{"default": [{"type": "reject"}], "transports": {"docker": {"r.example.com/a\u0000": [{"type": "insecureAcceptAnything"}]}}}"#,
            "would match nothing",
        ),
        (
            "containers/shop.json",
            &format!(
                "{{\"default\": {}{}}}",
                "[".repeat(100_000),
                "]".repeat(100_000)
            ),
            "containers/shop.json:1:",
        ),
        (
            "containers/shop.json",
            &format!(
                r#"{{"default": [{}{{"type": "reject"}}]}}"#,
                r#"{"type": "reject"},"#.repeat(64)
            ),
            "more than 64 requirements",
        ),
        (
            "containers/shop.json",
            &SIGNED.replace("\"remapIdentity\"", "null"),
            "signedIdentity.type",
        ),
        (
            "containers/shop.json",
            &SIGNED.replace("\"/etc/pki/a.gpg\"", "null"),
            "keyPath",
        ),
        ("containers/shop.json", "&a {\"default\": *a}", "alias"),
        (
            "containers/registries.d/a.yaml",
            "docker:\n  R.example.com: {lookaside: \"https://s.example.com\"}\n",
            "registries.d/a.yaml:2:3",
        ),
        (
            "containers/registries.d/a.yaml",
            "docker:\n  r.example.com: &a\n    lookaside: \"https://s.example.com\"\n  s.example.com:\n    <<: *a\n",
            "merge keys",
        ),
        (
            "containers/registries.d/a.yaml",
            "docker: {r.example.com: {use-sigstore-attachments: yes}}",
            "`true` or `false`",
        ),
    ]);
}

#[test]
fn a_trust_policy_means_what_it_says_to_the_letter() {
    refused_with_each(&[
        (
            "notation/trustpolicy.json",
            &TRUST.replace("\"1.0\"", "1.0"),
            "(version)",
        ),
        (
            "notation/trustpolicy.json",
            &TRUST.replace("\"ca:acme\"", "\"ca:../acme\""),
            "(trustPolicies[0].trustStores[0])",
        ),
        (
            "notation/trustpolicy.json",
            &TRUST.replace("\"ca:acme\"", "\"ca:acme/x\""),
            "(trustPolicies[0].trustStores[0])",
        ),
        (
            "notation/trustpolicy.json",
            &TRUST.replace("\"ca:acme\"", "\"ca:..\""),
            "(trustPolicies[0].trustStores[0])",
        ),
        (
            "notation/trustpolicy.json",
            &TRUST.replace("\"ca:acme\"", "\"CA:acme\""),
            "(trustPolicies[0].trustStores[0])",
        ),
        (
            "notation/trustpolicy.json",
            &TRUST.replace("\"strict\"", "\"Strict\""),
            "signatureVerification.level",
        ),
        (
            "notation/trustpolicy.json",
            &TRUST
                .replace("\"log\"", "\"skip\"")
                .replace("revocation", "expiry"),
            "override.expiry",
        ),
    ]);
}

#[test]
fn a_file_whose_name_is_nearly_a_policys_is_not_dropped_in_silence() {
    for name in [
        "containers/shop.JSON",
        "containers/policy.Json",
        "containers/Policy.json",
        "containers/shop.yml",
        "containers__policies__shop.json",
        "containers__shop__policy.json",
        "containers__..__policy.json",
        "containers__registries.d__sub__a.yaml",
        "containers__registries.d__a.YAML",
        "containers__registries.d__a.json",
        // The tools do not read it.
        "containers/registries.d/b.yml",
        "notation__Trustpolicy.json",
        "notation__x509__CA__acme__root.pem",
        "notation__x509__ca__acme__root.txt",
        "notation__x509__ca__a__b__root.pem",
        "notation__root.pem",
    ] {
        let errors = with(name, REJECT.as_bytes()).expect_err(name);
        assert!(
            errors
                .iter()
                .any(|error| error.starts_with(&format!("{name}: "))),
            "{name}: {errors:?}"
        );
    }
}

#[test]
fn a_file_of_another_tool_among_ours_is_told_where_it_belongs() {
    for (name, text, place) in [
        ("policy.json", REJECT, "`containers/`"),
        ("shop.json", SIGNED, "`containers/`"),
        ("trustpolicy.json", TRUST, "`notation/trustpolicy.json`"),
        ("default.yaml", STORES, "`containers/registries.d/`"),
        (
            "default.yaml",
            "default-docker: {}",
            "`containers/registries.d/`",
        ),
    ] {
        let errors = with(name, text.as_bytes()).expect_err(name);
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(
            errors[0].starts_with(&format!("{name}:1:1: error: this looks like"))
                && errors[0].contains(place),
            "{errors:?}"
        );
    }
}

#[test]
fn one_file_under_both_spellings_of_its_name_is_refused() {
    for name in [
        "containers__shop.json",
        "containers__registries.d__a.yaml",
        "containers__a.gpg",
        "notation__trustpolicy.json",
        "notation__x509__ca__acme__root.pem",
    ] {
        let errors = with(name, b"{}").expect_err(name);
        assert!(
            errors
                .iter()
                .any(|error| error.contains("is the same file as")),
            "{name}: {errors:?}"
        );
    }
    // Of which key is it then said that it was used?
    let ours = with_files("{cosign: {keys: [{file: keys/a.pub}]}}");
    let policy = ("p.yaml", ours.as_bytes());
    assert!(result(&[policy, ("keys/a.pub", b"A")]).is_ok());
    let errors = result(&[policy, ("keys/a.pub", b"A"), ("keys__a.pub", b"B")]).expect_err("both");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors[0].contains("is the same file as `keys/a.pub`"),
        "{errors:?}"
    );
}

fn with_files(policy: &str) -> String {
    common::with(policy)
}

#[test]
fn two_keys_of_the_host_are_never_one_key_here() {
    let policy = |one: &str, other: &str| {
        format!(
            r#"{{"default": [{{"type": "reject"}}], "transports": {{"docker": {{
                "r.example.com/a": [{{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "{one}"}}],
                "r.example.com/b": [{{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "{other}"}}]}}}}}}"#
        )
    };
    let load = |one: &str, other: &str| {
        let policy = policy(one, other);
        result(&[
            ("containers/policy.json", policy.as_bytes()),
            ("keys/release.gpg", b"PGP"),
        ])
    };
    assert!(load("/etc/a/release.gpg", "/etc//a/./release.gpg").is_ok());
    let errors = load("/etc/a/release.gpg", "/etc/b/release.gpg").expect_err("two keys");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors[0].starts_with("containers/policy.json:3:")
            && errors[0].contains("`/etc/a/release.gpg`"),
        "{errors:?}"
    );
    // One set is one namespace of names, whichever of its files says them.
    let first = policy("/etc/a/release.gpg", "/etc/a/release.gpg");
    let second = first.replace("/etc/a", "/etc/b");
    let files: [(&str, &[u8]); 3] = [
        ("containers/policy.json", first.as_bytes()),
        ("containers/shop.json", second.as_bytes()),
        ("keys/release.gpg", b"PGP"),
    ];
    assert!(result(&files).is_err());
}

#[test]
fn a_path_reaches_nothing_outside_the_set() {
    for path in [
        "../../etc/passwd",
        "/etc/passwd",
        "a.gpg/",
        "..",
        "/",
        "a.gpg/..",
        "registries.d/a.yaml",
        "\\u0000a.gpg",
    ] {
        let text = SIGNED.replace("/etc/pki/a.gpg", path);
        let errors = with("containers/shop.json", text.as_bytes()).expect_err(path);
        assert!(errors[0].contains("keyPath"), "{path}: {errors:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever a byte is changed to, a set loads or is refused with the name of the file.
    #[test]
    fn no_change_of_a_file_is_too_much(which in 0..3_usize, at in any::<prop::sample::Index>(), how in 0..4_u8, byte in any::<u8>()) {
        let (name, text) = [
            ("containers/shop.json", SIGNED),
            ("containers/registries.d/a.yaml", STORES),
            ("notation/trustpolicy.json", TRUST),
        ][which];
        let mut bytes = text.as_bytes().to_vec();
        let at = at.index(bytes.len());
        match how {
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            2 => { bytes.remove(at); }
            _ => { let tail = bytes[at..].to_vec(); bytes.extend(tail); }
        }
        if let Err(errors) = with(name, &bytes) {
            prop_assert!(!errors.is_empty());
            prop_assert!(errors.iter().all(|error| error.starts_with("containers/") || error.starts_with("notation/")), "{errors:?}");
        }
    }
}
