//! Every example in docs/policy.md, docs/presets.md and docs/signatures.md does what the text around it says.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use common::*;
use portcullis_policy::bootstrap::Bootstrap;
use portcullis_policy::load::{LoadOptions, Loaded, SourceFile, lint, load};

const DOCS: &str = include_str!("../../docs/policy.md");
const PRESETS: &str = include_str!("../../docs/presets.md");
const SIGNATURES: &str = include_str!("../../docs/signatures.md");

/// The fenced blocks of `docs` with this info string.
fn blocks(docs: &str, info: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = docs.lines();
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

/// The document beside every file that it names.
fn with_keys(name: &str, text: &str) -> Vec<SourceFile> {
    let named: BTreeSet<&str> = text
        .split("file: ")
        .skip(1)
        .filter_map(|rest| rest.split(['}', ',', '\n', ' ']).next())
        .collect();
    let keys = named
        .into_iter()
        .map(|key| file(key, &format!("PLACEHOLDER {key}")));
    [file(name, text)].into_iter().chain(keys).collect()
}

#[track_caller]
fn assert_loads(example: &str) -> Loaded {
    match load(&with_keys("p.yaml", example), &LoadOptions::default()) {
        Ok(loaded) => loaded,
        Err(errors) => panic!("{:#?}\n{example}", texts(&errors)),
    }
}

#[test]
fn every_example_loads() {
    let examples = blocks(DOCS, "yaml");
    assert!(examples.len() >= 15, "found {}", examples.len());
    for example in examples {
        assert_loads(&example);
    }
}

#[test]
fn every_preset_loads_and_is_as_strong_as_it_looks() {
    let mut presets = blocks(PRESETS, "yaml");
    assert!(presets.len() >= 14, "found {}", presets.len());
    let signed = blocks(SIGNATURES, "yaml");
    assert!(signed.len() >= 8, "found {}", signed.len());
    presets.extend(signed);
    for preset in &presets {
        let loaded = assert_loads(preset);
        assert!(
            loaded.warnings.is_empty(),
            "{:?}\n{preset}",
            texts(&loaded.warnings)
        );
        let findings = lint(&with_keys("p.yaml", preset), &LoadOptions::default());
        // One says itself that lint reminds of it.
        let unexpected: Vec<String> = texts(&findings)
            .into_iter()
            .filter(|finding| {
                !preset.contains("`policy lint` reminds you")
                    || !finding.contains("certificate timestamp")
            })
            .collect();
        assert!(unexpected.is_empty(), "{unexpected:?}\n{preset}");
    }
}

/// Where the keys of a document begin and end: a word behind a bracket, comma, dash or indentation, and a colon.
fn keys_of(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (colon, _) in text.match_indices(':') {
        let (before, after) = text.split_at(colon);
        let start = before
            .rfind(|c: char| !c.is_ascii_alphanumeric())
            .map_or(0, |at| at + 1);
        let boundary = before[..start].ends_with([' ', '{', '\n']) || start == 0;
        let line = before[..start].lines().last().unwrap_or_default();
        let quoted = line.matches('"').count() % 2 == 1 || line.contains('#');
        if start < colon && boundary && !quoted && after[1..].starts_with([' ', '\n']) {
            found.push((start, &before[start..]));
        }
    }
    found
}

#[test]
fn one_letter_too_many_in_any_field_of_any_example_refuses_it() {
    // Names that the author of a policy chooses: trust stores, annotations.
    let chosen = ["acme", "partner", "stamps", "microsoft", "env"];
    let mut tried = 0;
    let all = [DOCS, PRESETS, SIGNATURES].map(|document| blocks(document, "yaml"));
    for example in all.concat() {
        for (start, key) in keys_of(&example) {
            if chosen.contains(&key) {
                continue;
            }
            let at = start + key.len();
            let misspelt = format!("{}x{}", &example[..at], &example[at..]);
            let result = load(&with_keys("p.yaml", &misspelt), &LoadOptions::default());
            assert!(result.is_err(), "`{key}x` was taken in\n{misspelt}");
            tried += 1;
        }
    }
    assert!(tried > 400, "only {tried} fields were tried");
}

#[test]
fn presets_can_stand_side_by_side() {
    let all: Vec<String> = blocks(PRESETS, "yaml")
        .into_iter()
        .filter(|preset| !preset.contains("name: registries}"))
        .collect();
    assert_loads(&all.join("---\n"));
}

#[test]
fn a_preset_says_what_to_replace() {
    for preset in blocks(PRESETS, "yaml") {
        let ready = preset.contains("metadata: {name: kubernetes}");
        assert_eq!(preset.contains("# replace:"), !ready, "{preset}");
        for line in preset.lines().filter(|line| line.contains("file: ")) {
            let key = line
                .split("file: ")
                .nth(1)
                .and_then(|rest| rest.split(['}', ',']).next());
            let explained = preset
                .lines()
                .any(|line| key.is_some_and(|key| line.contains(key)) && line.contains("replace:"));
            assert!(
                explained || PRESETS.contains(&format!("`{}`", key.unwrap())),
                "{line}"
            );
        }
    }
}

#[test]
fn the_bootstrap_example_parses() {
    let examples = blocks(DOCS, "yaml bootstrap");
    assert_eq!(examples.len(), 1);
    for example in examples {
        let parsed = Bootstrap::parse(&file("bootstrap.yaml", &example))
            .unwrap_or_else(|errors| panic!("{:?}", texts(&errors)));
        assert_eq!(parsed.images.len(), 1);
    }
}

#[test]
fn the_refused_example_is_refused_in_the_words_quoted() {
    let (examples, quoted) = (blocks(DOCS, "yaml refused"), blocks(DOCS, "text"));
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
        "keys",
        "secret",
        "pem",
        "json",
        "identities",
        "identity",
        "issuer",
        "glob",
        "regex",
        "transparencyLog",
        "signedCertificateTimestamp",
        "trustedRoot",
        "publicGood",
        "predicateType",
        "builder",
        "source",
        "`ref`",
        "maxAge",
        "vulnerabilities",
        "maxSeverity",
        "allowCVEs",
        "maxScanAge",
        "cel",
        "trustStores",
        "signingAuthority",
        "tsa",
        "trustedIdentities",
        "level",
        "override",
        "authenticity",
        "authenticTimestamp",
        "expiry",
        "revocation",
        "verifyTimestamp",
        "afterCertExpiry",
        "userMetadata",
        "match",
        "revision",
        "createdWithin",
        "cosign.pub",
        "ca.crt",
        "tls.crt",
        "trusted_root.json",
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
