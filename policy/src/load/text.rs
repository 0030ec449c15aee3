//! How a document says what a text in evidence must be: exactly, by a glob, or by a regular expression.

use std::collections::BTreeMap;

use super::Context;
use crate::fields::Field;
use crate::model::TextMatch;

/// Longest text to compare with, in bytes.
const MAX_TEXT: usize = 4096;

/// `TEXT`, `{glob: TEXT}` or `{regex: TEXT}`. A regular expression is compiled by `portcullis-trust`.
pub(super) fn text_match(field: &Field<'_>, cx: &mut Context<'_>) -> Option<TextMatch> {
    if !field.is_map() {
        let text = bounded(field, cx)?;
        if text.contains('*') {
            cx.report.warning(
                field.span(),
                "compared as it stands, `*` included; to let `*` stand for any characters, write `{glob: …}`",
            );
        }
        return Some(TextMatch::Exact(text));
    }
    let mut entries = field.fields(&mut cx.report)?.rest();
    let (Some((key, value)), true) = (entries.pop(), entries.is_empty()) else {
        cx.report.error(field.span(), FORMS);
        return None;
    };
    match key {
        "glob" => bounded(&value, cx).map(TextMatch::Glob),
        "regex" => bounded(&value, cx).map(TextMatch::Regex),
        _ => {
            cx.report
                .error(value.key_span(), format!("unknown field; {FORMS}"));
            None
        }
    }
}

const FORMS: &str =
    "a text is compared with exactly one of: a text as it stands, `{glob: TEXT}`, `{regex: TEXT}`";

fn bounded(field: &Field<'_>, cx: &mut Context<'_>) -> Option<String> {
    let text = field.non_empty_text(&mut cx.report)?;
    if text.len() > MAX_TEXT {
        cx.report.error(
            field.span(),
            format!("a text to compare with has at most {MAX_TEXT} bytes"),
        );
        return None;
    }
    Some(text.to_owned())
}

/// A mapping of texts that must be equal, such as signed annotations. Empty, it is reported.
pub(super) fn exact_map(
    field: &Field<'_>,
    cx: &mut Context<'_>,
) -> Option<BTreeMap<String, String>> {
    entries(field, cx, |value, cx| {
        value.text(&mut cx.report).map(str::to_owned)
    })
}

/// A mapping of texts to compare with. Empty, it is reported.
pub(super) fn match_map(
    field: &Field<'_>,
    cx: &mut Context<'_>,
) -> Option<BTreeMap<String, TextMatch>> {
    entries(field, cx, text_match)
}

fn entries<T>(
    field: &Field<'_>,
    cx: &mut Context<'_>,
    read: impl Fn(&Field<'_>, &mut Context<'_>) -> Option<T>,
) -> Option<BTreeMap<String, T>> {
    let found = field.fields(&mut cx.report)?.rest();
    if found.is_empty() {
        cx.report.error(
            field.span(),
            "nothing is named here; name a key and its value, or leave it out",
        );
        return None;
    }
    let read: Vec<Option<(String, T)>> = found
        .into_iter()
        .map(|(key, value)| {
            if key.trim().is_empty() || key.contains(char::is_control) {
                cx.report.error(value.key_span(), "this key is not a name");
                return None;
            }
            read(&value, cx).map(|value_read| (key.to_owned(), value_read))
        })
        .collect();
    read.into_iter().collect()
}
