//! What an authority said about one certificate.

use der::asn1::{GeneralizedTime, ObjectIdentifier};
use der::{Decode as _, Enumerated};

use super::super::pki::{ExtensionRef, generalized};
use crate::time::Timestamp;

/// How far an authority's clock may be ahead of ours, in seconds.
const SKEW: i64 = 300;

/// id-ce-cRLReasons.
pub(super) const REASON: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.21");
/// id-ce-invalidityDate.
pub(super) const INVALIDITY_DATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.24");

/// Why a certificate was taken back (RFC 5280 §5.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enumerated)]
#[repr(u32)]
pub(super) enum Reason {
    Unspecified = 0,
    KeyCompromise = 1,
    CaCompromise = 2,
    AffiliationChanged = 3,
    Superseded = 4,
    CessationOfOperation = 5,
    CertificateHold = 6,
    RemoveFromCrl = 8,
    PrivilegeWithdrawn = 9,
    AaCompromise = 10,
}

/// Good or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Good,
    Unknown,
    Revoked {
        at: Timestamp,
        /// For now only: the one reason that can be lifted.
        on_hold: bool,
        /// From when the issuer calls it invalid.
        invalid_since: Option<Timestamp>,
    },
}

/// An answer whose signature was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) state: State,
    /// When its authority knew it to be so.
    pub(super) this_update: Timestamp,
    /// Whether it was in force when it came.
    pub(super) fresh: bool,
}

impl Statement {
    /// In force from `this_update` to `next_update`. Without an end nothing says how long it holds, so it never does: notation
    /// treats OCSP answers so, and RFC 5280 §5.1.2.5 requires one in CRLs.
    pub(super) fn new(
        state: State,
        this_update: Timestamp,
        next_update: Option<Timestamp>,
        gathered_at: Timestamp,
    ) -> Self {
        Self {
            state,
            this_update,
            fresh: this_update.0 <= gathered_at.0.saturating_add(SKEW)
                && next_update.is_some_and(|next| gathered_at <= next),
        }
    }

    /// Whether it excuses a signature made at `signed_at`.
    pub(super) fn is_good(&self, signed_at: Option<Timestamp>) -> bool {
        match self.state {
            State::Good => true,
            State::Unknown => false,
            State::Revoked { invalid_since, .. } => is_before(signed_at, invalid_since),
        }
    }

    /// When the certificate was taken back, if that counts against a signature made at `signed_at`. A hold counts until
    /// the authority, at `last_good`, knew better.
    pub(super) fn revoked(
        &self,
        signed_at: Option<Timestamp>,
        last_good: Option<Timestamp>,
    ) -> Option<Timestamp> {
        match self.state {
            State::Revoked {
                at,
                on_hold,
                invalid_since,
            } => {
                let lifted = on_hold && last_good.is_some_and(|good| good > self.this_update);
                (!lifted && !is_before(signed_at, invalid_since)).then_some(at)
            }
            State::Good | State::Unknown => None,
        }
    }
}

fn is_before(signed_at: Option<Timestamp>, invalid_since: Option<Timestamp>) -> bool {
    matches!((signed_at, invalid_since), (Some(signed), Some(invalid)) if signed < invalid)
}

/// The invalidityDate among `extensions` (RFC 5280 §5.3.2), read also where OCSP answers carry it.
pub(super) fn invalidity_date(extensions: &[ExtensionRef<'_>]) -> der::Result<Option<Timestamp>> {
    extensions
        .iter()
        .find(|extension| extension.oid == INVALIDITY_DATE)
        .map(|extension| GeneralizedTime::from_der(extension.value.as_bytes()).map(generalized))
        .transpose()
}
