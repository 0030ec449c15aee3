//! The policy model in words, for people.

mod duration;
mod signatures;

use portcullis_policy::model::{Requirement, Scope};
use portcullis_policy::select::Standing;

/// What a requirement asks.
pub(super) fn requirement(requirement: &Requirement) -> String {
    match requirement {
        Requirement::Allow => "allowed without a signature, from this repository".to_owned(),
        Requirement::Deny { reason: None } => "denied".to_owned(),
        Requirement::Deny {
            reason: Some(reason),
        } => format!("denied: {reason}"),
        Requirement::All(of) => nested("all of", of),
        Requirement::Any { threshold, of } => nested(&format!("{threshold} of"), of),
        Requirement::Notary(notary) => {
            let server = &notary.trust.server;
            let signers: Vec<&str> = notary
                .signers
                .iter()
                .map(|signer| signer.name.as_str())
                .collect();
            if signers.is_empty() {
                format!("a tag signed in Notary at {server}")
            } else {
                format!(
                    "a tag signed in Notary at {server} by {}",
                    signers.join(" and ")
                )
            }
        }
        Requirement::Cosign(one) => signatures::cosign(one),
        Requirement::Attestation(one) => signatures::attestation(one),
        Requirement::Notation(one) => signatures::notation(one),
        Requirement::Simple(one) => signatures::simple(one),
        Requirement::Annotations(one) => signatures::annotations(one),
    }
}

fn nested(how_many: &str, of: &[Requirement]) -> String {
    let parts: Vec<String> = of.iter().map(requirement).collect();
    format!("{how_many} ({})", parts.join("; "))
}

/// Why a rule stands where it stands.
pub(super) fn standing(
    standing: &Standing,
    rule: &Scope,
    read: Option<&Scope>,
    several: bool,
) -> String {
    match (standing, rule, read) {
        (Standing::Chosen, ..) if several => {
            "one of several equally specific matches, all of which must hold".to_owned()
        }
        (Standing::Chosen, ..) => "the most specific match".to_owned(),
        (Standing::LessSpecific, ..) => "matches, but a more specific rule does too".to_owned(),
        (Standing::NoMatch, ..) => "its pattern does not match".to_owned(),
        (Standing::OutOfScope, Scope::Namespace(name), _) => {
            format!("governs the namespace {name} only")
        }
        (Standing::OutOfScope, Scope::Cluster, Some(Scope::Namespace(name))) => {
            format!("cluster rules are not read: the namespace {name} has a policy of its own")
        }
        (Standing::OutOfScope, Scope::Cluster, _) => "cluster rules are not read here".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use portcullis_policy::load::{LoadOptions, SourceFile, load};

    use super::*;

    /// What `policy` of portcullis.dev/v1 is in words.
    fn words(policy: &str) -> String {
        let text = format!(
            "apiVersion: portcullis.dev/v1\nkind: ClusterImagePolicy\nmetadata: {{name: a}}\nspec:\n  repositories:\n  - name: r.io/a\n    policy: {policy}\n"
        );
        let file = |name: &str, text: &str| SourceFile {
            name: name.to_owned(),
            bytes: text.as_bytes().to_vec(),
            mode: None,
        };
        let files = [file("a.yaml", &text), file("keys/shop.pub", "KEY")];
        let loaded = load(&files, &LoadOptions::default()).unwrap();
        requirement(&loaded.set.rules.first().unwrap().requirement)
    }

    #[test]
    fn nested_requirements_are_read_out() {
        assert_eq!(
            words("{anyOf: {threshold: 2, of: [{allow: {}}, {allOf: [{deny: {reason: old}}]}]}}"),
            "2 of (allowed without a signature, from this repository; all of (denied: old))"
        );
    }

    #[test]
    fn who_must_have_signed_is_named() {
        assert_eq!(
            words(
                "{cosign: {keys: [{file: keys/shop.pub}, {pem: K}], transparencyLog: ignore, annotations: {env: prod}}}"
            ),
            "a cosign signature by the key keys/shop.pub or the key in line 7 of a.yaml, no log entry required, with the signed annotation env=prod"
        );
        assert_eq!(
            words(
                "{cosign: {keys: [{file: keys/shop.pub}], identities: [{identity: {glob: 'https://github.com/acme/*'}, issuer: {regex: 'https://i\\.example'}}], threshold: 2}}"
            ),
            "a cosign signature by the key keys/shop.pub and https://github.com/acme/* (issuer /https://i\\.example/), with a log entry, trusting Sigstore's public instance"
        );
        assert_eq!(
            words(
                "{simple: {keys: [{file: keys/shop.pub}], storeURL: 'https://s.example.com', signedIdentity: {type: remapIdentity, prefix: m.io, signedPrefix: r.io}}}"
            ),
            "an OpenPGP signature by the key keys/shop.pub, made for this reference with r.io in place of m.io, from https://s.example.com"
        );
    }

    #[test]
    fn what_a_statement_must_say_is_read_out() {
        assert_eq!(
            words(
                "{attestations: {predicateType: vuln, keys: [{file: keys/shop.pub}], transparencyLog: ignore, vulnerabilities: {maxSeverity: medium, allowCVEs: [CVE-1], maxScanAge: 7d}}}"
            ),
            "an attestation of type https://cosign.sigstore.dev/attestation/vuln/v1 by the key keys/shop.pub, no log entry required, reporting nothing above medium but CVE-1, scanned at most 7 days ago"
        );
        assert_eq!(
            words(
                "{attestations: {predicateType: slsaprovenance1, keys: [{file: keys/shop.pub}], transparencyLog: ignore, builder: b, source: s, ref: r, maxAge: 36h, cel: 'true'}}"
            ),
            "an attestation of type https://slsa.dev/provenance/v1 by the key keys/shop.pub, no log entry required, built by b, from s, at r, at most 36 hours old, where true"
        );
        assert_eq!(
            words("{annotations: {match: {team: shop}, createdWithin: 90d}}"),
            "an image that says of itself: team is shop, and it was created at most 90 days ago"
        );
    }

    #[test]
    fn a_notation_requirement_tells_its_level_and_stores() {
        assert_eq!(
            words(
                "{notation: {trustStores: {ca: {acme: [{pem: C}]}, tsa: {stamps: [{pem: T}]}}, trustedIdentities: ['x509.subject: C=US, ST=WA, O=acme'], override: {revocation: skip}, userMetadata: {build: '7'}}}"
            ),
            "a notation signature by x509.subject: C=US, ST=WA, O=acme under ca:acme (level strict, revocation: skip), timestamped under tsa:stamps, with the user metadata build=7"
        );
    }
}
