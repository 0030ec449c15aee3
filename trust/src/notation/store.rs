//! Trust stores as a policy brings them.

use portcullis_policy::model::{KeyMaterial, TrustStore, TrustStoreKind};
use portcullis_policy::{Diagnostic, Severity};
use rustls_pki_types::pem::{PemObject as _, SectionKind};
use x509_cert::der::{Decode as _, Reader as _, SliceReader};

use super::certificate::Certificate;

/// Most certificates in one trust store.
const MAX_CERTIFICATES: usize = 1000;

/// A trust store whose certificates may be anchors.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) kind: TrustStoreKind,
    pub(super) name: String,
    /// DER.
    pub(super) anchors: Vec<Vec<u8>>,
}

impl Store {
    /// Parses every certificate, and checks that it can be an anchor of its kind of store.
    pub(super) fn compile(
        store: &TrustStore,
        place: &portcullis_policy::Span,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut anchors = Vec::new();
        let mut diagnostics = Vec::new();
        let label = label(store.kind, &store.name);
        for material in &store.certificates {
            match certificates(&material.bytes).and_then(|found| {
                found
                    .iter()
                    .try_for_each(|one| fit(one, store.kind))
                    .map(|()| found)
            }) {
                Ok(found) => anchors.extend(found.into_iter().map(|one| one.der)),
                Err(why) => diagnostics.push(refuse(material, &label, why)),
            }
        }
        if anchors.len() > MAX_CERTIFICATES {
            diagnostics.push(Diagnostic {
                severity: Severity::Error,
                span: place.clone(),
                message: format!(
                    "the trust store {label} has more than {MAX_CERTIFICATES} certificates"
                ),
            });
        }
        if anchors.is_empty() && diagnostics.is_empty() {
            diagnostics.push(Diagnostic {
                severity: Severity::Error,
                span: place.clone(),
                message: format!("the trust store {label} has no certificate"),
            });
        }
        if diagnostics.is_empty() {
            Ok(Self {
                kind: store.kind,
                name: store.name.clone(),
                anchors,
            })
        } else {
            Err(diagnostics)
        }
    }

    /// `ca:example`.
    pub(super) fn label(&self) -> String {
        label(self.kind, &self.name)
    }
}

fn label(kind: TrustStoreKind, name: &str) -> String {
    let kind = match kind {
        TrustStoreKind::Ca => "ca",
        TrustStoreKind::SigningAuthority => "signingAuthority",
        TrustStoreKind::Tsa => "tsa",
    };
    format!("{kind}:{name}")
}

fn refuse(material: &KeyMaterial, label: &str, why: &str) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        span: material.span.clone(),
        message: format!(
            "{} cannot be used in the trust store {label}: {why}",
            material.name
        ),
    }
}

/// A certificate that is neither an authority's nor self-signed is an anchor of nothing; timestamps are anchored at roots.
fn fit(certificate: &Certificate, kind: TrustStoreKind) -> Result<(), &'static str> {
    let (authority, self_signed) = (certificate.is_authority(), certificate.self_signed());
    match kind {
        TrustStoreKind::Tsa if !(authority && self_signed) => {
            Err("a certificate is not that of a root authority")
        }
        _ if !(authority || self_signed) => Err(
            "a certificate is neither an authority's nor self-signed: name the authority that issued it",
        ),
        _ => Ok(()),
    }
}

/// The certificates in PEM, or in DER one after the other. At least one.
fn certificates(bytes: &[u8]) -> Result<Vec<Certificate>, &'static str> {
    let ders = if bytes.first() == Some(&0x30) {
        sequence(bytes).ok_or("it is neither PEM nor DER of certificates")?
    } else {
        let mut ders = Vec::new();
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(bytes) {
            match section {
                Ok((SectionKind::Certificate, der)) => ders.push(der),
                Ok(_) => return Err("it has more than certificates in it"),
                Err(_) => return Err("its PEM is damaged"),
            }
        }
        ders
    };
    if ders.is_empty() {
        return Err("it has no certificate in it");
    }
    ders.iter().map(|der| Certificate::parse(der)).collect()
}

fn sequence(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut reader = SliceReader::new(bytes).ok()?;
    let mut ders = Vec::new();
    while !reader.is_finished() {
        ders.push(reader.tlv_bytes().ok()?.to_vec());
    }
    x509_cert::der::AnyRef::from_der(ders.first()?).ok()?;
    Some(ders)
}
