//! `notation`: a Notary Project signature, in the words of notation's `trustpolicy.json`
//! (trust-store-trust-policy.md 1.0).

mod stores;

use std::collections::BTreeMap;

use super::repository::{RuleContext, choice};
use super::{Context, text};
use crate::fields::{Field, optional};
use crate::model::{
    NotationAction, NotationCheck, NotationLevel, NotationRequirement, Requirement, TrustStoreKind,
    TrustedIdentity, VerifyTimestamp,
};
use crate::report::Report;

pub(super) fn requirement(
    field: &Field<'_>,
    rule: &RuleContext<'_>,
    cx: &mut Context<'_>,
) -> Option<Requirement> {
    let mut fields = field.fields(&mut cx.report)?;
    let stores = fields.require("trustStores", &mut cx.report);
    let identities = fields.require("trustedIdentities", &mut cx.report);
    let level = fields.take("level");
    let overrides = fields.take("override");
    let timestamp = fields.take("verifyTimestamp");
    let metadata = fields.take("userMetadata");
    fields.finish_with(&mut cx.report, |key| match key {
        "registryScopes" => {
            Some("unknown field; which images a rule is for, its `name` says".to_owned())
        }
        "signatureVerification" => Some(
            "unknown field; `level`, `override` and `verifyTimestamp` stand directly under `notation`".to_owned(),
        ),
        _ => None,
    });

    let trust_stores = stores.and_then(|field| stores::read(&field, rule, cx));
    let trusted_identities = identities.and_then(|field| identity_list(&field, &mut cx.report));
    let level = optional(level, |field| level_of(field, &mut cx.report));
    let overrides = optional(overrides, |field| override_of(field, &mut cx.report));
    let verify_timestamp = optional(timestamp.clone(), |field| {
        let words = [
            ("always", VerifyTimestamp::Always),
            ("afterCertExpiry", VerifyTimestamp::AfterCertExpiry),
        ];
        choice(field, &words, &mut cx.report)
    });
    let user_metadata = optional(metadata, |field| metadata_of(field, cx));
    let trust_stores = trust_stores?;
    let stamped = trust_stores
        .iter()
        .any(|store| store.kind == TrustStoreKind::Tsa);
    if let (Some(field), false) = (timestamp, stamped) {
        cx.report.warning(
            field.key_span(),
            "has no effect: `trustStores` names no `tsa`, so that no timestamp is trusted",
        );
    }
    Some(Requirement::Notation(NotationRequirement {
        trust_stores,
        trusted_identities: trusted_identities?,
        level: level?.unwrap_or(NotationLevel::Strict),
        overrides: overrides?.unwrap_or_default(),
        verify_timestamp: verify_timestamp?.unwrap_or_default(),
        user_metadata: user_metadata?.unwrap_or_default(),
        span: field.key_span(),
    }))
}

/// `*` alone, or `x509.subject: …`, whose name is parsed by `portcullis-trust`.
fn identity_list(field: &Field<'_>, report: &mut Report) -> Option<Vec<TrustedIdentity>> {
    let items = field.non_empty_list("name whom you trust, or `\"*\"`", report)?;
    let mut kept: Vec<TrustedIdentity> = Vec::new();
    let mut sound = true;
    for item in &items {
        if item.is_map() {
            sound = false;
            report.error(
                item.span(),
                "must be text, and is a mapping; put all of it in quotes: `\"x509.subject: C=…, ST=…, O=…\"`",
            );
            continue;
        }
        let Some(text) = item.non_empty_text(report) else {
            sound = false;
            continue;
        };
        let problem = if text == "*" && items.len() > 1 {
            "`*` trusts everyone, and stands alone"
        } else if text != "*" && !text.starts_with("x509.subject:") {
            "must be `*`, or begin with `x509.subject:`"
        } else if kept.iter().any(|other| other.text == text) {
            "given twice"
        } else {
            kept.push(TrustedIdentity {
                text: text.to_owned(),
                span: item.span(),
            });
            continue;
        };
        sound = false;
        report.error(item.span(), problem);
    }
    sound.then_some(kept)
}

fn level_of(field: &Field<'_>, report: &mut Report) -> Option<NotationLevel> {
    if field.text(report)? == "skip" {
        report.error(
            field.span(),
            "`skip` requires nothing; write the requirement `allow: {}` instead of `notation` to say so",
        );
        return None;
    }
    let words = [
        ("strict", NotationLevel::Strict),
        ("permissive", NotationLevel::Permissive),
        ("audit", NotationLevel::Audit),
    ];
    choice(field, &words, report)
}

fn override_of(
    field: &Field<'_>,
    report: &mut Report,
) -> Option<BTreeMap<NotationCheck, NotationAction>> {
    let actions = [
        ("enforce", NotationAction::Enforce),
        ("log", NotationAction::Log),
        ("skip", NotationAction::Skip),
    ];
    let entries = field.fields(report)?.rest();
    if entries.is_empty() {
        report.error(
            field.span(),
            "nothing is overridden here; name a check, or leave `override` out",
        );
        return None;
    }
    let mut found = BTreeMap::new();
    let mut sound = true;
    for (key, value) in entries {
        let check = match key {
            "authenticity" => NotationCheck::Authenticity,
            "authenticTimestamp" => NotationCheck::AuthenticTimestamp,
            "expiry" => NotationCheck::Expiry,
            "revocation" => NotationCheck::Revocation,
            _ => {
                sound = false;
                report.error(value.key_span(), unknown_check(key));
                continue;
            }
        };
        match choice(&value, &actions, report) {
            Some(NotationAction::Skip) if check != NotationCheck::Revocation => {
                sound = false;
                report.error(
                    value.span(),
                    "only `revocation` may be skipped; `log` lets the signature count and says what failed",
                );
            }
            Some(action) => {
                found.insert(check, action);
            }
            None => sound = false,
        }
    }
    sound.then_some(found)
}

fn unknown_check(key: &str) -> &'static str {
    if key == "integrity" {
        "`integrity` cannot be overridden: without it there is no signature"
    } else {
        "unknown check; there are `authenticity`, `authenticTimestamp`, `expiry` and `revocation`"
    }
}

fn metadata_of(field: &Field<'_>, cx: &mut Context<'_>) -> Option<BTreeMap<String, String>> {
    let found = text::exact_map(field, cx)?;
    if found.keys().any(|key| key.starts_with("io.cncf.notary")) {
        cx.report.error(
            field.span(),
            "keys that begin with `io.cncf.notary` are notation's own, and no user metadata",
        );
        return None;
    }
    Some(found)
}
