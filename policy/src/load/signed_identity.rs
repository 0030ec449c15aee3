//! `signedIdentity`: how the reference in a simple-signing signature is compared (containers-policy.json(5)).

use super::repository::choice;
use crate::fields::{Field, Fields};
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

/// Spellings of containers, of Portieris' CRD, and of Portieris' documentation.
const KINDS: [(&str, Kind); 9] = [
    ("", Kind::RepoDigestOrExact),
    ("matchRepoDigestOrExact", Kind::RepoDigestOrExact),
    ("matchExact", Kind::Exact),
    ("matchRepository", Kind::Repository),
    ("matchExactReference", Kind::ExactReference),
    ("exactReference", Kind::ExactReference),
    ("matchExactRepository", Kind::ExactRepository),
    ("exactRepository", Kind::ExactRepository),
    ("remapIdentity", Kind::Remap),
];

/// `None`: something is wrong, and in the report.
pub(super) fn read(field: &Field<'_>, report: &mut Report) -> Option<SignedIdentity> {
    let mut fields = field.fields(report)?;
    let kind = match fields.take_value("type") {
        Some(field) => choice(&field, &KINDS, report),
        None => Some(Kind::RepoDigestOrExact),
    }?;
    let found = match kind {
        Kind::RepoDigestOrExact => Some(SignedIdentity::MatchRepoDigestOrExact),
        Kind::Exact => Some(SignedIdentity::MatchExact),
        Kind::Repository => Some(SignedIdentity::MatchRepository),
        Kind::ExactReference => text(&mut fields, "dockerReference", is_reference, report)
            .map(SignedIdentity::ExactReference),
        Kind::ExactRepository => text(&mut fields, "dockerRepository", is_repository, report)
            .map(SignedIdentity::ExactRepository),
        Kind::Remap => {
            let prefix = text(&mut fields, "prefix", is_prefix, report);
            let signed_prefix = text(&mut fields, "signedPrefix", is_prefix, report);
            prefix
                .zip(signed_prefix)
                .map(|(prefix, signed_prefix)| SignedIdentity::Remap {
                    prefix,
                    signed_prefix,
                })
        }
    };
    let mut sound = true;
    for (key, field) in fields.rest() {
        sound = false;
        report.error(
            field.key_span(),
            format!("`{key}` does not belong to this `type` of signedIdentity"),
        );
    }
    found.filter(|_| sound)
}

fn text(
    fields: &mut Fields<'_>,
    key: &str,
    check: fn(&str) -> Result<(), &'static str>,
    report: &mut Report,
) -> Option<String> {
    let field = fields.require(key, report)?;
    let text = field.non_empty_text(report)?;
    if let Err(message) = check(text) {
        report.error(field.span(), message);
        return None;
    }
    Some(text.to_owned())
}

/// containers-policy.json(5): with a tag or a digest.
fn is_reference(text: &str) -> Result<(), &'static str> {
    let tagged = grammar::split_tag(text).1.is_some() || text.contains('@');
    match ImageReference::parse(text) {
        Ok(_) if tagged => Ok(()),
        _ => Err("must be an image with a tag or a digest, such as `registry.example.com/app:1`"),
    }
}

/// Without tag and digest.
fn is_repository(text: &str) -> Result<(), &'static str> {
    let bare = grammar::split_tag(text).1.is_none() && !text.contains('@');
    match ImageReference::parse(text) {
        Ok(_) if bare => Ok(()),
        _ => Err("must be a repository without tag or digest, such as `registry.example.com/app`"),
    }
}

/// A host with or without a port, or a namespace or repository on it, as it is fully written out.
fn is_prefix(text: &str) -> Result<(), &'static str> {
    let sound = match text.split_once('/') {
        Some((host, path)) => grammar::is_domain(host) && grammar::is_path(path),
        None => grammar::is_domain(text),
    };
    if sound {
        Ok(())
    } else {
        Err("must be `host[:port]`, or `host[:port]/namespace`, without tag or digest")
    }
}
