//! `cosign` of portcullis.dev/v1: what it says, and what it may not leave open.

mod common;

use common::*;
use portcullis_policy::load::{LoadOptions, SourceFile, load};
use portcullis_policy::model::{
    CosignRequirement, Demand, KeyMaterial, Requirement, SigstoreSigner, TextMatch,
    TrustedRootSource,
};

const ALICE: &str = "{identity: alice@example.com, issuer: 'https://issuer.example.com'}";

fn cosign(fields: &str) -> String {
    with(&format!("{{cosign: {{{fields}}}}}"))
}

fn cosign_of(requirement: &Requirement) -> &CosignRequirement {
    match requirement {
        Requirement::Cosign(one) => one,
        other => panic!("{other:?}"),
    }
}

fn keys(of: &[SigstoreSigner]) -> Vec<&KeyMaterial> {
    of.iter()
        .filter_map(|signer| match signer {
            SigstoreSigner::Key(key) => Some(key),
            SigstoreSigner::Identity(_) => None,
        })
        .collect()
}

#[test]
fn keys_come_from_secret_file_and_document_under_the_name_a_person_knows() {
    let text = format!(
        "{}{}",
        cosign("keys: [{secret: shop-signer}, {file: keys/shop.pub}, {pem: KEY-C}]"),
        secret("shop", "shop-signer", "{cosign.pub: KEY-A}")
    );
    for folder in ["keys/shop.pub", "keys__shop.pub"] {
        let loaded = loaded_beside(&text, &[(folder, "KEY-B")]);
        let found = cosign_of(requirement(&loaded));
        let keys: Vec<(&str, &[u8], &str)> = keys(&found.signers.of)
            .iter()
            .map(|key| (key.name.as_str(), &*key.bytes, key.span.path.as_str()))
            .collect();
        let path = "spec.repositories[0].policy.cosign.keys";
        assert_eq!(
            keys,
            [
                (
                    "Secret shop-signer",
                    b"KEY-A".as_slice(),
                    &*format!("{path}[0].secret")
                ),
                ("keys/shop.pub", b"KEY-B", &*format!("{path}[1].file")),
                ("inline", b"KEY-C", &*format!("{path}[2].pem")),
            ]
        );
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    }
}

#[test]
fn the_strictest_reading_is_the_default() {
    let loaded = loaded(&cosign("keys: [{pem: K}]"));
    let found = cosign_of(requirement(&loaded));
    assert_eq!(found.signers.threshold, 1);
    assert_eq!(found.signers.transparency_log, Demand::Require);
    assert_eq!(found.signers.signed_certificate_timestamp, Demand::Require);
    assert_eq!(found.signers.trusted_root, TrustedRootSource::PublicGood);
    assert!(found.annotations.is_empty() && found.identity.is_none());
}

#[test]
fn every_field_arrives_in_the_model() {
    let loaded = loaded(&cosign(&format!(
        "keys: [{{pem: K}}], threshold: 2, transparencyLog: ignore, signedCertificateTimestamp: ignore, \
         trustedRoot: {{json: '{{}}'}}, annotations: {{env: prod, empty: ''}}, \
         identities: [{ALICE}, {{identity: {{glob: 'https://github.com/acme/*'}}, issuer: {{regex: 'https://a\\.example\\.com'}}}}]"
    )));
    let found = cosign_of(requirement(&loaded));
    assert_eq!((found.signers.of.len(), found.signers.threshold), (3, 2));
    assert_eq!(found.signers.transparency_log, Demand::Ignore);
    assert_eq!(found.signers.signed_certificate_timestamp, Demand::Ignore);
    assert!(
        matches!(&found.signers.trusted_root, TrustedRootSource::Json(root) if root.bytes == b"{}")
    );
    assert_eq!(
        found.annotations.get("env").map(String::as_str),
        Some("prod")
    );
    assert_eq!(found.annotations.get("empty").map(String::as_str), Some(""));
    let identities: Vec<(&TextMatch, &TextMatch)> = found
        .signers
        .of
        .iter()
        .filter_map(|signer| match signer {
            SigstoreSigner::Identity(one) => Some((&one.identity, &one.issuer)),
            SigstoreSigner::Key(_) => None,
        })
        .collect();
    assert_eq!(
        identities,
        [
            (
                &TextMatch::Exact("alice@example.com".into()),
                &TextMatch::Exact("https://issuer.example.com".into())
            ),
            (
                &TextMatch::Glob("https://github.com/acme/*".into()),
                &TextMatch::Regex("https://a\\.example\\.com".into())
            ),
        ]
    );
}

#[test]
fn a_signature_by_nobody_in_particular_is_refused() {
    assert_each_refused(
        cosign,
        &[
            ("", "nobody is named"),
            ("transparencyLog: ignore", "nobody is named"),
            ("keys: []", "the list is empty"),
            ("identities: []", "the list is empty"),
            ("keys: [], identities: []", "the list is empty"),
            ("keys: null", "must be a list"),
            (
                "identities: [{identity: a@example.com}]",
                "`issuer` is missing",
            ),
            (
                "identities: [{issuer: 'https://i.example.com'}]",
                "`identity` is missing",
            ),
            (
                "identities: [{identity: '', issuer: 'https://i.example.com'}]",
                "must not be empty",
            ),
            ("identities: [{identity: null, issuer: x}]", "must be text"),
        ],
    );
}

#[test]
fn a_misspelt_field_or_word_refuses_and_never_weakens() {
    assert_each_refused(
        |fields| cosign(&format!("keys: [{{pem: K}}], {fields}")),
        &[
            (
                "treshold: 2",
                "(spec.repositories[0].policy.cosign.treshold): error: unknown field",
            ),
            (
                "transparencyLog: ignored",
                "must be one of `require`, `ignore`",
            ),
            ("transparencyLog: true", "must be text"),
            ("transparencyLog: null", "must be text"),
            (
                "signedCertificateTimestamp: optional",
                "must be one of `require`, `ignore`",
            ),
            ("key: x", "write `keys`, a list"),
            (
                "identity: a@example.com",
                "belongs inside an entry of the list `identities`",
            ),
            ("predicateType: vuln", "the requirement `attestations`"),
            ("trustedRoot: publicgood", "must be `publicGood`"),
            (
                "trustedRoot: {pem: x}",
                "unknown field; a trusted root is given",
            ),
            ("trustedRoot: {json: ''}", "must not be empty"),
            ("trustedRoot: {}", "exactly one of"),
            ("annotations: {}", "nothing is named here"),
            ("annotations: {env: 1}", "must be text"),
            ("annotations: {env: {glob: '*'}}", "must be text"),
            ("annotations: {'': x}", "not a name"),
        ],
    );
    assert_refused(&with("{cosign: null}"), "must be a mapping");
    assert_refused(&with("{cosign: [{keys: []}]}"), "must be a mapping");
}

#[test]
fn a_threshold_is_between_one_and_the_number_of_signers() {
    let of = |threshold: &str| {
        cosign(&format!(
            "keys: [{{pem: K}}], identities: [{ALICE}], threshold: {threshold}"
        ))
    };
    for good in ["1", "2"] {
        loaded(&of(good));
    }
    for (bad, expected) in [
        ("0", "between 1 and the number of keys and identities, 2"),
        ("3", "between 1 and the number of keys and identities, 2"),
        ("-1", "must be a whole number"),
        ("'1'", "must be a whole number"),
        ("99999999999999999999", "must be a whole number"),
        ("null", "must be a whole number"),
    ] {
        assert_refused(&of(bad), expected);
    }
    // Even where the signers themselves are wrong.
    assert_refused(
        &cosign("keys: [], threshold: many"),
        "must be a whole number",
    );
}

#[test]
fn one_signer_listed_twice_does_not_make_two() {
    assert_refused(
        &cosign("keys: [{pem: K}, {pem: \"K\\n\"}], threshold: 2"),
        "given twice; the same stands at p.yaml:5:",
    );
    assert_refused(
        &cosign(&format!("identities: [{ALICE}, {ALICE}], threshold: 2")),
        "given twice",
    );
    assert_refused(
        &format!(
            "{}{}",
            cosign("keys: [{secret: a}, {pem: K}]"),
            secret("shop", "a", "{key: K}")
        ),
        "given twice",
    );
}

#[test]
fn a_key_is_named_in_exactly_one_way() {
    assert_each_refused(
        |key| cosign(&format!("keys: [{key}]")),
        &[
            (
                "{}",
                "exactly one of `secret: NAME`, `file: NAME` and `pem: TEXT`",
            ),
            ("{pem: K, file: a.pub}", "exactly one of"),
            ("{url: 'https://keys.example.com'}", "unknown field"),
            ("{kms: x}", "unknown field"),
            ("K", "must be a mapping"),
            ("{pem: ''}", "must not be empty"),
            ("{pem: '  '}", "is empty here"),
            ("{pem: 12}", "must be text"),
            ("{file: a.pub}", "there is no file `a.pub`"),
            ("{file: /etc/passwd}", "a key file is in `keys/`"),
            ("{file: p.yaml}", "a key file is in `keys/`"),
            ("{file: keys/../p.yaml}", "there is no file"),
            ("{secret: x}", "there is no Secret `x` for namespace `shop`"),
        ],
    );
    let long = "k".repeat((64 << 10) + 1);
    assert_refused(
        &cosign(&format!("keys: [{{pem: {long}}}]")),
        "at most 65536 bytes",
    );
}

#[test]
fn an_empty_key_file_is_refused() {
    let files = [
        file("p.yaml", &cosign("keys: [{file: keys/a.pub}]")),
        file("keys/a.pub", ""),
    ];
    let errors = texts(&load(&files, &LoadOptions::default()).expect_err("is refused"));
    assert!(
        errors.iter().any(|e| e.contains("`keys/a.pub` is empty")),
        "{errors:?}"
    );
}

#[test]
fn everything_in_the_keys_folder_is_a_key_and_no_document() {
    for name in ["keys/trusted_root.json", "keys__trusted_root.json"] {
        let text = cosign("keys: [{pem: K}], trustedRoot: {file: keys/trusted_root.json}");
        let loaded = loaded_beside(&text, &[(name, "{\"mediaType\": \"x\"}")]);
        assert!(matches!(
            &cosign_of(requirement(&loaded)).signers.trusted_root,
            TrustedRootSource::Json(root) if root.name == "keys/trusted_root.json"
        ));
    }
    for name in [
        "a.pem",
        "a.pub",
        "a.crt",
        "a.cer",
        "a.asc",
        "a.gpg",
        "keys/a",
        "keys/a.yaml",
    ] {
        let text = cosign(&format!("keys: [{{file: {name}}}]"));
        loaded_beside(&text, &[(name, "KEY")]);
    }
}

#[test]
fn a_private_key_is_refused_wherever_it_stands_and_never_shown() {
    for label in [
        "PRIVATE KEY",
        "EC PRIVATE KEY",
        "ENCRYPTED SIGSTORE PRIVATE KEY",
    ] {
        let private = format!("\"-----BEGIN {label}-----\\nc2VjcmV0\\n-----END {label}-----\"");
        let inline = cosign(&format!("keys: [{{pem: {private}}}]"));
        let kept = format!(
            "{}{}",
            cosign("keys: [{secret: a}]"),
            secret("shop", "a", &format!("{{key: {private}}}"))
        );
        for text in [inline, kept] {
            let errors = refused(&text);
            assert!(
                errors.iter().any(|e| e.contains("this is a private key")),
                "{errors:?}"
            );
            assert!(!errors.iter().any(|e| e.contains("c2VjcmV0")), "{errors:?}");
        }
    }
}

#[test]
fn a_secret_of_cosigns_own_making_works_and_its_private_half_is_pointed_out() {
    let text = format!(
        "{}{}",
        cosign("keys: [{secret: signer}]"),
        secret(
            "shop",
            "signer",
            "{cosign.pub: K, cosign.key: '-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----', cosign.password: ''}"
        )
    );
    let loaded = assert_warned(&text, "also holds a private key");
    assert_eq!(keys(&cosign_of(requirement(&loaded)).signers.of).len(), 1);
}

#[test]
fn a_secret_with_two_keys_is_not_guessed_at() {
    let beside = |values: &str| {
        format!(
            "{}{}",
            cosign("keys: [{secret: a}]"),
            secret("shop", "a", values)
        )
    };
    assert_refused(
        &beside("{key: K, cosign.pub: L}"),
        "has both `cosign.pub` and `key`",
    );
    assert_refused(
        &beside("{pub: K}"),
        "has nothing under `cosign.pub` or `key` or `publicKey`",
    );
    assert_refused(&beside("{key: ''}"), "has nothing under");
}

#[test]
fn a_key_of_another_namespace_is_not_taken() {
    let text = format!(
        "{}{}",
        cosign("keys: [{secret: a}]"),
        secret("other", "a", "{key: K}")
    );
    assert_refused(&text, "there is no Secret `a` for namespace `shop`");
    let cluster = policy(
        "portcullis.dev/v1",
        "ClusterImagePolicy",
        "{name: all}",
        "[{name: r.io/app, policy: {cosign: {keys: [{secret: a}]}}}]",
    );
    loaded(&format!("{cluster}{}", secret("other", "a", "{key: K}")));
    assert_refused(
        &format!(
            "{cluster}{}{}",
            secret("other", "a", "{key: K}"),
            secret("shop", "a", "{key: L}")
        ),
        "a cluster policy cannot choose",
    );
}

#[test]
fn a_text_is_compared_in_exactly_one_way() {
    assert_each_refused(
        |identity| {
            cosign(&format!(
                "identities: [{{identity: {identity}, issuer: i}}]"
            ))
        },
        &[
            ("{}", "compared with exactly one of"),
            ("{glob: a, regex: b}", "compared with exactly one of"),
            ("{regexp: a}", "unknown field"),
            ("{glob: ''}", "must not be empty"),
            ("{regex: 1}", "must be text"),
            ("[a]", "must be text"),
        ],
    );
    let long = "a".repeat(4097);
    assert_refused(
        &cosign(&format!("identities: [{{identity: {long}, issuer: i}}]")),
        "at most 4096 bytes",
    );
    // Whether a regular expression compiles is for who runs it to say.
    loaded(&cosign("identities: [{identity: {regex: '('}, issuer: i}]"));
}

#[test]
fn a_star_in_a_plain_text_is_a_star_and_the_author_is_told() {
    let text = cosign("identities: [{identity: '*@example.com', issuer: i}]");
    let loaded = assert_warned(&text, "write `{glob: …}`");
    assert!(matches!(
        cosign_of(requirement(&loaded)).signers.of.as_slice(),
        [SigstoreSigner::Identity(one)] if one.identity == TextMatch::Exact("*@example.com".into())
    ));
}

#[test]
fn a_field_without_effect_is_pointed_out() {
    assert_warned(
        &cosign("keys: [{pem: K}], signedCertificateTimestamp: require"),
        "only the certificates of `identities`",
    );
}

#[test]
fn an_identity_that_everyone_has_is_pointed_out() {
    let id = |identity: &str| {
        cosign(&format!(
            "identities: [{{identity: {identity}, issuer: 'https://i.example.com'}}]"
        ))
    };
    for everyone in [
        "{glob: '*'}",
        "{glob: '**'}",
        "{regex: '.*'}",
        "{regex: '^.+$'}",
    ] {
        assert_lint(
            &id(everyone),
            "everyone to whom the issuer gives a certificate",
        );
    }
    assert_lint(
        &cosign("identities: [{identity: a@example.com, issuer: {glob: '*'}}]"),
        "every issuer satisfies this",
    );
    for (loose, expected) in [
        (
            "{regex: 'https://github.com/acme/.*'}",
            "stands for any character in the host `github.com`",
        ),
        (
            "{regex: '.*@example.com'}",
            "stands for any character in the host `example.com`",
        ),
        (
            "{regex: 'https://github\\.com/acme.*'}",
            "also matches `acme-other`",
        ),
        (
            "{glob: 'https://github.com/acme*'}",
            "also matches `acme-other`",
        ),
        ("{glob: 'https://github.com*'}", "`github.com.example.net`"),
        ("{glob: 'https://*example.com/x'}", "`otherexample.com`"),
        ("{glob: '*example.com'}", "write `*@example.com`"),
    ] {
        assert_lint(&id(loose), expected);
    }
    for sound in [
        "{glob: 'https://github.com/acme/*'}",
        "{glob: 'https://*.example.com/acme/*'}",
        "{glob: 'https://github.com/*/app/.github/workflows/release.yml@refs/heads/main'}",
        "{glob: '*@example.com'}",
        "{glob: 'https://localhost:*/x'}",
        "{regex: 'https://github\\.com/acme/.*'}",
        "{regex: '.*@example[.]com'}",
        "{regex: '[a-z.]+@example\\.com'}",
        "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main",
    ] {
        assert_no_lint(&id(sound));
    }
}

#[test]
fn a_certificate_that_nobody_saw_issued_is_pointed_out() {
    assert_lint(
        &cosign(&format!(
            "identities: [{ALICE}], signedCertificateTimestamp: ignore"
        )),
        "without a signed certificate timestamp",
    );
    assert_no_lint(&cosign("keys: [{pem: K}], transparencyLog: ignore"));
    assert_no_lint(&cosign(&format!(
        "identities: [{ALICE}], transparencyLog: ignore"
    )));
}

#[test]
fn signatures_nest_in_choices() {
    let loaded = loaded(&with(&format!(
        "{{anyOf: {{threshold: 2, of: [{{cosign: {{keys: [{{pem: K}}]}}}}, {{allOf: [{{cosign: {{identities: [{ALICE}]}}}}, {{annotations: {{source: s}}}}]}}]}}}}"
    )));
    let mut systems = Vec::new();
    requirement(&loaded).walk(&mut |one| match one {
        Requirement::Cosign(_) => systems.push("cosign"),
        Requirement::Annotations(_) => systems.push("annotations"),
        _ => {}
    });
    assert_eq!(systems, ["cosign", "cosign", "annotations"]);
    assert_refused(
        &with("{anyOf: [{cosign: {keys: [{pem: K}], treshold: 1}}, {deny: {}}]}"),
        "(spec.repositories[0].policy.anyOf[0].cosign.treshold)",
    );
}

#[test]
fn one_rule_in_two_places_is_one_wherever_its_key_comes_from() {
    let text = |second: &str| {
        ours(&format!(
            "[{{name: nginx, policy: {{cosign: {{keys: [{{pem: K}}]}}}}}}, {{name: docker.io/library/nginx, policy: {{cosign: {{keys: [{second}]}}}}}}]"
        ))
    };
    let same = loaded_beside(&text("{file: keys/k.pub}"), &[("keys/k.pub", "K")]);
    assert_eq!(same.set.rules.len(), 1);
    assert_refused(&text("{pem: L}"), "the order of files decides nothing");
}

#[test]
fn a_set_with_a_password_keeps_its_file_mode_rule_and_keys_need_none() {
    let text = format!(
        "{}{}",
        cosign("keys: [{secret: a}]"),
        secret("shop", "a", "{key: K}")
    );
    let source = SourceFile {
        name: "p.yaml".into(),
        bytes: text.into_bytes(),
        mode: Some(0o644),
    };
    assert!(load(&[source], &LoadOptions::default()).is_ok());
}
