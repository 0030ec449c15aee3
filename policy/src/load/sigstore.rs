//! Who must have signed: the fields that `cosign` and `attestations` share, in cosign's words.

use super::Context;
use super::material;
use super::repository::{RuleContext, choice};
use super::text::text_match;
use crate::fields::{Field, Fields, optional};
use crate::model::{
    CertificateIdentity, Demand, KeyMaterial, SigstoreSigner, SigstoreSigners, TrustedRootSource,
};
use crate::report::Report;

/// Takes the signers' fields out of `fields`, those of `whole`.
pub(super) fn signers(
    whole: &Field<'_>,
    fields: &mut Fields<'_>,
    rule: &RuleContext<'_>,
    cx: &mut Context<'_>,
) -> Option<SigstoreSigners> {
    let keys = fields.take("keys");
    let identities = fields.take("identities");
    let threshold = fields.take("threshold");
    let log = fields.take("transparencyLog");
    let timestamp = fields.take("signedCertificateTimestamp");
    let root = fields.take("trustedRoot");
    if keys.is_none() && identities.is_none() {
        cx.report.error(
            whole.key_span(),
            "nobody is named; name who must have signed under `keys` or `identities`",
        );
    }
    if let (Some(field), None) = (&timestamp, &identities) {
        cx.report.warning(
            field.key_span(),
            "has no effect: only the certificates of `identities` have such a timestamp",
        );
    }
    let named = keys.is_some() || identities.is_some();
    let keys = optional(keys, |field| {
        material::list(field, &material::PUBLIC_KEY, rule, cx)
    });
    let identities = optional(identities, |field| identity_list(field, cx));
    let of = match (keys, identities) {
        (Some(keys), Some(identities)) if named => Some(together(keys, identities)),
        _ => None,
    };
    let threshold = match &of {
        Some(of) => threshold_of(threshold.as_ref(), of.len(), &mut cx.report),
        // How many there are is not known, and the number is still checked for being one.
        None => {
            optional(threshold, |field| field.count(&mut cx.report)).map(Option::unwrap_or_default)
        }
    };
    let transparency_log = demand(log, &mut cx.report);
    let signed_certificate_timestamp = demand(timestamp, &mut cx.report);
    let trusted_root = match root {
        Some(field) => trusted_root(&field, rule, cx),
        None => Some(TrustedRootSource::PublicGood),
    };
    Some(SigstoreSigners {
        of: of?,
        threshold: threshold?,
        transparency_log: transparency_log?,
        signed_certificate_timestamp: signed_certificate_timestamp?,
        trusted_root: trusted_root?,
    })
}

fn together(
    keys: Option<Vec<KeyMaterial>>,
    identities: Option<Vec<CertificateIdentity>>,
) -> Vec<SigstoreSigner> {
    let keys = keys.into_iter().flatten().map(SigstoreSigner::Key);
    let identities = identities.into_iter().flatten();
    keys.chain(identities.map(SigstoreSigner::Identity))
        .collect()
}

fn identity_list(field: &Field<'_>, cx: &mut Context<'_>) -> Option<Vec<CertificateIdentity>> {
    let items = field.non_empty_list("name an identity, or leave it out", &mut cx.report)?;
    let read: Vec<Option<CertificateIdentity>> =
        items.iter().map(|item| identity(item, cx)).collect();
    let mut kept: Vec<CertificateIdentity> = Vec::new();
    let mut sound = true;
    for one in read {
        let Some(one) = one else {
            sound = false;
            continue;
        };
        let twice = kept
            .iter()
            .find(|other| (&other.identity, &other.issuer) == (&one.identity, &one.issuer));
        if let Some(first) = twice {
            sound = false;
            cx.report.error(
                one.span,
                format!("given twice; the same stands at {}", first.span),
            );
        } else {
            kept.push(one);
        }
    }
    sound.then_some(kept)
}

/// Both are required: an identity is only as good as who vouched for it.
fn identity(item: &Field<'_>, cx: &mut Context<'_>) -> Option<CertificateIdentity> {
    let mut fields = item.fields(&mut cx.report)?;
    let identity = fields.require("identity", &mut cx.report);
    let issuer = fields.require("issuer", &mut cx.report);
    fields.finish(&mut cx.report);
    let identity = identity.and_then(|field| text_match(&field, cx));
    let issuer = issuer.and_then(|field| text_match(&field, cx));
    Some(CertificateIdentity {
        identity: identity?,
        issuer: issuer?,
        span: item.span(),
    })
}

fn threshold_of(field: Option<&Field<'_>>, signers: usize, report: &mut Report) -> Option<usize> {
    let Some(field) = field else {
        return Some(1);
    };
    let number = field.count(report)?;
    if (1..=signers).contains(&number) {
        return Some(number);
    }
    report.error(
        field.span(),
        format!("must be between 1 and the number of keys and identities, {signers}"),
    );
    None
}

fn demand(field: Option<Field<'_>>, report: &mut Report) -> Option<Demand> {
    let words = [("require", Demand::Require), ("ignore", Demand::Ignore)];
    optional(field, |field| choice(field, &words, report)).map(Option::unwrap_or_default)
}

/// `publicGood`, or a `trusted_root.json`.
fn trusted_root(
    field: &Field<'_>,
    rule: &RuleContext<'_>,
    cx: &mut Context<'_>,
) -> Option<TrustedRootSource> {
    if field.is_map() {
        let json = material::one(field, &material::TRUSTED_ROOT, rule, cx)?;
        return Some(TrustedRootSource::Json(json));
    }
    if field.text(&mut cx.report)? == "publicGood" {
        return Some(TrustedRootSource::PublicGood);
    }
    cx.report.error(
        field.span(),
        "must be `publicGood`, or one of `{file: NAME}`, `{secret: NAME}` and `{json: TEXT}`",
    );
    None
}
