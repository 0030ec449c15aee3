//! containers-policy.json(5): `containers/policy.json` for the cluster, and `containers/<namespace>.json`, which replaces
//! it for that namespace as in CRI-O's `signature_policy_dir`.

use std::sync::Arc;

use super::files::{Document, NativeFiles};
use super::registries_d::{self, Registries};
use super::{Claim, place, requirement};
use crate::fields::Field;
use crate::load::metadata;
use crate::model::{Dialect, Pattern, RegistriesD, Requirement, Rule, Scope, TagRule};
use crate::pattern::CONTAINERS_DEFAULT;
use crate::report::Report;

const FOLDER: &str = "containers/";
const GLOBAL: &str = "policy.json";
/// The one transport by which a node gets its images.
const DOCKER: &str = "docker";
/// Those of containers-transports(5) that are none of a node's.
const OTHER_TRANSPORTS: [&str; 10] = [
    "atomic",
    "containers-storage",
    "dir",
    "docker-archive",
    "docker-daemon",
    "oci",
    "oci-archive",
    "ostree",
    "sif",
    "tarball",
];
/// Most requirements of one scope.
const MAX_REQUIREMENTS: usize = 64;

/// What the requirements of one scope may look at.
pub(super) struct Context<'a> {
    pub(super) files: &'a NativeFiles<'a>,
    pub(super) registries: &'a Registries,
    /// The scope they stand under.
    pub(super) scope: &'a str,
    /// Where signatures of its images are.
    pub(super) stores: Arc<RegistriesD>,
}

/// Every policy file below `containers/`.
pub(super) fn read(files: &NativeFiles<'_>, report: &mut Report) -> Vec<Claim> {
    let registries = registries_d::read(files, report);
    let mut claims = Vec::new();
    for (name, file) in files.below(FOLDER) {
        if name.starts_with(registries_d::BELOW) {
            continue;
        }
        // Anything else is a key.
        let Some(stem) = name
            .strip_suffix(".json")
            .filter(|stem| !stem.contains('/'))
        else {
            if name.contains('/') || has_extension_of_a_policy(name) {
                report.error(
                    place(file),
                    "is neither policy.json, nor a namespace's .json, nor a key, nor below registries.d/",
                );
            }
            continue;
        };
        let scope = if name == GLOBAL {
            Scope::Cluster
        } else if metadata::is_label(stem) {
            Scope::Namespace(stem.to_owned())
        } else {
            report.error(
                place(file),
                format!("`{stem}` is not the name of a namespace; the policy of all others is called policy.json"),
            );
            continue;
        };
        let rules = Document::read(file, report).and_then(|document| {
            policy(&document.whole(), name, &scope, files, &registries, report)
        });
        // A file that is broken claims its scope all the same.
        claims.push(Claim {
            scope,
            span: place(file),
            rules: rules.unwrap_or_default(),
        });
    }
    claims
}

/// Whether somebody meant a file of this name to be a policy, which as a key it would not be.
fn has_extension_of_a_policy(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [".json", ".yaml", ".yml"]
        .iter()
        .any(|extension| name.ends_with(extension))
}

fn policy(
    whole: &Field<'_>,
    name: &str,
    scope: &Scope,
    files: &NativeFiles<'_>,
    registries: &Registries,
    report: &mut Report,
) -> Option<Vec<Rule>> {
    let mut fields = whole.fields(report)?;
    let default = fields.require("default", report);
    let transports = fields.take("transports");
    fields.finish(report);

    let mut rules = Vec::new();
    let mut add = |text: &str, field: &Field<'_>, report: &mut Report| {
        let pattern = Pattern {
            text: text.to_owned(),
            dialect: Dialect::Containers,
        };
        if let Err(error) = pattern.check() {
            report.error(field.key_span(), error.to_string());
        }
        let context = Context {
            files,
            registries,
            scope: text,
            stores: Arc::new(registries.stores(text)),
        };
        let requirement = requirements(field, &context, report)?;
        rules.push(Rule {
            scope: scope.clone(),
            document: name.to_owned(),
            pattern,
            mode: None,
            tags: TagRule::default(),
            requirement,
            max_evidence_age: None,
            span: field.key_span(),
        });
        Some(())
    };
    if let Some(default) = default {
        add(CONTAINERS_DEFAULT, &default, report);
    }
    let transports = match transports {
        Some(transports) => transports.fields(report)?.rest(),
        None => Vec::new(),
    };
    for (transport, field) in transports {
        if transport != DOCKER {
            if !OTHER_TRANSPORTS.contains(&transport) {
                report.error(
                    field.key_span(),
                    "is not a transport; the one by which a node pulls its images is `docker`",
                );
                continue;
            }
            report.warning(
                field.key_span(),
                "this transport is not read: a node pulls its images from registries, which is `docker`",
            );
            continue;
        }
        for (scope, field) in field.fields(report)?.rest() {
            if scope == CONTAINERS_DEFAULT {
                report.error(
                    field.key_span(),
                    "no image has a name that begins like this; the default of `docker` is written `\"\"`",
                );
                continue;
            }
            if let Some(name) = scope.strip_prefix("docker.io/")
                && !name.contains(['/', ':', '@'])
            {
                report.warning(
                    field.key_span(),
                    format!(
                        "covers `docker.io/{name}/…` only; the official image `{name}` is `docker.io/library/{name}`"
                    ),
                );
            }
            add(scope, &field, report);
        }
    }
    open_default(&rules, report);
    Some(rules)
}

/// Distributions ship policies whose default accepts everything.
fn open_default(rules: &[Rule], report: &mut Report) {
    let of = |scope: &str| rules.iter().find(|rule| rule.pattern.text == scope);
    let default = of("").or_else(|| of(CONTAINERS_DEFAULT));
    if let Some(rule) = default.filter(|rule| rule.requirement == Requirement::Allow) {
        report.warning(
            rule.span.clone(),
            "allows every image that no other scope covers; `[{\"type\": \"reject\"}]` refuses them",
        );
    }
}

/// A list of requirements, all of which must hold. The tool refuses an empty one, too.
fn requirements(field: &Field<'_>, cx: &Context<'_>, report: &mut Report) -> Option<Requirement> {
    let items = field.list(report)?;
    if items.is_empty() {
        report.error(
            field.span(),
            "a list of requirements must not be empty; write `[{\"type\": \"reject\"}]` to refuse these images",
        );
        return None;
    }
    if items.len() > MAX_REQUIREMENTS {
        report.error(
            field.span(),
            format!("holds more than {MAX_REQUIREMENTS} requirements"),
        );
        return None;
    }
    let all: Vec<Option<Requirement>> = items
        .iter()
        .map(|item| requirement::read(item, cx, report))
        .collect();
    let mut all = all.into_iter().collect::<Option<Vec<_>>>()?;
    if all.len() == 1 {
        return all.pop();
    }
    Some(Requirement::All(all))
}
