//! Which trust policies are taken, and which statement governs an image: compared with what notation said
//! (`fixtures/trustpolicy/make.py`).

use std::fs;
use std::path::{Path, PathBuf};

use portcullis_policy::bootstrap::Bootstrap;
use portcullis_policy::load::{LoadOptions, SourceFile, load};
use portcullis_policy::model::{Mode, Requirement};
use portcullis_policy::select::Selection;
use portcullis_policy::{Diagnostic, ImageReference};
use portcullis_trust::CompiledPolicy;
use portcullis_trust::compile::Prematch;

/// What notation takes and a node does not, by a part of what is said about it.
const STRICTER: [&str; 5] = [
    "`local/a` is not a repository",
    "no store says whose signatures are trusted",
    // Stores called `.` and `..`.
    "must be `ca:NAME`",
    // Identities of plugins.
    "must be `*`, or begin with `x509.subject:`",
    "`FOO` is not one of the attributes that are compared",
];
/// What notation refuses and a node takes: a registry that notation cannot name is one host like any other here.
const LOOSER: &str = "[::1]:5000/a";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn compiled(policy: &str) -> Result<CompiledPolicy, Vec<Diagnostic>> {
    let pem = fs::read(fixture("notation/trust-store/x509/ca/example/root.pem")).unwrap();
    let mut files = vec![SourceFile {
        name: "notation/trustpolicy.json".to_owned(),
        bytes: policy.as_bytes().to_vec(),
        mode: None,
    }];
    for store in ["ca/acme", "signingAuthority/acme", "tsa/acme", "ca/a..b"] {
        files.push(SourceFile {
            name: format!("notation/x509/{store}/root.pem"),
            bytes: pem.clone(),
            mode: None,
        });
    }
    let loaded = load(&files, &LoadOptions::default())?;
    CompiledPolicy::compile(loaded.set, Bootstrap::default(), Mode::Enforce)
}

fn lines(name: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(fixture(&format!("trustpolicy/{name}"))).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.split('\t').map(str::to_owned).collect())
        .collect()
}

#[test]
fn what_notation_refuses_is_refused_and_what_it_takes_is_taken_or_known_to_differ() {
    let mut wrong = Vec::new();
    for line in lines("documents.tsv") {
        let [verdict, document] = &line[..] else {
            panic!("{line:?}");
        };
        match (verdict.as_str(), compiled(document)) {
            ("taken", Ok(_)) | ("refused", Err(_)) => {}
            ("refused", Ok(_)) if document.contains(LOOSER) => {}
            ("taken", Err(errors)) => {
                let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
                let known = |one: &&str| said.iter().any(|text| text.contains(one));
                if !STRICTER.iter().any(known) {
                    wrong.push(format!("refused: {document}: {said:?}"));
                }
            }
            _ => wrong.push(format!("taken: {document}")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn notation_takes_the_same_statement() {
    for line in lines("scopes.tsv") {
        let [statements, image, verdict] = &line[..] else {
            panic!("{line:?}");
        };
        let statement = |(index, one): (usize, &str)| {
            let (scope, level) = one.split_once('=').unwrap();
            let stores = match level {
                "skip" => "",
                _ => r#", "trustStores": ["ca:acme"], "trustedIdentities": ["*"]"#,
            };
            format!(
                r#"{{"name": "s{index}", "registryScopes": ["{scope}"], "signatureVerification": {{"level": "{level}"}}{stores}}}"#
            )
        };
        let all: Vec<String> = statements.split(' ').enumerate().map(statement).collect();
        let policy = format!(
            r#"{{"version": "1.0", "trustPolicies": [{}]}}"#,
            all.join(", ")
        );
        let compiled = compiled(&policy).unwrap_or_else(|errors| panic!("{errors:?}"));
        let reference = ImageReference::parse(image).unwrap();
        let found = match compiled.set.select(None, &reference) {
            Selection::NoRule { .. } => "none",
            Selection::Rules(rules) => match (&rules[..], &rules[0].requirement) {
                ([_], Requirement::Allow) => "skip",
                ([_], Requirement::Notation(_)) => "signature",
                _ => panic!("{rules:?}"),
            },
        };
        assert_eq!(found, verdict, "{statements} {image}");
    }
}

#[test]
fn a_repository_that_no_statement_names_is_refused_in_notations_words() {
    let policy = r#"{"version": "1.0", "trustPolicies": [{"name": "a", "registryScopes": ["r.example.com/a"], "signatureVerification": {"level": "skip"}}]}"#;
    let compiled = compiled(policy).unwrap_or_else(|errors| panic!("{errors:?}"));
    let reference = ImageReference::parse("r.example.com/b:1").unwrap();
    let Prematch::Refused(decision) = compiled.prematch(Some("shop"), &reference) else {
        panic!("governed");
    };
    assert_eq!(
        decision.denial.unwrap().text,
        "namespace shop may not use r.example.com/b:1: no statement of notation's trust policy names its repository. Add one \
         for it, or use an image of a repository that one names"
    );
}
