//! The loader: file names and bytes in, a [`PolicySet`] or the diagnostics that refuse it out.
//!
//! It goes on after a mistake as far as that makes sense, so that one run shows all of them.

mod annotations;
mod attachment;
mod attestations;
mod cosign;
mod document;
mod duration;
mod lint;
mod lookaside;
mod material;
mod merge;
mod metadata;
mod native;
mod notation;
mod portcullis;
mod portieris;
mod repository;
mod secret;
mod server;
mod signed_identity;
mod signers;
mod sigstore;
mod simple;
mod text;
mod trust;

use std::sync::Arc;

use crate::model::{NotaryServer, PolicySet, Scope};
use crate::report::Report;
use crate::span::{Diagnostic, Span};
use crate::yaml::{self, Node};

pub(crate) use duration::text as duration_text;
pub use lint::lint;
pub(crate) use metadata::is_label as is_namespace;

use attachment::Attachments;
use document::PolicyDocument;
use secret::Secrets;

/// Most bytes in one file: 8 MiB.
pub const MAX_FILE_BYTES: usize = 8 << 20;
/// Most bytes in one set: 32 MiB.
pub const MAX_SET_BYTES: usize = 32 << 20;
/// Most files in one set.
pub const MAX_FILES: usize = 1024;
/// Most rules in one set.
pub const MAX_RULES: usize = 20_000;

/// One policy file as read from the directory.
///
/// What is in `keys/`, and `*.pem`, `*.pub`, `*.crt`, `*.cer`, `*.asc` and `*.gpg` anywhere, are keys that documents name with
/// `file:`; every other file holds documents, in YAML or JSON. A name may have folders in it (`keys/shop.pub`); a
/// `ConfigMap`, which has no folders, spells them `keys__shop.pub`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Name relative to the policy directory.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Permission bits; `None` where the caller has none (standard input, tests). A file with a Secret that holds
    /// a password must not be readable by group or others (docs/configuration.md).
    pub mode: Option<u32>,
}

/// What the node's configuration adds to the documents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// `notary:` of config.yaml: (pattern on the normalised repository, server), first match wins.
    pub notary: Vec<(String, NotaryServer)>,
}

/// A set that loaded, with its warnings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The compiled set.
    pub set: PolicySet,
    /// Warnings only.
    pub warnings: Vec<Diagnostic>,
}

/// Loads every document of `files` as one set. The order of `files` changes nothing.
///
/// # Errors
/// All diagnostics (at least one error among them) if anything in any file is not understood completely.
pub fn load(files: &[SourceFile], options: &LoadOptions) -> Result<Loaded, Vec<Diagnostic>> {
    let compiled = compile(files, options);
    let refused = compiled.report.has_errors();
    let diagnostics = compiled.report.into_sorted();
    if refused {
        return Err(diagnostics);
    }
    Ok(Loaded {
        set: compiled.set,
        warnings: diagnostics,
    })
}

/// A set with everything found out about it on the way. Valid only if the report has no errors.
struct Compiled {
    set: PolicySet,
    report: Report,
    secrets: Secrets,
    /// Policies with `repositories: []`.
    empty_policies: Vec<(Scope, Span)>,
}

/// What the compilation of one document may look at.
struct Context<'a> {
    report: Report,
    secrets: Secrets,
    attachments: Attachments<'a>,
    options: &'a LoadOptions,
}

/// One document with the file it comes from.
struct Source {
    file: Arc<str>,
    mode: Option<u32>,
    node: Node,
}

fn compile(files: &[SourceFile], options: &LoadOptions) -> Compiled {
    let mut cx = Context {
        report: Report::default(),
        secrets: Secrets::default(),
        attachments: Attachments::of(files),
        options,
    };
    let sources = read(files, &mut cx.report);
    let mut policies: Vec<PolicyDocument<'_>> = Vec::new();
    for source in &sources {
        document::classify(source, &mut cx, &mut policies);
    }
    document::refuse_twice(&policies, &mut cx.report);

    let mut set = PolicySet::default();
    let mut empty_policies = Vec::new();
    for policy in &policies {
        match &policy.scope {
            Scope::Cluster => set.has_cluster_policy = true,
            Scope::Namespace(namespace) => {
                set.governed_namespaces.insert(namespace.clone());
            }
        }
        match repository::rules(policy, &mut cx) {
            Some(rules) if rules.is_empty() => {
                empty_policies.push((policy.scope.clone(), policy.span.clone()));
            }
            Some(rules) => set.rules.extend(rules),
            None => {}
        }
        if set.rules.len() > MAX_RULES {
            cx.report.error(
                policy.span.clone(),
                format!("more than {MAX_RULES} rules in the set"),
            );
            break;
        }
    }
    native::add(files, &policies, &mut set, &mut cx.report);
    set.rules = merge::unify(set.rules, &mut cx.report);
    Compiled {
        set,
        report: cx.report,
        secrets: cx.secrets,
        empty_policies,
    }
}

/// The documents of every file, in name order.
fn read(files: &[SourceFile], report: &mut Report) -> Vec<Source> {
    if files.len() > MAX_FILES {
        report.error(
            whole_file(""),
            format!("more than {MAX_FILES} files in the policy directory"),
        );
        return Vec::new();
    }
    let total = files
        .iter()
        .fold(0_usize, |sum, file| sum.saturating_add(file.bytes.len()));
    if total > MAX_SET_BYTES {
        report.error(
            whole_file(""),
            format!("the policy files together hold more than {MAX_SET_BYTES} bytes"),
        );
        return Vec::new();
    }
    let mut ordered: Vec<&SourceFile> = files.iter().collect();
    ordered.sort_by(|a, b| (&a.name, &a.bytes).cmp(&(&b.name, &b.bytes)));
    for pair in ordered.windows(2) {
        if let [first, second] = pair
            && first.name == second.name
        {
            report.error(whole_file(&first.name), "this name is given twice");
        }
    }
    let mut sources = Vec::new();
    for file in ordered {
        if file.bytes.len() > MAX_FILE_BYTES {
            report.error(
                whole_file(&file.name),
                format!("larger than {MAX_FILE_BYTES} bytes"),
            );
            continue;
        }
        if native::is_native(&file.name) || attachment::is_attachment(&file.name) {
            continue;
        }
        let text = match std::str::from_utf8(&file.bytes) {
            Ok(text) => text,
            Err(error) => {
                report.error(
                    whole_file(&file.name),
                    format!("not UTF-8 after byte {}", error.valid_up_to()),
                );
                continue;
            }
        };
        let name: Arc<str> = Arc::from(file.name.as_str());
        let nodes = yaml::parse(&name, text, yaml::Limits::default(), report);
        sources.extend(nodes.into_iter().map(|node| Source {
            file: Arc::clone(&name),
            mode: file.mode,
            node,
        }));
    }
    sources
}

/// The span of a file as a whole.
pub(crate) fn whole_file(name: &str) -> Span {
    Span {
        file: Arc::from(name),
        line: 0,
        column: 0,
        path: String::new(),
    }
}
