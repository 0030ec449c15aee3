//! `signedIdentity` of `policy.json`: how the reference inside a signature is compared.

use crate::fields::{Field, Fields};
use crate::load::repository::choice;
use crate::model::SignedIdentity;
use crate::reference::{ImageReference, grammar};
use crate::report::Report;

#[derive(Clone, Copy)]
enum Kind {
    RepoDigestOrExact,
    Exact,
    Repository,
    ExactReference,
    ExactRepository,
    Remap,
}

const KINDS: [(&str, Kind); 6] = [
    ("matchRepoDigestOrExact", Kind::RepoDigestOrExact),
    ("matchExact", Kind::Exact),
    ("matchRepository", Kind::Repository),
    ("exactReference", Kind::ExactReference),
    ("exactRepository", Kind::ExactRepository),
    ("remapIdentity", Kind::Remap),
];

/// The `signedIdentity` among `fields`, or what its absence means.
pub(super) fn read(fields: &mut Fields<'_>, report: &mut Report) -> Option<SignedIdentity> {
    let Some(field) = fields.take("signedIdentity") else {
        return Some(SignedIdentity::default());
    };
    let mut fields = field.fields(report)?;
    let kind = fields
        .require("type", report)
        .and_then(|field| choice(&field, &KINDS, report))?;
    let found = match kind {
        Kind::RepoDigestOrExact => Some(SignedIdentity::MatchRepoDigestOrExact),
        Kind::Exact => Some(SignedIdentity::MatchExact),
        Kind::Repository => Some(SignedIdentity::MatchRepository),
        Kind::ExactReference => reference(&mut fields, report),
        Kind::ExactRepository => repository(&mut fields, report),
        Kind::Remap => {
            let prefix = prefix(&mut fields, "prefix", report);
            let signed_prefix = self::prefix(&mut fields, "signedPrefix", report);
            prefix
                .zip(signed_prefix)
                .map(|(prefix, signed_prefix)| SignedIdentity::Remap {
                    prefix,
                    signed_prefix,
                })
        }
    };
    fields.finish(report);
    found
}

fn reference(fields: &mut Fields<'_>, report: &mut Report) -> Option<SignedIdentity> {
    let field = fields.require("dockerReference", report)?;
    let text = field.non_empty_text(report)?;
    match parse(&field, text, report)? {
        parsed if parsed.digest().is_some() || is_tagged(text) => {
            Some(SignedIdentity::ExactReference(text.to_owned()))
        }
        _ => {
            report.error(
                field.span(),
                "has neither a tag nor a digest; `exactRepository` compares the repository alone",
            );
            None
        }
    }
}

fn repository(fields: &mut Fields<'_>, report: &mut Report) -> Option<SignedIdentity> {
    let field = fields.require("dockerRepository", report)?;
    let text = field.non_empty_text(report)?;
    let parsed = parse(&field, text, report)?;
    if parsed.digest().is_some() || is_tagged(text) {
        report.error(field.span(), "is a repository, without tag or digest");
        return None;
    }
    Some(SignedIdentity::ExactRepository(text.to_owned()))
}

fn parse(field: &Field<'_>, text: &str, report: &mut Report) -> Option<ImageReference> {
    let parsed = ImageReference::parse(text).ok();
    if parsed.is_none() {
        report.error(field.span(), "is not an image reference");
    }
    parsed
}

fn is_tagged(text: &str) -> bool {
    grammar::split_tag(text.split('@').next().unwrap_or_default())
        .1
        .is_some()
}

/// A host, or a repository or namespace in full.
fn prefix(fields: &mut Fields<'_>, name: &str, report: &mut Report) -> Option<String> {
    let field = fields.require(name, report)?;
    let text = field.non_empty_text(report)?;
    let (host, path) = match text.split_once('/') {
        Some((host, path)) => (host, Some(path)),
        None => (text, None),
    };
    let valid = grammar::is_host_like(host)
        && grammar::is_domain(host)
        && path.is_none_or(grammar::is_path);
    if !valid {
        report.error(
            field.span(),
            "must be a host, or a repository or namespace beginning with its host, without tag or digest",
        );
        return None;
    }
    Some(text.to_owned())
}
