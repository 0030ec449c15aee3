//! The checks that a trust policy names, in notation's order: authenticity, expiry, authentic timestamp, revocation
//! (trust-store-trust-policy.md, "Steps"). Integrity comes before ([`super::signed`]).

use portcullis_policy::model::{NotationAction, NotationCheck, TrustStoreKind, VerifyTimestamp};

use super::attributes::Scheme;
use super::chain::Chain;
use super::error::NotationError;
use super::revocation::{RevocationStatus, Statuses};
use super::signed::Signed;
use super::store::Store;
use super::subject::{Subject, show};
use super::timestamp::{self, TimestampRange, VerifiedTimestamp};
use super::{Identities, NotationVerifier};
use crate::finding::Verified;
use crate::time::Timestamp;

impl NotationVerifier {
    /// Whether a signature over the digest in question counts.
    pub(super) fn judge(
        &self,
        signed: &Signed,
        statuses: &mut Statuses<'_>,
        now: Timestamp,
    ) -> Result<Verified, NotationError> {
        let mut notes = Vec::new();
        let store = self.anchor(signed);
        // Without an anchor nobody vouches for a word in the certificate.
        let who = store
            .as_ref()
            .ok()
            .map(|_| show(&signed.chain.leaf.parsed.tbs_certificate.subject));
        let authentic = store.and_then(|store| self.identified(signed).map(|()| store));
        let store = self
            .actions
            .apply(NotationCheck::Authenticity, authentic, &mut notes)?;
        self.actions
            .apply(NotationCheck::Expiry, expiry(signed, now), &mut notes)?;
        let stamped = self
            .actions
            .apply(
                NotationCheck::AuthenticTimestamp,
                self.timed(signed, statuses, now),
                &mut notes,
            )?
            .flatten();
        if self.actions.checks_revocation() {
            self.actions.apply(
                NotationCheck::Revocation,
                unrevoked(signed, statuses),
                &mut notes,
            )?;
        }
        if let Some((name, value)) = signed.payload.lacks(&self.user_metadata) {
            return Err(NotationError::Metadata(format!("`{name}={value}`")));
        }
        let key = signed.chain.leaf.key_id();
        let signer = match (who, store) {
            (Some(who), Some(store)) => format!("{who} by {} (certificate {key})", store.label()),
            (Some(who), None) => format!("{who} (certificate {key})"),
            (None, _) => format!("an untrusted signer (certificate {key})"),
        };
        let signed_at = match (stamped, signed.attributes.scheme) {
            (Some(range), _) => {
                notes.push("the signing time is proved by a timestamp".to_owned());
                range.latest
            }
            (None, Scheme::SigningAuthority) => signed.attributes.signing_time,
            (None, Scheme::X509) => {
                notes.push("the signing time is the signer's own claim".to_owned());
                signed.attributes.signing_time
            }
        };
        Ok(Verified {
            signer,
            signed_at: Some(signed_at),
            notes,
        })
    }

    /// Whether a trust store and an identity of the policy stand behind it.
    pub(super) fn authentic(&self, signed: &Signed) -> bool {
        self.anchor(signed)
            .and_then(|_| self.identified(signed))
            .is_ok()
    }

    /// Whether it is worth while to verify a chain: not where nobody vouches for it, and that is enforced.
    pub(super) fn vouched(&self, scheme: Scheme, chain: &Chain) -> Result<(), NotationError> {
        match self.actions.of(NotationCheck::Authenticity) {
            NotationAction::Enforce => self.anchor_of(scheme, chain).map(drop),
            NotationAction::Log | NotationAction::Skip => Ok(()),
        }
    }

    /// The trust store that has a certificate of the chain.
    fn anchor(&self, signed: &Signed) -> Result<&Store, NotationError> {
        self.anchor_of(signed.attributes.scheme, &signed.chain)
    }

    fn anchor_of(&self, scheme: Scheme, chain: &Chain) -> Result<&Store, NotationError> {
        let (kind, name) = match scheme {
            Scheme::X509 => (TrustStoreKind::Ca, "ca"),
            Scheme::SigningAuthority => (TrustStoreKind::SigningAuthority, "signingAuthority"),
        };
        let mut stores = self
            .stores
            .iter()
            .filter(|store| store.kind == kind)
            .peekable();
        if stores.peek().is_none() {
            return Err(NotationError::NoTrustStore(name));
        }
        stores
            .find(|store| chain.iter().any(|one| store.anchors.contains(&one.der)))
            .ok_or(NotationError::UntrustedChain)
    }

    /// Whether the leaf's subject is a trusted identity. Only after [`NotationVerifier::anchor`]: the text of a refusal has
    /// the subject in it.
    fn identified(&self, signed: &Signed) -> Result<(), NotationError> {
        let Identities::Listed(trusted) = &self.identities else {
            return Ok(());
        };
        let name = &signed.chain.leaf.parsed.tbs_certificate.subject;
        let subject = Subject::of(name).map_err(NotationError::Subject)?;
        if !subject.complete() {
            return Err(NotationError::Subject("it lacks C, ST or O"));
        }
        if trusted.iter().any(|identity| identity.matches(&subject)) {
            Ok(())
        } else {
            Err(NotationError::UntrustedIdentity(show(name)))
        }
    }

    /// Whether the chain was valid when it signed; with the time a timestamp proves.
    fn timed(
        &self,
        signed: &Signed,
        statuses: &mut Statuses<'_>,
        now: Timestamp,
    ) -> Result<Option<TimestampRange>, NotationError> {
        let chain = &signed.chain;
        if signed.attributes.scheme == Scheme::SigningAuthority {
            let at = signed.attributes.signing_time;
            return if chain.valid(at, at) {
                Ok(None)
            } else {
                Err(NotationError::NotValid("when the signing authority signed"))
            };
        }
        let wanted = !self.tsa_roots.is_empty()
            && (self.verify_timestamp == VerifyTimestamp::Always || chain.expired(now));
        if !wanted {
            return if chain.valid(now, now) {
                Ok(None)
            } else if chain.expired(now) {
                Err(NotationError::NotValid(
                    "at the present time: it has expired",
                ))
            } else {
                Err(NotationError::NotValid(
                    "at the present time: it is not valid yet",
                ))
            };
        }
        let stamp = self.stamp(signed)?;
        if !chain.valid(stamp.range.earliest, stamp.range.latest) {
            return Err(NotationError::NotValid("at the time of the timestamp"));
        }
        let authority: Vec<&[u8]> = stamp.chain.iter().map(Vec::as_slice).collect();
        settle("the timestamp authority", statuses.of(&authority, None))?;
        Ok(Some(stamp.range))
    }

    /// The timestamp, verified against the policy's timestamp authorities.
    pub(super) fn stamp(&self, signed: &Signed) -> Result<VerifiedTimestamp, NotationError> {
        let token = signed
            .timestamp
            .as_ref()
            .ok_or(NotationError::NoTimestamp)?;
        timestamp::verify(token, &signed.signature, &self.tsa_roots)
            .map_err(NotationError::Timestamp)
    }
}

/// The present second must lie before the expiry (signature-specification.md, "Expiry").
fn expiry(signed: &Signed, now: Timestamp) -> Result<(), NotationError> {
    match signed.attributes.expiry {
        Some(expiry) if now >= expiry => Err(NotationError::Expired(expiry)),
        _ => Ok(()),
    }
}

/// A revocation counts whenever it was made, unless a signing authority vouches for the time of signing. A timestamp could
/// excuse what was signed before (signature-specification.md, "Signing time"); the stricter reading is taken.
fn unrevoked(signed: &Signed, statuses: &mut Statuses<'_>) -> Result<(), NotationError> {
    let signed_at = match signed.attributes.scheme {
        Scheme::SigningAuthority => Some(signed.attributes.signing_time),
        Scheme::X509 => None,
    };
    settle(
        "the signing chain",
        statuses.of(&signed.chain.der(), signed_at),
    )
}

fn settle(of: &'static str, status: &RevocationStatus) -> Result<(), NotationError> {
    match status {
        RevocationStatus::Good => Ok(()),
        RevocationStatus::Revoked { at } => Err(NotationError::Revoked { of, at: *at }),
        RevocationStatus::Unknown { cause } => Err(NotationError::RevocationUnknown { of, cause }),
    }
}
