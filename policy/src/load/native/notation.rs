//! The Notary Project's `notation/trustpolicy.json` (or `trustpolicy.oci.json`), version 1.0
//! (trust-store-trust-policy.md), for the cluster.

use std::collections::BTreeMap;

use super::files::{Document, NativeFiles};
use super::{Claim, place, trust_store};
use crate::fields::{Field, Fields};
use crate::load::SourceFile;
use crate::load::repository::choice;
use crate::model::{
    Dialect, NotationAction, NotationCheck, NotationLevel, NotationRequirement, Pattern,
    Requirement, Rule, Scope, TagRule, TrustedIdentity, VerifyTimestamp,
};
use crate::report::Report;
use crate::span::Span;

const FOLDER: &str = "notation/";
/// The newer name and the older one.
const NAMES: [&str; 2] = ["trustpolicy.oci.json", "trustpolicy.json"];
const BLOBS: &str = "trustpolicy.blob.json";
const ANY: &str = "*";

const LEVELS: [(&str, Option<NotationLevel>); 4] = [
    ("strict", Some(NotationLevel::Strict)),
    ("permissive", Some(NotationLevel::Permissive)),
    ("audit", Some(NotationLevel::Audit)),
    ("skip", None),
];
const CHECKS: [(&str, NotationCheck); 5] = [
    ("integrity", NotationCheck::Integrity),
    ("authenticity", NotationCheck::Authenticity),
    ("authenticTimestamp", NotationCheck::AuthenticTimestamp),
    ("expiry", NotationCheck::Expiry),
    ("revocation", NotationCheck::Revocation),
];
const ACTIONS: [(&str, NotationAction); 3] = [
    ("enforce", NotationAction::Enforce),
    ("log", NotationAction::Log),
    ("skip", NotationAction::Skip),
];
const TIMESTAMPS: [(&str, VerifyTimestamp); 2] = [
    ("always", VerifyTimestamp::Always),
    ("afterCertExpiry", VerifyTimestamp::AfterCertExpiry),
];

/// The trust policy below `notation/`, if there is one.
pub(super) fn read(files: &NativeFiles<'_>, report: &mut Report) -> Option<Claim> {
    let mut found: Vec<&SourceFile> = Vec::new();
    for (name, file) in files.below(FOLDER) {
        match name {
            name if NAMES.contains(&name) => found.push(file),
            // The tool keeps them beside its trust policy.
            "config.json" | "signingkeys.json" => {
                report.warning(place(file), "says nothing about trust, and is not read");
            }
            BLOBS => report.warning(place(file), "is about files that are no images, and not read"),
            name if trust_store::is_certificate(name) => {}
            _ => report.error(
                place(file),
                "is not known here: there are trustpolicy.json and x509/{ca,signingAuthority,tsa}/NAME/ with certificates \
                 (.crt, .cer, .pem, .der)",
            ),
        }
    }
    let file = found.pop()?;
    if let Some(other) = found.pop() {
        report.error(
            place(file),
            format!(
                "there is `{}` too, and a node has one trust policy; keep one",
                other.name
            ),
        );
    }
    let rules = Document::read(file, report)
        .and_then(|document| statements(&document.whole(), files, report));
    Some(Claim {
        scope: Scope::Cluster,
        span: place(file),
        rules: rules.unwrap_or_default(),
    })
}

fn statements(
    whole: &Field<'_>,
    files: &NativeFiles<'_>,
    report: &mut Report,
) -> Option<Vec<Rule>> {
    let mut fields = whole.fields(report)?;
    let version = fields.require("version", report);
    let list = fields.require("trustPolicies", report);
    fields.finish(report);
    if let Some(version) = version {
        choice(&version, &[("1.0", ())], report);
    }
    let list = list?;
    let items = list.list(report)?;
    if items.is_empty() {
        report.error(list.span(), "must hold at least one statement");
    }
    let mut rules = Vec::new();
    let mut names: BTreeMap<String, Span> = BTreeMap::new();
    let mut scopes: BTreeMap<String, Span> = BTreeMap::new();
    for item in &items {
        rules.extend(statement(item, files, &mut names, &mut scopes, report).unwrap_or_default());
    }
    Some(rules)
}

fn statement(
    item: &Field<'_>,
    files: &NativeFiles<'_>,
    names: &mut BTreeMap<String, Span>,
    scopes: &mut BTreeMap<String, Span>,
    report: &mut Report,
) -> Option<Vec<Rule>> {
    let mut fields = item.fields(report)?;
    let name = fields.require("name", report);
    let registry_scopes = fields.require("registryScopes", report);
    let verification = fields.require("signatureVerification", report);
    let stores = fields.take_value("trustStores");
    let identities = fields.take_value("trustedIdentities");
    fields.finish(report);

    let patterns = registry_scopes.and_then(|field| patterns(&field, scopes, report));
    let name = name.and_then(|field| {
        let text = field.non_empty_text(report)?;
        first(text, &field, names, "a statement of this name", report)?;
        Some(text.to_owned())
    });
    let requirement =
        verification.and_then(|field| requirement(&field, item, stores, identities, files, report));
    let (name, requirement, patterns) = (name?, requirement?, patterns?);
    if requirement == Requirement::Allow {
        for (_, span) in patterns.iter().filter(|(pattern, _)| pattern.text == ANY) {
            report.warning(
                span.clone(),
                "`skip` for `*` allows every image that no other statement names, unsigned",
            );
        }
    }
    let rule = |(pattern, span)| Rule {
        scope: Scope::Cluster,
        document: format!("trustpolicy.json/{name}"),
        pattern,
        mode: None,
        tags: TagRule::default(),
        requirement: requirement.clone(),
        max_evidence_age: None,
        span,
    };
    Some(patterns.into_iter().map(rule).collect())
}

/// `Some` if `key` is new; otherwise the report says where it was first.
fn first(
    key: &str,
    field: &Field<'_>,
    places: &mut BTreeMap<String, Span>,
    what: &str,
    report: &mut Report,
) -> Option<()> {
    if let Some(first) = places.get(key) {
        report.error(field.span(), format!("there is {what} already, at {first}"));
        return None;
    }
    places.insert(key.to_owned(), field.span());
    Some(())
}

/// `registryScopes`: repositories, or `*` alone. A repository belongs to one statement.
fn patterns(
    field: &Field<'_>,
    scopes: &mut BTreeMap<String, Span>,
    report: &mut Report,
) -> Option<Vec<(Pattern, Span)>> {
    let items = field.list(report)?;
    if items.is_empty() {
        report.error(field.span(), "must name a repository, or `*`");
        return None;
    }
    let mut found = Vec::new();
    let mut complete = true;
    for item in &items {
        let Some(text) = item.text(report) else {
            complete = false;
            continue;
        };
        if text == ANY && items.len() > 1 {
            report.error(item.span(), "`*` stands alone");
            complete = false;
        }
        let pattern = Pattern {
            text: text.to_owned(),
            dialect: Dialect::Notation,
        };
        if let Err(error) = pattern.check() {
            report.error(item.span(), error.to_string());
            complete = false;
            continue;
        }
        match first(
            &pattern.canonical(),
            item,
            scopes,
            "a statement for this scope",
            report,
        ) {
            Some(()) => found.push((pattern, item.span())),
            None => complete = false,
        }
    }
    complete.then_some(found)
}

/// What a statement comes to. `skip` is allow.
fn requirement(
    verification: &Field<'_>,
    item: &Field<'_>,
    stores: Option<Field<'_>>,
    identities: Option<Field<'_>>,
    files: &NativeFiles<'_>,
    report: &mut Report,
) -> Option<Requirement> {
    let mut fields = verification.fields(report)?;
    let level = fields.require("level", report);
    let overrides = fields.take_value("override");
    let timestamp = fields.take_value("verifyTimestamp");
    fields.finish(report);
    let level = choice(&level?, &LEVELS, report)?;
    let Some(level) = level else {
        let idle = [&stores, &identities, &overrides, &timestamp];
        let mut clean = true;
        for field in idle.into_iter().flatten() {
            clean = false;
            report.error(field.key_span(), "means nothing at level `skip`; remove it");
        }
        return clean.then_some(Requirement::Allow);
    };
    let overrides = match overrides {
        Some(field) => read_overrides(field.fields(report)?, report),
        None => Some(BTreeMap::new()),
    };
    let verify_timestamp = match timestamp {
        // The tool takes an empty text for the default.
        Some(field) if field.text(report)?.is_empty() => Some(VerifyTimestamp::default()),
        Some(field) => choice(&field, &TIMESTAMPS, report),
        None => Some(VerifyTimestamp::default()),
    };
    let (Some(stores), Some(identities)) = (stores, identities) else {
        report.error(
            item.span(),
            "`trustStores` and `trustedIdentities` are both needed, except at level `skip`",
        );
        return None;
    };
    let trust_stores = trust_store::read(&stores, files, report);
    let trusted_identities = read_identities(&identities, report);
    Some(Requirement::Notation(NotationRequirement {
        trust_stores: trust_stores?,
        trusted_identities: trusted_identities?,
        level,
        overrides: overrides?,
        verify_timestamp: verify_timestamp?,
        user_metadata: BTreeMap::new(),
        span: item.span(),
    }))
}

/// `override`: integrity stays, and of the others only revocation may be skipped.
fn read_overrides(
    fields: Fields<'_>,
    report: &mut Report,
) -> Option<BTreeMap<NotationCheck, NotationAction>> {
    let mut found = BTreeMap::new();
    let mut complete = true;
    for (key, field) in fields.rest() {
        let check = CHECKS.iter().find(|(word, _)| *word == key);
        let action = choice(&field, &ACTIONS, report);
        let problem = match (check, action) {
            (None, _) => {
                "is not a check; there are authenticity, authenticTimestamp, expiry and revocation"
            }
            (Some((_, NotationCheck::Integrity)), _) => "integrity cannot be overridden",
            (Some((_, check)), Some(NotationAction::Skip))
                if *check != NotationCheck::Revocation =>
            {
                "of all checks only revocation may be skipped; `log` makes this one and only reports it"
            }
            (Some((_, check)), Some(action)) => {
                found.insert(*check, action);
                continue;
            }
            (Some(_), None) => {
                complete = false;
                continue;
            }
        };
        complete = false;
        report.error(field.key_span(), problem);
    }
    complete.then_some(found)
}

/// `trustedIdentities`: `*` alone, or subjects. What a subject may look like is known when the policy is compiled.
fn read_identities(field: &Field<'_>, report: &mut Report) -> Option<Vec<TrustedIdentity>> {
    let items = field.list(report)?;
    if items.is_empty() {
        report.error(field.span(), "must name an identity, or `*`");
        return None;
    }
    let mut found = Vec::new();
    let mut complete = true;
    for item in &items {
        let problem = match item.text(report) {
            None => {
                complete = false;
                continue;
            }
            Some(ANY) if items.len() > 1 => "`*` stands alone",
            Some(text) if text == ANY || text.starts_with("x509.subject:") => {
                found.push(TrustedIdentity {
                    text: text.to_owned(),
                    span: item.span(),
                });
                continue;
            }
            Some(_) => "must be `*`, or begin with `x509.subject:`",
        };
        complete = false;
        report.error(item.span(), problem);
    }
    complete.then_some(found)
}
