//! Rules of one scope with one pattern: one rule if they say the same, otherwise a contradiction (docs/policy.md).

use std::collections::BTreeMap;

use crate::model::{Dialect, Rule, Scope};
use crate::report::Report;

/// `rules` without repetitions; contradictions go to the report with both places.
pub(super) fn unify(rules: Vec<Rule>, report: &mut Report) -> Vec<Rule> {
    let mut kept: Vec<Rule> = Vec::new();
    let mut places: BTreeMap<(Scope, u8, String), usize> = BTreeMap::new();
    for rule in rules {
        let key = (
            rule.scope.clone(),
            family(rule.pattern.dialect),
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
        && a.requirement.clone().without_places() == b.requirement.clone().without_places()
}

/// Patterns are compared within one dialect alone.
const fn family(dialect: Dialect) -> u8 {
    match dialect {
        Dialect::Portcullis => 0,
        Dialect::Portieris => 1,
        Dialect::Containers => 2,
        Dialect::Notation => 3,
    }
}
