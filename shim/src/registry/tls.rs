//! TLS towards a host: the system's CAs and the files that containerd's configuration names for it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use super::files::{self, Stamp, stamp};

/// Whether a server's certificate is checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) enum Verify {
    /// Always.
    #[default]
    Always,
    /// Not for loopback: containerd's default for `localhost` and loopback addresses.
    UnlessLoopback,
    /// Never: `skip_verify` of the operator.
    Never,
}

/// What containerd's configuration says about TLS for a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct TlsSettings {
    /// PEM files with CAs.
    pub ca_files: Vec<PathBuf>,
    /// Whether these are the only CAs believed, instead of being added to the system's.
    pub only_these_cas: bool,
    /// Client certificate and key; without a key file the certificate's file holds it too. The first pair is used.
    pub client_pairs: Vec<(PathBuf, Option<PathBuf>)>,
    /// Whether the server is verified.
    pub verify: Verify,
}

/// A named file is missing or malformed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: not usable as a certificate or key")]
pub(crate) struct TlsFileError {
    /// The file.
    pub path: PathBuf,
}

impl TlsSettings {
    /// The settings for another host that this one sends us to (a redirect, a token server): its certificate is
    /// checked against the system's CAs as well, and not at all only if the operator said so.
    pub(crate) fn for_other_host(&self) -> Self {
        Self {
            only_these_cas: false,
            verify: match self.verify {
                Verify::UnlessLoopback => Verify::Always,
                other => other,
            },
            ..self.clone()
        }
    }

    /// The state of every file involved, to notice a change.
    pub(crate) fn stamps(&self) -> Vec<Option<Stamp>> {
        let pairs = self
            .client_pairs
            .iter()
            .flat_map(|(cert, key)| std::iter::once(cert).chain(key));
        self.ca_files
            .iter()
            .chain(pairs)
            .map(|path| stamp(path))
            .collect()
    }

    /// Reads the files. Blocks.
    pub(crate) fn load(&self) -> Result<ClientConfig, TlsFileError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|_| TlsFileError {
                path: PathBuf::new(),
            })?;
        // Files are read even where nothing is verified: containerd too refuses a host whose files are broken.
        let roots = self.roots()?;
        let builder = if self.verify == Verify::Always {
            builder.with_root_certificates(roots)
        } else {
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Unverified::new(&provider)))
        };
        match self.client_pairs.first() {
            Some((cert, key)) => {
                let chain = certificates(cert)?;
                let key_path = key.as_ref().unwrap_or(cert);
                let key = private_key(key_path)?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|_| TlsFileError {
                        path: key_path.clone(),
                    })
            }
            None => Ok(builder.with_no_client_auth()),
        }
    }

    fn roots(&self) -> Result<Arc<RootCertStore>, TlsFileError> {
        if self.ca_files.is_empty() {
            return Ok(system_roots());
        }
        let mut roots = if self.only_these_cas {
            RootCertStore::empty()
        } else {
            RootCertStore::clone(&system_roots())
        };
        for path in &self.ca_files {
            for certificate in certificates(path)? {
                roots
                    .add(certificate)
                    .map_err(|_| TlsFileError { path: path.clone() })?;
            }
        }
        Ok(Arc::new(roots))
    }
}

/// The system's CAs, read once per process as Go does. Honours `SSL_CERT_FILE` and `SSL_CERT_DIR`.
fn system_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    Arc::clone(ROOTS.get_or_init(|| {
        let loaded = rustls_native_certs::load_native_certs();
        for error in &loaded.errors {
            tracing::warn!(%error, "a CA of the system could not be read");
        }
        let mut roots = RootCertStore::empty();
        let (added, ignored) = roots.add_parsable_certificates(loaded.certs);
        if added == 0 {
            tracing::warn!(
                "the system has no usable CA: https works only for hosts with their own `ca`"
            );
        }
        tracing::debug!(added, ignored, "system CAs loaded");
        Arc::new(roots)
    }))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let error = || TlsFileError {
        path: path.to_owned(),
    };
    let bytes = files::read(path).map_err(|_| error())?;
    let found = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| error())?;
    if found.is_empty() {
        return Err(error());
    }
    Ok(found)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsFileError> {
    let error = || TlsFileError {
        path: path.to_owned(),
    };
    let bytes = files::read(path).map_err(|_| error())?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| error())
}

/// Accepts any certificate, for hosts where the operator (or containerd's rule for loopback) says so. The handshake
/// must still be signed by the certificate's key.
#[derive(Debug)]
struct Unverified(WebPkiSupportedAlgorithms);

impl Unverified {
    fn new(provider: &CryptoProvider) -> Self {
        Self(provider.signature_verification_algorithms)
    }
}

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_file_that_is_missing_empty_or_rubbish_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let empty = dir.path().join("empty.crt");
        let rubbish = dir.path().join("rubbish.crt");
        std::fs::write(&empty, "").unwrap();
        std::fs::write(
            &rubbish,
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        )
        .unwrap();
        for path in [dir.path().join("missing.crt"), empty, rubbish] {
            let settings = TlsSettings {
                ca_files: vec![path.clone()],
                ..TlsSettings::default()
            };
            assert_eq!(settings.load().unwrap_err().path, path);
        }
    }

    #[test]
    fn a_ca_that_is_to_stand_alone_is_not_joined_by_the_systems() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["ca".to_owned()]).unwrap();
        std::fs::write(&path, params.self_signed(&key).unwrap().pem()).unwrap();
        let count = |only_these_cas| {
            let settings = TlsSettings {
                ca_files: vec![path.clone()],
                only_these_cas,
                ..TlsSettings::default()
            };
            settings.roots().unwrap().len()
        };
        assert_eq!(count(true), 1);
        assert_eq!(count(false), system_roots().len() + 1);
    }

    #[test]
    fn the_loopback_exception_does_not_follow_to_another_host() {
        let settings = TlsSettings {
            verify: Verify::UnlessLoopback,
            ..TlsSettings::default()
        };
        assert_eq!(settings.for_other_host().verify, Verify::Always);
    }
}
