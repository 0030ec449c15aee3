//! `simple` of Portieris: `OpenPGP` simple signing. Its shape is checked completely; signatures are not verified by this
//! build, so that what asks for one compiles to a requirement that always denies.

use super::document::Group;
use super::repository::{RuleContext, choice};
use super::{Context, metadata};
use crate::fields::{Field, Fields};
use crate::model::Requirement;
use crate::report::Report;

/// How the identity in a signature is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Identity {
    RepoDigestOrExact,
    Exact,
    Repository,
    ExactReference,
    ExactRepository,
    Remap,
}

/// The CRD's spellings and those of Portieris' documentation.
const IDENTITIES: [(&str, Identity); 9] = [
    ("", Identity::RepoDigestOrExact),
    ("matchRepoDigestOrExact", Identity::RepoDigestOrExact),
    ("matchExact", Identity::Exact),
    ("matchRepository", Identity::Repository),
    ("matchExactReference", Identity::ExactReference),
    ("exactReference", Identity::ExactReference),
    ("matchExactRepository", Identity::ExactRepository),
    ("exactRepository", Identity::ExactRepository),
    ("remapIdentity", Identity::Remap),
];

/// What `simple` asks for, all of which must hold.
pub(super) fn requirements(
    field: &Field<'_>,
    rule: &RuleContext<'_>,
    cx: &mut Context<'_>,
) -> Option<Vec<Requirement>> {
    let mut fields = field.fields(&mut cx.report)?;
    let list = fields.take_value("requirements");
    let store_ok = store(&mut fields, rule, cx);
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
        .map(|item| requirement(item, rule, cx))
        .collect();
    let all: Option<Vec<Requirement>> = all.into_iter().collect();
    store_ok.then_some(all).flatten()
}

fn requirement(
    item: &Field<'_>,
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
        Kind::SignedBy => signed_by(item, &mut fields, rule, cx),
    };
    fields.finish(&mut cx.report);
    found
}

fn signed_by(
    item: &Field<'_>,
    fields: &mut Fields<'_>,
    rule: &RuleContext<'_>,
    cx: &mut Context<'_>,
) -> Option<Requirement> {
    let secret = fields.require("keySecret", &mut cx.report);
    // Came with portieris.cloud.ibm.com/v1; left untaken it is an unknown field.
    let namespace = match rule.group {
        Group::PortierisV1Beta1 => None,
        Group::PortierisV1 | Group::Portcullis => fields.take_value("keySecretNamespace"),
    };
    let identity_ok = fields
        .take_value("signedIdentity")
        .is_none_or(|field| signed_identity(&field, &mut cx.report));
    let namespace = match &namespace {
        Some(field) => Some(namespace_text(field, &mut cx.report)?),
        None => None,
    };
    let secret = secret?;
    let name = secret.non_empty_text(&mut cx.report)?;
    match cx.secrets.find(rule.scope, namespace, name) {
        Ok(found) if found.get("key").is_some() => {}
        Ok(found) => {
            let message = format!(
                "Secret `{name}` ({}) has no `key` with an armoured OpenPGP public key",
                found.span()
            );
            cx.report.error(secret.span(), message);
            return None;
        }
        Err(message) => {
            cx.report.error(secret.span(), message);
            return None;
        }
    }
    cx.report.warning(item.span(), unverified("simple"));
    identity_ok.then(|| Requirement::Unsupported {
        system: "simple".to_owned(),
        span: item.span(),
    })
}

fn namespace_text<'n>(field: &Field<'n>, report: &mut Report) -> Option<&'n str> {
    let text = field.text(report)?;
    if metadata::is_label(text) {
        return Some(text);
    }
    report.error(field.span(), "not the name of a namespace");
    None
}

fn signed_identity(field: &Field<'_>, report: &mut Report) -> bool {
    let Some(mut fields) = field.fields(report) else {
        return false;
    };
    let identity = match fields.take_value("type") {
        Some(field) => choice(&field, &IDENTITIES, report),
        None => Some(Identity::RepoDigestOrExact),
    };
    let Some(identity) = identity else {
        return false;
    };
    let needed: &[&str] = match identity {
        Identity::RepoDigestOrExact | Identity::Exact | Identity::Repository => &[],
        Identity::ExactReference => &["dockerReference"],
        Identity::ExactRepository => &["dockerRepository"],
        Identity::Remap => &["prefix", "signedPrefix"],
    };
    let mut complete = true;
    for key in needed {
        let text = fields
            .require(key, report)
            .and_then(|field| field.non_empty_text(report));
        complete &= text.is_some();
    }
    for (key, field) in fields.rest() {
        complete = false;
        report.error(
            field.key_span(),
            format!("`{key}` does not belong to this `type` of signedIdentity"),
        );
    }
    complete
}

/// `storeURL` and `storeSecret`: where signatures are looked for.
fn store(fields: &mut Fields<'_>, rule: &RuleContext<'_>, cx: &mut Context<'_>) -> bool {
    let url = fields.take_value("storeURL");
    let secret = fields.take_value("storeSecret");
    let mut ok = true;
    if let Some(field) = &url {
        let text = field.non_empty_text(&mut cx.report);
        let known =
            text.is_some_and(|text| text.starts_with("https://") || text.starts_with("http://"));
        if text.is_some() && !known {
            cx.report
                .error(field.span(), "must begin with `https://` or `http://`");
        }
        ok &= known;
    }
    let Some(field) = secret else {
        return ok;
    };
    if url.is_none() {
        cx.report.error(
            field.key_span(),
            "`storeSecret` is the password of a `storeURL`, and there is none",
        );
        ok = false;
    }
    let Some(name) = field.non_empty_text(&mut cx.report) else {
        return false;
    };
    let problem = match cx.secrets.find(rule.scope, None, name) {
        Ok(found) if found.get("username").is_some() && found.get("password").is_some() => {
            return ok;
        }
        Ok(found) => format!(
            "Secret `{name}` ({}) has no `username` and `password`",
            found.span()
        ),
        Err(message) => message,
    };
    cx.report.error(field.span(), problem);
    false
}

/// The warning for a system that compiles to [`Requirement::Unsupported`].
pub(super) fn unverified(system: &str) -> String {
    format!("`{system}` is not verified by this version: every image that needs it is refused")
}
