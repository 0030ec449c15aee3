use std::sync::Arc;

use proptest::prelude::*;

use Dialect::{Portcullis, Portieris};
use Standing::{Chosen, LessSpecific, NoMatch, OutOfScope};

use super::*;
use crate::model::{Dialect, Pattern, Requirement, TagRule};
use crate::span::Span;

fn rule(scope: Scope, dialect: Dialect, text: &str) -> Rule {
    Rule {
        scope,
        document: "ImagePolicy/test".to_owned(),
        pattern: Pattern {
            text: text.to_owned(),
            dialect,
        },
        mode: None,
        tags: TagRule::default(),
        requirement: Requirement::Deny {
            reason: Some(text.to_owned()),
        },
        max_evidence_age: None,
        span: Span {
            file: Arc::from("test.yaml"),
            line: 1,
            column: 1,
            path: String::new(),
        },
    }
}

fn cluster(patterns: &[(Dialect, &str)]) -> PolicySet {
    PolicySet {
        rules: patterns
            .iter()
            .map(|(dialect, text)| rule(Scope::Cluster, *dialect, text))
            .collect(),
        has_cluster_policy: true,
        ..PolicySet::default()
    }
}

fn chosen(set: &PolicySet, namespace: Option<&str>, reference: &str) -> Vec<String> {
    match set.select(
        namespace,
        &ImageReference::parse(reference).expect("test reference"),
    ) {
        Selection::Rules(rules) => rules.iter().map(|rule| rule.pattern.text.clone()).collect(),
        Selection::NoRule { scope } => vec![format!("none in {scope:?}")],
    }
}

#[test]
fn a_namespace_with_policies_never_reads_the_cluster_ones() {
    let mut set = cluster(&[(Portcullis, "*")]);
    set.rules.push(rule(
        Scope::Namespace("shop".into()),
        Portcullis,
        "r.io/shop/*",
    ));
    set.governed_namespaces = ["shop".to_owned(), "locked".to_owned()].into();
    assert_eq!(chosen(&set, Some("shop"), "r.io/shop/a"), ["r.io/shop/*"]);
    assert_eq!(
        chosen(&set, Some("shop"), "nginx"),
        ["none in Some(Namespace(\"shop\"))"]
    );
    assert_eq!(
        chosen(&set, Some("locked"), "nginx"),
        ["none in Some(Namespace(\"locked\"))"]
    );
    assert_eq!(chosen(&set, Some("other"), "nginx"), ["*"]);
    assert_eq!(chosen(&set, None, "nginx"), ["*"]);
}

#[test]
fn without_any_policy_nothing_governs() {
    assert_eq!(
        chosen(&PolicySet::default(), Some("shop"), "nginx"),
        ["none in None"]
    );
    assert_eq!(
        chosen(&PolicySet::default(), None, "nginx"),
        ["none in None"]
    );
}

#[test]
fn the_more_specific_pattern_wins_wherever_it_stands() {
    let patterns = [
        (Portcullis, "*"),
        (Portcullis, "r.io/*"),
        (Portcullis, "r.io/app"),
        (Portcullis, "r.io/app:1.*"),
    ];
    for turn in 0..patterns.len() {
        let mut turned = patterns;
        turned.rotate_left(turn);
        let set = cluster(&turned);
        assert_eq!(chosen(&set, None, "r.io/app:1.2"), ["r.io/app:1.*"]);
        assert_eq!(chosen(&set, None, "r.io/app:2"), ["r.io/app"]);
        assert_eq!(chosen(&set, None, "r.io/other"), ["r.io/*"]);
        assert_eq!(chosen(&set, None, "nginx"), ["*"]);
    }
}

#[test]
fn patterns_that_tie_must_all_be_satisfied() {
    let set = cluster(&[
        (Portcullis, "r.io/app*"),
        (Portieris, "r.io/app"),
        (Portcullis, "r.io/*"),
    ]);
    assert_eq!(chosen(&set, None, "r.io/app:1"), ["r.io/app*", "r.io/app"]);
}

#[test]
fn explain_shows_every_rule_with_its_standing() {
    let mut set = cluster(&[
        (Portcullis, "*"),
        (Portcullis, "r.io/*"),
        (Portcullis, "q.io/*"),
    ]);
    set.rules.push(rule(
        Scope::Namespace("shop".into()),
        Portcullis,
        "r.io/app",
    ));
    set.governed_namespaces.insert("shop".to_owned());
    let reference = ImageReference::parse("r.io/app").expect("test reference");
    let standings = |namespace| -> Vec<Standing> {
        set.candidates(namespace, &reference)
            .into_iter()
            .map(|candidate| candidate.standing)
            .collect()
    };
    assert_eq!(standings(None), [LessSpecific, Chosen, NoMatch, OutOfScope]);
    assert_eq!(
        standings(Some("shop")),
        [OutOfScope, OutOfScope, OutOfScope, Chosen]
    );
}

fn pattern() -> impl Strategy<Value = (Dialect, String)> {
    let dialect = prop_oneof![Just(Portieris), Just(Portcullis)];
    (dialect, "((a[.]b|[*])/)?[ab*]{1,3}(:[ab*]{1,2})?")
}

proptest! {
    #[test]
    fn the_order_of_rules_never_changes_the_selection(
        patterns in proptest::collection::vec(pattern(), 0..8), turn in 0_usize..8, reference in "(a[.]b/)?[ab]{1,3}(:[ab]{1,2})?"
    ) {
        let borrowed: Vec<_> = patterns.iter().map(|(dialect, text)| (*dialect, text.as_str())).collect();
        let mut turned = borrowed.clone();
        turned.reverse();
        turned.rotate_left(turn.min(borrowed.len()));
        let mut first = chosen(&cluster(&borrowed), None, &reference);
        let mut second = chosen(&cluster(&turned), None, &reference);
        first.sort();
        second.sort();
        prop_assert_eq!(first, second);
    }

    #[test]
    fn explain_agrees_with_the_selection(
        patterns in proptest::collection::vec(pattern(), 0..8), reference in "(a[.]b/)?[ab]{1,3}(:[ab]{1,2})?"
    ) {
        let set = cluster(&patterns.iter().map(|(dialect, text)| (*dialect, text.as_str())).collect::<Vec<_>>());
        let reference = ImageReference::parse(&reference).expect("strategy gives references");
        let explained: Vec<&Rule> = set
            .candidates(None, &reference)
            .into_iter()
            .filter(|candidate| candidate.standing == Standing::Chosen)
            .map(|candidate| candidate.rule)
            .collect();
        let selected = match set.select(None, &reference) {
            Selection::Rules(rules) => rules,
            Selection::NoRule { .. } => Vec::new(),
        };
        prop_assert_eq!(selected, explained);
    }
}
