//! Which kind of document one is: by the group of its apiVersion, never by kind alone (three projects have a
//! `ClusterImagePolicy`).

use std::collections::BTreeMap;

use super::metadata::{self, Metadata};
use super::{Context, Source};
use crate::fields::{Field, Fields};
use crate::model::{Dialect, Scope};
use crate::report::Report;
use crate::span::Span;

/// Whose policy a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    /// `portieris.cloud.ibm.com/v1`.
    PortierisV1,
    /// `securityenforcement.admission.cloud.ibm.com/v1beta1`, Portieris up to 0.9.5.
    PortierisV1Beta1,
    /// `portcullis.dev/v1`.
    Portcullis,
}

impl Group {
    fn of(api_version: &str) -> Option<Self> {
        match api_version {
            "portieris.cloud.ibm.com/v1" => Some(Self::PortierisV1),
            "securityenforcement.admission.cloud.ibm.com/v1beta1" => Some(Self::PortierisV1Beta1),
            "portcullis.dev/v1" => Some(Self::Portcullis),
            _ => None,
        }
    }

    pub(super) fn dialect(self) -> Dialect {
        match self {
            Self::Portcullis => Dialect::Portcullis,
            Self::PortierisV1 | Self::PortierisV1Beta1 => Dialect::Portieris,
        }
    }
}

/// An `ImagePolicy` or `ClusterImagePolicy`, its `spec` not read yet.
pub(super) struct PolicyDocument<'n> {
    pub(super) group: Group,
    pub(super) scope: Scope,
    /// `<kind>/<metadata.name>`.
    pub(super) document: String,
    pub(super) spec: Field<'n>,
    pub(super) span: Span,
}

/// Reads the head of a document: policies go to `policies`, Secrets to the context, lists are opened.
pub(super) fn classify<'n>(
    source: &'n Source,
    cx: &mut Context<'_>,
    policies: &mut Vec<PolicyDocument<'n>>,
) {
    let whole = Field::document(&source.file, &source.node);
    one(&whole, source.mode, false, cx, policies);
}

fn one<'n>(
    whole: &Field<'n>,
    mode: Option<u32>,
    listed: bool,
    cx: &mut Context<'_>,
    policies: &mut Vec<PolicyDocument<'n>>,
) {
    let report = &mut cx.report;
    let Some(mut fields) = whole.fields(report) else {
        return;
    };
    if let Some(place) = place_of_other_tools(&fields) {
        report.error(
            whole.span(),
            format!(
                "this looks like {place} (in a ConfigMap, `__` for each `/`): that is where files of other tools are read"
            ),
        );
        return;
    }
    let api_version = fields.require("apiVersion", report);
    let kind = fields.require("kind", report);
    let (Some(api_version), Some(kind)) = (api_version, kind) else {
        return;
    };
    let (Some(version_text), Some(kind_text)) = (api_version.text(report), kind.text(report))
    else {
        return;
    };
    match (Group::of(version_text), version_text, kind_text) {
        (Some(group), _, "ImagePolicy" | "ClusterImagePolicy") => {
            policies.extend(policy(group, kind_text, fields, report));
        }
        (Some(_), _, _) => report.error(
            kind.span(),
            format!("kind `{kind_text}` is not known in `{version_text}`; it has ImagePolicy and ClusterImagePolicy"),
        ),
        (None, "v1", "Secret") => cx.secrets.read(fields, mode, report),
        (None, "v1", "List") if !listed => {
            let items = fields.require("items", report).and_then(|items| items.list(report));
            let _ = fields.take("metadata");
            fields.finish(report);
            for item in items.unwrap_or_default() {
                one(&item, mode, true, cx, policies);
            }
        }
        _ => report.error(api_version.span(), foreign(version_text, kind_text)),
    }
}

/// What a document of another tool that lies among ours looks like, and where it belongs.
fn place_of_other_tools(fields: &Fields<'_>) -> Option<&'static str> {
    let has = |key: &str| fields.has(key);
    if has("apiVersion") || has("kind") {
        None
    } else if has("trustPolicies") {
        Some("notation's trust policy, which belongs into `notation/trustpolicy.json`")
    } else if has("default") {
        Some("a policy.json of containers/image, which belongs into `containers/`")
    } else if has("docker") || has("default-docker") {
        Some("a file of registries.d, which belongs into `containers/registries.d/`")
    } else {
        None
    }
}

fn foreign(version: &str, kind: &str) -> String {
    let shorten = |text: &str| text.chars().take(100).collect::<String>();
    format!(
        "apiVersion `{}`, kind `{}` is not read here. Accepted are ImagePolicy and ClusterImagePolicy of portcullis.dev/v1, \
         portieris.cloud.ibm.com/v1 and securityenforcement.admission.cloud.ibm.com/v1beta1, and Secret and List of v1",
        shorten(version),
        shorten(kind)
    )
}

fn policy<'n>(
    group: Group,
    kind: &str,
    mut fields: Fields<'n>,
    report: &mut Report,
) -> Option<PolicyDocument<'n>> {
    let span = fields.span();
    let namespaced = kind == "ImagePolicy";
    let metadata = fields
        .require("metadata", report)
        .and_then(|field| metadata::read(&field, namespaced, report));
    let spec = fields.require("spec", report);
    // What the API server adds on the way out.
    let _ = fields.take("status");
    fields.finish(report);
    let Metadata { name, namespace } = metadata?;
    Some(PolicyDocument {
        group,
        scope: if namespaced {
            Scope::Namespace(namespace)
        } else {
            Scope::Cluster
        },
        document: format!("{kind}/{name}"),
        spec: spec?,
        span,
    })
}

/// In a cluster an object of one name exists once: the second would have replaced the first, and here nobody could say
/// which is meant.
pub(super) fn refuse_twice(policies: &[PolicyDocument<'_>], report: &mut Report) {
    let mut seen: BTreeMap<(Group, &Scope, &str), &Span> = BTreeMap::new();
    for policy in policies {
        let key = (policy.group, &policy.scope, policy.document.as_str());
        if let Some(first) = seen.get(&key) {
            let message = format!(
                "{} is defined twice, here and at {first}; remove one or rename it",
                policy.document
            );
            report.error(policy.span.clone(), message);
        } else {
            seen.insert(key, &policy.span);
        }
    }
}
