//! Portieris' matching, as of 0.14.2 (`helpers/wildcard`, `Find*ImagePolicy`): over the string as sent, nothing filled in.

use super::{Quality, weight};
use crate::glob;
use crate::reference::grammar;

/// The literal string wins at once; otherwise the pattern, then the pattern with `:*` behind it.
pub(super) fn matches(pattern: &str, raw: &str) -> Option<Quality> {
    let weight = weight(pattern);
    if !pattern.contains('*') && pattern == raw {
        return Some(Quality {
            literal: true,
            weight,
        });
    }
    // The `:*` retry: `r/ns/img` covers every tag, and `:tag@digest`, but not `@digest` alone.
    let tagged = || {
        let colons = raw.match_indices(':').map(|(at, _)| at);
        colons
            .filter_map(|at| raw.get(..at))
            .any(|head| compare(pattern, head))
    };
    (compare(pattern, raw) || tagged()).then_some(Quality {
        literal: false,
        weight,
    })
}

/// `CompareImageRef`: host against host and path against path where the pattern has a `/`; over everything where not.
fn compare(pattern: &str, text: &str) -> bool {
    let Some((host, path)) = pattern.split_once('/') else {
        return glob::matches(pattern, text);
    };
    text.split_once('/').is_some_and(|(text_host, text_path)| {
        glob::matches(host, text_host) && glob::matches(path, text_path)
    })
}

/// See [`super::Pattern::repositories`]. Wider where the dialect leaves open what a string will be normalised to.
pub(super) fn repositories(pattern: &str) -> String {
    let named = pattern.split('@').next().unwrap_or_default();
    let (name, _) = grammar::split_tag(named);
    let Some((first, path)) = name.split_once('/') else {
        return if name.contains('*') {
            "*".to_owned()
        } else {
            format!(
                "{}/{}{name}",
                grammar::DEFAULT_DOMAIN,
                grammar::OFFICIAL_PREFIX
            )
        };
    };
    if first.contains('*') {
        // A glob over the first component may stand for a host, a namespace on Docker Hub, or its older name.
        let host_only = grammar::is_host_like(first)
            && !glob::matches(first, grammar::LEGACY_DOMAIN)
            && !glob::matches(first, grammar::DEFAULT_DOMAIN);
        return if host_only {
            format!("{first}/*")
        } else {
            "*".to_owned()
        };
    }
    // A star in the last component can swallow the end of the name and the colon: `r/*1.2` matches `r/app:1.2`.
    let component = path.rfind('/').map_or(0, |at| at.saturating_add(1));
    let star = path.get(component..).and_then(|last| last.find('*'));
    let path = match star.and_then(|at| path.get(..=component.saturating_add(at))) {
        Some(open) => open,
        None => path,
    };
    let (host, path) = match first {
        grammar::LEGACY_DOMAIN | grammar::DEFAULT_DOMAIN => {
            (grammar::DEFAULT_DOMAIN, path.to_owned())
        }
        host if grammar::is_host_like(host) => return format!("{host}/{path}"),
        namespace => (grammar::DEFAULT_DOMAIN, format!("{namespace}/{path}")),
    };
    let head = path.split('*').next().unwrap_or_default();
    if head.contains('/') {
        format!("{host}/{path}")
    } else if head.len() < path.len() {
        // `docker.io/ngi*` as sent is both `docker.io/library/nginx` and `docker.io/nginxinc/x` when normalised.
        format!("{host}/*")
    } else {
        format!("{host}/{}{path}", grammar::OFFICIAL_PREFIX)
    }
}
