//! What `cosign` and `attestations` ask for.

use std::collections::BTreeMap;
use std::time::Duration;

use super::material::KeyMaterial;
use super::simple::SignedIdentity;
use super::text::TextMatch;
use crate::span::Span;

/// `cosign`: a signature over the image's digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CosignRequirement {
    /// Who must have signed.
    pub signers: SigstoreSigners,
    /// Signed annotations that must be there with these values (`cosign sign -a`).
    pub annotations: BTreeMap<String, String>,
    /// How the repository named in the signature is compared (containers `policy.json`). Bundles name none, so that with
    /// this only the legacy format counts. `None`: it is not looked at.
    pub identity: Option<SignedIdentity>,
    /// Where `cosign` stands.
    pub span: Span,
}

/// Who must have signed, and what must show when.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SigstoreSigners {
    /// The signers that count. Never empty.
    pub of: Vec<SigstoreSigner>,
    /// How many different ones must have signed; `1 <= threshold <= of.len()`.
    pub threshold: usize,
    /// Whether an entry of a transparency log (Rekor) is required.
    pub transparency_log: Demand,
    /// Whether a keyless certificate needs a signed certificate timestamp.
    pub signed_certificate_timestamp: Demand,
    /// What certificates, logs and timestamps are checked against.
    pub trusted_root: TrustedRootSource,
}

/// One signer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SigstoreSigner {
    /// Whoever has the private key to this public key (PEM).
    Key(KeyMaterial),
    /// Whoever got a certificate for this identity (keyless).
    Identity(CertificateIdentity),
}

/// A keyless identity.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CertificateIdentity {
    /// Subject alternative name of the certificate: an email address or a URI (cosign: `--certificate-identity`).
    pub identity: TextMatch,
    /// OIDC issuer (cosign: `--certificate-oidc-issuer`).
    pub issuer: TextMatch,
    /// Where it stands.
    pub span: Span,
}

/// Whether something must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Demand {
    /// It must, and must verify.
    #[default]
    Require,
    /// It is not looked at.
    Ignore,
}

/// Where trust in certificates, logs and timestamps comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TrustedRootSource {
    /// Sigstore's public-good instance, as shipped.
    PublicGood,
    /// A `trusted_root.json`.
    Json(KeyMaterial),
    /// Loose parts (containers `policy.json`): CA certificates (PEM) and Rekor keys (PEM).
    Parts {
        /// Root and intermediate certificates of the CA.
        fulcio: Vec<KeyMaterial>,
        /// Public keys of the transparency log.
        rekor: Vec<KeyMaterial>,
    },
}

/// `attestations`: a signed in-toto statement about the image's digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AttestationRequirement {
    /// The statement's `predicateType`, compared exactly.
    pub predicate_type: String,
    /// Who must have signed it.
    pub signers: SigstoreSigners,
    /// SLSA provenance: `builder.id`.
    pub builder: Option<TextMatch>,
    /// SLSA provenance: source repository.
    pub source: Option<TextMatch>,
    /// SLSA provenance: branch or tag, such as `refs/heads/main`.
    pub reference: Option<TextMatch>,
    /// Oldest age of the statement (build or scan end), by the node's clock.
    pub max_age: Option<Duration>,
    /// Vulnerability reports: what they may contain.
    pub vulnerabilities: Option<VulnerabilityLimits>,
    /// CEL expression over `statement` and `predicate` that must be `true`.
    pub cel: Option<CelExpression>,
    /// Where `attestations` stands.
    pub span: Span,
}

/// What a vulnerability report may contain. The newest report of a trusted scanner decides.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VulnerabilityLimits {
    /// The highest severity that is allowed.
    pub max_severity: VulnerabilitySeverity,
    /// Vulnerabilities that do not count.
    pub allow_cves: Vec<String>,
    /// Oldest scan that counts.
    pub max_scan_age: Option<Duration>,
}

/// Severities, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VulnerabilitySeverity {
    /// No vulnerability at all.
    None,
    /// Negligible ones.
    Negligible,
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
    /// Critical.
    Critical,
}

/// A CEL expression with its place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CelExpression {
    /// Its text.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

impl CosignRequirement {
    pub(super) fn blank(&mut self) {
        self.signers.blank();
        self.span = Span::nowhere();
    }
}

impl AttestationRequirement {
    pub(super) fn blank(&mut self) {
        self.signers.blank();
        if let Some(cel) = &mut self.cel {
            cel.span = Span::nowhere();
        }
        self.span = Span::nowhere();
    }
}

impl SigstoreSigners {
    fn blank(&mut self) {
        for signer in &mut self.of {
            match signer {
                SigstoreSigner::Key(key) => key.blank(),
                SigstoreSigner::Identity(identity) => identity.span = Span::nowhere(),
            }
        }
        match &mut self.trusted_root {
            TrustedRootSource::PublicGood => {}
            TrustedRootSource::Json(root) => root.blank(),
            TrustedRootSource::Parts { fulcio, rekor } => {
                for part in fulcio.iter_mut().chain(rekor) {
                    part.blank();
                }
            }
        }
    }
}
