//! `cosign`: a signature over the image's digest.

use super::Context;
use super::repository::RuleContext;
use super::{sigstore, text};
use crate::fields::{Field, optional};
use crate::model::{CosignRequirement, Requirement};

pub(super) fn requirement(
    field: &Field<'_>,
    rule: &RuleContext<'_>,
    cx: &mut Context<'_>,
) -> Option<Requirement> {
    let mut fields = field.fields(&mut cx.report)?;
    let signers = sigstore::signers(field, &mut fields, rule, cx);
    let annotations = optional(fields.take("annotations"), |field| {
        text::exact_map(field, cx)
    });
    fields.finish_with(&mut cx.report, |key| match key {
        "key" => Some("unknown field; write `keys`, a list".to_owned()),
        "identity" | "issuer" => Some(format!(
            "`{key}` belongs inside an entry of the list `identities`"
        )),
        "predicateType" => {
            Some("unknown field; statements are the requirement `attestations`".to_owned())
        }
        _ => None,
    });
    Some(Requirement::Cosign(CosignRequirement {
        signers: signers?,
        annotations: annotations?.unwrap_or_default(),
        identity: None,
        span: field.key_span(),
    }))
}
