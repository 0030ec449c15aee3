//! `policy` of Portieris' own kinds, both groups: their semantics, without their traps (docs/policy.md).

use super::document::Group;
use super::repository::RuleContext;
use super::{Context, simple, trust};
use crate::fields::{Field, Fields};
use crate::model::Requirement;
use crate::report::Report;
use crate::span::Span;

/// What a Portieris `policy` asks for; `None`: something is wrong, and in the report.
pub(super) fn requirement(
    body: Option<&Field<'_>>,
    place: &Span,
    rule: &RuleContext<'_>,
    cx: &mut Context<'_>,
) -> Option<Requirement> {
    let body = match body {
        Some(body) if !body.is_null() && !body.is_empty_map() => body,
        _ => {
            let span = body.map_or_else(|| place.clone(), Field::key_span);
            cx.report.warning(
                span,
                format!(
                    "no policy: every image that matches `{}` is allowed unverified. In portcullis.dev/v1 write `allow: {{}}` \
                     to say so",
                    rule.pattern.text
                ),
            );
            return Some(Requirement::Allow);
        }
    };
    let mut fields = body.fields(&mut cx.report)?;
    let trust = fields.take_value("trust");
    let simple = fields.take_value("simple");
    let vulnerability = fields.take_value("vulnerability");
    let others_ok = other_fields(&mut fields, rule.group, &mut cx.report);
    fields.finish_with(&mut cx.report, |key| unknown(rule.group, key));

    let mut parts = Some(Vec::new());
    if let Some(field) = trust {
        collect(&mut parts, trust::portieris(&field, rule, cx));
    }
    if let Some(field) = simple {
        collect(&mut parts, simple::requirements(&field, rule, cx));
    }
    let vulnerability_ok =
        vulnerability.is_none_or(|field| vulnerability_is_off(&field, &mut cx.report));
    if !others_ok || !vulnerability_ok {
        return None;
    }
    let parts = parts?;
    if parts.is_empty() {
        cx.report.warning(
            body.key_span(),
            format!(
                "nothing in this policy is switched on: every image that matches `{}` is allowed",
                rule.pattern.text
            ),
        );
    }
    Some(all_of(parts))
}

fn collect(parts: &mut Option<Vec<Requirement>>, more: Option<Vec<Requirement>>) {
    match (parts.as_mut(), more) {
        (Some(all), Some(more)) => all.extend(more),
        _ => *parts = None,
    }
}

/// All of `parts`: a deny among them decides, and what allows everything adds nothing.
fn all_of(parts: Vec<Requirement>) -> Requirement {
    if let Some(deny) = parts
        .iter()
        .find(|part| matches!(part, Requirement::Deny { .. }))
    {
        return deny.clone();
    }
    let mut kept: Vec<Requirement> = parts
        .into_iter()
        .filter(|part| *part != Requirement::Allow)
        .collect();
    match (kept.pop(), kept.is_empty()) {
        (None, _) => Requirement::Allow,
        (Some(only), true) => only,
        (Some(last), false) => {
            kept.push(last);
            Requirement::All(kept)
        }
    }
}

/// `mutateImage` (v1) and `va` (v1beta1).
fn other_fields(fields: &mut Fields<'_>, group: Group, report: &mut Report) -> bool {
    match group {
        Group::PortierisV1 => {
            let Some(field) = fields.take_value("mutateImage") else {
                return true;
            };
            let value = field.boolean(report);
            if value == Some(false) {
                report.warning(
                    field.span(),
                    "has no effect: the verified digest is what is pulled and run, and the pod's text is never changed",
                );
            }
            value.is_some()
        }
        Group::PortierisV1Beta1 => fields
            .take_value("va")
            .is_none_or(|field| is_off(&field, "va.enabled", report)),
        Group::Portcullis => true,
    }
}

fn vulnerability_is_off(field: &Field<'_>, report: &mut Report) -> bool {
    let Some(mut fields) = field.fields(report) else {
        return false;
    };
    let advisor = fields.take_value("ICCRVA");
    fields.finish(report);
    advisor.is_none_or(|field| is_off(&field, "ICCRVA.enabled", report))
}

/// Vulnerability Advisor: a service of IBM's that is gone, and that a node could not ask anyway. Switched off it says
/// nothing; switched on it is a constraint, and constraints are not dropped.
fn is_off(field: &Field<'_>, name: &str, report: &mut Report) -> bool {
    let Some(mut fields) = field.fields(report) else {
        return false;
    };
    let enabled = fields.take_value("enabled");
    if name.starts_with("ICCRVA")
        && let Some(account) = fields.take_value("account")
    {
        let _ = account.text(report);
    }
    fields.finish(report);
    let Some(enabled) = enabled else {
        return true;
    };
    match enabled.boolean(report) {
        Some(false) => {
            report.warning(
                enabled.span(),
                "vulnerability checks do not exist here; being off, this can be removed",
            );
            true
        }
        Some(true) => {
            report.error(
                enabled.span(),
                format!("`{name}: true` cannot be honoured on a node; remove it, and require a signature instead"),
            );
            false
        }
        None => false,
    }
}

fn unknown(group: Group, key: &str) -> Option<String> {
    match (group, key) {
        (Group::PortierisV1Beta1, "mutateImage") => Some(
            "`mutateImage` is not a field of v1beta1; it came with portieris.cloud.ibm.com/v1"
                .to_owned(),
        ),
        (Group::PortierisV1, "va") => Some(
            "`va` is not a field of portieris.cloud.ibm.com/v1 (Portieris ignores it); remove it"
                .to_owned(),
        ),
        (_, "requirements") => Some("`requirements` belongs inside `simple`".to_owned()),
        (_, "signerSecrets" | "trustServer" | "enabled") => {
            Some(format!("`{key}` belongs inside `trust`"))
        }
        (
            _,
            "cosign" | "notation" | "attestations" | "annotations" | "allOf" | "anyOf" | "allow"
            | "deny",
        ) => Some(format!(
            "`{key}` is not a field of Portieris' kinds; change apiVersion to portcullis.dev/v1 to use it"
        )),
        _ => None,
    }
}
