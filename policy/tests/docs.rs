//! Every example in docs/policy.md does what the text around it says.

mod common;

use std::fs;
use std::path::Path;

use common::*;
use portcullis_policy::bootstrap::Bootstrap;
use portcullis_policy::load::{LoadOptions, SourceFile, load};

const DOCS: &str = include_str!("../../docs/policy.md");

/// The fenced blocks with this info string.
fn blocks(info: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = DOCS.lines();
    while let Some(line) = lines.next() {
        if let Some(fence) = line.strip_prefix("```") {
            let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            if fence == info {
                found.push(format!("{}\n", body.join("\n")));
            }
        }
    }
    found
}

fn with_keys(name: &str, text: &str) -> Vec<SourceFile> {
    let keys = ["keys/bob.pub", "keys/demo.pub", "keys/release.pub"].map(|key| file(key, "PEM"));
    [file(name, text)].into_iter().chain(keys).collect()
}

#[test]
fn every_example_loads() {
    let examples = blocks("yaml");
    assert!(examples.len() >= 8, "found {}", examples.len());
    for example in examples {
        if let Err(errors) = load(&with_keys("p.yaml", &example), &LoadOptions::default()) {
            panic!("{:#?}\n{example}", texts(&errors));
        }
    }
}

#[test]
fn the_bootstrap_example_parses() {
    let examples = blocks("yaml bootstrap");
    assert_eq!(examples.len(), 1);
    for example in examples {
        let parsed = Bootstrap::parse(&file("bootstrap.yaml", &example))
            .unwrap_or_else(|errors| panic!("{:?}", texts(&errors)));
        assert_eq!(parsed.images.len(), 1);
    }
}

#[test]
fn the_refused_example_is_refused_in_the_words_quoted() {
    let (examples, quoted) = (blocks("yaml refused"), blocks("text"));
    let (Some(example), Some(quoted)) = (examples.first(), quoted.first()) else {
        panic!("both blocks are needed");
    };
    let errors =
        load(&with_keys("apps.yaml", example), &LoadOptions::default()).expect_err("is refused");
    let shown = texts(&errors);
    assert!(shown.contains(&quoted.trim().to_owned()), "{shown:#?}");
}

#[test]
fn every_field_that_is_accepted_has_its_place_in_an_example_or_table() {
    for field in [
        "mode",
        "tags",
        "maxEvidenceAge",
        "allow",
        "deny",
        "reason",
        "trust",
        "trustServer",
        "ca",
        "pins",
        "trustOnFirstUse",
        "signers",
        "publicKey",
        "file",
        "signerSecrets",
        "enabled",
        "simple",
        "cosign",
        "notation",
        "attestations",
        "annotations",
        "allOf",
        "anyOf",
        "threshold",
        "requirements",
        "keySecret",
        "keySecretNamespace",
        "signedIdentity",
        "dockerReference",
        "dockerRepository",
        "prefix",
        "signedPrefix",
        "storeURL",
        "storeSecret",
        "vulnerability",
        "ICCRVA",
        "account",
        "mutateImage",
        "va",
        "data",
        "stringData",
        "immutable",
        "items",
        "images",
        "namespaces",
    ] {
        assert!(DOCS.contains(field), "{field}");
    }
}

#[test]
fn the_table_of_patterns_is_true() {
    let digest = format!("registry.example.com/app@sha256:{HEX}");
    for (pattern, matching, other) in [
        (
            "nginx",
            vec!["nginx", "docker.io/library/nginx:1.25", "nginx@sha256:HEX"],
            vec!["nginxinc/nginx", "quay.io/nginx"],
        ),
        (
            "org/app",
            vec!["docker.io/org/app", "org/app:1", "org/app@sha256:HEX"],
            vec![],
        ),
        (
            "registry.example.com/shop/*",
            vec!["registry.example.com/shop/a/b"],
            vec!["registry.example.com/shop"],
        ),
        (
            "*.example.com/*",
            vec!["eu.example.com/a/b"],
            vec!["evil.net/eu.example.com/a"],
        ),
        ("*/app", vec!["quay.io/app"], vec!["quay.io/team/app"]),
        (
            "registry.example.com/app:1.*",
            vec!["registry.example.com/app:1.25"],
            vec![
                "registry.example.com/app@sha256:HEX",
                "registry.example.com/app:1.25@sha256:HEX",
            ],
        ),
        (
            &digest,
            vec![
                "registry.example.com/app:1@sha256:HEX",
                "registry.example.com/app@sha256:HEX",
            ],
            vec!["registry.example.com/app:1"],
        ),
    ] {
        let set = loaded(&ours(&format!(
            "[{{name: '{pattern}', policy: {{allow: {{}}}}}}]"
        )))
        .set;
        for image in matching {
            assert_eq!(
                governing(&set, Some("shop"), image).len(),
                1,
                "{pattern} on {image}"
            );
        }
        for image in other {
            assert_eq!(
                governing(&set, Some("shop"), image).len(),
                0,
                "{pattern} on {image}"
            );
        }
    }
}

#[test]
fn every_trap_named_has_its_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut sources = String::new();
    for part in ["policy", "trust", "shim", "tests"] {
        for folder in ["src", "tests"] {
            read_sources(&root.join(part).join(folder), &mut sources);
        }
    }
    let section = DOCS
        .split("| in Portieris | here | test |")
        .nth(1)
        .and_then(|rest| rest.split("\n\n").next())
        .unwrap();
    let rows: Vec<&str> = section.lines().skip(2).collect();
    assert!(rows.len() > 25, "found {}", rows.len());
    for row in rows {
        let test = row.rsplit('`').nth(1).unwrap();
        assert!(sources.contains(&format!("fn {test}()")), "{test}");
    }
}

fn read_sources(folder: &Path, out: &mut String) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_sources(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}
