//! Keys as `policy.json` names them: files of the host it was written for, or base64.
//!
//! Nothing outside the policy directory is ever read. Of a path only the last component counts, and that file is looked
//! for in `containers/`, `keys/` and at the top.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::files::NativeFiles;
use crate::fields::{Field, Fields};
use crate::load::material;
use crate::model::KeyMaterial;
use crate::report::Report;

/// Most keys behind one field.
const MAX_KEYS: usize = 64;
/// Most bytes of one key or keyring.
const MAX_BYTES: usize = 1 << 20;

/// How a field brings its keys.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// A path.
    Path,
    /// A list of paths.
    Paths,
    /// Base64.
    Data,
    /// A list of base64.
    Datas,
}

/// `signedBy`.
pub(super) const KEYRINGS: [(&str, Form); 3] = [
    ("keyPath", Form::Path),
    ("keyPaths", Form::Paths),
    ("keyData", Form::Data),
];
/// `sigstoreSigned`.
pub(super) const SIGSTORE: [(&str, Form); 4] = [
    ("keyPath", Form::Path),
    ("keyPaths", Form::Paths),
    ("keyData", Form::Data),
    ("keyDatas", Form::Datas),
];
/// The transparency log of `sigstoreSigned`.
pub(super) const REKOR: [(&str, Form); 4] = [
    ("rekorPublicKeyPath", Form::Path),
    ("rekorPublicKeyPaths", Form::Paths),
    ("rekorPublicKeyData", Form::Data),
    ("rekorPublicKeyDatas", Form::Datas),
];
/// `fulcio`.
pub(super) const FULCIO: [(&str, Form); 2] = [("caPath", Form::Path), ("caData", Form::Data)];

/// The keys of the one field that must be there.
pub(super) fn one_of(
    fields: &mut Fields<'_>,
    forms: &[(&str, Form)],
    files: &NativeFiles<'_>,
    report: &mut Report,
) -> Option<Vec<KeyMaterial>> {
    let span = fields.span();
    let keys = at_most_one_of(fields, forms, files, report)?;
    if keys.is_empty() {
        report.error(span, format!("exactly one of {} is needed", listed(forms)));
        return None;
    }
    Some(keys)
}

/// The keys of the one field that may be there; none of them: no keys.
pub(super) fn at_most_one_of(
    fields: &mut Fields<'_>,
    forms: &[(&str, Form)],
    files: &NativeFiles<'_>,
    report: &mut Report,
) -> Option<Vec<KeyMaterial>> {
    let mut found = Vec::new();
    for (name, form) in forms {
        found.extend(fields.take(name).map(|field| (field, *form)));
    }
    let Some((field, form)) = found.pop() else {
        return Some(Vec::new());
    };
    if !found.is_empty() {
        report.error(
            field.key_span(),
            format!("there is more than one of {}; keep one", listed(forms)),
        );
        return None;
    }
    let one = |field: &Field<'_>, report: &mut Report| match form {
        Form::Path | Form::Paths => from_path(field, files, report),
        Form::Data | Form::Datas => from_base64(field, report),
    };
    match form {
        Form::Path | Form::Data => Some(vec![one(&field, report)?]),
        Form::Paths | Form::Datas => {
            let items = field.list(report)?;
            if items.is_empty() || items.len() > MAX_KEYS {
                report.error(
                    field.span(),
                    format!("must name between one and {MAX_KEYS} keys"),
                );
                return None;
            }
            let keys: Vec<Option<KeyMaterial>> =
                items.iter().map(|item| one(item, report)).collect();
            keys.into_iter().collect()
        }
    }
}

/// Reports every one of these fields that is there, and takes it. `true`: none was.
pub(super) fn none_of(
    fields: &mut Fields<'_>,
    forms: &[(&str, Form)],
    report: &mut Report,
) -> bool {
    let mut clean = true;
    for (name, _) in forms {
        if let Some(field) = fields.take(name) {
            clean = false;
            report.error(field.key_span(), "stands beside `fulcio`; keep one of them");
        }
    }
    clean
}

fn listed(forms: &[(&str, Form)]) -> String {
    let names: Vec<String> = forms.iter().map(|(name, _)| format!("`{name}`")).collect();
    names.join(", ")
}

fn from_path(
    field: &Field<'_>,
    files: &NativeFiles<'_>,
    report: &mut Report,
) -> Option<KeyMaterial> {
    let path = field.non_empty_text(report)?;
    let name = path.rsplit('/').next().unwrap_or_default();
    let places = [
        format!("containers/{name}"),
        format!("keys/{name}"),
        name.to_owned(),
    ];
    let mut candidates = places.iter().filter_map(|place| files.get(place));
    let found = candidates.next().filter(|_| !name.is_empty());
    if let (Some(first), Some(other)) = (
        found,
        candidates.find(|other| found.is_some_and(|first| first.bytes != other.bytes)),
    ) {
        report.error(
            field.span(),
            format!(
                "`{}` and `{}` differ, and this could mean either; keep one",
                first.name, other.name
            ),
        );
        return None;
    }
    if let Err(other) = files.take_for(name, path) {
        report.error(
            field.span(),
            format!(
                "only the last component of a path counts here, and `{other}` of this policy has the same: rename one of the \
                 files, here and in the policy"
            ),
        );
        return None;
    }
    let Some(file) = found else {
        report.error(
            field.span(),
            format!(
                "files of the host are not read: put `{name}` into `containers/` or `keys/` of the policy directory (in a \
                 ConfigMap, as `keys__{name}`)"
            ),
        );
        return None;
    };
    checked(file.bytes.clone(), file.name.clone(), field, report)
}

fn from_base64(field: &Field<'_>, report: &mut Report) -> Option<KeyMaterial> {
    let text = field.non_empty_text(report)?;
    let Ok(bytes) = STANDARD.decode(text) else {
        report.error(field.span(), "not base64");
        return None;
    };
    checked(bytes, "inline".to_owned(), field, report)
}

/// A look at what certainly is no public key; the rest is known when the policy is compiled.
fn checked(
    bytes: Vec<u8>,
    name: String,
    field: &Field<'_>,
    report: &mut Report,
) -> Option<KeyMaterial> {
    match refusal(&bytes) {
        None => Some(KeyMaterial {
            bytes,
            name,
            span: field.span(),
        }),
        Some(problem) => {
            report.error(field.span(), format!("{name}: {problem}"));
            None
        }
    }
}

/// Why these bytes cannot be a public key or certificate.
pub(super) fn refusal(bytes: &[u8]) -> Option<String> {
    if bytes.is_empty() {
        return Some("is empty".to_owned());
    }
    if bytes.len() > MAX_BYTES {
        return Some(format!("is longer than {MAX_BYTES} bytes"));
    }
    material::is_private(bytes).then(|| material::PRIVATE.to_owned())
}
