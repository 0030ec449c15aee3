//! Signers of Notary v1: a delegation's name with the key that must have signed.

use std::collections::BTreeMap;

use super::repository::RuleContext;
use super::secret::SecretValue;
use super::{Context, material};
use crate::fields::Field;
use crate::model::NotarySigner;
use crate::report::Report;
use crate::span::Span;

/// Portieris' `signerSecrets`: names of Secrets with `name` and `publicKey`.
pub(super) fn from_secrets(
    field: &Field<'_>,
    rule: &RuleContext<'_>,
    cx: &mut Context<'_>,
) -> Option<Vec<NotarySigner>> {
    let items = field.list(&mut cx.report)?;
    let signers: Vec<Option<NotarySigner>> = items
        .iter()
        .map(|item| {
            let mut fields = item.fields(&mut cx.report)?;
            let name = fields.require("name", &mut cx.report);
            fields.finish(&mut cx.report);
            from_secret(&name?, rule, cx)
        })
        .collect();
    signers.into_iter().collect()
}

fn from_secret(
    field: &Field<'_>,
    rule: &RuleContext<'_>,
    cx: &mut Context<'_>,
) -> Option<NotarySigner> {
    let secret_name = field.non_empty_text(&mut cx.report)?;
    let secret = match cx.secrets.find(rule.scope, None, secret_name) {
        Ok(secret) => secret,
        Err(message) => {
            cx.report.error(field.span(), message);
            return None;
        }
    };
    let (Some(name), Some(key)) = (secret.get("name"), secret.get("publicKey")) else {
        let message = format!(
            "Secret `{secret_name}` ({}) needs `name` (the signer) and `publicKey` (PEM), and one of them is empty or missing",
            secret.span()
        );
        cx.report.error(field.span(), message);
        return None;
    };
    signer(name, key, &mut cx.report)
}

/// Our own `signers`: a name with a key in the document or in a file of the set.
pub(super) fn from_list(field: &Field<'_>, cx: &mut Context<'_>) -> Option<Vec<NotarySigner>> {
    let items = field.list(&mut cx.report)?;
    if items.is_empty() {
        cx.report.error(
            field.span(),
            "no signer is named; leave `signers` out if any signature of the repository will do",
        );
        return None;
    }
    let signers: Vec<Option<NotarySigner>> = items.iter().map(|item| from_item(item, cx)).collect();
    signers.into_iter().collect()
}

fn from_item(item: &Field<'_>, cx: &mut Context<'_>) -> Option<NotarySigner> {
    let mut fields = item.fields(&mut cx.report)?;
    let name = fields.require("name", &mut cx.report);
    let pem = fields.take("publicKey");
    let file = fields.take("file");
    fields.finish(&mut cx.report);
    let key = match (pem, file) {
        (Some(field), None) => SecretValue {
            bytes: field.non_empty_text(&mut cx.report)?.as_bytes().to_vec(),
            span: field.span(),
        },
        (None, Some(field)) => SecretValue {
            bytes: material::from_file(&field, cx)?.to_vec(),
            span: field.span(),
        },
        _ => {
            cx.report.error(
                item.span(),
                "a signer has either `publicKey` (PEM) or `file`",
            );
            return None;
        }
    };
    let name = name?;
    let text = name.non_empty_text(&mut cx.report)?;
    let name = SecretValue {
        bytes: text.as_bytes().to_vec(),
        span: name.span(),
    };
    signer(&name, &key, &mut cx.report)
}

fn signer(name: &SecretValue, key: &SecretValue, report: &mut Report) -> Option<NotarySigner> {
    let text = std::str::from_utf8(&name.bytes)
        .ok()
        .filter(|text| is_delegation(text));
    if text.is_none() {
        report.error(
            name.span.clone(),
            "a signer's name is its delegation without `targets/`: lower-case letters, digits, `-`, `_` and `/`, and no line \
             break at the end",
        );
    }
    let private = material::is_private(&key.bytes);
    if private {
        report.error(key.span.clone(), material::PRIVATE);
    }
    text.filter(|_| !private).map(|text| NotarySigner {
        name: text.to_owned(),
        public_key: key.bytes.clone(),
        span: key.span.clone(),
    })
}

/// Notary's rule for a role below `targets/`.
fn is_delegation(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    text.len() <= 255
        && !text.starts_with("targets/")
        && text
            .split('/')
            .all(|part| !part.is_empty() && part.bytes().all(allowed))
}

/// `signers` with repetitions removed. Two keys under one name are a contradiction: Portieris silently enforces the last
/// one, and a delegation signed by one person's key cannot satisfy both.
pub(super) fn distinct(
    signers: Vec<NotarySigner>,
    report: &mut Report,
) -> Option<Vec<NotarySigner>> {
    let mut kept: Vec<NotarySigner> = Vec::new();
    let mut keys: BTreeMap<String, (Vec<u8>, Span)> = BTreeMap::new();
    let mut contradiction = false;
    for signer in signers {
        match keys.get(&signer.name) {
            Some((key, _)) if *key == signer.public_key => {}
            Some((_, first)) => {
                contradiction = true;
                let message = format!(
                    "signer `{}` has another key at {first}. All signers must have signed, so that both keys would be needed \
                     under one name; in portcullis.dev/v1, `anyOf` with one `trust` each accepts either",
                    signer.name
                );
                report.error(signer.span, message);
            }
            None => {
                keys.insert(
                    signer.name.clone(),
                    (signer.public_key.clone(), signer.span.clone()),
                );
                kept.push(signer);
            }
        }
    }
    (!contradiction).then_some(kept)
}
