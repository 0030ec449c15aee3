//! Chains and certificates that may not vouch, and what makes one an anchor.

use super::np_common::{envelope, judge, refusal, verifier};

/// Where a chain that nobody vouches for is looked at too.
fn refused(files: &[(&str, &str)]) {
    for (file, why) in files {
        for form in ["jws", "cose"] {
            let text = refusal(&format!("forged-{file}.{form}"), "log-authenticity");
            let expected = format!(
                "the certificate chain in an envelope is not as the specification asks: {why}"
            );
            assert_eq!(text, expected, "{file}.{form}");
        }
    }
}

#[test]
fn a_chain_is_complete_ordered_and_nothing_more() {
    let unsigned = "a certificate is not signed by the one after it";
    let rootless = "it does not end with a self-signed root";
    let early = "a certificate before the last one is self-signed";
    refused(&[
        ("chain-leaf-alone", rootless),
        ("chain-no-root", rootless),
        ("chain-no-inter", unsigned),
        ("chain-reordered", rootless),
        ("chain-root-other", unsigned),
        ("chain-extra-before", early),
        ("chain-inter-twice", unsigned),
        ("chain-leaf-twice", unsigned),
        ("chain-root-twice", early),
        ("chain-extra", early),
        ("chain-garbage", "a certificate cannot be read"),
    ]);
    assert_eq!(
        refusal("forged-chain-no-certificate.cose", "any"),
        "an envelope cannot be read: it has no certificate"
    );
}

#[test]
fn certificates_that_nobody_vouches_for_are_not_verified() {
    for form in ["jws", "cose"] {
        assert_eq!(
            refusal(&format!("forged-chain-leaf-alone.{form}"), "any"),
            "no certificate of a signature's chain is in a trust store that the policy names"
        );
    }
}

#[test]
fn a_signers_certificate_is_for_signing_and_for_nothing_else() {
    let purpose = "the signer's certificate is for another purpose than code signing";
    let more = "the signer's key is for more than digital signatures";
    let kind = "the signer's key is of a kind or size that may not sign";
    refused(&[
        ("leaf-no-key-usage", "a certificate has no key usage"),
        (
            "leaf-usage-not-critical",
            "the key usage of a certificate is not critical",
        ),
        ("leaf-usage-encipherment", more),
        ("leaf-usage-agreement", more),
        ("leaf-usage-cert-sign", more),
        ("leaf-usage-crl-sign", more),
        (
            "leaf-usage-other",
            "the signer's key is not for digital signatures",
        ),
        (
            "leaf-authority",
            "the signer's certificate is an authority's",
        ),
        ("leaf-purpose-server", purpose),
        ("leaf-purpose-any", purpose),
        ("leaf-purpose-both", purpose),
        ("leaf-purpose-email", purpose),
        ("leaf-purpose-stamp", purpose),
        ("leaf-purpose-ocsp", purpose),
        ("leaf-rsa1024", kind),
        ("leaf-rsa2560", kind),
        ("leaf-rsa8192", kind),
        ("leaf-secp256k1", kind),
        (
            "leaf-sha1",
            "a certificate is not signed by the one after it",
        ),
    ]);
}

#[test]
fn an_issuer_is_an_authority_within_its_limits() {
    let none = "an issuer is not an authority";
    refused(&[
        ("ca-no-constraints", none),
        ("ca-no-authority", none),
        (
            "ca-not-critical",
            "an authority's basic constraints are not critical",
        ),
        ("ca-no-key-usage", "a certificate has no key usage"),
        (
            "ca-usage-not-critical",
            "the key usage of a certificate is not critical",
        ),
        (
            "ca-usage-other",
            "an authority's key is not for signing certificates",
        ),
        (
            "ca-path-too-long",
            "it is longer than an authority's path length allows",
        ),
        ("ca-sha1", "a certificate is not signed by the one after it"),
    ]);
    // A path length of zero allows leaves.
    judge(&verifier("any"), &envelope("forged-ca-path-0.jws")).unwrap();
}

#[test]
fn an_anchor_is_a_certificate_of_the_named_stores_byte_for_byte() {
    let untrusted =
        "no certificate of a signature's chain is in a trust store that the policy names";
    for form in ["jws", "cose"] {
        let file = format!("signed-p256.{form}");
        for policy in ["any", "inter", "both"] {
            judge(&verifier(policy), &envelope(&file)).unwrap();
        }
        // Of the same name as the root, with another key.
        assert_eq!(refusal(&file, "other"), untrusted);
        judge(
            &verifier("alone"),
            &envelope(&format!("signed-alone.{form}")),
        )
        .unwrap();
        judge(&verifier("self"), &envelope(&format!("signed-self.{form}"))).unwrap();
        assert_eq!(refusal(&format!("signed-self.{form}"), "alone"), untrusted);
    }
}

#[test]
fn an_impostor_of_the_intermediate_vouches_for_nobody() {
    assert_eq!(
        refusal("forged-ca-impostor.jws", "both"),
        "the certificate chain in an envelope is not as the specification asks: a certificate is not signed by the one after it"
    );
}

#[test]
fn each_scheme_has_stores_of_its_own() {
    for form in ["jws", "cose"] {
        let file = format!("forged-authority.{form}");
        let verified = judge(&verifier("authority"), &envelope(&file)).unwrap();
        assert!(
            verified
                .signer
                .contains(" by signingAuthority:authority (certificate ")
        );
        assert_eq!(verified.notes, Vec::<String>::new());
        assert_eq!(
            refusal(&file, "any"),
            "a signature's scheme asks for a `signingAuthority` trust store, and the policy names none"
        );
        assert_eq!(
            refusal(&format!("forged-x509-by-authority.{form}"), "authority"),
            "a signature's scheme asks for a `ca` trust store, and the policy names none"
        );
        assert_eq!(
            refusal(
                &format!("forged-authority-before-chain.{form}"),
                "authority"
            ),
            "a certificate of the chain was not valid when the signing authority signed"
        );
    }
}
