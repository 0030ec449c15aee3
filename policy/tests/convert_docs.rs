//! Every example of the documentation survives a conversion: what it requires is required still.

mod common;

use std::collections::BTreeSet;

use common::*;
use portcullis_policy::ImageReference;
use portcullis_policy::convert::convert;
use portcullis_policy::load::{LoadOptions, SourceFile, load};
use portcullis_policy::model::{Dialect, PolicySet, Requirement, Rule, Scope};

const DOCS: [&str; 3] = [
    include_str!("../../docs/policy.md"),
    include_str!("../../docs/presets.md"),
    include_str!("../../docs/migrating.md"),
];

/// The fenced blocks of YAML that load on their own.
fn examples() -> Vec<String> {
    let mut found = Vec::new();
    for docs in DOCS {
        let mut lines = docs.lines();
        while let Some(line) = lines.next() {
            let Some(fence) = line.strip_prefix("```") else {
                continue;
            };
            let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            if fence == "yaml" || fence.starts_with("yaml portieris") {
                found.push(format!("{}\n", body.join("\n")));
            }
        }
    }
    found
}

/// The set of an example, beside every file that it names.
fn loaded(example: &str) -> PolicySet {
    let named: BTreeSet<&str> = example
        .split("file: ")
        .skip(1)
        .filter_map(|rest| rest.split(['}', ',', '\n', ' ']).next())
        .collect();
    let keys = named
        .into_iter()
        .map(|key| file(key, &format!("KEY {key}")));
    let files: Vec<SourceFile> = [file("p.yaml", example)].into_iter().chain(keys).collect();
    match load(&files, &LoadOptions::default()) {
        Ok(loaded) => loaded.set,
        Err(errors) => panic!("{:#?}\n{example}", texts(&errors)),
    }
}

/// Images that a rule was written for, and their neighbours.
fn images(rule: &Rule) -> Vec<ImageReference> {
    let mut found = Vec::new();
    for star in ["x", "x/y", "eu.example.com", "1"] {
        let name = rule.pattern.text.replace('*', star);
        for tail in ["", ":1", "/below", "x", &format!("@sha256:{HEX}")] {
            found.extend(ImageReference::parse(&format!("{name}{tail}")).ok());
        }
    }
    found
}

type Said = (Requirement, String);

fn required(set: &PolicySet, namespace: Option<&str>, image: &ImageReference) -> Vec<Said> {
    let rules = governing(set, namespace, image.raw()).into_iter();
    let mut found: Vec<Said> = rules
        .map(|rule| {
            let rest = format!(
                "{:?} {:?} {:?}",
                rule.mode, rule.tags, rule.max_evidence_age
            );
            (rule.requirement.clone().without_places(), rest)
        })
        .collect();
    found.sort_by_key(|one| format!("{one:?}"));
    found
}

#[test]
fn every_example_of_our_own_kind_means_the_same_after_a_conversion() {
    let mut asked = 0;
    for example in examples() {
        let before = loaded(&example);
        let converted = convert(&before).unwrap_or_else(|error| panic!("{error}\n{example}"));
        let after = load(&[file("c.yaml", &converted.text)], &LoadOptions::default());
        let after = after
            .unwrap_or_else(|errors| panic!("{:#?}", texts(&errors)))
            .set;
        assert_eq!(after.governed_namespaces, before.governed_namespaces);
        assert_eq!(after.has_cluster_policy, before.has_cluster_policy);
        let ours = |rule: &Rule| rule.pattern.dialect == Dialect::Portcullis;
        if !before.rules.iter().all(ours) {
            continue;
        }
        assert_eq!(converted.notes, [], "{example}");
        for rule in &before.rules {
            let namespace = match &rule.scope {
                Scope::Cluster => None,
                Scope::Namespace(namespace) => Some(namespace.as_str()),
            };
            for image in images(rule) {
                asked += 1;
                assert_eq!(
                    required(&before, namespace, &image),
                    required(&after, namespace, &image),
                    "{}\n{example}\n{}",
                    image.raw(),
                    converted.text
                );
            }
        }
    }
    assert!(asked > 300, "{asked}");
}
