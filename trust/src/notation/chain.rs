//! The certificate chain of an envelope: complete, ordered, and each certificate fit for its place
//! (signature-specification.md, "Certificate Requirements").
//!
//! Extensions other than the three named there are not evaluated, name constraints and unknown critical ones included: the
//! specification forbids it ("Other requirements" 2), and trust comes from the named stores and identities alone.

use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages};

use super::algorithm::Algorithm;
use super::certificate::Certificate;
use super::error::NotationError;
use crate::time::Timestamp;

/// What the certificate of a signer must not be for: any purpose, serverAuth, clientAuth, emailProtection, timeStamping,
/// OCSPSigning.
const FOREIGN_PURPOSES: [ObjectIdentifier; 6] = [
    ObjectIdentifier::new_unwrap("2.5.29.37.0"),
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1"),
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2"),
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.4"),
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8"),
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9"),
];

/// What the key of a signer may be used for beside digitalSignature.
const HARMLESS_USES: [KeyUsages; 2] = [KeyUsages::DigitalSignature, KeyUsages::NonRepudiation];

/// A chain, leaf first and root last. Only what [`Chain::check`] passed is one of the specification's.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) leaf: Certificate,
    /// From the leaf's issuer to the root. Empty: the leaf is its own root.
    pub(super) authorities: Vec<Certificate>,
}

impl Chain {
    pub(super) fn parse(chain: &[Vec<u8>]) -> Result<Self, NotationError> {
        let (leaf, authorities) = chain
            .split_first()
            .ok_or(NotationError::Malformed("it has no certificate"))?;
        let parse = |der: &Vec<u8>| Certificate::parse(der).map_err(NotationError::Chain);
        Ok(Self {
            leaf: parse(leaf)?,
            authorities: authorities.iter().map(parse).collect::<Result<_, _>>()?,
        })
    }

    /// All of it, leaf first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Certificate> {
        std::iter::once(&self.leaf).chain(&self.authorities)
    }

    /// DER of all of it, leaf first.
    pub(super) fn der(&self) -> Vec<&[u8]> {
        self.iter().map(|one| one.der.as_slice()).collect()
    }

    /// Whether it is as the specification asks. Says nothing about trust or time.
    pub(super) fn check(&self) -> Result<(), NotationError> {
        self.issuance()
            .and_then(|()| leaf(&self.leaf))
            .and_then(|()| {
                self.authorities
                    .iter()
                    .enumerate()
                    .try_for_each(|(below, one)| authority(one, below))
            })
            .map_err(NotationError::Chain)
    }

    /// From the root down: whoever puts certificates of their own before a trusted one has them refused at the first.
    fn issuance(&self) -> Result<(), &'static str> {
        let mut above = self.iter().rev();
        let Some(mut issuer) = above.next().filter(|root| root.self_signed()) else {
            return Err("it does not end with a self-signed root");
        };
        for below in above {
            if below.self_signed() {
                return Err("a certificate before the last one is self-signed");
            }
            if !below.issued_by(issuer) {
                return Err("a certificate is not signed by the one after it");
            }
            issuer = below;
        }
        Ok(())
    }

    /// Whether every certificate is valid in every second from `earliest` to `latest`.
    pub(super) fn valid(&self, earliest: Timestamp, latest: Timestamp) -> bool {
        self.iter().all(|one| {
            let (from, to) = one.validity();
            from <= earliest && latest <= to
        })
    }

    /// Whether a certificate expired before `now`.
    pub(super) fn expired(&self, now: Timestamp) -> bool {
        self.iter().any(|one| one.validity().1 < now)
    }
}

fn leaf(leaf: &Certificate) -> Result<(), &'static str> {
    if leaf.is_authority() {
        return Err("the signer's certificate is an authority's");
    }
    leaf.extension::<BasicConstraints>()?;
    let usage = key_usage(leaf)?;
    if !usage.digital_signature() {
        return Err("the signer's key is not for digital signatures");
    }
    if usage.0.into_iter().any(|one| !HARMLESS_USES.contains(&one)) {
        return Err("the signer's key is for more than digital signatures");
    }
    if let Some((_, ExtendedKeyUsage(purposes))) = leaf.extension()?
        && purposes
            .iter()
            .any(|purpose| FOREIGN_PURPOSES.contains(purpose))
    {
        return Err("the signer's certificate is for another purpose than code signing");
    }
    let key = &leaf.parsed.tbs_certificate.subject_public_key_info;
    Algorithm::of_key(key)
        .map(|_| ())
        .ok_or("the signer's key is of a kind or size that may not sign")
}

/// `below`: how many certificates of authorities are between it and the leaf.
fn authority(authority: &Certificate, below: usize) -> Result<(), &'static str> {
    let Some((critical, constraints)) = authority.extension::<BasicConstraints>()? else {
        return Err("an issuer is not an authority");
    };
    if !constraints.ca {
        return Err("an issuer is not an authority");
    }
    if !critical {
        return Err("an authority's basic constraints are not critical");
    }
    if constraints
        .path_len_constraint
        .is_some_and(|longest| below > usize::from(longest))
    {
        return Err("it is longer than an authority's path length allows");
    }
    if key_usage(authority)?.key_cert_sign() {
        Ok(())
    } else {
        Err("an authority's key is not for signing certificates")
    }
}

fn key_usage(certificate: &Certificate) -> Result<KeyUsage, &'static str> {
    match certificate.extension::<KeyUsage>()? {
        Some((true, usage)) => Ok(usage),
        Some((false, _)) => Err("the key usage of a certificate is not critical"),
        None => Err("a certificate has no key usage"),
    }
}
