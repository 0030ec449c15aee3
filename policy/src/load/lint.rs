//! What loads, and is probably not what was meant.

mod loose_text;
mod shared_signers;
mod signatures;

use super::{Compiled, LoadOptions, SourceFile, compile};
use crate::model::{Dialect, Pattern, PolicySet, Requirement, Rule, Scope};
use crate::reference::{ImageReference, grammar};
use crate::report::Report;
use crate::span::Diagnostic;

/// Loads `files` and returns every error and warning, and more warnings than [`super::load`] has: rules that can never
/// decide, that allow everything, that match foreign hosts, signatures that more people can make than it looks like, and
/// Secrets that nobody uses.
pub fn lint(files: &[SourceFile], options: &LoadOptions) -> Vec<Diagnostic> {
    let Compiled {
        set,
        mut report,
        secrets,
        empty_policies,
    } = compile(files, options);
    if !report.has_errors() {
        for (name, span) in secrets.unused() {
            report.warning(span.clone(), format!("no policy uses Secret `{name}`"));
        }
        for (scope, span) in empty_policies {
            if !set.rules.iter().any(|rule| rule.scope == scope) {
                let whom = match &scope {
                    Scope::Namespace(namespace) => format!("in namespace `{namespace}`"),
                    Scope::Cluster => "that ClusterImagePolicies govern".to_owned(),
                };
                report.warning(
                    span,
                    format!("`repositories` is empty: every image {whom} is refused"),
                );
            }
        }
        rules(&set, &mut report);
    }
    report.into_sorted()
}

fn rules(set: &PolicySet, report: &mut Report) {
    for rule in &set.rules {
        let findings = [
            everything(rule),
            loose_host(&rule.pattern),
            hub(&rule.pattern),
            narrow_deny(rule),
            unreachable(&rule.pattern),
            open_choice(rule),
        ];
        for message in findings.into_iter().flatten() {
            report.warning(rule.span.clone(), message);
        }
        signatures::rule(rule, report);
        shared_signers::rule(rule, report);
    }
}

fn everything(rule: &Rule) -> Option<String> {
    (rule.requirement == Requirement::Allow && rule.pattern.canonical() == "*")
        .then(|| "allows every image that no other rule matches".to_owned())
}

/// `icr.io*` matches `icr.io.evil.com`, and `*example.com/x` matches `evilexample.com/x`.
fn loose_host(pattern: &Pattern) -> Option<String> {
    let text = &pattern.text;
    let host = match (text.split_once('/'), pattern.dialect) {
        (Some((host, _)), _) => host,
        (None, Dialect::Portieris) => text,
        (None, Dialect::Portcullis | Dialect::Containers | Dialect::Notation) => return None,
    };
    let behind = host
        .rsplit_once('*')
        .map(|(before, _)| before)
        .filter(|before| !before.is_empty() && host.ends_with('*'));
    if let Some(before) = behind.filter(|before| !before.ends_with(':')) {
        return Some(format!(
            "nothing ends the host after `{before}`, so that it also matches hosts such as `{before}.example.net`"
        ));
    }
    let after = host
        .strip_prefix('*')
        .filter(|after| !after.is_empty() && !after.starts_with(['*', '.', ':']));
    after.filter(|after| after.contains('.')).map(|after| {
        format!("nothing begins the host before `{after}`, so that it also matches hosts such as `other{after}`; write `*.{after}`")
    })
}

/// Portieris matches what the pod says: `docker.io/*` is not `nginx`.
fn hub(pattern: &Pattern) -> Option<String> {
    let spelled =
        pattern.text.starts_with("docker.io/") || pattern.text.starts_with("index.docker.io/");
    (pattern.dialect == Dialect::Portieris && spelled).then(|| {
        "matches only references that spell the host out, never `nginx`; portcullis.dev/v1 matches both".to_owned()
    })
}

/// A deny that a spelling escapes.
fn narrow_deny(rule: &Rule) -> Option<String> {
    if !matches!(rule.requirement, Requirement::Deny { .. }) {
        return None;
    }
    let text = &rule.pattern.text;
    let by_digest = match rule.pattern.dialect {
        Dialect::Containers | Dialect::Notation => true,
        Dialect::Portieris => text.ends_with('*') || text.contains('@'),
        Dialect::Portcullis => {
            text.contains('@')
                || !text
                    .rsplit('/')
                    .next()
                    .is_some_and(|component| component.contains(':'))
        }
    };
    (!by_digest).then(|| {
        "refuses tags only: the same image named by digest is judged by other rules".to_owned()
    })
}

/// A pattern that no reference can match: the rule never decides, which is worst where it denies.
fn unreachable(pattern: &Pattern) -> Option<String> {
    if pattern.dialect != Dialect::Portieris {
        // The loader refuses these outright.
        return None;
    }
    let text = &pattern.text;
    let name = text.split('@').next().unwrap_or_default();
    let (name, _) = grammar::split_tag(name);
    let upper_case = name
        .split_once('/')
        .is_some_and(|(_, path)| path.bytes().any(|b| b.is_ascii_uppercase()));
    if upper_case || (!text.contains('*') && ImageReference::parse(text).is_err()) {
        return Some("matches nothing: no image reference looks like this".to_owned());
    }
    (!text.contains(['*', '/']) && text.contains('.') && !text.contains(':')).then(|| {
        format!(
            "names an image on Docker Hub called `{text}`; if it is a registry, write `{text}/*`"
        )
    })
}

/// Alternatives of which enough are always satisfied.
fn open_choice(rule: &Rule) -> Option<String> {
    let mut open = false;
    rule.requirement.walk(&mut |requirement| {
        if let Requirement::Any { threshold, of } = requirement {
            let allowed = of
                .iter()
                .filter(|alternative| **alternative == Requirement::Allow)
                .count();
            open |= allowed >= *threshold;
        }
    });
    open.then(|| {
        "an `anyOf` here is satisfied by `allow`, so that its other alternatives never matter"
            .to_owned()
    })
}
