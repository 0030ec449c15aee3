//! The formats of other tools, read as they are: `containers/` (policy.json, one file per namespace, registries.d) and
//! `notation/` (trustpolicy.json with its trust stores).
//!
//! A format is never merged with another: their rules of precedence contradict each other. Whoever claims the cluster or a
//! namespace governs it alone.

mod containers;
mod files;
mod identity;
mod keys;
mod notation;
mod registries_d;
mod requirement;
mod trust_store;

use std::collections::BTreeMap;

use super::document::PolicyDocument;
use super::{MAX_RULES, SourceFile, whole_file};
use crate::model::{PolicySet, Rule, Scope};
use crate::report::Report;
use crate::span::Span;

use files::NativeFiles;
pub(super) use files::is_native;

/// What one file of another tool comes to.
struct Claim {
    scope: Scope,
    span: Span,
    rules: Vec<Rule>,
}

/// Adds the rules of other tools' files to `set`. A scope that is claimed already, by `policies` or by another of these
/// files, refuses the set with both places.
pub(super) fn add(
    files: &[SourceFile],
    policies: &[PolicyDocument<'_>],
    set: &mut PolicySet,
    report: &mut Report,
) {
    let files = NativeFiles::of(files, report);
    if files.is_empty() {
        return;
    }
    let mut claimed: BTreeMap<Scope, Span> = BTreeMap::new();
    for policy in policies {
        let span = || policy.span.clone();
        claimed.entry(policy.scope.clone()).or_insert_with(span);
    }
    let mut claims = containers::read(&files, report);
    claims.extend(notation::read(&files, report));
    for claim in claims {
        if let Some(first) = claimed.get(&claim.scope) {
            report.error(claim.span, twice(&claim.scope, first));
            continue;
        }
        claimed.insert(claim.scope.clone(), claim.span.clone());
        match claim.scope {
            Scope::Cluster => set.has_cluster_policy = true,
            Scope::Namespace(namespace) => {
                set.governed_namespaces.insert(namespace);
            }
        }
        set.rules.extend(claim.rules);
        if set.rules.len() > MAX_RULES {
            report.error(
                claim.span,
                format!("more than {MAX_RULES} rules in the set"),
            );
            return;
        }
    }
}

fn twice(scope: &Scope, first: &Span) -> String {
    let whom = match scope {
        Scope::Cluster => "the cluster".to_owned(),
        Scope::Namespace(namespace) => format!("namespace `{namespace}`"),
    };
    format!(
        "{whom} has policy of another format already, at {first}. Formats are not merged, as their rules of precedence \
         contradict each other: keep one, or turn both into portcullis.dev/v1 (`portcullis policy convert`)"
    )
}

/// The place of a file that is native, whatever is in it.
fn place(file: &SourceFile) -> Span {
    whole_file(&file.name)
}
