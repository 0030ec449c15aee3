//! Where signatures are looked for: registries.d says it by the image's name, `portcullis.dev/v1` in each rule.

use crate::model::{
    Dialect, Lookaside, LookasideUrl, RegistriesD, Requirement, Rule, SignatureStore,
};
use crate::pattern::{CONTAINERS_DEFAULT, ancestors};

/// The scopes that a rule has to be written for, each with the requirement there. Where registries.d has a store for a part
/// of what the rule covers, that part gets a rule of its own.
pub(super) fn split(rule: &Rule, rules: &[(usize, &Rule)]) -> Vec<(String, Requirement)> {
    let own = rule.pattern.text.clone();
    let Some(stores) = stores_of(&rule.requirement) else {
        return vec![(own, rule.requirement.clone())];
    };
    if rule.pattern.dialect != Dialect::Containers {
        return vec![(own, rule.requirement.clone())];
    }
    let here = store_at(&own, stores);
    let mut out = vec![(own.clone(), with_store(&rule.requirement, here))];
    for scope in stores.docker.keys() {
        let store = store_at(scope, stores);
        if store != here && *scope != own && governs(rule, scope, rules) {
            out.push((scope.clone(), with_store(&rule.requirement, store)));
        }
    }
    out
}

/// Whether `rule` is what applies at `scope`.
fn governs(rule: &Rule, scope: &str, rules: &[(usize, &Rule)]) -> bool {
    let mut chain = ancestors(scope);
    chain.extend([String::new(), CONTAINERS_DEFAULT.to_owned()]);
    let has = |text: &str| {
        rules.iter().any(|(_, other)| {
            other.pattern.dialect == Dialect::Containers && other.pattern.text == text
        })
    };
    chain.iter().find(|text| has(text)) == Some(&rule.pattern.text)
}

fn store_at<'s>(scope: &str, stores: &'s RegistriesD) -> Option<&'s LookasideUrl> {
    ancestors(scope)
        .iter()
        .find_map(|above| stores.docker.get(above))
        .or(stores.default.as_ref())
}

/// The registries.d of a requirement: one set of files, so that it is the same wherever it stands.
fn stores_of(requirement: &Requirement) -> Option<&RegistriesD> {
    let mut found = None;
    requirement.walk(&mut |one| {
        if let Requirement::Simple(simple) = one
            && let SignatureStore::RegistriesD(stores) = &simple.store
        {
            found = Some(stores.as_ref());
        }
    });
    found
}

fn with_store(requirement: &Requirement, store: Option<&LookasideUrl>) -> Requirement {
    let inner = |of: &[Requirement]| of.iter().map(|one| with_store(one, store)).collect();
    match requirement {
        Requirement::All(of) => Requirement::All(inner(of)),
        Requirement::Any { threshold, of } => Requirement::Any {
            threshold: *threshold,
            of: inner(of),
        },
        Requirement::Simple(simple) if matches!(simple.store, SignatureStore::RegistriesD(_)) => {
            let mut simple = simple.clone();
            simple.store = match store {
                None => SignatureStore::RegistryExtension,
                Some(url) => SignatureStore::Lookaside(Lookaside {
                    url: url.clone(),
                    password: None,
                }),
            };
            Requirement::Simple(simple)
        }
        other => other.clone(),
    }
}
