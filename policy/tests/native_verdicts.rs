//! Which scope of policy.json and which store of registries.d governs an image: compared with what skopeo said
//! (`fixtures/containers/make.py`).

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use common::*;
use portcullis_policy::load::{LoadOptions, Loaded, load};
use portcullis_policy::model::{Requirement, SignatureStore};

const CASES: &str = include_str!("fixtures/containers/cases.json");
const VERDICTS: &str = include_str!("fixtures/containers/verdicts.tsv");

/// skopeo takes a host in capitals for another host than the one its name leads to.
const OTHERWISE: &str = "R.example.com/a";

#[derive(serde::Deserialize)]
struct Case {
    policy: Vec<String>,
    stores: Vec<String>,
}

fn cases() -> BTreeMap<String, Case> {
    #[derive(serde::Deserialize)]
    struct Cases {
        policies: BTreeMap<String, Case>,
    }
    let cases: Cases = serde_json::from_str(CASES).unwrap();
    cases.policies
}

/// policy, image, scope, store, verdict.
fn verdicts() -> impl Iterator<Item = [&'static str; 5]> {
    let lines = VERDICTS.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        columns.try_into().unwrap()
    })
}

/// The digest that the images have.
fn digest() -> &'static str {
    let mut images = verdicts().map(|[_, image, ..]| image);
    let image = images.find(|image| image.contains('@')).unwrap();
    image.split_once('@').unwrap().1
}

/// The set that skopeo was given, with a requirement that looks for signatures everywhere.
fn loaded(case: &Case) -> Loaded {
    let signed = r#"[{"type": "signedBy", "keyType": "GPGKeys", "keyData": "UEdQ"}]"#;
    let scopes: Vec<String> = case
        .policy
        .iter()
        .map(|scope| format!("\"{}\": {signed}", scope.replace("DIGEST", digest())))
        .collect();
    let policy = format!(
        r#"{{"default": {signed}, "transports": {{"docker": {{{}}}}}}}"#,
        scopes.join(", ")
    );
    let mut stores = "docker:\n".to_owned();
    for (index, scope) in case.stores.iter().enumerate() {
        let address = format!("{{lookaside: \"http://store.example/{index}\"}}");
        if scope == "default" {
            stores.insert_str(0, &format!("default-docker: {address}\n"));
        } else {
            writeln!(stores, "  \"{scope}\": {address}").unwrap();
        }
    }
    let files = [
        file("containers/policy.json", &policy),
        file("containers/registries.d/a.yaml", &stores),
    ];
    load(&files, &LoadOptions::default())
        .unwrap_or_else(|errors| panic!("refused: {:#?}", texts(&errors)))
}

fn store<'a>(case: &'a Case, requirement: &Requirement, image: &str) -> &'a str {
    let Requirement::Simple(simple) = requirement else {
        panic!("{requirement:?}");
    };
    let SignatureStore::RegistriesD(stores) = &simple.store else {
        panic!("{simple:?}");
    };
    stores.lookaside(&reference(image)).map_or("-", |url| {
        let index = url.0.strip_prefix("http://store.example/").unwrap();
        &case.stores[index.parse::<usize>().unwrap()]
    })
}

#[test]
fn skopeo_takes_the_same_scope_and_the_same_store() {
    let sets: BTreeMap<String, (Case, Loaded)> = cases()
        .into_iter()
        .map(|(name, case)| {
            let loaded = loaded(&case);
            (name, (case, loaded))
        })
        .collect();
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for [name, image, scope, expected, _] in verdicts() {
        if image == OTHERWISE {
            continue;
        }
        seen.insert(scope);
        let (case, loaded) = &sets[name];
        let rules = governing(&loaded.set, None, image);
        assert_eq!(rules.len(), 1, "{name} {image}");
        let chosen = match rules[0].pattern.text.as_str() {
            "" => "\"\"",
            text => text,
        };
        let found = store(case, &rules[0].requirement, image);
        if chosen != scope || (expected != "?" && found != expected) {
            wrong.push(format!(
                "{name} {image}: {chosen} and {found}, not {scope} and {expected}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen.len() > 20, "{seen:?}");
}

/// The one difference, and on the safe side of what an operator means by a scope.
#[test]
fn a_host_in_capitals_is_the_host_it_leads_to() {
    let (case, name) = (&cases()["tiers"], "tiers");
    let loaded = loaded(case);
    assert_eq!(patterns(&loaded.set, None, OTHERWISE), ["r.example.com/a"]);
    let said = verdicts().find(|[policy, image, ..]| *policy == name && *image == OTHERWISE);
    assert_eq!(said.unwrap()[2], "*.example.com");
}
