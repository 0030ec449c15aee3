//! `notation` of portcullis.dev/v1: a statement of notation's trust policy, with its certificates.

mod common;

use common::*;
use portcullis_policy::model::{
    NotationAction, NotationCheck, NotationLevel, NotationRequirement, Requirement, TrustStoreKind,
    VerifyTimestamp,
};

const CA: &str = "trustStores: {ca: {acme: [{pem: CERT}]}}";
const ACME: &str = "trustedIdentities: ['x509.subject: C=US, ST=WA, O=acme']";

fn notation(fields: &str) -> String {
    with(&format!("{{notation: {{{fields}}}}}"))
}

fn also(fields: &str) -> String {
    notation(&format!("{CA}, {ACME}, {fields}"))
}

fn notation_of(requirement: &Requirement) -> &NotationRequirement {
    match requirement {
        Requirement::Notation(one) => one,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_strictest_reading_is_the_default() {
    let loaded = loaded(&notation(&format!("{CA}, {ACME}")));
    let found = notation_of(requirement(&loaded));
    assert_eq!(found.level, NotationLevel::Strict);
    assert_eq!(found.verify_timestamp, VerifyTimestamp::Always);
    assert!(found.overrides.is_empty() && found.user_metadata.is_empty());
    assert_eq!(
        found
            .trusted_identities
            .first()
            .map(|one| one.text.as_str()),
        Some("x509.subject: C=US, ST=WA, O=acme")
    );
}

#[test]
fn every_field_arrives_in_the_model() {
    let text = format!(
        "{}{}",
        notation(&format!(
            "trustStores: {{ca: {{acme: [{{file: keys/acme.crt}}, {{secret: root}}], other: [{{pem: C3}}]}}, \
             signingAuthority: {{aws: [{{pem: C4}}]}}, tsa: {{stamps: [{{pem: C5}}]}}}}, {ACME}, level: permissive, \
             override: {{expiry: enforce, revocation: skip, authenticTimestamp: log, authenticity: enforce}}, \
             verifyTimestamp: afterCertExpiry, userMetadata: {{build: '7'}}"
        )),
        secret("shop", "root", "{ca.crt: C2}")
    );
    let loaded = loaded_beside(&text, &[("keys/acme.crt", "C1")]);
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let found = notation_of(requirement(&loaded));
    let stores: Vec<(TrustStoreKind, &str, Vec<&[u8]>)> = found
        .trust_stores
        .iter()
        .map(|store| {
            let certificates = store.certificates.iter().map(|one| &*one.bytes).collect();
            (store.kind, store.name.as_str(), certificates)
        })
        .collect();
    assert_eq!(
        stores,
        [
            (TrustStoreKind::Ca, "acme", vec![b"C1".as_slice(), b"C2"]),
            (TrustStoreKind::Ca, "other", vec![b"C3".as_slice()]),
            (
                TrustStoreKind::SigningAuthority,
                "aws",
                vec![b"C4".as_slice()]
            ),
            (TrustStoreKind::Tsa, "stamps", vec![b"C5".as_slice()]),
        ]
    );
    assert_eq!(found.level, NotationLevel::Permissive);
    let overrides: Vec<(NotationCheck, NotationAction)> =
        found.overrides.iter().map(|(a, b)| (*a, *b)).collect();
    assert_eq!(
        overrides,
        [
            (NotationCheck::Authenticity, NotationAction::Enforce),
            (NotationCheck::AuthenticTimestamp, NotationAction::Log),
            (NotationCheck::Expiry, NotationAction::Enforce),
            (NotationCheck::Revocation, NotationAction::Skip),
        ]
    );
    assert_eq!(found.verify_timestamp, VerifyTimestamp::AfterCertExpiry);
    assert_eq!(
        found.user_metadata.get("build").map(String::as_str),
        Some("7")
    );
}

#[test]
fn a_signature_that_nobody_is_trusted_for_is_refused() {
    assert_each_refused(
        notation,
        &[
            (ACME, "`trustStores` is missing"),
            (CA, "`trustedIdentities` is missing"),
            (
                &format!("trustStores: {{}}, {ACME}"),
                "no signer's certificate is trusted",
            ),
            (
                &format!("trustStores: {{ca: {{}}}}, {ACME}"),
                "no store is named here",
            ),
            (
                &format!("trustStores: {{ca: {{a: []}}}}, {ACME}"),
                "the list is empty",
            ),
            (
                &format!("trustStores: {{tsa: {{a: [{{pem: C}}]}}}}, {ACME}"),
                "no signer's certificate is trusted",
            ),
            (
                &format!("trustStores: {{ca: {{a: [{{pem: C}}]}}, cas: {{}}}}, {ACME}"),
                "trust stores are `ca`, `signingAuthority` and `tsa`",
            ),
            (
                &format!("trustStores: ['ca:acme'], {ACME}"),
                "for notation's `ca:NAME`",
            ),
            (
                &format!("trustStores: {{ca: {{'../x': [{{pem: C}}]}}}}, {ACME}"),
                "a trust store's name consists of",
            ),
            (
                &format!("trustStores: {{ca: {{a: [{{pem: C}}, {{pem: C}}]}}}}, {ACME}"),
                "given twice",
            ),
            (
                &format!(
                    "trustStores: {{ca: {{a: [{{pem: '-----BEGIN PRIVATE KEY-----'}}]}}}}, {ACME}"
                ),
                "this is a private key",
            ),
        ],
    );
}

#[test]
fn trusted_identities_are_everyone_or_named() {
    let whom = |list: &str| notation(&format!("{CA}, trustedIdentities: {list}"));
    loaded(&whom("['*']"));
    assert_each_refused(
        whom,
        &[
            ("[]", "the list is empty"),
            (
                "['*', 'x509.subject: C=US, ST=WA, O=a']",
                "`*` trusts everyone, and stands alone",
            ),
            ("['C=US, ST=WA, O=a']", "or begin with `x509.subject:`"),
            ("['x509.subject: O=a', 'x509.subject: O=a']", "given twice"),
            // As YAML reads it without quotes.
            ("[x509.subject: 'C=US']", "put all of it in quotes"),
            ("'*'", "must be a list"),
            ("['']", "must not be empty"),
        ],
    );
}

#[test]
fn a_level_weaker_than_a_signature_is_refused() {
    assert_each_refused(
        also,
        &[
            ("level: skip", "write the requirement `allow: {}`"),
            (
                "level: Strict",
                "must be one of `strict`, `permissive`, `audit`",
            ),
            ("level: null", "must be text"),
        ],
    );
}

#[test]
fn overrides_are_notations_own_and_no_more() {
    assert_each_refused(
        |checks| also(&format!("override: {{{checks}}}")),
        &[
            ("", "nothing is overridden"),
            ("integrity: log", "`integrity` cannot be overridden"),
            ("expiry: skip", "only `revocation` may be skipped"),
            ("authenticity: skip", "only `revocation` may be skipped"),
            (
                "authenticTimestamp: skip",
                "only `revocation` may be skipped",
            ),
            ("revokation: skip", "unknown check"),
            (
                "revocation: ignore",
                "must be one of `enforce`, `log`, `skip`",
            ),
        ],
    );
}

#[test]
fn a_misspelt_field_refuses() {
    assert_each_refused(
        also,
        &[
            ("verifyTimestamps: always", "unknown field"),
            (
                "verifyTimestamp: never",
                "must be one of `always`, `afterCertExpiry`",
            ),
            ("registryScopes: ['*']", "its `name` says"),
            (
                "signatureVerification: {level: strict}",
                "directly under `notation`",
            ),
            ("userMetadata: {}", "nothing is named here"),
            ("userMetadata: {build: 7}", "must be text"),
            ("userMetadata: {io.cncf.notary.x: y}", "notation's own"),
        ],
    );
}

#[test]
fn a_timestamp_rule_without_a_timestamp_authority_is_pointed_out() {
    assert_warned(&also("verifyTimestamp: always"), "names no `tsa`");
}

#[test]
fn levels_under_which_anyone_may_sign_are_pointed_out() {
    assert_lint(&also("level: audit"), "a signature by anyone counts");
    assert_lint(
        &also("override: {authenticity: log}"),
        "a signature by anyone counts",
    );
    assert_lint(
        &notation(&format!("{CA}, trustedIdentities: ['*']")),
        "(spec.repositories[0].policy.notation.trustedIdentities[0]): warning: everyone to whom the trust store",
    );
    assert_no_lint(&also("level: permissive"));
    assert_no_lint(&also("level: audit, override: {authenticity: enforce}"));
}

#[test]
fn a_secret_with_two_certificates_is_not_guessed_at() {
    let text = format!(
        "{}{}",
        notation(&format!(
            "trustStores: {{ca: {{a: [{{secret: tls}}]}}}}, {ACME}"
        )),
        secret("shop", "tls", "{ca.crt: A, tls.crt: B}")
    );
    assert_refused(&text, "has both `ca.crt` and `tls.crt`");
}
