//! Secrets: where Portieris keeps the keys of signers.

use std::cell::Cell;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::metadata::{self, Metadata};
use crate::fields::{Field, Fields};
use crate::model::Scope;
use crate::report::Report;
use crate::span::Span;

/// Most bytes of one value.
const MAX_VALUE_BYTES: usize = 1 << 20;

/// One value of a Secret. Has no `Debug`, as it may be a password.
#[derive(Clone)]
pub(super) struct SecretValue {
    pub(super) bytes: Vec<u8>,
    pub(super) span: Span,
}

/// One Secret.
pub(super) struct Secret {
    values: BTreeMap<String, SecretValue>,
    span: Span,
    used: Cell<bool>,
}

impl Secret {
    /// The value of `key`, if it is there and not empty.
    pub(super) fn get(&self, key: &str) -> Option<&SecretValue> {
        self.values.get(key).filter(|value| !value.bytes.is_empty())
    }

    /// Whether one of its values is like this.
    pub(super) fn has(&self, like: impl Fn(&[u8]) -> bool) -> bool {
        self.values.values().any(|value| like(&value.bytes))
    }

    pub(super) fn span(&self) -> &Span {
        &self.span
    }

    fn says_the_same(&self, other: &Self) -> bool {
        let bytes = |secret: &Self| -> Vec<(String, Vec<u8>)> {
            secret
                .values
                .iter()
                .map(|(key, value)| (key.clone(), value.bytes.clone()))
                .collect()
        };
        bytes(self) == bytes(other)
    }
}

/// Every Secret of a set by name and namespace.
#[derive(Default)]
pub(super) struct Secrets {
    by_name: BTreeMap<String, BTreeMap<String, Secret>>,
}

impl Secrets {
    /// Reads the rest of a Secret document.
    pub(super) fn read(&mut self, mut fields: Fields<'_>, mode: Option<u32>, report: &mut Report) {
        let span = fields.span();
        let metadata = fields
            .require("metadata", report)
            .and_then(|field| metadata::read(&field, true, report));
        let data = fields.take_value("data");
        let string_data = fields.take_value("stringData");
        if let Some(kind) = fields.take_value("type") {
            let _ = kind.text(report);
        }
        if let Some(immutable) = fields.take_value("immutable") {
            let _ = immutable.boolean(report);
        }
        fields.finish(report);

        let mut values = BTreeMap::new();
        for (key, field) in entries(data, report) {
            values.extend(decode(&field, report).map(|value| (key.to_owned(), value)));
        }
        // As in Kubernetes, stringData wins over data.
        for (key, field) in entries(string_data, report) {
            let value = field.text(report).map(|text| SecretValue {
                bytes: text.as_bytes().to_vec(),
                span: field.span(),
            });
            values.extend(value.map(|value| (key.to_owned(), value)));
        }
        refuse_exposed_password(&values, mode, report);
        let Some(metadata) = metadata else {
            return;
        };
        let secret = Secret {
            values,
            span,
            used: Cell::new(false),
        };
        let Metadata { name, namespace } = metadata;
        match self
            .by_name
            .get(&name)
            .and_then(|places| places.get(&namespace))
        {
            Some(first) if first.says_the_same(&secret) => {}
            Some(first) => {
                let message = format!(
                    "Secret `{name}` in namespace `{namespace}` is defined twice with different contents, here and at {}",
                    first.span
                );
                report.error(secret.span, message);
            }
            None => {
                self.by_name
                    .entry(name)
                    .or_default()
                    .insert(namespace, secret);
            }
        }
    }

    /// The Secret that a policy of `scope` calls `name`.
    ///
    /// For an `ImagePolicy` it is in the policy's namespace. For a `ClusterImagePolicy`, Portieris looks in the namespace of
    /// the workload, so that whoever can write Secrets there chooses the keys that the cluster's policy trusts. A node
    /// cannot copy that: here it may be in any one namespace, and several of one name must say the same.
    pub(super) fn find(
        &self,
        scope: &Scope,
        explicit: Option<&str>,
        name: &str,
    ) -> Result<&Secret, String> {
        let namespace = match (explicit, scope) {
            (Some(namespace), _) => Some(namespace),
            (None, Scope::Namespace(namespace)) => Some(namespace.as_str()),
            (None, Scope::Cluster) => None,
        };
        let places = self.by_name.get(name).into_iter().flatten();
        let mut found =
            places.filter(|(place, _)| namespace.is_none_or(|wanted| wanted == place.as_str()));
        let Some((_, secret)) = found.next() else {
            return Err(match namespace {
                Some(namespace) => format!(
                    "there is no Secret `{name}` for namespace `{namespace}` in the policy directory; add it beside the policy"
                ),
                None => format!(
                    "there is no Secret `{name}` in the policy directory; add it beside the policy"
                ),
            });
        };
        secret.used.set(true);
        for (_, other) in found {
            other.used.set(true);
            if !secret.says_the_same(other) {
                return Err(format!(
                    "several namespaces have a Secret `{name}`, and they differ ({} and {}): a cluster policy cannot choose; \
                     rename one",
                    secret.span, other.span
                ));
            }
        }
        Ok(secret)
    }

    /// Secrets that no policy named.
    pub(super) fn unused(&self) -> impl Iterator<Item = (&str, &Span)> {
        let all = self
            .by_name
            .iter()
            .flat_map(|(name, places)| places.values().map(move |secret| (name, secret)));
        all.filter(|(_, secret)| !secret.used.get())
            .map(|(name, secret)| (name.as_str(), &secret.span))
    }
}

fn entries<'n>(field: Option<Field<'n>>, report: &mut Report) -> Vec<(&'n str, Field<'n>)> {
    field
        .and_then(|field| field.fields(report))
        .map(Fields::rest)
        .unwrap_or_default()
}

fn decode(field: &Field<'_>, report: &mut Report) -> Option<SecretValue> {
    if field.is_null() {
        return Some(SecretValue {
            bytes: Vec::new(),
            span: field.span(),
        });
    }
    let text = field.text(report)?;
    // Line breaks inside are common in files written by hand, and Kubernetes takes them.
    let compact: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    match STANDARD.decode(compact) {
        Ok(bytes) if bytes.len() <= MAX_VALUE_BYTES => Some(SecretValue {
            bytes,
            span: field.span(),
        }),
        Ok(_) => {
            report.error(field.span(), format!("longer than {MAX_VALUE_BYTES} bytes"));
            None
        }
        Err(_) => {
            report.error(
                field.span(),
                "not base64; plain text belongs in `stringData`",
            );
            None
        }
    }
}

/// docs/configuration.md: a password in a policy file needs mode 0600.
fn refuse_exposed_password(
    values: &BTreeMap<String, SecretValue>,
    mode: Option<u32>,
    report: &mut Report,
) {
    let exposed = mode.filter(|mode| mode & 0o077 != 0);
    if let (Some(mode), Some(password)) = (exposed, values.get("password")) {
        let message = format!(
            "this file holds a password, and others than its owner may read it (mode {:04o}); run `chmod 600` on it",
            mode & 0o7777
        );
        report.error(password.span.clone(), message);
    }
}
