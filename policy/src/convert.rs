//! A loaded set, whatever its format, written down as `portcullis.dev/v1`.
//!
//! Nothing becomes weaker unsaid: a requirement that `portcullis.dev/v1` cannot say becomes a `deny`, and where a reference is
//! judged by other rules than before, a [`Note`] says so. The text is loaded again before it is handed out.

mod compare;
mod patterns;
mod requirement;
mod stores;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};

use crate::load::duration_text;
use crate::load::{self, LoadOptions, SourceFile};
use crate::model::{Dialect, Mode, PolicySet, Requirement, Rule, Scope, TagRule};
use crate::pattern::CONTAINERS_DEFAULT;
use crate::span::{Diagnostic, Severity, Span};

use requirement::Writer;
use yaml::Value;

/// A set in our own format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted {
    /// YAML documents. May hold passwords, in Secrets.
    pub text: String,
    /// What differs, in the order of the rules.
    pub notes: Vec<Note>,
}

/// Something about a conversion that should be known.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Note {
    /// The rule it is about.
    pub span: Span,
    /// What it comes to, in a sentence or two.
    pub message: String,
    /// Whether images are judged otherwise than before, so that a person has to look.
    pub differs: bool,
}

/// Why nothing is handed out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// The set says something of which the written form does not load.
    #[error("the set cannot be written as portcullis.dev/v1: {}", first(.0))]
    DoesNotLoad(Vec<Diagnostic>),
}

fn first(diagnostics: &[Diagnostic]) -> String {
    diagnostics
        .iter()
        .find(|one| one.severity == Severity::Error)
        .map(|one| one.message.clone())
        .unwrap_or_default()
}

/// One rule of the new set with those of the old one that it stands for.
#[derive(Debug, Clone)]
struct Draft {
    pattern: String,
    origins: BTreeSet<usize>,
    mode: Option<Mode>,
    tags: TagRule,
    max_evidence_age: Option<std::time::Duration>,
    requirement: Requirement,
    span: Span,
}

/// Writes `set` as documents of `portcullis.dev/v1`, one for the cluster and one for each namespace.
///
/// # Errors
/// [`ConvertError::DoesNotLoad`].
pub fn convert(set: &PolicySet) -> Result<Converted, ConvertError> {
    let mut notes = Vec::new();
    let mut scopes: BTreeMap<Scope, Vec<Draft>> = BTreeMap::new();
    if set.has_cluster_policy {
        scopes.insert(Scope::Cluster, Vec::new());
    }
    for namespace in &set.governed_namespaces {
        scopes.insert(Scope::Namespace(namespace.clone()), Vec::new());
    }
    for (scope, drafts) in &mut scopes {
        let rules: Vec<(usize, &Rule)> = set
            .rules
            .iter()
            .enumerate()
            .filter(|(_, rule)| rule.scope == *scope)
            .collect();
        for (index, rule) in &rules {
            for draft in drafts_of(*index, rule, &rules, &mut notes) {
                add(draft, drafts, &mut notes);
            }
        }
    }
    let mut writer = Writer::default();
    let mut documents: Vec<Value> = scopes
        .iter()
        .map(|(scope, drafts)| document(scope, drafts, &mut writer))
        .collect();
    documents.extend(writer.secrets());
    let text = yaml::documents(&documents);

    let file = SourceFile {
        name: "converted.yaml".to_owned(),
        bytes: text.clone().into_bytes(),
        mode: None,
    };
    let loaded = load::load(&[file], &LoadOptions::default()).map_err(ConvertError::DoesNotLoad)?;
    notes.extend(compare::differences(set, &scopes, &loaded.set));
    notes.sort_by(|a, b| (&a.span, &a.message).cmp(&(&b.span, &b.message)));
    notes.dedup();
    Ok(Converted { text, notes })
}

/// What one rule becomes.
fn drafts_of(
    index: usize,
    rule: &Rule,
    rules: &[(usize, &Rule)],
    notes: &mut Vec<Note>,
) -> Vec<Draft> {
    let mut note = |message: String, differs: bool| {
        notes.push(Note {
            span: rule.span.clone(),
            message,
            differs,
        });
    };
    let mut drafts = Vec::new();
    if is_shadowed(rule, rules) {
        note(
            "is left out: `docker` has a default of its own (`\"\"`), so that this one never applied to an image".to_owned(),
            false,
        );
        return drafts;
    }
    for (scope, requirement) in stores::split(rule, rules) {
        let requirement = requirement::expressible(requirement, &mut note);
        let translated = patterns::translate(&scope, rule.pattern.dialect);
        let (found, requirement) = match translated {
            patterns::Translated::Same(found) => (found, requirement),
            patterns::Translated::Nearly(found, why) => {
                note(why, true);
                (found, requirement)
            }
            patterns::Translated::Not if requirement == Requirement::Allow => {
                note(
                    format!(
                        "`{scope}` cannot be written as a pattern of portcullis.dev/v1: what it allowed is left out"
                    ),
                    true,
                );
                continue;
            }
            patterns::Translated::Not => {
                note(
                    format!(
                        "`{scope}` cannot be written as a pattern of portcullis.dev/v1: everything it may have meant is refused"
                    ),
                    true,
                );
                let reason = format!("the pattern {scope} could not be converted");
                let deny = Requirement::Deny {
                    reason: Some(reason),
                };
                (vec![rule.pattern.repositories()], deny)
            }
        };
        drafts.extend(found.into_iter().map(|pattern| Draft {
            pattern,
            origins: [index].into(),
            mode: rule.mode,
            tags: rule.tags,
            max_evidence_age: rule.max_evidence_age,
            requirement: requirement.clone(),
            span: rule.span.clone(),
        }));
    }
    drafts
}

/// Whether it is the `default` of a document whose transport has one.
fn is_shadowed(rule: &Rule, rules: &[(usize, &Rule)]) -> bool {
    let scope = |rule: &Rule, text: &str| {
        rule.pattern.dialect == Dialect::Containers && rule.pattern.text == text
    };
    scope(rule, CONTAINERS_DEFAULT) && rules.iter().any(|(_, other)| scope(other, ""))
}

/// Adds a rule. Patterns that were different strings may be one pattern now: then both rules must hold.
fn add(draft: Draft, drafts: &mut Vec<Draft>, notes: &mut Vec<Note>) {
    let canonical = patterns::canonical(&draft.pattern);
    let Some(first) = drafts
        .iter_mut()
        .find(|other| patterns::canonical(&other.pattern) == canonical)
    else {
        drafts.push(draft);
        return;
    };
    let same = first.requirement.clone().without_places()
        == draft.requirement.clone().without_places()
        && (first.mode, first.tags, first.max_evidence_age)
            == (draft.mode, draft.tags, draft.max_evidence_age);
    first.origins.extend(&draft.origins);
    if same {
        return;
    }
    notes.push(Note {
        span: draft.span,
        message: format!(
            "`{}` is the same pattern as that of {} now: what both require must hold",
            draft.pattern, first.span
        ),
        differs: true,
    });
    if first.mode != draft.mode {
        // Whichever the node's is, an enforced rule stays enforced.
        first.mode = [first.mode, draft.mode]
            .into_iter()
            .find(|mode| *mode == Some(Mode::Enforce))
            .unwrap_or(None);
    }
    if draft.tags != TagRule::Floating {
        first.tags = draft.tags;
    }
    first.max_evidence_age = match (first.max_evidence_age, draft.max_evidence_age) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    let mut all = match std::mem::replace(&mut first.requirement, Requirement::Allow) {
        Requirement::All(all) => all,
        other => vec![other],
    };
    if !all.contains(&draft.requirement) {
        all.push(draft.requirement);
    }
    first.requirement = Requirement::All(all);
}

fn document(scope: &Scope, drafts: &[Draft], writer: &mut Writer) -> Value {
    let (kind, metadata) = match scope {
        Scope::Cluster => (
            "ClusterImagePolicy",
            yaml::map([("name", Value::text("converted"))]),
        ),
        Scope::Namespace(namespace) => (
            "ImagePolicy",
            yaml::map([
                ("name", Value::text("converted")),
                ("namespace", Value::text(namespace)),
            ]),
        ),
    };
    let rules = drafts.iter().map(|draft| rule(draft, scope, writer));
    let repositories = Value::List(rules.collect());
    yaml::map([
        ("apiVersion", Value::text("portcullis.dev/v1")),
        ("kind", Value::text(kind)),
        ("metadata", metadata),
        ("spec", yaml::map([("repositories", repositories)])),
    ])
}

fn rule(draft: &Draft, scope: &Scope, writer: &mut Writer) -> Value {
    let mut fields = vec![("name".to_owned(), Value::text(&draft.pattern))];
    let mode = draft.mode.map(|mode| match mode {
        Mode::Enforce => "enforce",
        Mode::Audit => "audit",
    });
    let tags = match draft.tags {
        TagRule::Floating => None,
        TagRule::Signed => Some("signed"),
        TagRule::Immutable => Some("immutable"),
    };
    for (key, word) in [("mode", mode), ("tags", tags)] {
        fields.extend(word.map(|word| (key.to_owned(), Value::text(word))));
    }
    fields.extend(
        draft
            .max_evidence_age
            .map(|age| ("maxEvidenceAge".to_owned(), Value::Text(duration_text(age)))),
    );
    let policy = writer.requirement(&draft.requirement, scope);
    fields.push(("policy".to_owned(), policy));
    Value::Map(fields)
}
