//! Which rules govern an image in a namespace (docs/policy.md).

use std::cmp::Ordering;

use crate::model::{PolicySet, Rule, Scope};
use crate::pattern::{Quality, Subject};
use crate::reference::ImageReference;

/// The outcome of matching.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection<'a> {
    /// All of these must be satisfied: the best match, or every rule that ties with it. Never empty.
    Rules(Vec<&'a Rule>),
    /// No rule matches: refused.
    NoRule {
        /// Whose rules were read; `None`: there are no policies for it at all.
        scope: Option<Scope>,
    },
}

/// Why one rule was or was not chosen, for `explain`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// What became of it.
    pub standing: Standing,
}

/// What became of a rule during matching.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Standing {
    /// It governs the image.
    Chosen,
    /// It matches, but a more specific one does too.
    LessSpecific,
    /// Its pattern does not match.
    NoMatch,
    /// It belongs to another namespace, or is a cluster rule where the namespace has policies of its own.
    OutOfScope,
}

impl PolicySet {
    /// Whose rules govern `namespace` (`None`: a call without a pod); `None`: nobody's, there is no policy for it.
    ///
    /// A namespace with one `ImagePolicy` or more is governed by its `ImagePolicies` alone, whether or not a rule of theirs
    /// matches. Everything else is governed by the `ClusterImagePolicies`.
    pub fn governing_scope(&self, namespace: Option<&str>) -> Option<Scope> {
        match namespace {
            Some(name) if self.governed_namespaces.contains(name) => {
                Some(Scope::Namespace(name.to_owned()))
            }
            _ if self.has_cluster_policy => Some(Scope::Cluster),
            _ => None,
        }
    }

    /// The rules for `reference` in `namespace` (`None`: a call without a pod).
    ///
    /// The most specific match wins, wherever it stands; several that tie must all be satisfied.
    pub fn select(&self, namespace: Option<&str>, reference: &ImageReference) -> Selection<'_> {
        let Some(scope) = self.governing_scope(namespace) else {
            return Selection::NoRule { scope: None };
        };
        let subject = Subject::new(reference);
        let mut best: Option<Quality> = None;
        let mut chosen = Vec::new();
        for rule in self.rules.iter().filter(|rule| rule.scope == scope) {
            let Some(quality) = rule.pattern.matches_subject(&subject) else {
                continue;
            };
            match best.map_or(Ordering::Greater, |best| quality.cmp(&best)) {
                Ordering::Greater => {
                    best = Some(quality);
                    chosen = vec![rule];
                }
                Ordering::Equal => chosen.push(rule),
                Ordering::Less => {}
            }
        }
        if chosen.is_empty() {
            Selection::NoRule { scope: Some(scope) }
        } else {
            Selection::Rules(chosen)
        }
    }

    /// Every rule with its standing, in set order.
    pub fn candidates(
        &self,
        namespace: Option<&str>,
        reference: &ImageReference,
    ) -> Vec<Candidate<'_>> {
        let scope = self.governing_scope(namespace);
        let subject = Subject::new(reference);
        let in_scope = |rule: &Rule| scope.as_ref() == Some(&rule.scope);
        let graded: Vec<(&Rule, Option<Quality>)> = self
            .rules
            .iter()
            .map(|rule| (rule, rule.pattern.matches_subject(&subject)))
            .collect();
        let best = graded
            .iter()
            .filter(|(rule, _)| in_scope(rule))
            .filter_map(|(_, quality)| *quality)
            .max();
        graded
            .into_iter()
            .map(|(rule, quality)| {
                let standing = match quality {
                    _ if !in_scope(rule) => Standing::OutOfScope,
                    None => Standing::NoMatch,
                    quality if quality == best => Standing::Chosen,
                    Some(_) => Standing::LessSpecific,
                };
                Candidate { rule, standing }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
