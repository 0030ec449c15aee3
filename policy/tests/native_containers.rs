//! containers `policy.json` and `registries.d`, read as containers/image reads them, or refused with the place.

mod common;

use common::*;
use portcullis_policy::load::{LoadOptions, Loaded, SourceFile, load};
use portcullis_policy::model::{
    Demand, Requirement, Scope, SignatureStore, SignedIdentity, SigstoreSigner, TextMatch,
    TrustedRootSource,
};

const REJECT: &str = r#"[{"type": "reject"}]"#;
const ACCEPT: &str = r#"[{"type": "insecureAcceptAnything"}]"#;

fn set(files: &[(&str, &str)]) -> Vec<SourceFile> {
    files.iter().map(|(name, text)| file(name, text)).collect()
}

fn loads(files: &[(&str, &str)]) -> Loaded {
    load(&set(files), &LoadOptions::default())
        .unwrap_or_else(|errors| panic!("{:#?}", texts(&errors)))
}

#[track_caller]
fn refuses(files: &[(&str, &str)], expected: &str) {
    let errors = match load(&set(files), &LoadOptions::default()) {
        Ok(loaded) => panic!("loaded: {:#?}", loaded.set),
        Err(errors) => texts(&errors),
    };
    assert!(
        errors.iter().any(|error| error.contains(expected)),
        "expected {expected:?} in {errors:#?}"
    );
}

/// A policy with these requirements for one scope, and keys beside it.
fn with_requirements(requirements: &str) -> Vec<(&'static str, String)> {
    let policy = format!(
        r#"{{"default": {REJECT}, "transports": {{"docker": {{"r.example.com/a": {requirements}}}}}}}"#
    );
    vec![
        ("containers/policy.json", policy),
        ("containers/RPM-GPG-KEY-redhat-release", "PGP".to_owned()),
        ("keys/cosign.pub", "PEM".to_owned()),
        ("keys/second.pub", "PEM 2".to_owned()),
        ("keys/rekor.pub", "REKOR".to_owned()),
    ]
}

fn borrow<'a>(files: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    files.iter().map(|(n, t)| (*n, t.as_str())).collect()
}

fn required(requirements: &str) -> (Requirement, Vec<String>) {
    let loaded = loads(&borrow(&with_requirements(requirements)));
    let found = governing(&loaded.set, None, "r.example.com/a:1");
    assert_eq!(found.len(), 1);
    (found[0].requirement.clone(), texts(&loaded.warnings))
}

#[track_caller]
fn requirement_refused(requirements: &str, expected: &str) {
    refuses(&borrow(&with_requirements(requirements)), expected);
}

#[test]
fn only_the_most_specific_scope_applies() {
    let policy = format!(
        r#"{{
	"default": {REJECT},
	"transports": {{
		"docker": {{
			"": {ACCEPT},
			"*.example.com": {REJECT},
			"r.example.com": {ACCEPT},
			"r.example.com/a": {REJECT},
			"r.example.com/a/b": {ACCEPT},
			"r.example.com/a/b:1": {REJECT}
		}},
		"docker-daemon": {{"": {ACCEPT}}}
	}}
}}"#
    );
    let loaded = loads(&[("containers/policy.json", &policy)]);
    for (image, expected) in [
        ("r.example.com/a/b:1", "r.example.com/a/b:1"),
        ("r.example.com/a/b:2", "r.example.com/a/b"),
        ("r.example.com/a/b:1@sha256:HEX", "r.example.com/a/b"),
        ("r.example.com/a/c", "r.example.com/a"),
        ("r.example.com/ab", "r.example.com"),
        ("s.example.com:5000/a", "*.example.com"),
        ("nginx", ""),
    ] {
        for namespace in [None, Some("shop")] {
            assert_eq!(
                patterns(&loaded.set, namespace, image),
                [expected],
                "{image}"
            );
        }
    }
    let warnings = texts(&loaded.warnings);
    assert!(
        warnings
            .iter()
            .any(|w| w.contains("docker-daemon") && w.contains("not read")),
        "{warnings:?}"
    );
}

#[test]
fn without_a_default_of_the_transport_the_documents_applies() {
    let policy = format!(
        r#"{{"default": {REJECT}, "transports": {{"docker": {{"r.example.com": {ACCEPT}}}}}}}"#
    );
    let loaded = loads(&[("containers/policy.json", &policy)]);
    assert_eq!(patterns(&loaded.set, None, "nginx"), ["default"]);
    let rule = governing(&loaded.set, None, "nginx")[0];
    assert_eq!(rule.requirement, Requirement::Deny { reason: None });
    assert_eq!(rule.document, "policy.json");
    assert_eq!(rule.span.path, "default");
}

#[test]
fn a_default_that_accepts_everything_is_warned_about_where_it_applies() {
    let with = |default: &str, docker: &str| {
        let policy =
            format!(r#"{{"default": {default}, "transports": {{"docker": {{{docker}}}}}}}"#);
        texts(&loads(&[("containers/policy.json", &policy)]).warnings)
    };
    let docker = |requirements: &str| format!("\"\": {requirements}");
    assert!(with(ACCEPT, "")[0].contains("allows every image"));
    assert!(with(REJECT, &docker(ACCEPT))[0].contains("allows every image"));
    assert!(with(ACCEPT, &docker(REJECT)).is_empty());
    assert!(with(REJECT, "").is_empty());
}

#[test]
fn a_rule_holds_the_stores_of_its_own_images_and_no_others() {
    let policy = r#"{"default": [{"type": "reject"}], "transports": {"docker": {"r.example.com/a": [{"type": "signedBy", "keyType": "GPGKeys", "keyData": "UEdQ"}]}}}"#;
    let stores = "docker:\n".to_owned()
        + &[
            "'*.example.com'",
            "r.example.com",
            "r.example.com/a/b:1",
            "r.example.com/ab",
            "s.example.com",
        ]
        .map(|scope| format!("  {scope}: {{lookaside: \"https://x.example.com\"}}\n"))
        .concat();
    let loaded = loads(&[
        ("containers/policy.json", policy),
        ("containers/registries.d/a.yaml", &stores),
    ]);
    let rule = governing(&loaded.set, None, "r.example.com/a")[0];
    let Requirement::Simple(simple) = &rule.requirement else {
        panic!();
    };
    let SignatureStore::RegistriesD(stores) = &simple.store else {
        panic!();
    };
    let scopes: Vec<&str> = stores.docker.keys().map(String::as_str).collect();
    assert_eq!(
        scopes,
        ["*.example.com", "r.example.com", "r.example.com/a/b:1"]
    );
}

#[test]
fn what_is_misspelt_missing_or_given_twice_refuses_the_file_with_its_place() {
    for (text, expected) in [
        (r#"{"transports": {}}"#.to_owned(), "`default` is missing"),
        (
            format!(r#"{{"default": {REJECT}, "transport": {{}}}}"#),
            "containers/policy.json:1:35 (transport): error: unknown field",
        ),
        (
            format!(r#"{{"default": {REJECT}, "default": {ACCEPT}}}"#),
            "default",
        ),
        (r#"{"default": []}"#.to_owned(), "must not be empty"),
        (
            r#"{"default": [{"type": "Reject"}]}"#.to_owned(),
            "must be one of",
        ),
        (
            r#"{"default": [{"type": "reject", "keyPath": "/x"}]}"#.to_owned(),
            "unknown field",
        ),
        (
            format!(
                r#"{{"default": {REJECT}, "transports": {{"docker": {{"r.example.com": []}}}}}}"#
            ),
            "must not be empty",
        ),
        (
            format!(
                r#"{{"default": {REJECT}, "transports": {{"docker": {{"r.example.com/*": {ACCEPT}}}}}}}"#
            ),
            "would match nothing",
        ),
        (
            format!(
                r#"{{"default": {REJECT}, "transports": {{"docker": {{"nginx": {ACCEPT}}}}}}}"#
            ),
            "would match nothing",
        ),
        (
            format!(
                r#"{{"default": {REJECT}, "transports": {{"docker": {{"default": {ACCEPT}}}}}}}"#
            ),
            "is written `\"\"`",
        ),
        (
            format!(
                r#"{{"default": {REJECT}, "transports": {{"docker": {{"r.example.com": {ACCEPT}, "r.example.com": {REJECT}}}}}}}"#
            ),
            "r.example.com",
        ),
        (String::new(), "is empty"),
        ("[]".to_owned(), "must be a mapping"),
        (
            format!("{{\"default\": {REJECT}}}\n---\n{{\"default\": {ACCEPT}}}"),
            "more than one document",
        ),
    ] {
        refuses(&[("containers/policy.json", &text)], expected);
    }
}

#[test]
fn a_configmap_spells_the_folders_with_underscores() {
    let policy = r#"{"default": [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/etc/pki/shop.pub"}]}"#;
    let stores = "default-docker: {lookaside: \"https://sig.example.com/\"}\n";
    let folders = loads(&[
        ("containers/policy.json", policy),
        ("containers/registries.d/default.yaml", stores),
        ("keys/shop.pub", "PGP"),
    ]);
    let flat = loads(&[
        ("containers__policy.json", policy),
        ("containers__registries.d__default.yaml", stores),
        ("keys__shop.pub", "PGP"),
    ]);
    let blank = |loaded: Loaded| -> Vec<Requirement> {
        let rules = loaded.set.rules.into_iter();
        rules
            .map(|rule| rule.requirement.without_places())
            .collect()
    };
    assert_eq!(blank(folders), blank(flat));
    refuses(
        &[
            ("containers/policy.json", policy),
            ("containers__policy.json", policy),
            ("keys/shop.pub", "PGP"),
        ],
        "is the same file as",
    );
}

#[test]
fn signed_by_brings_its_keys_identity_and_stores() {
    let (found, warnings) = required(
        r#"[{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/etc/pki/rpm-gpg/RPM-GPG-KEY-redhat-release"}]"#,
    );
    let Requirement::Simple(simple) = found else {
        panic!("{found:?}");
    };
    assert_eq!(simple.keys[0].bytes, b"PGP");
    assert_eq!(simple.keys[0].name, "containers/RPM-GPG-KEY-redhat-release");
    assert_eq!(simple.identity, SignedIdentity::MatchRepoDigestOrExact);
    assert!(matches!(simple.store, SignatureStore::RegistriesD(_)));
    assert!(warnings.is_empty(), "{warnings:?}");

    let (found, _) = required(
        r#"[{"type": "signedBy", "keyType": "GPGKeys", "keyData": "UEdQ",
            "signedIdentity": {"type": "remapIdentity", "prefix": "r.example.com/a", "signedPrefix": "docker.io/org"}}]"#,
    );
    let Requirement::Simple(simple) = found else {
        panic!("{found:?}");
    };
    assert_eq!(simple.keys[0].bytes, b"PGP");
    assert_eq!(
        simple.identity,
        SignedIdentity::Remap {
            prefix: "r.example.com/a".to_owned(),
            signed_prefix: "docker.io/org".to_owned()
        }
    );
}

#[test]
fn several_requirements_must_all_hold() {
    let (found, _) = required(
        r#"[{"type": "signedBy", "keyType": "GPGKeys", "keyData": "UEdQ"}, {"type": "reject"}]"#,
    );
    assert!(
        matches!(&found, Requirement::All(of) if of.len() == 2),
        "{found:?}"
    );
}

#[test]
fn a_sigstore_key_without_a_log_key_needs_no_log_entry() {
    let (found, warnings) =
        required(r#"[{"type": "sigstoreSigned", "keyPaths": ["/a/cosign.pub", "/b/second.pub"]}]"#);
    let Requirement::Cosign(cosign) = found else {
        panic!("{found:?}");
    };
    assert_eq!(cosign.signers.of.len(), 2);
    assert_eq!(cosign.signers.threshold, 1);
    assert_eq!(cosign.signers.transparency_log, Demand::Ignore);
    assert_eq!(
        cosign.identity,
        Some(SignedIdentity::MatchRepoDigestOrExact)
    );
    assert!(
        warnings
            .iter()
            .any(|w| w.contains("use-sigstore-attachments")),
        "{warnings:?}"
    );
}

#[test]
fn a_log_key_makes_the_log_entry_necessary() {
    let (found, _) = required(
        r#"[{"type": "sigstoreSigned", "keyPath": "/a/cosign.pub", "rekorPublicKeyPath": "/a/rekor.pub"}]"#,
    );
    let Requirement::Cosign(cosign) = found else {
        panic!("{found:?}");
    };
    assert_eq!(cosign.signers.transparency_log, Demand::Require);
    let TrustedRootSource::Parts { fulcio, rekor } = cosign.signers.trusted_root else {
        panic!();
    };
    assert!(fulcio.is_empty());
    assert_eq!(rekor[0].bytes, b"REKOR");
}

#[test]
fn fulcio_needs_its_certificate_issuer_email_and_a_log_key() {
    let with = |fulcio: &str, rest: &str| {
        format!(r#"[{{"type": "sigstoreSigned", "fulcio": {fulcio}{rest}}}]"#)
    };
    let rekor = r#", "rekorPublicKeyData": "UkVLT1I=""#;
    let good = r#"{"caData": "Q0E=", "oidcIssuer": "https://issuer.example.com", "subjectEmail": "a@example.com"}"#;
    let (found, _) = required(&with(good, rekor));
    let Requirement::Cosign(cosign) = found else {
        panic!("{found:?}");
    };
    let SigstoreSigner::Identity(identity) = &cosign.signers.of[0] else {
        panic!();
    };
    assert_eq!(
        identity.identity,
        TextMatch::Exact("a@example.com".to_owned())
    );
    assert_eq!(
        identity.issuer,
        TextMatch::Exact("https://issuer.example.com".to_owned())
    );
    assert_eq!(cosign.signers.transparency_log, Demand::Require);
    assert_eq!(cosign.signers.signed_certificate_timestamp, Demand::Ignore);

    requirement_refused(&with(good, ""), "a key of the transparency log is needed");
    requirement_refused(
        &with(good, &format!(r#"{rekor}, "keyData": "UEVN""#)),
        "stands beside `fulcio`",
    );
    for key in ["caData", "oidcIssuer", "subjectEmail"] {
        let bad = good.replace(&format!("\"{key}\""), "\"other\"");
        requirement_refused(&with(&bad, rekor), "unknown field");
    }
}

#[test]
fn what_is_no_key_or_more_than_one_is_refused() {
    let signed_by = |rest: &str| format!(r#"[{{"type": "signedBy", "keyType": "GPGKeys"{rest}}}]"#);
    for (requirements, expected) in [
        (signed_by(""), "exactly one of `keyPath`, `keyPaths`, `keyData` is needed"),
        (signed_by(r#", "keyData": "UEdQ", "keyPath": "/a/cosign.pub""#), "more than one of"),
        (signed_by(r#", "keyPaths": []"#), "between one and"),
        (signed_by(r#", "keyData": "?""#), "not base64"),
        (signed_by(r#", "keyData": """#), "must not be empty"),
        (signed_by(r#", "keyPath": "/etc/pki/absent.gpg""#), "put `absent.gpg` into `containers/` or `keys/`"),
        (signed_by(r#", "keyPath": "../../../etc/passwd""#), "put `passwd` into"),
        (signed_by(r#", "keyPath": "/etc/pki/""#), "files of the host are not read"),
        (signed_by(r#", "keyData": "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0t""#), "private key"),
        (r#"[{"type": "signedBy", "keyType": "signedByGPGKeys", "keyData": "UEdQ"}]"#.to_owned(), "must be one of `GPGKeys`"),
        (r#"[{"type": "signedBy", "keyData": "UEdQ"}]"#.to_owned(), "`keyType` is missing"),
        (r#"[{"type": "sigstoreSigned", "pki": {"caRootsData": "UEVN"}}]"#.to_owned(), "transports.docker[\"r.example.com/a\"][0].pki"),
        (r#"[{"type": "sigstoreSigned", "keyData": "UEVN", "rekorPublicKeyData": "UQ==", "rekorPublicKeyDatas": ["UQ=="]}]"#.to_owned(), "more than one of"),
    ] {
        requirement_refused(&requirements, expected);
    }
}

#[test]
fn two_files_that_a_path_could_mean_are_not_chosen_between() {
    let mut files =
        with_requirements(r#"[{"type": "sigstoreSigned", "keyPath": "/a/cosign.pub"}]"#);
    files.push(("containers/cosign.pub", "PEM".to_owned()));
    loads(&borrow(&files));
    files.push(("containers/cosign.pub.bak", "x".to_owned()));
    files.retain(|(name, _)| *name != "containers/cosign.pub");
    files.push(("containers/cosign.pub", "OTHER".to_owned()));
    refuses(&borrow(&files), "differ");
}

#[test]
fn a_signed_identity_is_complete_and_has_nothing_else() {
    let with = |identity: &str| {
        format!(
            r#"[{{"type": "signedBy", "keyType": "GPGKeys", "keyData": "UEdQ", "signedIdentity": {identity}}}]"#
        )
    };
    for (identity, expected) in [
        (r#"{"type": "matchExact"}"#, SignedIdentity::MatchExact),
        (
            r#"{"type": "matchRepository"}"#,
            SignedIdentity::MatchRepository,
        ),
        (
            r#"{"type": "exactReference", "dockerReference": "docker.io/a/b:1"}"#,
            SignedIdentity::ExactReference("docker.io/a/b:1".to_owned()),
        ),
        (
            r#"{"type": "exactRepository", "dockerRepository": "docker.io/a/b"}"#,
            SignedIdentity::ExactRepository("docker.io/a/b".to_owned()),
        ),
    ] {
        let (found, _) = required(&with(identity));
        let Requirement::Simple(simple) = found else {
            panic!("{found:?}");
        };
        assert_eq!(simple.identity, expected);
    }
    for (identity, expected) in [
        ("{}", "`type` is missing"),
        (r#"{"type": "matchAnything"}"#, "must be one of"),
        (r#"{"type": "matchExact", "prefix": "x"}"#, "unknown field"),
        (
            r#"{"type": "exactReference"}"#,
            "`dockerReference` is missing",
        ),
        (
            r#"{"type": "exactReference", "dockerReference": "docker.io/a/b"}"#,
            "neither a tag nor a digest",
        ),
        (
            r#"{"type": "exactRepository", "dockerRepository": "docker.io/a/b:1"}"#,
            "without tag or digest",
        ),
        (
            r#"{"type": "remapIdentity", "prefix": "r.example.com"}"#,
            "`signedPrefix` is missing",
        ),
        (
            r#"{"type": "remapIdentity", "prefix": "r.example.com/", "signedPrefix": "a.b"}"#,
            "must be a host",
        ),
    ] {
        requirement_refused(&with(identity), expected);
    }
}

#[test]
fn a_namespaces_file_replaces_the_global_one_for_it() {
    let loaded = loads(&[
        (
            "containers/policy.json",
            &format!(
                r#"{{"default": {REJECT}, "transports": {{"docker": {{"r.example.com": {ACCEPT}}}}}}}"#
            ),
        ),
        (
            "containers/shop.json",
            &format!(r#"{{"default": {REJECT}}}"#),
        ),
    ]);
    assert_eq!(
        patterns(&loaded.set, Some("other"), "r.example.com/a"),
        ["r.example.com"]
    );
    assert_eq!(
        patterns(&loaded.set, Some("shop"), "r.example.com/a"),
        ["default"]
    );
    assert_eq!(
        governing(&loaded.set, Some("shop"), "nginx")[0].scope,
        Scope::Namespace("shop".to_owned())
    );
    refuses(
        &[(
            "containers/Shop_.json",
            &format!(r#"{{"default": {REJECT}}}"#),
        )],
        "not the name of a namespace",
    );
}

#[test]
fn stores_of_all_files_are_one_and_a_scope_stands_once() {
    let policy = r#"{"default": [{"type": "signedBy", "keyType": "GPGKeys", "keyData": "UEdQ"}]}"#;
    let loaded = loads(&[
        ("containers/policy.json", policy),
        (
            "containers/registries.d/a.yaml",
            "docker:\n  r.example.com:\n    lookaside: https://new.example.com/x/\n    sigstore: https://old.example.com\n    lookaside-staging: file:///tmp/x\n",
        ),
        (
            "containers/registries.d/b.yaml",
            "default-docker:\n  sigstore: file:///var/lib/containers/sigstore\ndocker:\n  r.example.com/none: {}\n",
        ),
        (
            "containers/registries.d/comments.yaml",
            "# nothing\n#docker:\n---\n",
        ),
    ]);
    let rule = governing(&loaded.set, None, "nginx")[0];
    let Requirement::Simple(simple) = &rule.requirement else {
        panic!();
    };
    let SignatureStore::RegistriesD(stores) = &simple.store else {
        panic!();
    };
    for (image, expected) in [
        ("r.example.com/none/x", "https://new.example.com/x"),
        ("nginx", "file:///var/lib/containers/sigstore"),
    ] {
        assert_eq!(
            stores
                .lookaside(&reference(image))
                .map(|url| url.0.as_str()),
            Some(expected)
        );
    }
    for (text, expected) in [
        (
            "docker: {r.example.com: {lookaside: \"https://other\"}}",
            "defined twice",
        ),
        ("docker: {s.example.com: {lookasid: x}}", "unknown field"),
        (
            "docker: {s.example.com: {lookaside: \"ftp://x\"}}",
            "must be `https://host",
        ),
        (
            "docker: {s.example.com: {lookaside: \"file://relative\"}}",
            "absolute path",
        ),
        (
            "docker: {s.example.com: {lookaside: \"file:///a/../b\"}}",
            "absolute path",
        ),
        (
            "docker: {s.example.com: {lookaside: \"https://u:p@x.example.com\"}}",
            "user name or password",
        ),
        (
            "docker: {\"s.example.com/*\": {lookaside: \"https://x.example.com\"}}",
            "would match nothing",
        ),
        (
            "docker: {\"\": {lookaside: \"https://x.example.com\"}}",
            "default-docker",
        ),
        ("dockers: {}", "unknown field"),
    ] {
        refuses(
            &[
                ("containers/policy.json", policy),
                (
                    "containers/registries.d/a.yaml",
                    "docker: {r.example.com: {lookaside: \"https://new.example.com\"}}",
                ),
                ("containers/registries.d/b.yaml", text),
            ],
            expected,
        );
    }
}

#[test]
fn the_warning_about_attachments_follows_the_scopes_of_registries_d() {
    let policy = |scope: &str| {
        format!(
            r#"{{"default": {REJECT}, "transports": {{"docker": {{"{scope}": [{{"type": "sigstoreSigned", "keyData": "UEVN"}}]}}}}}}"#
        )
    };
    let stores = "default-docker: {use-sigstore-attachments: false}\ndocker:\n  r.example.com: {use-sigstore-attachments: true}\n  r.example.com/off: {use-sigstore-attachments: false}\n  '*.org': {use-sigstore-attachments: true}\n";
    for (scope, warned) in [
        ("r.example.com", false),
        ("r.example.com/a/b:1", false),
        ("r.example.com/off/b", true),
        ("r.example.com:5000/a", true),
        ("*.example.org", false),
        ("x.example.org:5000", false),
        ("", true),
    ] {
        let loaded = loads(&[
            ("containers/policy.json", &policy(scope)),
            ("containers/registries.d/a.yaml", stores),
        ]);
        assert_eq!(
            !loaded.warnings.is_empty(),
            warned,
            "{scope}: {:?}",
            texts(&loaded.warnings)
        );
    }
}

#[test]
fn the_file_that_red_hat_ships_loads() {
    let policy = r#"{
    "default": [
        {
            "type": "insecureAcceptAnything"
        }
    ],
    "transports": {
        "docker": {
	    "registry.access.redhat.com": [
		{
		    "type": "signedBy",
		    "keyType": "GPGKeys",
		    "keyPaths": ["/etc/pki/rpm-gpg/RPM-GPG-KEY-redhat-release", "/etc/pki/rpm-gpg/RPM-GPG-KEY-redhat-beta"]
		}
	    ],
	    "registry.redhat.io": [
		{
		    "type": "signedBy",
		    "keyType": "GPGKeys",
		    "keyPaths": ["\/etc/pki/rpm-gpg/RPM-GPG-KEY-redhat-release", "/etc/pki/rpm-gpg/RPM-GPG-KEY-redhat-beta"]
		}
	    ]
	},
        "docker-daemon": {
	    "": [
		{
		    "type": "insecureAcceptAnything"
		}
	    ]
	}
    }
}
"#;
    let loaded = loads(&[
        ("containers/policy.json", policy),
        ("containers/RPM-GPG-KEY-redhat-release", "PGP"),
        ("containers/RPM-GPG-KEY-redhat-beta", "PGP 2"),
        (
            "containers/registries.d/registry.redhat.io.yaml",
            "docker:\n     registry.redhat.io:\n         sigstore: https://registry.redhat.io/containers/sigstore\n",
        ),
    ]);
    let rule = governing(&loaded.set, None, "registry.redhat.io/ubi9:9.4")[0];
    let Requirement::Simple(simple) = &rule.requirement else {
        panic!();
    };
    assert_eq!(simple.keys.len(), 2);
}
