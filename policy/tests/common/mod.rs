//! Shared by the loader's tests.
#![allow(dead_code, reason = "every test binary uses its own part")]

use std::collections::BTreeMap;

use portcullis_policy::load::{LoadOptions, Loaded, SourceFile, lint, load};
use portcullis_policy::model::{NotaryServer, PolicySet, Requirement, Rule};
use portcullis_policy::select::Selection;
use portcullis_policy::{Diagnostic, ImageReference};

pub(crate) const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

pub(crate) fn file(name: &str, text: &str) -> SourceFile {
    SourceFile {
        name: name.to_owned(),
        bytes: text.as_bytes().to_vec(),
        mode: None,
    }
}

pub(crate) fn texts(diagnostics: &[Diagnostic]) -> Vec<String> {
    diagnostics.iter().map(ToString::to_string).collect()
}

/// Loads one file that must load.
pub(crate) fn loaded(text: &str) -> Loaded {
    loaded_with(text, &LoadOptions::default())
}

pub(crate) fn loaded_with(text: &str, options: &LoadOptions) -> Loaded {
    load(&[file("p.yaml", text)], options)
        .unwrap_or_else(|errors| panic!("refused: {:#?}", texts(&errors)))
}

/// Loads one file that must be refused.
pub(crate) fn refused(text: &str) -> Vec<String> {
    refused_with(text, &LoadOptions::default())
}

pub(crate) fn refused_with(text: &str, options: &LoadOptions) -> Vec<String> {
    match load(&[file("p.yaml", text)], options) {
        Ok(loaded) => panic!("loaded: {:#?}", loaded.set),
        Err(errors) => texts(&errors),
    }
}

#[track_caller]
pub(crate) fn assert_refused(text: &str, expected: &str) {
    let errors = refused(text);
    assert!(
        errors.iter().any(|error| error.contains(expected)),
        "expected {expected:?} in {errors:#?} for\n{text}"
    );
}

#[track_caller]
pub(crate) fn assert_warned(text: &str, expected: &str) -> Loaded {
    let loaded = loaded(text);
    let warnings = texts(&loaded.warnings);
    assert!(
        warnings.iter().any(|warning| warning.contains(expected)),
        "expected {expected:?} in {warnings:#?} for\n{text}"
    );
    loaded
}

pub(crate) fn linted(text: &str) -> Vec<String> {
    texts(&lint(&[file("p.yaml", text)], &LoadOptions::default()))
}

pub(crate) fn reference(text: &str) -> ImageReference {
    ImageReference::parse(&text.replace("HEX", HEX)).expect("test reference")
}

/// The rules that govern `image` in `namespace`; empty: none.
pub(crate) fn governing<'s>(
    set: &'s PolicySet,
    namespace: Option<&str>,
    image: &str,
) -> Vec<&'s Rule> {
    match set.select(namespace, &reference(image)) {
        Selection::Rules(rules) => rules,
        Selection::NoRule { .. } => Vec::new(),
    }
}

/// Their patterns, sorted.
pub(crate) fn patterns(set: &PolicySet, namespace: Option<&str>, image: &str) -> Vec<String> {
    let mut found: Vec<String> = governing(set, namespace, image)
        .iter()
        .map(|rule| rule.pattern.text.clone())
        .collect();
    found.sort();
    found
}

/// The only rule's requirement.
pub(crate) fn requirement(loaded: &Loaded) -> &Requirement {
    assert_eq!(loaded.set.rules.len(), 1, "{:#?}", loaded.set.rules);
    &loaded.set.rules.first().expect("one rule").requirement
}

pub(crate) fn notary(server: &str) -> NotaryServer {
    NotaryServer {
        server: server.to_owned(),
        ca: None,
        pins: BTreeMap::new(),
        trust_on_first_use: false,
    }
}

pub(crate) fn options(entries: &[(&str, NotaryServer)]) -> LoadOptions {
    LoadOptions {
        notary: entries
            .iter()
            .map(|(pattern, server)| ((*pattern).to_owned(), server.clone()))
            .collect(),
    }
}

/// A Portieris `ImagePolicy` in namespace `shop` with `repositories` as given.
pub(crate) fn portieris(repositories: &str) -> String {
    policy(
        "portieris.cloud.ibm.com/v1",
        "ImagePolicy",
        "{name: apps, namespace: shop}",
        repositories,
    )
}

/// The same in the older group.
pub(crate) fn portieris_beta(repositories: &str) -> String {
    policy(
        "securityenforcement.admission.cloud.ibm.com/v1beta1",
        "ImagePolicy",
        "{name: apps, namespace: shop}",
        repositories,
    )
}

/// A Portieris `ClusterImagePolicy`.
pub(crate) fn portieris_cluster(repositories: &str) -> String {
    policy(
        "portieris.cloud.ibm.com/v1",
        "ClusterImagePolicy",
        "{name: all}",
        repositories,
    )
}

/// Our own `ImagePolicy` in namespace `shop`.
pub(crate) fn ours(repositories: &str) -> String {
    policy(
        "portcullis.dev/v1",
        "ImagePolicy",
        "{name: apps, namespace: shop}",
        repositories,
    )
}

pub(crate) fn policy(group: &str, kind: &str, metadata: &str, repositories: &str) -> String {
    format!(
        "apiVersion: {group}\nkind: {kind}\nmetadata: {metadata}\nspec:\n  repositories: {repositories}\n"
    )
}

/// A Secret with plain values.
pub(crate) fn secret(namespace: &str, name: &str, values: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: {namespace}}}\nstringData: {values}\n"
    )
}

/// Our own rule for `r.io/app` with this policy.
pub(crate) fn with(policy: &str) -> String {
    ours(&format!("[{{name: r.io/app, policy: {policy}}}]"))
}

/// Loads one file beside key files, and must.
pub(crate) fn loaded_beside(text: &str, keys: &[(&str, &str)]) -> Loaded {
    let keys = keys.iter().map(|(name, text)| file(name, text));
    let files: Vec<SourceFile> = [file("p.yaml", text)].into_iter().chain(keys).collect();
    load(&files, &LoadOptions::default())
        .unwrap_or_else(|errors| panic!("refused: {:#?}", texts(&errors)))
}

/// Every case is refused with its text.
#[track_caller]
pub(crate) fn assert_each_refused(document: impl Fn(&str) -> String, cases: &[(&str, &str)]) {
    for (case, expected) in cases {
        assert_refused(&document(case), expected);
    }
}

#[track_caller]
pub(crate) fn assert_lint(text: &str, expected: &str) {
    loaded(text);
    let found = linted(text);
    assert!(
        found.iter().any(|warning| warning.contains(expected)),
        "expected {expected:?} in {found:#?} for\n{text}"
    );
}

#[track_caller]
pub(crate) fn assert_no_lint(text: &str) {
    loaded(text);
    assert_eq!(linted(text), Vec::<String>::new(), "for\n{text}");
}
