//! Rules of one scope with one pattern: one rule if they say the same, otherwise a contradiction (docs/policy.md).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{Dialect, NotaryRequirement, NotarySigner, Requirement, Rule, Scope};
use crate::report::Report;
use crate::span::Span;

/// `rules` without repetitions; contradictions go to the report with both places.
pub(super) fn unify(rules: Vec<Rule>, report: &mut Report) -> Vec<Rule> {
    let mut kept: Vec<Rule> = Vec::new();
    let mut places: BTreeMap<(Scope, bool, String), usize> = BTreeMap::new();
    for rule in rules {
        let key = (
            rule.scope.clone(),
            rule.pattern.dialect == Dialect::Portieris,
            rule.pattern.canonical(),
        );
        match places.get(&key).and_then(|at| kept.get(*at)) {
            None => {
                places.insert(key, kept.len());
                kept.push(rule);
            }
            Some(first) if say_the_same(first, &rule) => {}
            Some(first) => {
                let message = format!(
                    "`{}` has another rule for the same images in {} at {}, and they differ; the order of files decides \
                     nothing, so keep one",
                    rule.pattern.text, first.document, first.span
                );
                report.error(rule.span, message);
            }
        }
    }
    kept
}

fn say_the_same(a: &Rule, b: &Rule) -> bool {
    (a.mode, a.tags, a.max_evidence_age) == (b.mode, b.tags, b.max_evidence_age)
        && without_places(&a.requirement) == without_places(&b.requirement)
}

/// The requirement with every span blanked and every set in order, so that equality is about meaning. Two requirements
/// of an unsupported system count as the same whatever their fields: both refuse everything.
fn without_places(requirement: &Requirement) -> Requirement {
    let nowhere = || Span {
        file: Arc::from(""),
        line: 0,
        column: 0,
        path: String::new(),
    };
    match requirement {
        Requirement::Allow | Requirement::Deny { .. } => requirement.clone(),
        Requirement::All(of) => Requirement::All(of.iter().map(without_places).collect()),
        Requirement::Any { threshold, of } => Requirement::Any {
            threshold: *threshold,
            of: of.iter().map(without_places).collect(),
        },
        Requirement::Notary(notary) => {
            let mut signers: Vec<NotarySigner> = notary
                .signers
                .iter()
                .map(|signer| NotarySigner {
                    span: nowhere(),
                    ..signer.clone()
                })
                .collect();
            signers.sort_by(|a, b| (&a.name, &a.public_key).cmp(&(&b.name, &b.public_key)));
            Requirement::Notary(NotaryRequirement {
                trust: notary.trust.clone(),
                signers,
                span: nowhere(),
            })
        }
        Requirement::Unsupported { system, .. } => Requirement::Unsupported {
            system: system.clone(),
            span: nowhere(),
        },
    }
}
