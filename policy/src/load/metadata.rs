//! `metadata` of a Kubernetes object: name and namespace are ours, what the API server adds is tolerated, a
//! misspelling is not.

use crate::fields::Field;
use crate::report::Report;

/// What identifies an object.
pub(super) struct Metadata {
    pub(super) name: String,
    /// `default` where the document does not say, as `kubectl` has it.
    pub(super) namespace: String,
}

/// Fields of `ObjectMeta` that say nothing about policy.
const IGNORED: [&str; 11] = [
    "labels",
    "annotations",
    "resourceVersion",
    "uid",
    "generation",
    "generateName",
    "creationTimestamp",
    "managedFields",
    "ownerReferences",
    "finalizers",
    "selfLink",
];

pub(super) fn read(field: &Field<'_>, namespaced: bool, report: &mut Report) -> Option<Metadata> {
    let mut fields = field.fields(report)?;
    let name_field = fields.require("name", report);
    // Nothing behind `namespace:` is a template that was not filled in, and `default` is not what it stood for.
    let namespace_field = if namespaced {
        fields.take("namespace")
    } else {
        fields.take_value("namespace")
    };
    for ignored in IGNORED {
        let _ = fields.take(ignored);
    }
    fields.finish(report);

    let name_field = name_field?;
    let name = name_field.non_empty_text(report)?;
    if !is_subdomain(name) {
        report.error(
            name_field.span(),
            "a name consists of lower-case letters, digits, `-` and `.`, at most 253 of them",
        );
        return None;
    }
    let namespace = match namespace_field {
        None => "default",
        Some(found) if !namespaced => {
            report.error(
                found.key_span(),
                "a ClusterImagePolicy belongs to no namespace; make it an ImagePolicy, or remove this",
            );
            return None;
        }
        Some(found) => {
            let namespace = found.text(report)?;
            if !is_label(namespace) {
                report.error(
                    found.span(),
                    "a namespace consists of lower-case letters, digits and `-`, at most 63 of them",
                );
                return None;
            }
            namespace
        }
    };
    Some(Metadata {
        name: name.to_owned(),
        namespace: namespace.to_owned(),
    })
}

/// A label of RFC 1123: what a namespace is called.
pub(crate) fn is_label(text: &str) -> bool {
    text.len() <= 63 && !text.contains('.') && is_subdomain(text)
}

/// A subdomain of RFC 1123: what an object is called.
fn is_subdomain(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let part_ok = |part: &str| {
        part.bytes().all(|b| inner(b) || b == b'-')
            && part.bytes().next().is_some_and(inner)
            && part.bytes().next_back().is_some_and(inner)
    };
    text.len() <= 253 && text.split('.').all(part_ok)
}
