//! The signed attributes of an envelope, whatever its format, and what must hold among them
//! (signature-specification.md, "Signed Attributes"; signing-scheme.md).

use super::algorithm::Algorithm;
use super::error::NotationError;
use crate::time::Timestamp;

pub(super) const SCHEME: &str = "io.cncf.notary.signingScheme";
pub(super) const SIGNING_TIME: &str = "io.cncf.notary.signingTime";
pub(super) const AUTHENTIC_SIGNING_TIME: &str = "io.cncf.notary.authenticSigningTime";
pub(super) const EXPIRY: &str = "io.cncf.notary.expiry";
pub(super) const PLUGIN: &str = "io.cncf.notary.verificationPlugin";
pub(super) const PLUGIN_MIN_VERSION: &str = "io.cncf.notary.verificationPluginMinVersion";
const PAYLOAD_TYPE: &str = "application/vnd.cncf.notary.payload.v1+json";

/// Who vouches for the time of signing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    /// `notary.x509`: nobody, or a timestamp authority.
    X509,
    /// `notary.x509.signingAuthority`: the signing authority itself.
    SigningAuthority,
}

/// The attributes as they stand in the protected header, each `None` if it is not there.
#[derive(Debug, Default)]
pub(super) struct Claims {
    pub(super) algorithm: Option<Algorithm>,
    pub(super) content_type: Option<String>,
    pub(super) critical: Vec<String>,
    pub(super) scheme: Option<String>,
    pub(super) signing_time: Option<Timestamp>,
    pub(super) authentic_signing_time: Option<Timestamp>,
    pub(super) expiry: Option<Timestamp>,
    /// One of the headers of a plugin is there.
    pub(super) plugin: bool,
}

/// Attributes that agree with each other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attributes {
    pub(super) algorithm: Algorithm,
    pub(super) scheme: Scheme,
    /// Claimed by the signer, or vouched for by a signing authority.
    pub(super) signing_time: Timestamp,
    pub(super) expiry: Option<Timestamp>,
}

impl Claims {
    pub(super) fn check(self) -> Result<Attributes, NotationError> {
        let wrong = |why| Err(NotationError::Attributes(why));
        if self.plugin {
            return Err(NotationError::NeedsPlugin);
        }
        let Some(algorithm) = self.algorithm else {
            return wrong("the algorithm is missing or none of the six");
        };
        if self.content_type.as_deref() != Some(PAYLOAD_TYPE) {
            return wrong("the content type is not a notation payload");
        }
        let (scheme, signing_time) = match self.scheme.as_deref() {
            Some("notary.x509") => {
                if self.authentic_signing_time.is_some() {
                    return wrong("an authentic signing time is not for the scheme notary.x509");
                }
                (Scheme::X509, self.signing_time)
            }
            Some("notary.x509.signingAuthority") => {
                if self.signing_time.is_some() {
                    return wrong("a signing time is not for a signing authority");
                }
                (Scheme::SigningAuthority, self.authentic_signing_time)
            }
            Some(_) => return wrong("the signing scheme is not known"),
            None => return wrong("the signing scheme is missing"),
        };
        let Some(signing_time) = signing_time else {
            return wrong("the signing time is missing");
        };
        let mut must = vec![SCHEME];
        if self.expiry.is_some() {
            must.push(EXPIRY);
        }
        if scheme == Scheme::SigningAuthority {
            must.push(AUTHENTIC_SIGNING_TIME);
        }
        // What is marked critical and not processed here is a condition nobody checked.
        for name in &self.critical {
            let Some(at) = must.iter().position(|known| known == name) else {
                return wrong("it marks as critical what is unknown, absent or listed twice");
            };
            must.swap_remove(at);
        }
        if !must.is_empty() {
            return wrong("an attribute that must be critical is not marked so");
        }
        if self.expiry.is_some_and(|expiry| expiry <= signing_time) {
            return wrong("it expires before it was signed");
        }
        Ok(Attributes {
            algorithm,
            scheme,
            signing_time,
            expiry: self.expiry,
        })
    }
}
