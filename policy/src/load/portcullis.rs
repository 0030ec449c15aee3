//! `policy` of our own kind: exactly one requirement, which may nest.

use super::repository::RuleContext;
use super::{Context, annotations, attestations, cosign, notation, simple, trust};
use crate::fields::{Field, Fields};
use crate::model::Requirement;
use crate::report::Report;
use crate::span::Span;

/// Most requirements in one `allOf` or `anyOf`.
const MAX_ITEMS: usize = 256;
/// How deep they may nest.
const MAX_NESTING: usize = 8;

/// Longest `reason`, in characters.
const MAX_REASON: usize = 500;

const KINDS: &str = "`allow`, `deny`, `trust`, `simple`, `cosign`, `notation`, `attestations`, `annotations`, `allOf` or `anyOf`";

/// What `policy` asks for; `None`: something is wrong, and in the report.
pub(super) fn requirement(
    body: Option<&Field<'_>>,
    place: &Span,
    rule: &RuleContext<'_>,
    cx: &mut Context<'_>,
) -> Option<Requirement> {
    let Some(body) = body.filter(|body| !body.is_null()) else {
        let span = body.map_or_else(|| place.clone(), Field::key_span);
        cx.report.error(
            span,
            "`policy` is missing; write `policy: {allow: {}}` if images need no signature",
        );
        return None;
    };
    nested(body, 0, rule, cx)
}

fn nested(
    body: &Field<'_>,
    depth: usize,
    rule: &RuleContext<'_>,
    cx: &mut Context<'_>,
) -> Option<Requirement> {
    if depth > MAX_NESTING {
        cx.report.error(
            body.span(),
            format!("`allOf` and `anyOf` nest at most {MAX_NESTING} deep"),
        );
        return None;
    }
    let mut entries = body.fields(&mut cx.report)?.rest();
    let (Some((key, field)), true) = (entries.pop(), entries.is_empty()) else {
        cx.report.error(
            body.span(),
            format!(
                "a policy has exactly one of {KINDS}; to require several, list them under `allOf`"
            ),
        );
        return None;
    };
    match key {
        "allow" => allow(&field, &mut cx.report),
        "deny" => deny(&field, &mut cx.report),
        "trust" => trust::own(&field, rule, cx),
        "simple" => simple::own(&field, rule, cx),
        "cosign" => cosign::requirement(&field, rule, cx),
        "notation" => notation::requirement(&field, rule, cx),
        "attestations" => attestations::requirement(&field, rule, cx),
        "annotations" => annotations::requirement(&field, cx),
        "allOf" => some_of(&field, depth, rule, cx).map(Requirement::All),
        "anyOf" => any_of(&field, depth, rule, cx),
        "mutateImage" | "vulnerability" | "va" => {
            let message = format!("`{key}` does not exist in portcullis.dev/v1; remove it");
            cx.report.error(field.key_span(), message);
            None
        }
        _ => {
            cx.report.error(
                field.key_span(),
                format!("unknown requirement; there are {KINDS}"),
            );
            None
        }
    }
}

fn allow(field: &Field<'_>, report: &mut Report) -> Option<Requirement> {
    if field.is_empty_map() {
        return Some(Requirement::Allow);
    }
    report.error(field.span(), "must be `allow: {}`");
    None
}

fn deny(field: &Field<'_>, report: &mut Report) -> Option<Requirement> {
    let mut fields: Fields<'_> = field.fields(report)?;
    let reason = fields.take("reason");
    fields.finish(report);
    let Some(reason) = reason else {
        return Some(Requirement::Deny { reason: None });
    };
    let text = reason.non_empty_text(report)?;
    if text.chars().count() > MAX_REASON || text.contains(char::is_control) {
        report.error(
            reason.span(),
            format!("a reason is one line of at most {MAX_REASON} characters"),
        );
        return None;
    }
    Some(Requirement::Deny {
        reason: Some(text.to_owned()),
    })
}

fn some_of(
    field: &Field<'_>,
    depth: usize,
    rule: &RuleContext<'_>,
    cx: &mut Context<'_>,
) -> Option<Vec<Requirement>> {
    let items = field.list(&mut cx.report)?;
    if items.is_empty() {
        cx.report.error(
            field.span(),
            "an empty list requires nothing; name a requirement, or write `allow: {}`",
        );
        return None;
    }
    if items.len() > MAX_ITEMS {
        cx.report.error(
            field.span(),
            format!("holds more than {MAX_ITEMS} requirements"),
        );
        return None;
    }
    let all: Vec<Option<Requirement>> = items
        .iter()
        .map(|item| nested(item, depth.saturating_add(1), rule, cx))
        .collect();
    all.into_iter().collect()
}

fn all_differ(of: &[Requirement]) -> bool {
    let mut seen: Vec<Requirement> = Vec::new();
    for one in of {
        let one = one.clone().without_places();
        if seen.contains(&one) {
            return false;
        }
        seen.push(one);
    }
    true
}

/// `anyOf: [...]`, or `anyOf: {threshold: 2, of: [...]}`.
fn any_of(
    field: &Field<'_>,
    depth: usize,
    rule: &RuleContext<'_>,
    cx: &mut Context<'_>,
) -> Option<Requirement> {
    if field.is_list() {
        let of = some_of(field, depth, rule, cx)?;
        return Some(Requirement::Any { threshold: 1, of });
    }
    let mut fields = field.fields(&mut cx.report)?;
    let list = fields.require("of", &mut cx.report);
    let threshold = fields.take("threshold");
    fields.finish(&mut cx.report);
    let of = list.and_then(|list| some_of(&list, depth, rule, cx));
    let number = match &threshold {
        Some(field) => field.count(&mut cx.report)?,
        None => 1,
    };
    let of = of?;
    if (1..=of.len()).contains(&number) {
        if number > 1 && !all_differ(&of) {
            cx.report.error(
                field.span(),
                "has an alternative twice: what satisfies it would count twice",
            );
            return None;
        }
        return Some(Requirement::Any {
            threshold: number,
            of,
        });
    }
    let place = threshold.map_or_else(|| field.span(), |field| field.span());
    cx.report.error(
        place,
        format!(
            "must be between 1 and the number of alternatives, {}",
            of.len()
        ),
    );
    None
}
