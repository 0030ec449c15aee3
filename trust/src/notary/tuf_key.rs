//! A key as metadata lists it, with its id and its certificates.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::pem::{PemObject as _, SectionKind};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use super::canonical::Json;
use super::keys::{Algorithm, KeyError, PublicKey};

/// Certificates read from one key; real bundles hold 1 to 3.
const MAX_CERTIFICATES: usize = 16;

/// A key as metadata lists it.
#[derive(Debug, Clone)]
pub(super) struct TufKey {
    /// SHA-256 over its canonical form, 64 lower-case hex digits: recomputed, never read.
    pub(super) id: String,
    /// The key, unless this build cannot use it. Such a key counts for nothing, but does not spoil its neighbours.
    pub(super) key: Result<PublicKey, KeyError>,
    /// The certificates it came in, as far as they parse; empty for a bare key.
    pub(super) certificates: Vec<Certificate>,
}

impl TufKey {
    /// Reads an entry of a `keys` object. `None`: it is not of the form of one.
    pub(super) fn read(entry: &Json) -> Option<Self> {
        let keytype = entry.get("keytype")?.string()?;
        let public = entry.get("keyval")?.get("public")?.string()?;
        let bytes = STANDARD.decode(public).ok()?;
        let (key, certificates) = match keytype {
            "ecdsa" | "rsa" => (PublicKey::from_spki(&bytes), Vec::new()),
            "ed25519" => (Self::ed25519(&bytes), Vec::new()),
            "ecdsa-x509" | "rsa-x509" => {
                let certificates = read_certificates(&bytes).unwrap_or_default();
                let key = certificates
                    .first()
                    .ok_or(KeyError::Der)
                    .and_then(PublicKey::from_certificate);
                (key, certificates)
            }
            _ => (Err(KeyError::Unsupported), Vec::new()),
        };
        // A `rsa` key labelled `ecdsa` would have a second id.
        let key = key.and_then(|key| {
            let family = match key.algorithm {
                Algorithm::P256 | Algorithm::P384 | Algorithm::P521 => "ecdsa",
                Algorithm::Rsa => "rsa",
                Algorithm::Ed25519 => "ed25519",
            };
            let labelled = keytype.strip_suffix("-x509").unwrap_or(keytype);
            if labelled == family {
                Ok(key)
            } else {
                Err(KeyError::Invalid)
            }
        });
        Some(Self {
            id: key_id(keytype, public),
            key,
            certificates,
        })
    }

    /// Notary writes the 32 bytes without any DER around them.
    fn ed25519(bytes: &[u8]) -> Result<PublicKey, KeyError> {
        if bytes.len() != 32 {
            return Err(KeyError::Invalid);
        }
        Ok(PublicKey {
            algorithm: Algorithm::Ed25519,
            bytes: bytes.to_vec(),
        })
    }
}

/// SHA-256 over the canonical `{keytype, keyval: {private: null, public}}`.
fn key_id(keytype: &str, public: &str) -> String {
    let object = |entries: Vec<(&str, Json)>| {
        Json::Object(
            entries
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
        )
    };
    let keyval = object(vec![
        ("private", Json::Null),
        ("public", Json::String(public.to_owned())),
    ]);
    let key = object(vec![
        ("keytype", Json::String(keytype.to_owned())),
        ("keyval", keyval),
    ]);
    hex::encode(digest::digest(&digest::SHA256, &key.canonical()))
}

fn read_certificates(pem: &[u8]) -> Option<Vec<Certificate>> {
    let mut out = Vec::new();
    for block in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
        let (SectionKind::Certificate, der) = block.ok()? else {
            return None;
        };
        if out.len() == MAX_CERTIFICATES {
            return None;
        }
        out.push(Certificate::from_der(&der).ok()?);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};

    use super::*;
    use crate::notary::keys::tests::{P256_ALGORITHM, spki};

    #[test]
    fn a_key_under_the_label_of_another_type_does_not_count() {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let public = STANDARD.encode(spki(P256_ALGORITHM, pair.public_key().as_ref()));
        let read = |keytype: &str| {
            let text = format!(
                r#"{{"keytype":"{keytype}","keyval":{{"private":null,"public":"{public}"}}}}"#
            );
            TufKey::read(&Json::parse(&text).unwrap()).unwrap()
        };
        assert!(read("ecdsa").key.is_ok());
        assert_eq!(read("rsa").key, Err(KeyError::Invalid));
        assert_eq!(read("dsa").key, Err(KeyError::Unsupported));
        assert_ne!(read("ecdsa").id, read("rsa").id);
    }

    #[test]
    fn a_bundle_without_a_certificate_has_no_key() {
        assert_eq!(read_certificates(b"").map(|all| all.len()), Some(0));
        let text = r#"{"keytype":"ecdsa-x509","keyval":{"private":null,"public":""}}"#;
        let key = TufKey::read(&Json::parse(text).unwrap()).unwrap();
        assert_eq!(key.key, Err(KeyError::Der));
    }
}
