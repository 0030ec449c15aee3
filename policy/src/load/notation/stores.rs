//! `trustStores`: certificates by what they are trusted for.

use crate::fields::Field;
use crate::load::Context;
use crate::load::material;
use crate::load::repository::RuleContext;
use crate::model::{TrustStore, TrustStoreKind};

const KINDS: [(&str, TrustStoreKind); 3] = [
    ("ca", TrustStoreKind::Ca),
    ("signingAuthority", TrustStoreKind::SigningAuthority),
    ("tsa", TrustStoreKind::Tsa),
];

/// `{ca: {NAME: [certificate, …]}, signingAuthority: …, tsa: …}`.
pub(super) fn read(
    field: &Field<'_>,
    rule: &RuleContext<'_>,
    cx: &mut Context<'_>,
) -> Option<Vec<TrustStore>> {
    if field.is_list() {
        cx.report.error(
            field.span(),
            "must be a mapping: write `ca: {NAME: [{file: keys/NAME.pem}]}` for notation's `ca:NAME`",
        );
        return None;
    }
    let mut fields = field.fields(&mut cx.report)?;
    let mut found = Some(Vec::new());
    for (key, kind) in KINDS {
        if let Some(stores) = fields.take(key) {
            let more = of_kind(&stores, kind, rule, cx);
            found = match (found, more) {
                (Some(mut all), Some(more)) => {
                    all.extend(more);
                    Some(all)
                }
                _ => None,
            };
        }
    }
    fields.finish_with(&mut cx.report, |_| {
        Some("unknown field; trust stores are `ca`, `signingAuthority` and `tsa`".to_owned())
    });
    let found = found?;
    if found.iter().all(|store| store.kind == TrustStoreKind::Tsa) {
        cx.report.error(
            field.span(),
            "no signer's certificate is trusted; name a store under `ca` or `signingAuthority`",
        );
        return None;
    }
    Some(found)
}

fn of_kind(
    field: &Field<'_>,
    kind: TrustStoreKind,
    rule: &RuleContext<'_>,
    cx: &mut Context<'_>,
) -> Option<Vec<TrustStore>> {
    let named = field.fields(&mut cx.report)?.rest();
    if named.is_empty() {
        cx.report.error(
            field.span(),
            "no store is named here; name one, or leave it out",
        );
        return None;
    }
    let stores: Vec<Option<TrustStore>> = named
        .into_iter()
        .map(|(name, certificates)| {
            if !is_name(name) {
                cx.report.error(
                    certificates.key_span(),
                    "a trust store's name consists of letters, digits, `_`, `-` and `.`",
                );
                return None;
            }
            Some(TrustStore {
                kind,
                name: name.to_owned(),
                certificates: material::list(&certificates, &material::CERTIFICATES, rule, cx)?,
            })
        })
        .collect();
    stores.into_iter().collect()
}

/// What notation accepts as the name of a folder.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 255
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
}
