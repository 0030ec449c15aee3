//! Which rules govern an image in a namespace (CONTRACTS §2).

use crate::model::{PolicySet, Rule, Scope};
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
    /// The rules for `reference` in `namespace` (`None`: a call without a pod).
    pub fn select(&self, _namespace: Option<&str>, _reference: &ImageReference) -> Selection<'_> {
        todo!()
    }

    /// Every rule with its standing, in set order.
    pub fn candidates(
        &self,
        _namespace: Option<&str>,
        _reference: &ImageReference,
    ) -> Vec<Candidate<'_>> {
        todo!()
    }
}
