//! Every example in docs/migrating.md loads, and the conversion shown is the one made.

mod common;

use std::collections::BTreeMap;

use common::*;
use portcullis_policy::convert::convert;
use portcullis_policy::load::{LoadOptions, Loaded, SourceFile, load};

const DOCS: &str = include_str!("../../docs/migrating.md");

/// The fenced blocks whose info string is a language and `SET:NAME`, by set and name.
fn sets() -> BTreeMap<String, BTreeMap<String, String>> {
    let mut found: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let mut lines = DOCS.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else {
            continue;
        };
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        if let Some((set, name)) = info
            .split_once(' ')
            .and_then(|(_, what)| what.split_once(':'))
        {
            let text = format!("{}\n", body.join("\n"));
            found
                .entry(set.to_owned())
                .or_default()
                .insert(name.to_owned(), text);
        }
    }
    found
}

fn loaded(set: &str) -> Loaded {
    let certificate =
        "-----BEGIN CERTIFICATE-----\nput your CA's certificate here\n-----END CERTIFICATE-----\n";
    let mut files: Vec<SourceFile> = sets()[set]
        .iter()
        .map(|(name, text)| file(name, text))
        .collect();
    files.extend([
        file("keys/RPM-GPG-KEY-redhat-release", "PGP"),
        file("keys/shop.pub", "PEM"),
    ]);
    if set == "notation" {
        files.push(file("notation/x509/ca/acme/root.pem", certificate));
    }
    load(&files, &LoadOptions::default())
        .unwrap_or_else(|errors| panic!("{set}: {:#?}", texts(&errors)))
}

#[test]
fn every_example_loads_without_a_warning() {
    for set in ["portieris", "containers", "notation"] {
        let warnings = texts(&loaded(set).warnings);
        assert!(warnings.is_empty(), "{set}: {warnings:?}");
    }
    assert_eq!(sets().len(), 4, "a set that no test loads");
}

#[test]
fn the_conversion_shown_is_the_one_made() {
    let converted = convert(&loaded("notation").set).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(converted.text, sets()["expected"]["notation"]);
    assert!(converted.notes.is_empty());
}

#[test]
fn what_the_table_calls_refused_is_refused_after_conversion() {
    let converted = convert(&loaded("containers").set).unwrap_or_else(|error| panic!("{error}"));
    assert!(converted.text.contains("deny:"), "{}", converted.text);
    assert_eq!(
        converted.notes.iter().filter(|note| note.differs).count(),
        1,
        "{:?}",
        converted.notes
    );
}
