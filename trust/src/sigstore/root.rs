//! What certificates, logs and timestamps are checked against.

use std::fmt;
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_policy::model::{KeyMaterial, TrustedRootSource};
use portcullis_policy::{Diagnostic, Digest, Severity, Span};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{PemObject as _, SectionKind};
use sigstore_crypto::Keyring;
use sigstore_trust_root::{SIGSTORE_PRODUCTION_TRUSTED_ROOT, TrustedRoot};
use sigstore_types::TsaAuthority;
use sigstore_verify::Verifier;

/// Largest `trusted_root.json`, in bytes.
const MAX_ROOT: usize = 4 << 20;

/// A trusted root, parsed.
pub(super) struct Root {
    /// Certificates, logs and timestamps for keyless signatures.
    pub(super) verifier: Verifier,
    /// Keys of transparency logs with their validity.
    pub(super) logs: Keyring,
    /// Timestamp authorities, whenever they are or were valid.
    pub(super) authorities: Vec<TsaAuthority>,
    /// Put together from loose parts, which have neither certificate logs nor timestamp authorities: what only those could
    /// judge is left aside.
    pub(super) loose: bool,
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Root")
            .field("logs", &self.logs.len())
            .field("authorities", &self.authorities.len())
            .finish_non_exhaustive()
    }
}

impl Root {
    /// Parses what a policy names. `place` is for what has no place of its own.
    pub(super) fn compile(
        source: &TrustedRootSource,
        place: &Span,
    ) -> Result<Arc<Self>, Vec<Diagnostic>> {
        match source {
            TrustedRootSource::PublicGood => {
                Self::public_good().map_err(|why| vec![error(place, why)])
            }
            TrustedRootSource::Json(json) => std::str::from_utf8(&json.bytes)
                .map_err(|_| "it is not UTF-8".to_owned())
                .and_then(|text| Self::from_json(text, false))
                .map(Arc::new)
                .map_err(|why| {
                    let name = &json.name;
                    vec![error(
                        &json.span,
                        format!("the trusted root {name} cannot be used: {why}"),
                    )]
                }),
            TrustedRootSource::Parts { fulcio, rekor } => Self::from_parts(fulcio, rekor, place),
        }
    }

    /// Sigstore's public-good instance as the library ships it, parsed once.
    fn public_good() -> Result<Arc<Self>, String> {
        static ROOT: OnceLock<Result<Arc<Root>, String>> = OnceLock::new();
        ROOT.get_or_init(|| Self::from_json(SIGSTORE_PRODUCTION_TRUSTED_ROOT, false).map(Arc::new))
            .clone()
    }

    fn from_json(json: &str, loose: bool) -> Result<Self, String> {
        if json.len() > MAX_ROOT {
            return Err(format!("it has more than {MAX_ROOT} bytes"));
        }
        let root = TrustedRoot::from_json(json).map_err(|error| error.to_string())?;
        let verifier = Verifier::new(&root).map_err(|error| error.to_string())?;
        let logs = root.rekor_keys().map_err(|error| error.to_string())?;
        let authorities = root.timestamp_authorities.iter().filter_map(|authority| {
            // As `TrustedRoot::tsa_authorities`, which leaves out by the system's clock those that start later.
            let (leaf, intermediates, root) = match authority.cert_chain.certificates.as_slice() {
                [] => return None,
                [root] => (root, &[][..], root),
                [leaf, intermediates @ .., root] => (leaf, intermediates, root),
            };
            let intermediates = intermediates
                .iter()
                .map(|one| one.raw_bytes.clone())
                .collect();
            Some(TsaAuthority::new(
                leaf.raw_bytes.clone(),
                intermediates,
                root.raw_bytes.clone(),
                authority.valid_for,
            ))
        });
        Ok(Self {
            authorities: authorities.collect(),
            verifier,
            logs,
            loose,
        })
    }

    /// CA certificates and log keys without validity: they count for all time, as in containers `policy.json`.
    fn from_parts(
        fulcio: &[KeyMaterial],
        rekor: &[KeyMaterial],
        place: &Span,
    ) -> Result<Arc<Self>, Vec<Diagnostic>> {
        let always = serde_json::json!({"start": "1970-01-01T00:00:00Z"});
        let mut diagnostics = Vec::new();
        let mut authorities = Vec::new();
        for part in fulcio {
            match certificates(&part.bytes) {
                Some(all) => authorities.push(serde_json::json!({
                    "uri": "",
                    "certChain": {"certificates": all},
                    "validFor": always,
                })),
                None => diagnostics.push(error(
                    &part.span,
                    format!("{} has no CA certificates in PEM", part.name),
                )),
            }
        }
        let mut logs = std::collections::BTreeMap::new();
        for part in rekor {
            match log_keys(&part.bytes) {
                Some(all) => logs.extend(all.into_iter().map(|spki| {
                    // The log's id is the hash of its key (RFC 6962, section 3.2); the details name no algorithm that is
                    // looked at.
                    let id = STANDARD.encode(Digest::of(&spki).as_bytes());
                    let key = serde_json::json!({
                        "rawBytes": STANDARD.encode(&spki),
                        "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                        "validFor": always,
                    });
                    let log = serde_json::json!({
                        "baseUrl": "",
                        "hashAlgorithm": "SHA2_256",
                        "publicKey": key,
                        "logId": {"keyId": id},
                    });
                    (id, log)
                })),
                None => diagnostics.push(error(
                    &part.span,
                    format!("{} has no public keys in PEM", part.name),
                )),
            }
        }
        if !diagnostics.is_empty() {
            return Err(diagnostics);
        }
        let json = serde_json::json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": logs.into_values().collect::<Vec<_>>(),
            "certificateAuthorities": authorities,
        });
        Self::from_json(&json.to_string(), true)
            .map(Arc::new)
            .map_err(|why| {
                vec![error(
                    place,
                    format!("the CA certificates and log keys cannot be used: {why}"),
                )]
            })
    }
}

/// `None`: something else than certificates, or nothing.
fn certificates(pem: &[u8]) -> Option<Vec<serde_json::Value>> {
    let all: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .ok()?;
    let raw = all
        .iter()
        .map(|der| serde_json::json!({"rawBytes": STANDARD.encode(der)}))
        .collect::<Vec<_>>();
    (!raw.is_empty()).then_some(raw)
}

fn log_keys(pem: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut keys = Vec::new();
    for block in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
        let (SectionKind::PublicKey, der) = block.ok()? else {
            return None;
        };
        keys.push(der);
    }
    (!keys.is_empty()).then_some(keys)
}

fn error(span: &Span, message: String) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        span: span.clone(),
        message,
    }
}
