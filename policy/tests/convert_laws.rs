//! Conversions of random sets: what was refused before any network is refused still, or a note says that the rule differs.

mod common;

use common::*;
use portcullis_policy::convert::{Converted, convert};
use portcullis_policy::load::{LoadOptions, Loaded, SourceFile, load};
use portcullis_policy::model::{Lookaside, PolicySet, Requirement, SignatureStore};
use proptest::prelude::*;

fn loaded(files: &[SourceFile]) -> Option<Loaded> {
    load(files, &LoadOptions::default()).ok()
}

fn converted(set: &PolicySet) -> (Converted, PolicySet) {
    let converted = convert(set).unwrap_or_else(|error| panic!("{error}: {set:#?}"));
    let again = loaded(&[file("c.yaml", &converted.text)])
        .unwrap_or_else(|| panic!("does not load:\n{}", converted.text));
    (converted, again.set)
}

fn impossible(requirement: &Requirement) -> bool {
    match requirement {
        Requirement::Deny { .. } => true,
        Requirement::All(of) => of.iter().any(impossible),
        Requirement::Any { threshold, of } => {
            of.iter().filter(|one| !impossible(one)).count() < *threshold
        }
        _ => false,
    }
}

/// Whether `image` is refused whatever evidence there is.
fn refused_unseen(set: &PolicySet, image: &str) -> bool {
    let rules = governing(set, None, image);
    rules.is_empty() || rules.iter().any(|rule| impossible(&rule.requirement))
}

/// What must hold, places apart.
fn required(set: &PolicySet, image: &str) -> Vec<Requirement> {
    let rules = governing(set, None, image).into_iter();
    let mut found: Vec<Requirement> = rules
        .map(|rule| rule.requirement.clone().without_places())
        .collect();
    found.sort_by_key(|one| format!("{one:?}"));
    found
}

/// What must hold, with the one store that its signatures of `image` are in.
fn located(set: &PolicySet, image: &str) -> Vec<Requirement> {
    fn locate(one: &mut Requirement, image: &str) {
        match one {
            Requirement::All(of) => of.iter_mut().for_each(|one| locate(one, image)),
            Requirement::Simple(simple) => {
                if let SignatureStore::RegistriesD(stores) = &simple.store {
                    simple.store = match stores.lookaside(&reference(image)) {
                        Some(url) => SignatureStore::Lookaside(Lookaside {
                            url: url.clone(),
                            password: None,
                        }),
                        None => SignatureStore::RegistryExtension,
                    };
                }
            }
            _ => {}
        }
    }
    let mut found = required(set, image);
    for one in &mut found {
        locate(one, image);
    }
    found
}

const HOSTS: [&str; 9] = [
    "r.example.com",
    "r.example.com:5000",
    "example.com",
    "s.r.example.com",
    "docker.io",
    "localhost",
    "localhost:5000",
    "10.0.0.1:5000",
    "x.io",
];
const PATHS: [&str; 8] = [
    "a",
    "a/b",
    "a/b/c",
    "ab",
    "library/a",
    "nginx",
    "library/nginx",
    "library",
];

fn image() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        6 => (prop::sample::select(&HOSTS[..]), prop::sample::select(&PATHS[..])).prop_map(|(host, path)| format!("{host}/{path}")),
        1 => prop::sample::select(&PATHS[..]).prop_map(str::to_owned),
    ];
    let tail = prop::sample::select(vec![
        "",
        ":1",
        ":11",
        ":latest",
        "@sha256:HEX",
        ":1@sha256:HEX",
    ]);
    (name, tail).prop_map(|(name, tail)| format!("{name}{}", tail.replace("HEX", HEX)))
}

/// A scope of policy.json; some are none, and then the set does not load.
fn scope() -> impl Strategy<Value = String> {
    let tail = prop::sample::select(vec!["", "", "", ":1", "@sha256:HEX"]);
    let path = prop::option::of(prop::sample::select(&PATHS[..]));
    prop_oneof![
        6 => (prop::sample::select(&HOSTS[..]), path, tail).prop_map(|(host, path, tail)| match path {
            Some(path) => format!("{host}/{path}{}", tail.replace("HEX", HEX)),
            None => host.to_owned(),
        }),
        1 => prop::sample::select(vec!["", "*.com", "*.example.com", "*.r.example.com", "*.io"]).prop_map(str::to_owned),
    ]
}

fn requirement() -> impl Strategy<Value = String> {
    let one = prop::sample::select(vec![
        r#"{"type": "reject"}"#,
        r#"{"type": "insecureAcceptAnything"}"#,
        r#"{"type": "signedBy", "keyType": "GPGKeys", "keyData": "UEdQ"}"#,
        r#"{"type": "signedBy", "keyType": "GPGKeys", "keyData": "UEdQIDI=", "signedIdentity": {"type": "matchRepository"}}"#,
        r#"{"type": "sigstoreSigned", "keyData": "UEVN"}"#,
    ]);
    prop::collection::vec(one, 1..4).prop_map(|all| format!("[{}]", all.join(", ")))
}

/// A Portieris pattern.
fn pattern() -> impl Strategy<Value = String> {
    prop_oneof![
        scope(),
        (
            scope(),
            any::<prop::sample::Index>(),
            any::<prop::sample::Index>()
        )
            .prop_map(|(text, from, to)| {
                let (from, to) = (from.index(text.len() + 1), to.index(text.len() + 1));
                format!("{}*{}", &text[..from.min(to)], &text[from.max(to)..])
            }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_global_rejects: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn policy_json_decides_alike_after_conversion_or_a_note_says_not(
        default in requirement(),
        scopes in prop::collection::btree_map(scope(), requirement(), 0..6),
        stores in prop::collection::btree_map(scope(), 0..3_u8, 0..4),
        images in prop::collection::vec(image(), 40),
    ) {
        let docker: Vec<String> = scopes.iter().map(|(scope, all)| format!("\"{scope}\": {all}")).collect();
        let policy = format!(r#"{{"default": {default}, "transports": {{"docker": {{{}}}}}}}"#, docker.join(", "));
        let stores: Vec<String> = stores.iter().map(|(scope, n)| format!("\"{scope}\": {{\"lookaside\": \"https://s{n}.example.com\"}}")).collect();
        let stores = format!(r#"{{"docker": {{{}}}}}"#, stores.join(", "));
        let files = [file("containers/policy.json", &policy), file("containers/registries.d/a.yaml", &stores)];
        let Some(before) = loaded(&files) else {
            return Err(TestCaseError::reject("no policy"));
        };
        let (converted, after) = converted(&before.set);
        for image in &images {
            if refused_unseen(&before.set, image) {
                prop_assert!(refused_unseen(&after, image), "{image}: {policy}\n{}", converted.text);
            }
            let differs = |note: &portcullis_policy::convert::Note| {
                note.differs && governing(&before.set, None, image).iter().any(|rule| rule.span == note.span)
            };
            if !converted.notes.iter().any(differs) {
                prop_assert_eq!(
                    located(&before.set, image), located(&after, image),
                    "{}: {}\n{}\n{}", image, policy, stores, converted.text
                );
            }
        }
    }

    #[test]
    fn a_trustpolicy_decides_alike_after_conversion(
        scopes in prop::collection::vec(scope(), 1..5),
        star in any::<bool>(),
        images in prop::collection::vec(image(), 40),
    ) {
        let statement = |index: usize, scope: &str| {
            let stores = if index.is_multiple_of(2) {
                r#""signatureVerification": {"level": "skip"}"#
            } else {
                r#""signatureVerification": {"level": "strict"}, "trustStores": ["ca:a"], "trustedIdentities": ["*"]"#
            };
            format!(r#"{{"name": "s{index}", "registryScopes": ["{scope}"], {stores}}}"#)
        };
        let mut all: Vec<&str> = scopes.iter().map(String::as_str).collect();
        all.extend(star.then_some("*"));
        let statements: Vec<String> = all.iter().enumerate().map(|(index, scope)| statement(index, scope)).collect();
        let policy = format!(r#"{{"version": "1.0", "trustPolicies": [{}]}}"#, statements.join(", "));
        let files = [file("notation/trustpolicy.json", &policy), file("notation/x509/ca/a/a.pem", "PEM")];
        let Some(before) = loaded(&files) else {
            return Err(TestCaseError::reject("no policy"));
        };
        let (converted, after) = converted(&before.set);
        prop_assert!(converted.notes.is_empty(), "{:?}", converted.notes);
        for image in &images {
            prop_assert_eq!(required(&before.set, image), required(&after, image), "{}: {}", image, policy);
        }
    }

    #[test]
    fn portieris_patterns_that_lose_a_denial_are_noted(
        rules in prop::collection::btree_map(pattern(), prop::sample::select(vec!["reject", "insecureAcceptAnything"]), 1..6),
        images in prop::collection::vec(image(), 40),
    ) {
        let rules: Vec<String> = rules
            .iter()
            .map(|(pattern, kind)| format!("{{name: \"{pattern}\", policy: {{simple: {{requirements: [{{type: {kind}}}]}}}}}}"))
            .collect();
        let text = portieris_cluster(&format!("[{}]", rules.join(", ")));
        let Some(before) = loaded(&[file("p.yaml", &text)]) else {
            return Err(TestCaseError::reject("no policy"));
        };
        let (converted, after) = converted(&before.set);
        for image in &images {
            if refused_unseen(&before.set, image) {
                let noted = converted.notes.iter().any(|note| note.differs);
                prop_assert!(noted || refused_unseen(&after, image), "{image}: {text}\n{}", converted.text);
            }
        }
    }
}
