//! What `notation` asks for.

use std::collections::BTreeMap;

use super::material::KeyMaterial;
use crate::span::Span;

/// A Notary Project signature, judged as a statement of `trustpolicy.json` says (trust-store-trust-policy.md 1.0).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NotationRequirement {
    /// The trust stores it names.
    pub trust_stores: Vec<TrustStore>,
    /// `*`, or `x509.subject: C=…, ST=…, O=…`. Never empty. Parsed by `portcullis-trust`.
    pub trusted_identities: Vec<TrustedIdentity>,
    /// What each check comes to.
    pub level: NotationLevel,
    /// Checks whose action differs from the level's.
    pub overrides: BTreeMap<NotationCheck, NotationAction>,
    /// When a timestamp is looked at.
    pub verify_timestamp: VerifyTimestamp,
    /// User metadata that must be in the signature with these values.
    pub user_metadata: BTreeMap<String, String>,
    /// Where `notation` stands.
    pub span: Span,
}

/// A named trust store with its certificates.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TrustStore {
    /// What its certificates are trusted for.
    pub kind: TrustStoreKind,
    /// Its name.
    pub name: String,
    /// Certificates, PEM (one or several) or DER.
    pub certificates: Vec<KeyMaterial>,
}

/// What the certificates of a trust store are trusted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TrustStoreKind {
    /// `ca`: scheme notary.x509.
    Ca,
    /// `signingAuthority`: scheme notary.x509.signingAuthority.
    SigningAuthority,
    /// `tsa`: RFC 3161 timestamps.
    Tsa,
}

/// An entry of `trustedIdentities`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TrustedIdentity {
    /// Its text.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// `signatureVerification.level`. `skip` is no requirement, and compiles to `allow`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotationLevel {
    /// Every check is enforced.
    Strict,
    /// Integrity and authenticity are enforced.
    Permissive,
    /// Integrity is enforced.
    Audit,
}

/// A check of the verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NotationCheck {
    /// The signature itself. Cannot be overridden.
    Integrity,
    /// The trust store and the trusted identities.
    Authenticity,
    /// The certificates were valid when it was signed.
    AuthenticTimestamp,
    /// The signature's own expiry.
    Expiry,
    /// CRL and OCSP.
    Revocation,
}

/// What a failed check comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotationAction {
    /// The signature does not count.
    Enforce,
    /// It counts, and the finding says what failed.
    Log,
    /// The check is not made.
    Skip,
}

/// `signatureVerification.verifyTimestamp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum VerifyTimestamp {
    /// Whenever a `tsa` trust store is named.
    #[default]
    Always,
    /// Only once a certificate of the chain has expired.
    AfterCertExpiry,
}

impl NotationRequirement {
    pub(super) fn blank(&mut self) {
        for store in &mut self.trust_stores {
            store.certificates.iter_mut().for_each(KeyMaterial::blank);
        }
        for identity in &mut self.trusted_identities {
            identity.span = Span::nowhere();
        }
        self.span = Span::nowhere();
    }
}
