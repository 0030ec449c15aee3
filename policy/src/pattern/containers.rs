//! Scopes of containers `policy.json` (containers-policy.json(5), "docker:"), which `registries.d` has too.
//!
//! The tool looks a name up in this order and takes the first scope there is: `name:tag` or `name@digest`, `name`, each
//! parent path, `host[:port]`, then `*.` with each parent domain of the host (its port left out), then `""`, then the
//! document's `default`. The weights below put scopes in exactly that order.

use super::{PatternError, Quality, Subject};
use crate::reference::grammar;

/// What stands for the document's `default`. No scope is spelled like this: it is no name in full.
pub(crate) const DEFAULT: &str = "default";

/// How specifically `scope` covers the image: only the most specific scope applies.
pub(crate) fn matches(scope: &str, subject: &Subject<'_>) -> Option<Quality> {
    let open = |weight| {
        Some(Quality {
            literal: false,
            weight,
        })
    };
    if scope == DEFAULT {
        return open(0);
    }
    if scope.is_empty() {
        return open(1);
    }
    if let Some(domain) = scope.strip_prefix("*.") {
        let host = subject.host.split(':').next().unwrap_or_default();
        let parent = host.strip_suffix(domain)?.strip_suffix('.')?;
        return if parent.is_empty() {
            None
        } else {
            open(scope.len())
        };
    }
    covers(scope, subject).then_some(Quality {
        literal: true,
        weight: scope.len(),
    })
}

/// Whether a scope without a wildcard is the image, its repository, or something above it.
fn covers(scope: &str, subject: &Subject<'_>) -> bool {
    let Some(below) = scope.strip_prefix(&*subject.host) else {
        return false;
    };
    if below.is_empty() {
        return true;
    }
    let Some(named) = below.strip_prefix('/') else {
        return false;
    };
    if let Some(behind) = named.strip_prefix(subject.path) {
        return match (behind.strip_prefix(':'), behind.strip_prefix('@')) {
            (Some(tag), _) => subject.tag == Some(tag),
            (_, Some(digest)) => subject
                .digest
                .is_some_and(|found| digest.parse() == Ok(*found)),
            (None, None) => behind.is_empty(),
        };
    }
    subject
        .path
        .strip_prefix(named)
        .is_some_and(|behind| behind.starts_with('/'))
}

/// A scope with everything above it, the nearest first; `""` and `default` are not among them.
pub(crate) fn ancestors(scope: &str) -> Vec<String> {
    let mut name = scope.split('@').next().unwrap_or_default();
    let mut out = vec![scope.to_owned(), name.to_owned()];
    if let (named, Some(_)) = grammar::split_tag(name)
        && name.contains('/')
    {
        name = named;
        out.push(name.to_owned());
    }
    while let Some((parent, _)) = name.rsplit_once('/') {
        out.push(parent.to_owned());
        name = parent;
    }
    let mut domain = name.split(':').next().unwrap_or_default();
    while let Some((_, parent)) = domain.split_once('.') {
        out.push(format!("*.{parent}"));
        domain = parent;
    }
    out
}

/// Whether `scope` can match anything. The tool takes any text; one that never matches leaves its images to a scope that
/// was not meant for them.
pub(super) fn check(scope: &str) -> Result<(), PatternError> {
    if scope.is_empty() || scope == DEFAULT {
        return Ok(());
    }
    if scope.len() > super::MAX_PATTERN_LENGTH {
        return Err(PatternError::TooLong);
    }
    if let Some(domain) = scope.strip_prefix("*.") {
        let plain = grammar::is_domain(domain) && !domain.contains([':', '[']);
        return if plain && is_lower(domain) {
            Ok(())
        } else {
            Err(PatternError::ScopeWildcard(scope.to_owned()))
        };
    }
    if scope.contains('*') {
        return Err(PatternError::ScopeWildcard(scope.to_owned()));
    }
    if is_name(scope) {
        Ok(())
    } else {
        Err(PatternError::ScopeName(scope.to_owned()))
    }
}

/// `host[/path[:tag]]` or `host/path@digest`, as normalisation leaves it.
fn is_name(scope: &str) -> bool {
    let is_host = |host: &str| {
        host != grammar::LEGACY_DOMAIN
            && grammar::is_host_like(host)
            && grammar::is_domain(host)
            && is_lower(host)
    };
    let Some((host, named)) = scope.split_once('/') else {
        return is_host(scope);
    };
    let (named, digest) = match named.split_once('@') {
        Some((named, digest)) => (named, Some(digest)),
        None => (named, None),
    };
    let (path, tag) = grammar::split_tag(named);
    let is_image = tag.is_some() || digest.is_some();
    // On Docker Hub every repository has a namespace, `library` if no other.
    let is_repository = host != grammar::DEFAULT_DOMAIN || path.contains('/');
    is_host(host)
        && grammar::is_path(path)
        && (!is_image || is_repository)
        && match (tag, digest) {
            (Some(_), Some(_)) => false,
            (Some(tag), None) => grammar::is_tag(tag),
            (None, Some(digest)) => grammar::digest_form(digest) == grammar::DigestForm::Sha256,
            (None, None) => true,
        }
}

fn is_lower(host: &str) -> bool {
    !host.bytes().any(|b| b.is_ascii_uppercase())
}

#[cfg(test)]
mod tests;
