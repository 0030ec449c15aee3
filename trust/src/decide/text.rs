//! The words of refusals. One line each, made only of what the policy's author and the user wrote and of numbers:
//! retries of the same refusal have the same bytes.

use portcullis_policy::Span;
use portcullis_policy::model::{Dialect, PolicySet, Rule, Scope};

use super::Asked;
use crate::finding::unseemly;

/// Longest text taken over from a policy, in characters.
const MAX_QUOTE: usize = 300;
/// Longest account of what is missing, in characters: it travels in a header, and a rule may have any number of
/// alternatives.
pub(super) const MAX_CLAUSES: usize = 2000;

/// `namespace shop may not use registry.example.com/shop/app:1`.
pub(super) fn subject(asked: &Asked<'_>) -> String {
    let image = quote(asked.reference.raw());
    match asked.namespace {
        Some(namespace) => format!("namespace {} may not use {image}", quote(namespace)),
        None => format!("a call without a pod may not use {image}"),
    }
}

/// `rule "registry.example.com/shop/*" (apps.yaml:7:11, ImagePolicy/apps)`.
pub(super) fn rule(rule: &Rule) -> String {
    let place = place(&rule.span);
    format!(
        "rule \"{}\" ({}, {})",
        quote(&rule.pattern.text),
        quote(&place),
        quote(&rule.document)
    )
}

/// `apps.yaml:7:11`.
pub(super) fn place(span: &Span) -> String {
    if span.line > 0 {
        format!("{}:{}:{}", span.file, span.line, span.column)
    } else {
        span.file.to_string()
    }
}

/// What no rule means, by whose rules were read.
pub(super) fn no_rule(scope: Option<&Scope>, set: &PolicySet) -> String {
    let mut rules = set.rules.iter();
    let is_statement = |rule: &Rule| rule.pattern.dialect == Dialect::Notation;
    match scope {
        Some(read) if rules.any(|rule| rule.scope == *read && is_statement(rule)) => {
            "no statement of notation's trust policy names its repository. Add one for it, or use an image of a repository \
             that one names"
                .to_owned()
        }
        Some(Scope::Namespace(namespace)) => format!(
            "no rule in the ImagePolicies of namespace {} matches it. Add a rule for it there, or use an image that one \
             allows",
            quote(namespace)
        ),
        Some(Scope::Cluster) => {
            "no rule in the ClusterImagePolicies matches it. Add a rule for it, or use an image \
                                 that one allows"
                .to_owned()
        }
        None => "there is no ImagePolicy or ClusterImagePolicy for it. Add one".to_owned(),
    }
}

/// Text from a document or a request, on one line and bounded.
pub(super) fn quote(text: &str) -> String {
    let line: String = text
        .chars()
        .take(MAX_QUOTE + 1)
        .map(|c| if unseemly(c) { ' ' } else { c })
        .collect();
    clip(&line, MAX_QUOTE)
}

/// The first `limit` characters of `text`.
pub(super) fn clip(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
