//! `annotations`: what the image says about itself.

use std::collections::BTreeMap;

use super::Context;
use super::repository::length_of_time;
use super::text;
use crate::fields::{Field, optional};
use crate::model::{AnnotationsRequirement, Requirement, TextMatch};

/// Short names for keys of the OCI image specification (annotations.md).
const SHORT: [(&str, &str); 2] = [
    ("source", "org.opencontainers.image.source"),
    ("revision", "org.opencontainers.image.revision"),
];

pub(super) fn requirement(field: &Field<'_>, cx: &mut Context<'_>) -> Option<Requirement> {
    let mut fields = field.fields(&mut cx.report)?;
    let matched = fields.take("match");
    let short = SHORT.map(|(name, key)| (name, key, fields.take(name)));
    let created_within = fields.take("createdWithin");
    fields.finish(&mut cx.report);

    let mut values = optional(matched, |field| text::match_map(field, cx))
        .map(Option::<BTreeMap<String, TextMatch>>::unwrap_or_default);
    for (name, key, field) in short {
        let Some(field) = field else {
            continue;
        };
        let text = text::text_match(&field, cx);
        values = match (values, text) {
            (Some(values), Some(_)) if values.contains_key(key) => {
                cx.report.error(
                    field.key_span(),
                    format!(
                        "`{name}` is short for `{key}`, which stands under `match` too; keep one"
                    ),
                );
                None
            }
            (Some(mut values), Some(text)) => {
                values.insert(key.to_owned(), text);
                Some(values)
            }
            _ => None,
        };
    }
    let max_age = optional(created_within, |field| {
        length_of_time(field, &mut cx.report)
    });
    let (values, max_age) = (values?, max_age?);
    if values.is_empty() && max_age.is_none() {
        cx.report.error(
            field.key_span(),
            "nothing is required; name something under `match`, `source`, `revision` or `createdWithin`",
        );
        return None;
    }
    Some(Requirement::Annotations(AnnotationsRequirement {
        values,
        max_age,
        span: field.key_span(),
    }))
}
