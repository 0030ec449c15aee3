//! The bootstrap list: images that are in force beside every policy, so that no policy can lock out what
//! distributes policy (docs/rules.md rule 10). Digest and namespace only.

use std::sync::Arc;

use crate::digest::Digest;
use crate::fields::Field;
use crate::load::{SourceFile, is_namespace, whole_file};
use crate::reference::ImageReference;
use crate::report::Report;
use crate::span::{Diagnostic, Span};
use crate::yaml::{self, Limits};

/// Most bytes of the file: 1 MiB.
const MAX_BYTES: usize = 1 << 20;

/// One entry of bootstrap.yaml.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BootstrapImage {
    /// Normalised repository.
    pub repository: String,
    /// The one digest allowed.
    pub digest: Digest,
    /// Namespaces it is allowed in; `*` stands for every one and for calls without a pod.
    pub namespaces: Vec<String>,
    /// Where it stands.
    pub span: Span,
}

/// The list.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Bootstrap {
    /// Its entries.
    pub images: Vec<BootstrapImage>,
}

impl Bootstrap {
    /// Parses bootstrap.yaml. A file without a document, or with nothing but comments, is an empty list.
    ///
    /// # Errors
    /// Diagnostics with places, as the policy loader gives them.
    pub fn parse(file: &SourceFile) -> Result<Self, Vec<Diagnostic>> {
        let mut report = Report::default();
        let images = read(file, &mut report);
        if report.has_errors() {
            return Err(report.into_sorted());
        }
        Ok(Self { images })
    }

    /// The entry that allows `digest` in `namespace`, whatever repository the request names it by: the digest alone
    /// identifies the content.
    pub fn allows(&self, namespace: Option<&str>, digest: &Digest) -> Option<&BootstrapImage> {
        let in_force = |listed: &String| listed == "*" || Some(listed.as_str()) == namespace;
        self.images
            .iter()
            .find(|image| image.digest == *digest && image.namespaces.iter().any(in_force))
    }
}

fn read(file: &SourceFile, report: &mut Report) -> Vec<BootstrapImage> {
    if file.bytes.len() > MAX_BYTES {
        report.error(
            whole_file(&file.name),
            format!("larger than {MAX_BYTES} bytes"),
        );
        return Vec::new();
    }
    let Ok(text) = std::str::from_utf8(&file.bytes) else {
        report.error(whole_file(&file.name), "not UTF-8");
        return Vec::new();
    };
    let name: Arc<str> = Arc::from(file.name.as_str());
    let limits = Limits {
        documents: 1,
        ..Limits::default()
    };
    let documents = yaml::parse(&name, text, limits, report);
    let Some(node) = documents.first() else {
        return Vec::new();
    };
    let Some(mut fields) = Field::document(&name, node).fields(report) else {
        return Vec::new();
    };
    let items = fields
        .require("images", report)
        .and_then(|field| field.list(report));
    fields.finish(report);
    items
        .unwrap_or_default()
        .iter()
        .filter_map(|item| entry(item, report))
        .collect()
}

fn entry(item: &Field<'_>, report: &mut Report) -> Option<BootstrapImage> {
    let mut fields = item.fields(report)?;
    let image = fields.require("image", report);
    let namespaces = fields.require("namespaces", report);
    fields.finish(report);
    let namespaces = namespaces.and_then(|field| self::namespaces(&field, report));
    let image = image?;
    let text = image.text(report)?;
    let (repository, digest) = match ImageReference::parse(text) {
        Ok(reference) => {
            if let Some(digest) = reference.digest() {
                (reference.repository(), *digest)
            } else {
                report.error(
                    image.span(),
                    "must name a digest: `repository@sha256:…`. A tag can be moved by others",
                );
                return None;
            }
        }
        Err(error) => {
            report.error(image.span(), error.to_string());
            return None;
        }
    };
    Some(BootstrapImage {
        repository,
        digest,
        namespaces: namespaces?,
        span: image.span(),
    })
}

fn namespaces(field: &Field<'_>, report: &mut Report) -> Option<Vec<String>> {
    let items = field.list(report)?;
    if items.is_empty() {
        report.error(
            field.span(),
            "no namespace is named; `\"*\"` stands for every one and for calls without a pod",
        );
        return None;
    }
    let names: Vec<Option<String>> = items
        .iter()
        .map(|item| {
            let text = item.text(report)?;
            if text == "*" || is_namespace(text) {
                return Some(text.to_owned());
            }
            report.error(item.span(), "neither `*` nor the name of a namespace");
            None
        })
        .collect();
    names.into_iter().collect()
}

#[cfg(test)]
mod tests;
