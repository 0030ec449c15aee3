//! Keys, certificates and trusted roots as documents name them: in a Secret, in a file of the set, or written out. They
//! are looked at lightly here and parsed by `portcullis-trust`.

use super::Context;
use super::repository::RuleContext;
use crate::fields::Field;
use crate::model::KeyMaterial;

/// What a private key is told.
pub(super) const PRIVATE: &str = "this is a private key. A policy needs the public one; consider this key as known to others now";

/// A sort of material: how it is called and where it may stand.
pub(super) struct Sort {
    /// In messages.
    what: &'static str,
    /// The field for material that is written out.
    inline: &'static str,
    /// Keys of a Secret that it may be under; exactly one of them must be there.
    entries: &'static [&'static str],
    /// Most bytes.
    max: usize,
}

/// The public key of a signer, in PEM.
pub(super) const PUBLIC_KEY: Sort = Sort {
    what: "a key",
    inline: "pem",
    // As `cosign generate-key-pair k8s://…`, OpenShift and Portieris have it.
    entries: &["cosign.pub", "key", "publicKey"],
    max: 64 << 10,
};

/// An OpenPGP keyring, armoured or binary.
pub(super) const KEYRING: Sort = Sort {
    what: "a keyring",
    inline: "pem",
    entries: &["key", "publicKey"],
    max: 1 << 20,
};

/// X.509 certificates, in PEM or DER.
pub(super) const CERTIFICATES: Sort = Sort {
    what: "a certificate",
    inline: "pem",
    entries: &["ca.crt", "tls.crt", "certificate"],
    max: 1 << 20,
};

/// Sigstore's `trusted_root.json`.
pub(super) const TRUSTED_ROOT: Sort = Sort {
    what: "a trusted root",
    inline: "json",
    entries: &["trusted_root.json"],
    max: 1 << 20,
};

/// A list of material. Empty, or with one thing in it twice, it is reported.
pub(super) fn list(
    field: &Field<'_>,
    sort: &Sort,
    rule: &RuleContext<'_>,
    cx: &mut Context<'_>,
) -> Option<Vec<KeyMaterial>> {
    let help = format!("name {}, or leave it out", sort.what);
    let items = field.non_empty_list(&help, &mut cx.report)?;
    let read: Vec<Option<KeyMaterial>> =
        items.iter().map(|item| one(item, sort, rule, cx)).collect();
    let mut kept: Vec<KeyMaterial> = Vec::new();
    let mut sound = true;
    for material in read {
        let Some(material) = material else {
            sound = false;
            continue;
        };
        let twice = kept
            .iter()
            .find(|other| other.bytes.trim_ascii() == material.bytes.trim_ascii());
        if let Some(first) = twice {
            sound = false;
            cx.report.error(
                material.span,
                format!("given twice; the same stands at {}", first.span),
            );
        } else {
            kept.push(material);
        }
    }
    sound.then_some(kept)
}

/// `{secret: …}`, `{file: …}`, or the material itself.
pub(super) fn one(
    field: &Field<'_>,
    sort: &Sort,
    rule: &RuleContext<'_>,
    cx: &mut Context<'_>,
) -> Option<KeyMaterial> {
    let mut entries = field.fields(&mut cx.report)?.rest();
    let (Some((key, source)), true) = (entries.pop(), entries.is_empty()) else {
        cx.report.error(field.span(), forms(sort));
        return None;
    };
    let (bytes, name) = match key {
        "file" => {
            let bytes = from_file(&source, cx)?.to_vec();
            (bytes, source.text(&mut cx.report)?.to_owned())
        }
        "secret" => from_secret(&source, sort, rule, cx)?,
        key if key == sort.inline => {
            let text = source.non_empty_text(&mut cx.report)?;
            (text.as_bytes().to_vec(), "inline".to_owned())
        }
        _ => {
            cx.report
                .error(source.key_span(), format!("unknown field; {}", forms(sort)));
            return None;
        }
    };
    let problem = if bytes.trim_ascii().is_empty() {
        format!("{} is empty here", sort.what)
    } else if is_private(&bytes) {
        PRIVATE.to_owned()
    } else if bytes.len() > sort.max {
        format!("{} has at most {} bytes", sort.what, sort.max)
    } else {
        return Some(KeyMaterial {
            bytes,
            name,
            span: source.span(),
        });
    };
    cx.report.error(source.span(), problem);
    None
}

fn forms(sort: &Sort) -> String {
    format!(
        "{} is given as exactly one of `secret: NAME`, `file: NAME` and `{}: TEXT`",
        sort.what, sort.inline
    )
}

/// The bytes of a file of the set. Empty or absent, it is reported.
pub(super) fn from_file<'a>(field: &Field<'_>, cx: &mut Context<'a>) -> Option<&'a [u8]> {
    let name = field.non_empty_text(&mut cx.report)?;
    let problem = match cx.attachments.get(name) {
        Ok([]) => format!("`{name}` is empty"),
        Ok(bytes) => return Some(bytes),
        Err(message) => message,
    };
    cx.report.error(field.span(), problem);
    None
}

fn from_secret(
    field: &Field<'_>,
    sort: &Sort,
    rule: &RuleContext<'_>,
    cx: &mut Context<'_>,
) -> Option<(Vec<u8>, String)> {
    let name = field.non_empty_text(&mut cx.report)?;
    let secret = match cx.secrets.find(rule.scope, None, name) {
        Ok(secret) => secret,
        Err(message) => {
            cx.report.error(field.span(), message);
            return None;
        }
    };
    let mut found = sort
        .entries
        .iter()
        .filter_map(|entry| secret.get(entry).map(|value| (*entry, value)));
    let problem = match (found.next(), found.next()) {
        (Some((_, value)), None) => {
            if secret.has(is_private) {
                cx.report.warning(
                    field.span(),
                    format!(
                        "Secret `{name}` ({}) also holds a private key; nodes need the public one alone, so keep it out of the \
                         policy directory",
                        secret.span()
                    ),
                );
            }
            return Some((value.bytes.clone(), format!("Secret {name}")));
        }
        (None, _) => format!(
            "Secret `{name}` ({}) has nothing under {}",
            secret.span(),
            alternatives(sort.entries)
        ),
        (Some((first, _)), Some((second, _))) => format!(
            "Secret `{name}` ({}) has both `{first}` and `{second}`; which one is meant? Keep one",
            secret.span()
        ),
    };
    cx.report.error(field.span(), problem);
    None
}

fn alternatives(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(" or ")
}

/// Whether a PEM or armour block in `bytes` is a private key.
pub(super) fn is_private(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let mut labels = text
        .split("-----BEGIN ")
        .skip(1)
        .filter_map(|block| block.split("-----").next());
    labels.any(|label| label.contains("PRIVATE KEY"))
}
