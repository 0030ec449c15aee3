//! `attestations`: a signed statement about the image, and what it must say.

mod predicate;
mod vulnerabilities;

use super::repository::{RuleContext, length_of_time};
use super::{Context, sigstore, text};
use crate::fields::{Field, optional};
use crate::model::{AttestationRequirement, CelExpression, Requirement, TextMatch};
use predicate::{Predicate, Topic};

pub(super) fn requirement(
    field: &Field<'_>,
    rule: &RuleContext<'_>,
    cx: &mut Context<'_>,
) -> Option<Requirement> {
    let mut fields = field.fields(&mut cx.report)?;
    let predicate = fields.require("predicateType", &mut cx.report);
    let predicate = predicate.and_then(|field| Predicate::read(&field, &mut cx.report));
    let signers = sigstore::signers(field, &mut fields, rule, cx);
    let builder = fields.take("builder");
    let source = fields.take("source");
    let reference = fields.take("ref");
    let max_age = fields.take("maxAge");
    let limits = fields.take("vulnerabilities");
    let cel = fields.take("cel");
    fields.finish(&mut cx.report);

    let mut fits = true;
    if let Some(predicate) = &predicate {
        let asked = [
            (&builder, Topic::Provenance),
            (&source, Topic::Provenance),
            (&reference, Topic::Provenance),
            (&max_age, Topic::Time),
            (&limits, Topic::Vulnerabilities),
        ];
        for (condition, topic) in asked {
            if let Some(condition) = condition {
                fits &= predicate.has(topic, condition, &mut cx.report);
            }
        }
    }
    let builder = optional(builder, |field| text::text_match(field, cx));
    let source = optional(source, |field| repository(field, cx));
    let reference = optional(reference, |field| text::text_match(field, cx));
    let max_age = optional(max_age, |field| length_of_time(field, &mut cx.report));
    let limits = optional(limits, |field| {
        vulnerabilities::limits(field, &mut cx.report)
    });
    let cel = optional(cel, |field| expression(field, cx));
    let found = AttestationRequirement {
        predicate_type: predicate?.uri,
        signers: signers?,
        builder: builder?,
        source: source?,
        reference: reference?,
        max_age: max_age?,
        vulnerabilities: limits?,
        cel: cel?,
        span: field.key_span(),
    };
    fits.then_some(Requirement::Attestation(found))
}

/// A source repository. Builders spell one in several ways, and it is compared in the plainest of them: another spelling
/// would never match.
fn repository(field: &Field<'_>, cx: &mut Context<'_>) -> Option<TextMatch> {
    let found = text::text_match(field, cx)?;
    let (TextMatch::Exact(text) | TextMatch::Glob(text) | TextMatch::Regex(text)) = &found;
    let behind = [".git", "/"].iter().any(|end| text.ends_with(end));
    if behind || text.starts_with("git+") {
        cx.report.error(
            field.span(),
            "a source is compared without `git+` before it and `.git` or `/` behind it, as `https://git.example.com/shop/app`; \
             leave them out",
        );
        return None;
    }
    Some(found)
}

/// Parsed, and bounded, by `portcullis-trust`.
fn expression(field: &Field<'_>, cx: &mut Context<'_>) -> Option<CelExpression> {
    Some(CelExpression {
        text: field.non_empty_text(&mut cx.report)?.to_owned(),
        span: field.span(),
    })
}
