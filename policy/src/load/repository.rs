//! `spec.repositories`: one rule each.

use std::time::Duration;

use super::document::{Group, PolicyDocument};
use super::{Context, duration, portcullis, portieris};
use crate::fields::{Field, Fields};
use crate::model::{Mode, Pattern, Rule, Scope, TagRule};
use crate::report::Report;

/// What the requirement of a rule may depend on beside its own text.
pub(super) struct RuleContext<'a> {
    pub(super) group: Group,
    pub(super) scope: &'a Scope,
    pub(super) pattern: &'a Pattern,
}

/// The rules of a document; `None`: something is wrong, and in the report.
pub(super) fn rules(policy: &PolicyDocument<'_>, cx: &mut Context<'_>) -> Option<Vec<Rule>> {
    let mut spec = policy.spec.fields(&mut cx.report)?;
    let repositories = spec.require("repositories", &mut cx.report);
    spec.finish(&mut cx.report);
    let items = repositories?.list(&mut cx.report)?;
    let rules: Vec<Option<Rule>> = items.iter().map(|item| rule(item, policy, cx)).collect();
    rules.into_iter().collect()
}

fn rule(item: &Field<'_>, policy: &PolicyDocument<'_>, cx: &mut Context<'_>) -> Option<Rule> {
    let mut fields = item.fields(&mut cx.report)?;
    let name = fields.require("name", &mut cx.report);
    let pattern = name
        .as_ref()
        .and_then(|field| pattern(field, policy.group, &mut cx.report));
    let body = fields.take("policy");
    let own = match policy.group {
        Group::Portcullis => own_fields(&mut fields, &mut cx.report),
        Group::PortierisV1 | Group::PortierisV1Beta1 => Some(OwnFields::default()),
    };
    let place = fields.span();
    fields.finish_with(&mut cx.report, |key| misplaced(policy.group, key));

    // Even under a broken pattern the requirement is read, for its own mistakes.
    let stand_in = Pattern {
        text: "*".to_owned(),
        dialect: policy.group.dialect(),
    };
    let context = RuleContext {
        group: policy.group,
        scope: &policy.scope,
        pattern: pattern.as_ref().unwrap_or(&stand_in),
    };
    let requirement = match policy.group {
        Group::Portcullis => portcullis::requirement(body.as_ref(), &place, &context, cx),
        Group::PortierisV1 | Group::PortierisV1Beta1 => {
            portieris::requirement(body.as_ref(), &place, &context, cx)
        }
    };
    let own = own?;
    Some(Rule {
        scope: policy.scope.clone(),
        document: policy.document.clone(),
        pattern: pattern?,
        mode: own.mode,
        tags: own.tags,
        requirement: requirement?,
        max_evidence_age: own.max_evidence_age,
        span: name?.span(),
    })
}

fn pattern(field: &Field<'_>, group: Group, report: &mut Report) -> Option<Pattern> {
    let pattern = Pattern {
        text: field.text(report)?.to_owned(),
        dialect: group.dialect(),
    };
    match pattern.check() {
        Ok(()) => Some(pattern),
        Err(error) => {
            report.error(field.span(), error.to_string());
            None
        }
    }
}

/// The fields of a rule that only our own kind has.
#[derive(Default)]
struct OwnFields {
    mode: Option<Mode>,
    tags: TagRule,
    max_evidence_age: Option<Duration>,
}

fn own_fields(fields: &mut Fields<'_>, report: &mut Report) -> Option<OwnFields> {
    let mode = match fields.take("mode") {
        None => Some(None),
        Some(field) => choice(
            &field,
            &[("enforce", Mode::Enforce), ("audit", Mode::Audit)],
            report,
        )
        .map(Some),
    };
    let tags = match fields.take("tags") {
        None => Some(TagRule::default()),
        Some(field) => {
            let tags = [
                ("floating", TagRule::Floating),
                ("signed", TagRule::Signed),
                ("immutable", TagRule::Immutable),
            ];
            choice(&field, &tags, report)
        }
    };
    let max_evidence_age = match fields.take("maxEvidenceAge") {
        None => Some(None),
        Some(field) => length_of_time(&field, report).map(Some),
    };
    Some(OwnFields {
        mode: mode?,
        tags: tags?,
        max_evidence_age: max_evidence_age?,
    })
}

/// A length of time; anything else is reported.
pub(super) fn length_of_time(field: &Field<'_>, report: &mut Report) -> Option<Duration> {
    let found = duration::parse(field.text(report)?);
    if found.is_none() {
        report.error(
            field.span(),
            "not a length of time; write for example `720h`, `30d` or `1d12h`",
        );
    }
    found
}

/// One of a few words.
pub(super) fn choice<T: Copy>(
    field: &Field<'_>,
    words: &[(&str, T)],
    report: &mut Report,
) -> Option<T> {
    let text = field.text(report)?;
    let found = words
        .iter()
        .find(|(word, _)| *word == text)
        .map(|(_, value)| *value);
    if found.is_none() {
        let listed: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        report.error(
            field.span(),
            format!("must be one of {}", listed.join(", ")),
        );
    }
    found
}

/// Help for the mistake that Portieris' own documentation has in its template.
fn misplaced(group: Group, key: &str) -> Option<String> {
    let belongs_inside = [
        "trust",
        "simple",
        "vulnerability",
        "va",
        "mutateImage",
        "cosign",
        "notation",
        "attestations",
        "annotations",
        "allOf",
        "anyOf",
        "allow",
        "deny",
    ];
    if belongs_inside.contains(&key) {
        return Some(match group {
            Group::Portcullis => {
                format!("`{key}` belongs inside `policy`: indent it one level deeper")
            }
            Group::PortierisV1 | Group::PortierisV1Beta1 => format!(
                "`{key}` belongs inside `policy`: indent it one level deeper. (Portieris ignores it here and allows every image.)"
            ),
        });
    }
    let ours = ["mode", "tags", "maxEvidenceAge"];
    (group != Group::Portcullis && ours.contains(&key)).then(|| {
        format!("`{key}` is a field of portcullis.dev/v1; Portieris' own kinds do not have it")
    })
}
