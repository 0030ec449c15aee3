//! One entry of a list of requirements in `policy.json`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::containers::Context;
use super::{identity, keys};
use crate::fields::{Field, Fields};
use crate::load::repository::choice;
use crate::model::{
    CertificateIdentity, CosignRequirement, Demand, KeyMaterial, Requirement, SignatureStore,
    SigstoreSigner, SigstoreSigners, SimpleRequirement, TextMatch, TrustedRootSource,
};
use crate::report::Report;

#[derive(Clone, Copy)]
enum Kind {
    Accept,
    Reject,
    SignedBy,
    SigstoreSigned,
}

const KINDS: [(&str, Kind); 4] = [
    ("insecureAcceptAnything", Kind::Accept),
    ("reject", Kind::Reject),
    ("signedBy", Kind::SignedBy),
    ("sigstoreSigned", Kind::SigstoreSigned),
];

pub(super) fn read(item: &Field<'_>, cx: &Context<'_>, report: &mut Report) -> Option<Requirement> {
    let mut fields = item.fields(report)?;
    let kind = fields
        .require("type", report)
        .and_then(|field| choice(&field, &KINDS, report))?;
    let found = match kind {
        Kind::Accept => Some(Requirement::Allow),
        Kind::Reject => Some(Requirement::Deny { reason: None }),
        Kind::SignedBy => signed_by(&mut fields, cx, report),
        Kind::SigstoreSigned => sigstore_signed(&mut fields, cx, report),
    };
    fields.finish(report);
    found
}

/// `signedBy`: any key in any of the keyrings.
fn signed_by(
    fields: &mut Fields<'_>,
    cx: &Context<'_>,
    report: &mut Report,
) -> Option<Requirement> {
    let span = fields.span();
    let kind = fields
        .require("keyType", report)
        .and_then(|field| choice(&field, &[("GPGKeys", ())], report));
    let keys = keys::one_of(fields, &keys::KEYRINGS, cx.files, report);
    let identity = identity::read(fields, report);
    kind?;
    Some(Requirement::Simple(SimpleRequirement {
        keys: keys?,
        identity: identity?,
        store: SignatureStore::RegistriesD(Arc::clone(&cx.stores)),
        span,
    }))
}

/// `sigstoreSigned`: a cosign signature by a key, or by whoever had a certificate of a CA.
fn sigstore_signed(
    fields: &mut Fields<'_>,
    cx: &Context<'_>,
    report: &mut Report,
) -> Option<Requirement> {
    let span = fields.span();
    if let Some(field) = fields.take("pki") {
        report.error(
            field.key_span(),
            "certificates of one's own PKI (`pki`) are not read here; require a key, or `fulcio`",
        );
        return None;
    }
    let fulcio = fields.take("fulcio");
    let keys = match &fulcio {
        Some(_) => keys::none_of(fields, &keys::SIGSTORE, report).then(Vec::new),
        None => keys::one_of(fields, &keys::SIGSTORE, cx.files, report),
    };
    let rekor = keys::at_most_one_of(fields, &keys::REKOR, cx.files, report);
    let identity = identity::read(fields, report);
    let (roots, signer) = match &fulcio {
        Some(field) => {
            let found = fulcio_signer(field, cx, report);
            if rekor.as_ref().is_some_and(Vec::is_empty) {
                report.error(
                    field.key_span(),
                    "with `fulcio` a key of the transparency log is needed (`rekorPublicKeyPath` or one of its like): \
                     without it nothing shows when a certificate that is long expired was used",
                );
                return None;
            }
            found?
        }
        None => (Vec::new(), None),
    };
    if !cx.registries.attachments(cx.scope) {
        report.warning(
            span.clone(),
            "no file in registries.d has `use-sigstore-attachments: true` for this scope: the tools of containers/image would \
             find no signature and refuse; here signatures are looked for beside the image all the same",
        );
    }
    let of: Vec<SigstoreSigner> = keys?
        .into_iter()
        .map(SigstoreSigner::Key)
        .chain(signer)
        .collect();
    let rekor = rekor?;
    Some(Requirement::Cosign(CosignRequirement {
        signers: SigstoreSigners {
            of,
            threshold: 1,
            transparency_log: if rekor.is_empty() {
                Demand::Ignore
            } else {
                Demand::Require
            },
            // containers/image does not look at them.
            signed_certificate_timestamp: Demand::Ignore,
            trusted_root: TrustedRootSource::Parts {
                fulcio: roots,
                rekor,
            },
        },
        annotations: BTreeMap::new(),
        identity: Some(identity?),
        span,
    }))
}

/// The CA's certificates with the identity it must have certified.
fn fulcio_signer(
    field: &Field<'_>,
    cx: &Context<'_>,
    report: &mut Report,
) -> Option<(Vec<KeyMaterial>, Option<SigstoreSigner>)> {
    let mut fields = field.fields(report)?;
    let roots = keys::one_of(&mut fields, &keys::FULCIO, cx.files, report);
    let issuer = fields.require("oidcIssuer", report);
    let email = fields.require("subjectEmail", report);
    let span = fields.span();
    fields.finish(report);
    let issuer = issuer.and_then(|field| field.non_empty_text(report));
    let email = email.and_then(|field| field.non_empty_text(report));
    let signer = SigstoreSigner::Identity(CertificateIdentity {
        identity: TextMatch::Exact(email?.to_owned()),
        issuer: TextMatch::Exact(issuer?.to_owned()),
        span,
    });
    Some((roots?, Some(signer)))
}
