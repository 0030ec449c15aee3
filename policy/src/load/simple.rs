//! `simple`: `OpenPGP` simple signing, in Portieris' fields and in our own.

use super::document::Group;
use super::repository::{RuleContext, choice};
use super::{Context, lookaside, material, metadata, signed_identity};
use crate::fields::{Field, Fields, optional};
use crate::model::{KeyMaterial, Requirement, SignatureStore, SignedIdentity, SimpleRequirement};
use crate::report::Report;

/// Our own `simple`: one signature. Several are `allOf`.
pub(super) fn own(
    field: &Field<'_>,
    rule: &RuleContext<'_>,
    cx: &mut Context<'_>,
) -> Option<Requirement> {
    let mut fields = field.fields(&mut cx.report)?;
    let keys = fields.require("keys", &mut cx.report);
    let identity = fields.take("signedIdentity");
    let store = lookaside::store(&mut fields, rule, cx);
    fields.finish_with(&mut cx.report, |key| match key {
        "requirements" => Some(
            "unknown field; in portcullis.dev/v1 a `simple` is one signature, and several are listed under `allOf`"
                .to_owned(),
        ),
        "keySecret" => Some("unknown field; write `keys: [{secret: NAME}]`".to_owned()),
        _ => None,
    });
    let keys = keys.and_then(|field| material::list(&field, &material::KEYRING, rule, cx));
    let identity = optional(identity, |field| {
        signed_identity::read(field, &mut cx.report)
    });
    Some(Requirement::Simple(SimpleRequirement {
        keys: keys?,
        identity: identity?.unwrap_or_default(),
        store: store?,
        span: field.key_span(),
    }))
}

/// What Portieris' `simple` asks for, all of which must hold.
pub(super) fn requirements(
    field: &Field<'_>,
    rule: &RuleContext<'_>,
    cx: &mut Context<'_>,
) -> Option<Vec<Requirement>> {
    let mut fields = field.fields(&mut cx.report)?;
    let list = fields.take_value("requirements");
    let store = lookaside::store(&mut fields, rule, cx);
    fields.finish(&mut cx.report);
    let items = match list {
        Some(list) => list.list(&mut cx.report)?,
        None => Vec::new(),
    };
    if items.is_empty() {
        cx.report.error(
            field.key_span(),
            "`requirements` is empty. (Portieris then skips `simple` and allows the image.) Name a requirement, or remove `simple`",
        );
        return None;
    }
    let all: Vec<Option<Requirement>> = items
        .iter()
        .map(|item| requirement(item, store.as_ref(), rule, cx))
        .collect();
    store.as_ref()?;
    all.into_iter().collect()
}

fn requirement(
    item: &Field<'_>,
    store: Option<&SignatureStore>,
    rule: &RuleContext<'_>,
    cx: &mut Context<'_>,
) -> Option<Requirement> {
    #[derive(Clone, Copy)]
    enum Kind {
        Accept,
        Reject,
        SignedBy,
    }
    let words = [
        ("insecureAcceptAnything", Kind::Accept),
        ("reject", Kind::Reject),
        ("signedBy", Kind::SignedBy),
    ];
    let mut fields = item.fields(&mut cx.report)?;
    let kind = fields
        .require("type", &mut cx.report)
        .and_then(|field| choice(&field, &words, &mut cx.report));
    let found = match kind? {
        Kind::Accept => Some(Requirement::Allow),
        Kind::Reject => Some(Requirement::Deny { reason: None }),
        Kind::SignedBy => signed_by(&mut fields, rule, cx).and_then(|(key, identity)| {
            Some(Requirement::Simple(SimpleRequirement {
                keys: vec![key],
                identity,
                // Wrong, and reported where it stands.
                store: store?.clone(),
                span: item.span(),
            }))
        }),
    };
    fields.finish(&mut cx.report);
    found
}

fn signed_by(
    fields: &mut Fields<'_>,
    rule: &RuleContext<'_>,
    cx: &mut Context<'_>,
) -> Option<(KeyMaterial, SignedIdentity)> {
    let secret = fields.require("keySecret", &mut cx.report);
    // Came with portieris.cloud.ibm.com/v1; left untaken it is an unknown field.
    let namespace = match rule.group {
        Group::PortierisV1Beta1 => None,
        Group::PortierisV1 | Group::Portcullis => fields.take_value("keySecretNamespace"),
    };
    let identity = optional(fields.take_value("signedIdentity"), |field| {
        signed_identity::read(field, &mut cx.report)
    });
    let namespace = optional(namespace, |field| namespace_text(field, &mut cx.report));
    let key = secret
        .zip(namespace)
        .and_then(|(secret, namespace)| key_of(&secret, namespace.as_deref(), rule, cx));
    Some((key?, identity?.unwrap_or_default()))
}

/// Several keys in one Secret are alternatives.
fn key_of(
    field: &Field<'_>,
    namespace: Option<&str>,
    rule: &RuleContext<'_>,
    cx: &mut Context<'_>,
) -> Option<KeyMaterial> {
    let name = field.non_empty_text(&mut cx.report)?;
    let problem = match cx.secrets.find(rule.scope, namespace, name) {
        Ok(found) => match found.get("key") {
            Some(key) if material::is_private(&key.bytes) => material::PRIVATE.to_owned(),
            Some(key) => {
                return Some(KeyMaterial {
                    bytes: key.bytes.clone(),
                    name: format!("Secret {name}"),
                    span: field.span(),
                });
            }
            None => format!(
                "Secret `{name}` ({}) has no `key` with an armoured OpenPGP public key",
                found.span()
            ),
        },
        Err(message) => message,
    };
    cx.report.error(field.span(), problem);
    None
}

fn namespace_text(field: &Field<'_>, report: &mut Report) -> Option<String> {
    let text = field.text(report)?;
    if metadata::is_label(text) {
        return Some(text.to_owned());
    }
    report.error(field.span(), "not the name of a namespace");
    None
}
