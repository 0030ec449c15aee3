//! `trust`: Notary v1, in Portieris' fields and in our own.

use std::collections::BTreeMap;

use super::repository::RuleContext;
use super::{Context, server, signers};
use crate::fields::Field;
use crate::model::{NotaryRequirement, NotarySigner, Requirement};
use crate::report::Report;

/// Portieris' `trust`: off unless `enabled: true`. Empty: nothing is asked for.
pub(super) fn portieris(
    field: &Field<'_>,
    rule: &RuleContext<'_>,
    cx: &mut Context<'_>,
) -> Option<Vec<Requirement>> {
    let mut fields = field.fields(&mut cx.report)?;
    let enabled = match fields.take_value("enabled") {
        Some(enabled) => enabled.boolean(&mut cx.report),
        None => Some(false),
    };
    let given = server::Given {
        url: fields.take_value("trustServer"),
        ..server::Given::default()
    };
    let secrets = fields.take_value("signerSecrets");
    fields.finish(&mut cx.report);
    if !enabled? {
        if given.url.is_some() || secrets.is_some() {
            cx.report.warning(
                field.key_span(),
                "`enabled` is not true, so that nothing here is checked",
            );
        }
        return Some(Vec::new());
    }
    let signers = match secrets {
        Some(list) => signers::from_secrets(&list, rule, cx),
        None => Some(Vec::new()),
    };
    let trust = server::resolve(&given, field, rule, cx);
    Some(vec![notary(
        field,
        trust?,
        signers::distinct(signers?, &mut cx.report)?,
    )])
}

/// Our own `trust`: on, as it is written down.
pub(super) fn own(
    field: &Field<'_>,
    rule: &RuleContext<'_>,
    cx: &mut Context<'_>,
) -> Option<Requirement> {
    let mut fields = field.fields(&mut cx.report)?;
    let enabled = match fields.take("enabled") {
        Some(enabled) => enabled_is_true(&enabled, &mut cx.report),
        None => true,
    };
    let url = fields.take("trustServer");
    let ca = match fields.take("ca") {
        Some(ca) => Some(absolute_path(&ca, &mut cx.report)),
        None => None,
    };
    let pins = match fields.take("pins") {
        Some(pins) => server::pins(&pins, &mut cx.report),
        None => Some(BTreeMap::new()),
    };
    let first_use = match fields.take("trustOnFirstUse") {
        Some(first_use) => first_use.boolean(&mut cx.report).map(Some),
        None => Some(None),
    };
    let mut signers: Option<Vec<NotarySigner>> = Some(Vec::new());
    if let Some(list) = fields.take("signerSecrets") {
        signers = join(signers, signers::from_secrets(&list, rule, cx));
    }
    if let Some(list) = fields.take("signers") {
        signers = join(signers, signers::from_list(&list, cx));
    }
    fields.finish(&mut cx.report);
    let given = server::Given {
        url,
        ca: match ca {
            Some(ca) => Some(ca?),
            None => None,
        },
        pins: pins?,
        trust_on_first_use: first_use?,
    };
    let trust = server::resolve(&given, field, rule, cx);
    let signers = signers::distinct(signers?, &mut cx.report)?;
    enabled.then_some(notary(field, trust?, signers))
}

fn notary(
    field: &Field<'_>,
    trust: crate::model::NotaryServer,
    signers: Vec<NotarySigner>,
) -> Requirement {
    Requirement::Notary(NotaryRequirement {
        trust,
        signers,
        span: field.key_span(),
    })
}

fn join(
    left: Option<Vec<NotarySigner>>,
    right: Option<Vec<NotarySigner>>,
) -> Option<Vec<NotarySigner>> {
    let mut all = left?;
    all.extend(right?);
    Some(all)
}

fn enabled_is_true(field: &Field<'_>, report: &mut Report) -> bool {
    match field.boolean(report) {
        Some(true) => true,
        Some(false) => {
            report.error(
                field.span(),
                "a requirement that is switched off is none; write `allow: {}` if images need no signature",
            );
            false
        }
        None => false,
    }
}

fn absolute_path(field: &Field<'_>, report: &mut Report) -> Option<String> {
    let text = field.non_empty_text(report)?;
    if text.starts_with('/') && !text.contains(char::is_control) {
        return Some(text.to_owned());
    }
    report.error(
        field.span(),
        "must be the absolute path of a PEM file on the node",
    );
    None
}
