//! notation's `trustpolicy.json` with its trust stores, read as notation reads it, or refused with the place.

mod common;

use common::*;
use portcullis_policy::load::{LoadOptions, Loaded, load};
use portcullis_policy::model::{
    NotationAction, NotationCheck, NotationLevel, Requirement, TrustStoreKind, VerifyTimestamp,
};

const STRICT: &str = r#"{"name": "a", "registryScopes": ["r.example.com/a"],
    "signatureVerification": {"level": "strict"}, "trustStores": ["ca:acme"], "trustedIdentities": ["*"]}"#;

fn try_load(statements: &str, more: &[(&str, &str)]) -> Result<Loaded, Vec<String>> {
    let policy = format!(r#"{{"version": "1.0", "trustPolicies": [{statements}]}}"#);
    let mut files = vec![
        file("notation/trustpolicy.json", &policy),
        file("notation/x509/ca/acme/root.pem", "CERT"),
        file("notation/x509/ca/acme/old.der", "CERT 2"),
        file("notation/x509/tsa/stamp/root.crt", "TSA"),
    ];
    files.extend(more.iter().map(|(name, text)| file(name, text)));
    load(&files, &LoadOptions::default()).map_err(|errors| texts(&errors))
}

fn loads(statements: &str) -> Loaded {
    try_load(statements, &[]).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

#[track_caller]
fn refuses(statements: &str, expected: &str) {
    let errors = try_load(statements, &[]).expect_err("is refused");
    assert!(
        errors.iter().any(|error| error.contains(expected)),
        "{expected:?} in {errors:#?}"
    );
}

#[test]
fn a_statement_brings_its_stores_identities_and_level() {
    let statement = r#"{"name": "a", "registryScopes": ["r.example.com/a", "docker.io/nginx"],
        "signatureVerification": {"level": "permissive", "override": {"expiry": "enforce", "revocation": "skip"}, "verifyTimestamp": "afterCertExpiry"},
        "trustStores": ["ca:acme", "tsa:stamp", "ca:acme"],
        "trustedIdentities": ["x509.subject: C=US, ST=WA, O=acme"]}"#;
    let loaded = loads(statement);
    for image in ["r.example.com/a:1", "nginx"] {
        let rules = governing(&loaded.set, Some("shop"), image);
        assert_eq!(rules.len(), 1);
        assert_eq!(rules[0].document, "trustpolicy.json/a");
        let Requirement::Notation(found) = &rules[0].requirement else {
            panic!();
        };
        assert_eq!(found.level, NotationLevel::Permissive);
        assert_eq!(
            found.overrides,
            [
                (NotationCheck::Expiry, NotationAction::Enforce),
                (NotationCheck::Revocation, NotationAction::Skip)
            ]
            .into()
        );
        assert_eq!(found.verify_timestamp, VerifyTimestamp::AfterCertExpiry);
        let stores: Vec<_> = found
            .trust_stores
            .iter()
            .map(|store| (store.kind, store.name.as_str(), store.certificates.len()))
            .collect();
        assert_eq!(
            stores,
            [
                (TrustStoreKind::Ca, "acme", 2),
                (TrustStoreKind::Tsa, "stamp", 1)
            ]
        );
        assert_eq!(
            found.trusted_identities[0].text,
            "x509.subject: C=US, ST=WA, O=acme"
        );
    }
    assert!(governing(&loaded.set, None, "r.example.com/a/b").is_empty());
}

#[test]
fn a_repository_of_its_own_statement_is_not_judged_by_the_star() {
    let star = STRICT
        .replace("\"a\"", "\"all\"")
        .replace("r.example.com/a", "*");
    let skip = r#"{"name": "s", "registryScopes": ["r.example.com/free"], "signatureVerification": {"level": "skip"}}"#;
    let loaded = loads(&format!("{STRICT}, {star}, {skip}"));
    assert_eq!(
        patterns(&loaded.set, None, "r.example.com/a"),
        ["r.example.com/a"]
    );
    assert_eq!(patterns(&loaded.set, None, "r.example.com/b"), ["*"]);
    assert_eq!(
        governing(&loaded.set, None, "r.example.com/free:1")[0].requirement,
        Requirement::Allow
    );
}

#[test]
fn skipping_everything_is_warned_about() {
    let loaded = loads(
        r#"{"name": "s", "registryScopes": ["*"], "signatureVerification": {"level": "skip"}}"#,
    );
    let warnings = texts(&loaded.warnings);
    assert!(
        warnings.iter().any(|w| w.contains("allows every image")),
        "{warnings:?}"
    );
}

#[test]
fn a_statement_that_notation_refuses_is_refused() {
    let other = |from: &str, to: &str| STRICT.replace(from, to);
    for (statements, expected) in [
        (String::new(), "at least one statement"),
        (
            format!("{STRICT}, {STRICT}"),
            "a statement of this name already",
        ),
        (
            format!("{STRICT}, {}", other("\"a\"", "\"b\"")),
            "a statement for this scope already",
        ),
        (
            other("[\"r.example.com/a\"]", "[\"r.example.com/a\", \"*\"]"),
            "`*` stands alone",
        ),
        (
            other("[\"r.example.com/a\"]", "[]"),
            "must name a repository",
        ),
        (
            other("r.example.com/a", "r.example.com/*"),
            "is not a repository",
        ),
        (
            other("r.example.com/a", "r.example.com/a:1"),
            "is not a repository",
        ),
        (
            other("\"name\": \"a\"", "\"name\": \"\""),
            "must not be empty",
        ),
        (other("strict", "Strict"), "must be one of"),
        (
            other("\"ca:acme\"", "\"ca:absent\""),
            "into `notation/x509/ca/absent/`; there are 0",
        ),
        (other("\"ca:acme\"", "\"ca:../acme\""), "must be `ca:NAME`"),
        (
            other("\"ca:acme\"", "\"tsa:stamp\""),
            "name one of `ca` or `signingAuthority`",
        ),
        (other("\"ca:acme\"", ""), "name one of"),
        (other("[\"*\"]", "[]"), "must name an identity"),
        (
            other("[\"*\"]", "[\"*\", \"x509.subject: C=US\"]"),
            "`*` stands alone",
        ),
        (
            other("[\"*\"]", "[\"subject: C=US\"]"),
            "begin with `x509.subject:`",
        ),
        (other("\"trustStores\": [\"ca:acme\"],", ""), "both needed"),
        (
            other("\"strict\"", "\"skip\""),
            "means nothing at level `skip`",
        ),
        (
            other(
                "\"strict\"",
                "\"strict\", \"override\": {\"integrity\": \"log\"}",
            ),
            "integrity cannot",
        ),
        (
            other(
                "\"strict\"",
                "\"strict\", \"override\": {\"expiry\": \"skip\"}",
            ),
            "only revocation may be skipped",
        ),
        (
            other(
                "\"strict\"",
                "\"strict\", \"override\": {\"expired\": \"log\"}",
            ),
            "is not a check",
        ),
        (
            other("\"strict\"", "\"strict\", \"verifyTimestamp\": \"never\""),
            "must be one of",
        ),
        (
            other("\"strict\"", "\"strict\", \"levels\": \"x\""),
            "unknown field",
        ),
        (other("\"name\"", "\"extra\": 1, \"name\""), "unknown field"),
    ] {
        refuses(&statements, expected);
    }
}

#[test]
fn an_unknown_version_is_refused() {
    let text = format!(r#"{{"version": "2.0", "trustPolicies": [{STRICT}]}}"#);
    let files = [
        file("notation/trustpolicy.oci.json", &text),
        file("notation/x509/ca/acme/a.pem", "CERT"),
    ];
    let errors = texts(&load(&files, &LoadOptions::default()).expect_err("is refused"));
    assert!(errors.iter().any(|e| e.contains("(version)")), "{errors:?}");
}

#[test]
fn a_private_key_among_the_certificates_is_refused() {
    let errors = try_load(
        STRICT,
        &[(
            "notation/x509/ca/acme/key.pem",
            "-----BEGIN PRIVATE KEY-----",
        )],
    )
    .expect_err("is refused");
    assert!(
        errors.iter().any(|e| e.contains("private key")),
        "{errors:?}"
    );
}

#[test]
fn files_that_nobody_reads_refuse_the_set_except_notations_own() {
    for name in [
        "notation/trustpolcy.json",
        "notation/x509/CA/acme/root.pem",
        "notation/root.pem",
        "notation/x509/ca/root.pem",
    ] {
        let errors = try_load(STRICT, &[(name, "x")]).expect_err(name);
        assert!(
            errors
                .iter()
                .any(|e| e.starts_with(name) && e.contains("not known here")),
            "{errors:?}"
        );
    }
    let errors = try_load(STRICT, &[("notation/trustpolicy.oci.json", "{}")]).expect_err("two");
    assert!(
        errors.iter().any(|e| e.contains("one trust policy")),
        "{errors:?}"
    );
    for name in ["trustpolicy.blob.json", "config.json", "signingkeys.json"] {
        let name = format!("notation/{name}");
        let loaded = try_load(STRICT, &[(&name, "anything")]).unwrap();
        assert!(texts(&loaded.warnings)[0].contains("not read"), "{name}");
    }
}

#[test]
fn a_configmap_spells_the_folders_with_underscores() {
    let text = format!(r#"{{"version": "1.0", "trustPolicies": [{STRICT}]}}"#);
    let files = [
        file("notation__trustpolicy.json", &text),
        file("notation__x509__ca__acme__root.pem", "CERT"),
    ];
    let loaded =
        load(&files, &LoadOptions::default()).unwrap_or_else(|e| panic!("{:?}", texts(&e)));
    assert_eq!(
        patterns(&loaded.set, None, "r.example.com/a:1"),
        ["r.example.com/a"]
    );
}
