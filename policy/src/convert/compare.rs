//! Which references are judged by other rules after a conversion: found by asking both sets.
//!
//! The references are made from the patterns of both, as nobody can write down all there are; what is found is true, and
//! what is not found is not proved.

use std::collections::{BTreeMap, BTreeSet};

use super::{Draft, Note, patterns};
use crate::model::{PolicySet, Rule, Scope};
use crate::reference::{ImageReference, grammar};
use crate::select::Selection;
use crate::span::Span;

/// Most references that are asked about.
const MAX_REFERENCES: usize = 4000;
/// Most notes about differences.
const MAX_NOTES: usize = 100;
const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// One note for each rule that an example was found for.
pub(super) fn differences(
    old: &PolicySet,
    drafts: &BTreeMap<Scope, Vec<Draft>>,
    new: &PolicySet,
) -> Vec<Note> {
    let mut notes: BTreeMap<Span, Note> = BTreeMap::new();
    for (scope, drafts) in drafts {
        let namespace = match scope {
            Scope::Namespace(namespace) => Some(namespace.as_str()),
            Scope::Cluster => None,
        };
        let old_patterns = old.rules.iter().filter(|rule| rule.scope == *scope);
        let old_patterns = old_patterns.map(|rule| rule.pattern.text.as_str());
        let all = old_patterns.chain(drafts.iter().map(|draft| draft.pattern.as_str()));
        for reference in examples(all) {
            let (before, after) = (
                chosen(old.select(namespace, &reference)),
                chosen(new.select(namespace, &reference)),
            );
            if same_rules(old, &before, &after, drafts) || same_words(&before, &after, drafts) {
                continue;
            }
            let Some(about) = before.first().map(|rule| rule.span.clone()).or_else(|| {
                let draft = after.first().and_then(|rule| draft_of(rule, drafts))?;
                Some(draft.span.clone())
            }) else {
                continue;
            };
            let message = format!(
                "{} was governed by {}, and is by {} now",
                reference.raw(),
                listed(&before),
                listed(&after)
            );
            notes.entry(about.clone()).or_insert(Note {
                span: about,
                message,
                differs: true,
            });
            if notes.len() >= MAX_NOTES {
                return notes.into_values().collect();
            }
        }
    }
    notes.into_values().collect()
}

fn chosen(selection: Selection<'_>) -> Vec<&Rule> {
    match selection {
        Selection::Rules(rules) => rules,
        Selection::NoRule { .. } => Vec::new(),
    }
}

fn listed(rules: &[&Rule]) -> String {
    if rules.is_empty() {
        return "no rule".to_owned();
    }
    let patterns: BTreeSet<String> = rules
        .iter()
        .map(|rule| format!("`{}`", rule.pattern.text))
        .collect();
    patterns.into_iter().collect::<Vec<_>>().join(" and ")
}

fn draft_of<'d>(rule: &Rule, drafts: &'d [Draft]) -> Option<&'d Draft> {
    let canonical = rule.pattern.canonical();
    drafts
        .iter()
        .find(|draft| patterns::canonical(&draft.pattern) == canonical)
}

/// Whether the new rules stand for exactly the old ones.
fn same_rules(old: &PolicySet, before: &[&Rule], after: &[&Rule], drafts: &[Draft]) -> bool {
    let before: BTreeSet<usize> = before
        .iter()
        .filter_map(|rule| {
            old.rules
                .iter()
                .position(|other| std::ptr::eq(other, *rule))
        })
        .collect();
    let after: BTreeSet<usize> = after
        .iter()
        .filter_map(|rule| draft_of(rule, drafts))
        .flat_map(|draft| draft.origins.iter().copied())
        .collect();
    before == after
}

/// Whether they say the same, whoever says it.
fn same_words(before: &[&Rule], after: &[&Rule], drafts: &[Draft]) -> bool {
    let words = |rules: &[&Rule]| -> Vec<_> {
        let mut all = Vec::new();
        for rule in rules {
            let said = (
                rule.mode,
                rule.tags,
                rule.max_evidence_age,
                rule.requirement.clone().without_places(),
            );
            if !all.contains(&said) {
                all.push(said);
            }
        }
        all
    };
    let drafted: Vec<_> = after
        .iter()
        .filter_map(|rule| draft_of(rule, drafts))
        .collect();
    let mut said = Vec::new();
    for draft in drafted {
        let one = (
            draft.mode,
            draft.tags,
            draft.max_evidence_age,
            draft.requirement.clone().without_places(),
        );
        if !said.contains(&one) {
            said.push(one);
        }
    }
    let before = words(before);
    before.len() == said.len() && before.iter().all(|one| said.contains(one))
}

/// References that the patterns are about, and some that they are nearly about.
fn examples<'p>(patterns: impl Iterator<Item = &'p str>) -> Vec<ImageReference> {
    let mut texts: BTreeSet<String> = ["x", "x/y", "x.example.net/x", "x.example.net/x/y"]
        .iter()
        .flat_map(|name| spellings(name))
        .collect();
    for pattern in patterns {
        let (named, _) = pattern.split_once('@').unwrap_or((pattern, ""));
        for star in ["", "x", "x/y", "x.example.net"] {
            let filled = named.replace('*', star);
            let (name, tag) = grammar::split_tag(&filled);
            for name in spellings(name).into_iter().chain([format!("{name}/z")]) {
                for tag in [tag, None, Some("1")] {
                    let tagged = match tag {
                        Some(tag) => format!("{name}:{tag}"),
                        None => name.clone(),
                    };
                    texts.insert(format!("{tagged}@{DIGEST}"));
                    texts.insert(tagged);
                }
            }
            texts.insert(pattern.replace('*', star));
        }
        if texts.len() >= MAX_REFERENCES {
            break;
        }
    }
    texts
        .iter()
        .filter_map(|text| ImageReference::parse(text).ok())
        .take(MAX_REFERENCES)
        .collect()
}

/// The ways to write a name on Docker Hub; of other names, those that look like one.
fn spellings(name: &str) -> Vec<String> {
    let short = ["docker.io/library/", "docker.io/"]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .unwrap_or(name);
    let last = name.rsplit('/').next().unwrap_or(name);
    ["", "library/", "docker.io/", "docker.io/library/"]
        .iter()
        .flat_map(|prefix| [short, last].map(|name| format!("{prefix}{name}")))
        .chain([name.to_owned()])
        .collect()
}
