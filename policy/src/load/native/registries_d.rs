//! containers-registries.d(5): `containers/registries.d/*.yaml`, where signatures of an image are kept.

use std::collections::BTreeMap;

use super::files::{Document, NativeFiles};
use super::place;
use crate::fields::{Field, Fields};
use crate::load::lookaside;
use crate::model::{Dialect, LookasideUrl, Pattern, RegistriesD};
use crate::pattern::{CONTAINERS_DEFAULT, ancestors};
use crate::report::Report;
use crate::span::Span;

const FOLDER: &str = "containers/registries.d/";
/// The same below `containers/`.
pub(super) const BELOW: &str = "registries.d/";
const DEFAULT: &str = "default-docker";

/// Most scopes in all files.
const MAX_SCOPES: usize = 10_000;

/// All files together.
#[derive(Default)]
pub(super) struct Registries {
    /// Where OpenPGP signatures are.
    stores: RegistriesD,
    /// The scopes with a store below each scope that has any.
    below: BTreeMap<String, Vec<String>>,
    /// `use-sigstore-attachments` by scope; the default under the empty one.
    attachments: BTreeMap<String, bool>,
}

impl Registries {
    /// The stores that images of this scope of `policy.json` can have. All of them in every rule would be the product of
    /// two files.
    pub(super) fn stores(&self, scope: &str) -> RegistriesD {
        if scope.is_empty() || scope == CONTAINERS_DEFAULT {
            return self.stores.clone();
        }
        let below = self.below.get(scope).into_iter().flatten().cloned();
        let docker = ancestors(scope)
            .into_iter()
            .chain(below)
            .filter_map(|scope| {
                let url = self.stores.docker.get(&scope)?.clone();
                Some((scope, url))
            })
            .collect();
        RegistriesD {
            default: self.stores.default.clone(),
            docker,
        }
    }

    fn index(&mut self) {
        for scope in self.stores.docker.keys() {
            for above in ancestors(scope) {
                self.below.entry(above).or_default().push(scope.clone());
            }
        }
    }

    /// Whether the tool would look for cosign signatures of images of this scope of `policy.json`.
    pub(super) fn attachments(&self, scope: &str) -> bool {
        let default = self.attachments.get("").copied().unwrap_or_default();
        if scope.is_empty() || scope == CONTAINERS_DEFAULT {
            return default;
        }
        ancestors(scope)
            .iter()
            .find_map(|parent| self.attachments.get(parent).copied())
            .unwrap_or(default)
    }
}

/// Where a scope was found first.
type Places = BTreeMap<String, Span>;

pub(super) fn read(files: &NativeFiles<'_>, report: &mut Report) -> Registries {
    let mut registries = Registries::default();
    let mut places = Places::new();
    for (name, file) in files.below(FOLDER) {
        if name.contains('/') || name.strip_suffix(".yaml").is_none() {
            report.error(
                place(file),
                "a file of registries.d is directly below it, and ends with .yaml",
            );
            continue;
        }
        if !has_content(&file.bytes) {
            continue;
        }
        if let Some(document) = Document::read(file, report) {
            let _ = one(&document.whole(), &mut registries, &mut places, report);
        }
        if places.len() > MAX_SCOPES {
            report.error(
                place(file),
                format!("more than {MAX_SCOPES} scopes in registries.d"),
            );
            break;
        }
    }
    registries.index();
    registries
}

/// Distributions ship files in which every line is a comment.
fn has_content(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    text.lines()
        .map(str::trim_start)
        .any(|line| !line.is_empty() && !line.starts_with('#') && line.trim_end() != "---")
}

fn one(
    whole: &Field<'_>,
    registries: &mut Registries,
    places: &mut Places,
    report: &mut Report,
) -> Option<()> {
    let mut fields = whole.fields(report)?;
    let default = fields.take_value(DEFAULT);
    let docker = fields.take_value("docker");
    fields.finish(report);
    if let Some(field) = default
        && is_first(DEFAULT, &field, places, report)
        && let Some(found) = section(&field, report)
    {
        registries.stores.default = found.store;
        registries
            .attachments
            .extend(found.attachments.map(|wanted| (String::new(), wanted)));
    }
    for (scope, field) in docker.map(|field| field.fields(report))??.rest() {
        let pattern = Pattern {
            text: scope.to_owned(),
            dialect: Dialect::Containers,
        };
        match pattern.check() {
            _ if scope.is_empty() || scope == CONTAINERS_DEFAULT => report.error(
                field.key_span(),
                format!("names no images; what holds for all others is written under `{DEFAULT}`"),
            ),
            Err(error) => report.error(field.key_span(), error.to_string()),
            Ok(()) => {}
        }
        if is_first(scope, &field, places, report)
            && let Some(found) = section(&field, report)
        {
            // A section without a store leaves the question to the next scope above.
            registries
                .stores
                .docker
                .extend(found.store.map(|url| (scope.to_owned(), url)));
            registries
                .attachments
                .extend(found.attachments.map(|wanted| (scope.to_owned(), wanted)));
        }
    }
    Some(())
}

/// As the tool, refuses a scope that two files have.
fn is_first(scope: &str, field: &Field<'_>, places: &mut Places, report: &mut Report) -> bool {
    if let Some(first) = places.get(scope) {
        report.error(
            field.key_span(),
            format!("`{scope}` is defined twice, here and at {first}; keep one"),
        );
        return false;
    }
    places.insert(scope.to_owned(), field.key_span());
    true
}

struct Section {
    store: Option<LookasideUrl>,
    attachments: Option<bool>,
}

fn section(field: &Field<'_>, report: &mut Report) -> Option<Section> {
    let mut fields = field.fields(report)?;
    let store = address(&mut fields, report);
    // Where signatures are written.
    let _ = fields.take("lookaside-staging");
    let _ = fields.take("sigstore-staging");
    let attachments = match fields.take_value("use-sigstore-attachments") {
        Some(field) => Some(field.boolean(report)?),
        None => None,
    };
    fields.finish(report);
    Some(Section {
        store: store?,
        attachments,
    })
}

/// `lookaside`, or its older name `sigstore`, which has nothing to do with Sigstore.
#[expect(
    clippy::option_option,
    reason = "as `fields::optional`: wrong, absent, there"
)]
fn address(fields: &mut Fields<'_>, report: &mut Report) -> Option<Option<LookasideUrl>> {
    let newer = fields.take_value("lookaside");
    let older = fields.take_value("sigstore");
    let Some(field) = newer.or(older) else {
        return Some(None);
    };
    let text = field.non_empty_text(report)?;
    match store_url(text) {
        Ok(url) => Some(Some(url)),
        Err(problem) => {
            report.error(field.span(), problem);
            None
        }
    }
}

fn store_url(text: &str) -> Result<LookasideUrl, &'static str> {
    let base = text.trim_end_matches('/');
    if base.contains(|c: char| c.is_whitespace() || c.is_control()) || base.contains(['?', '#']) {
        return Err("is not the address of a folder");
    }
    if let Some(path) = base.strip_prefix("file://") {
        return if path.starts_with('/') && !path.split('/').any(|part| part == "..") {
            Ok(LookasideUrl(base.to_owned()))
        } else {
            Err("`file://` is followed by an absolute path without `..`")
        };
    }
    match lookaside::base(Some(base)) {
        Ok(Some(base)) => Ok(LookasideUrl(base)),
        _ if base.contains('@') => Err(
            "holds a user name or password; use `storeURL` with `storeSecret` of portcullis.dev/v1",
        ),
        _ => Err("must be `https://host[:port][/path]`, `http://…` or `file:///path`"),
    }
}
