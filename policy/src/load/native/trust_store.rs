//! notation's trust stores: `notation/x509/{ca,signingAuthority,tsa}/NAME/` with certificates.

use super::files::NativeFiles;
use super::keys;
use crate::fields::Field;
use crate::model::{KeyMaterial, TrustStore, TrustStoreKind};
use crate::report::Report;

const FOLDER: &str = "notation/x509";
const KINDS: [(&str, TrustStoreKind); 3] = [
    ("ca", TrustStoreKind::Ca),
    ("signingAuthority", TrustStoreKind::SigningAuthority),
    ("tsa", TrustStoreKind::Tsa),
];
const EXTENSIONS: [&str; 4] = [".crt", ".cer", ".pem", ".der"];
/// Most certificate files in one trust store.
const MAX_CERTIFICATES: usize = 256;

/// Whether a file below `notation/` is a certificate of a trust store.
pub(super) fn is_certificate(path: &str) -> bool {
    let mut parts = path.split('/');
    let (x509, kind, name, file) = (parts.next(), parts.next(), parts.next(), parts.next());
    x509 == Some("x509")
        && KINDS.iter().any(|(word, _)| kind == Some(word))
        && name.is_some_and(is_name)
        && file.is_some_and(|file| EXTENSIONS.iter().any(|extension| file.ends_with(extension)))
        && parts.next().is_none()
}

/// The tool's rule for names of stores, but for those that are no names of folders.
fn is_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    !name.is_empty() && name.bytes().all(allowed) && ![".", ".."].contains(&name)
}

/// `trustStores`: `KIND:NAME` each, and each must be there.
pub(super) fn read(
    field: &Field<'_>,
    files: &NativeFiles<'_>,
    report: &mut Report,
) -> Option<Vec<TrustStore>> {
    let items = field.list(report)?;
    let mut stores: Vec<TrustStore> = Vec::new();
    let mut complete = true;
    for item in &items {
        match one(item, files, report) {
            Some(store)
                if stores
                    .iter()
                    .any(|known| (known.kind, &known.name) == (store.kind, &store.name)) => {}
            Some(store) => stores.push(store),
            None => complete = false,
        }
    }
    if complete && !stores.iter().any(|store| store.kind != TrustStoreKind::Tsa) {
        report.error(
            field.span(),
            "no store says whose signatures are trusted: name one of `ca` or `signingAuthority`",
        );
        return None;
    }
    complete.then_some(stores)
}

fn one(item: &Field<'_>, files: &NativeFiles<'_>, report: &mut Report) -> Option<TrustStore> {
    let text = item.text(report)?;
    let known = text.split_once(':').and_then(|(kind, name)| {
        let (word, kind) = KINDS.iter().find(|(word, _)| *word == kind)?;
        is_name(name).then_some((*word, *kind, name))
    });
    let Some((word, kind, name)) = known else {
        report.error(
            item.span(),
            "must be `ca:NAME`, `signingAuthority:NAME` or `tsa:NAME`, NAME of letters, digits, `.`, `_` and `-`",
        );
        return None;
    };
    let folder = format!("{FOLDER}/{word}/{name}/");
    let mut certificates = Vec::new();
    let mut complete = true;
    for (_, file) in files.below(&folder) {
        if let Some(problem) = keys::refusal(&file.bytes) {
            report.error(item.span(), format!("{}: {problem}", file.name));
            complete = false;
            continue;
        }
        certificates.push(KeyMaterial {
            bytes: file.bytes.clone(),
            name: file.name.clone(),
            span: item.span(),
        });
    }
    if complete && (certificates.is_empty() || certificates.len() > MAX_CERTIFICATES) {
        report.error(
            item.span(),
            format!(
                "put between one and {MAX_CERTIFICATES} certificates (.crt, .cer, .pem, .der) into `{folder}`; there are {}",
                certificates.len()
            ),
        );
        return None;
    }
    complete.then(|| TrustStore {
        kind,
        name: name.to_owned(),
        certificates,
    })
}
