//! docs/configuration.md: its examples load, its defaults are the defaults, and no key is missing.

mod docs_support;

use std::path::Path;

use docs_support::{blocks, names};
use portcullis::config::{Config, parse};
use portcullis_policy::bootstrap::Bootstrap;
use portcullis_policy::load::SourceFile;

const DOCS: &str = include_str!("../../docs/configuration.md");

fn read(text: &str) -> Result<Config, String> {
    parse(Path::new("config.yaml"), text.as_bytes()).map_err(|error| error.to_string())
}

/// The keys that stand beside `nope`, as the refusal of it names them.
fn keys_beside(text: &str) -> Vec<String> {
    let refusal = read(text).unwrap_err();
    assert!(refusal.contains("nope"), "{refusal}");
    let (_, expected) = refusal.split_once("expected").unwrap();
    let keys: Vec<String> = expected
        .split(|c: char| !c.is_ascii_alphabetic())
        .filter(|word| !matches!(*word, "" | "one" | "of" | "or"))
        .map(str::to_owned)
        .collect();
    assert!(keys.len() > 1, "{refusal}");
    keys
}

#[test]
fn the_defaults_shown_are_the_defaults() {
    let shown = blocks(DOCS, "yaml defaults");
    assert_eq!(shown.len(), 1);
    for text in shown {
        assert_eq!(read(&text).unwrap(), Config::default());
    }
}

#[test]
fn every_key_is_described_and_in_the_example_that_says_everything() {
    let examples = blocks(DOCS, "yaml config");
    assert_eq!(examples.len(), 1);
    let config = read(&examples[0]).unwrap();
    assert_eq!(config.notary.len(), 2);
    for level in [
        "nope: 1\n",
        "registry:\n  nope: 1\n",
        "registry:\n  credentials:\n    nope: 1\n",
        "registry:\n  credentials:\n    credentialProviders:\n      nope: 1\n",
        "notary:\n- nope: 1\n",
    ] {
        for key in keys_beside(level) {
            assert!(names(DOCS, &key), "{key} is not described");
            assert!(
                examples[0].contains(&format!("{key}:")),
                "{key} is not in the example"
            );
        }
    }
}

#[test]
fn the_defaults_in_the_tables_are_those_of_the_block() {
    let defaults = &blocks(DOCS, "yaml defaults")[0];
    for line in defaults.lines() {
        let (key, value) = line.trim().split_once(':').unwrap();
        let value = value.trim();
        if matches!(value, "" | "{}" | "[]") {
            continue;
        }
        let row = DOCS
            .lines()
            .find(|row| row.starts_with(&format!("| `{key}` |")))
            .unwrap_or_else(|| panic!("no row for {key}"));
        assert!(row.ends_with(&format!("| `{value}` |")), "{row}");
    }
}

#[test]
fn the_bootstrap_example_loads() {
    let examples = blocks(DOCS, "yaml bootstrap");
    assert_eq!(examples.len(), 1);
    for example in examples {
        let file = SourceFile {
            name: "bootstrap.yaml".to_owned(),
            bytes: example.into_bytes(),
            mode: None,
        };
        let list = Bootstrap::parse(&file).unwrap();
        assert_eq!(list.images.len(), 2);
    }
}
