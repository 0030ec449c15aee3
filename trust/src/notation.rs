//! Notary Project signatures (notation): JWS and COSE envelopes under a trust policy.
//!
//! No crate implements it; this follows the specifications notaryproject/specifications of 2025-05-20.

mod algorithm;
mod attributes;
mod certificate;
mod chain;
mod envelope;
mod error;
mod judge;
mod level;
mod payload;
mod pki;
pub mod revocation;
mod signed;
mod store;
mod subject;
pub mod timestamp;

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_policy::model::{
    NotationRequirement, TrustStoreKind, TrustedIdentity, VerifyTimestamp,
};
use portcullis_policy::{Diagnostic, Digest, Severity, Span};

pub use error::NotationError;
use level::Actions;
use revocation::Statuses;
use signed::Signed;
use store::Store;
use subject::Identity;

use crate::evidence::{Artefact, RevocationAnswer, RevocationWant};
use crate::finding::{self, Refused, Verified};
use crate::time::Timestamp;

/// Most questions to certificate authorities for one image.
const MAX_WANTS: usize = 32;
/// Annotations that are not user metadata (signature-specification.md, "Payload").
const RESERVED: &str = "io.cncf.notary";

/// A `notation` requirement, ready to verify.
#[derive(Debug)]
pub struct NotationVerifier {
    /// `ca` and `signingAuthority`.
    stores: Vec<Store>,
    /// Certificates of the `tsa` stores, DER.
    tsa_roots: Vec<Vec<u8>>,
    identities: Identities,
    actions: Actions,
    verify_timestamp: VerifyTimestamp,
    user_metadata: BTreeMap<String, String>,
}

/// Whose signatures count.
#[derive(Debug)]
enum Identities {
    /// `*`: everyone whom a trust store vouches for.
    Any,
    /// One of these.
    Listed(Vec<Identity>),
}

impl NotationVerifier {
    /// Parses certificates and identities.
    ///
    /// # Errors
    /// One diagnostic per part that cannot be used, with its place.
    pub fn compile(requirement: &NotationRequirement) -> Result<Self, Vec<Diagnostic>> {
        let place = &requirement.span;
        let mut diagnostics = Vec::new();
        let mut stores = Vec::new();
        for store in &requirement.trust_stores {
            match Store::compile(store, place) {
                Ok(store) => stores.push(store),
                Err(found) => diagnostics.extend(found),
            }
        }
        if requirement
            .trust_stores
            .iter()
            .all(|store| store.kind == TrustStoreKind::Tsa)
        {
            diagnostics.push(refuse(
                place,
                "`trustStores` names no `ca` or `signingAuthority` trust store: nobody could sign",
            ));
        }
        let identities = identities(&requirement.trusted_identities, place, &mut diagnostics);
        let actions = Actions::new(requirement.level, &requirement.overrides)
            .map_err(|why| diagnostics.push(refuse(place, why)));
        for name in requirement.user_metadata.keys() {
            if name.starts_with(RESERVED) {
                diagnostics.push(refuse(
                    place,
                    &format!("`{name}` is not user metadata: names that begin with `{RESERVED}` are reserved"),
                ));
            }
        }
        let (Ok(actions), true) = (actions, diagnostics.is_empty()) else {
            return Err(diagnostics);
        };
        let (tsa, stores): (Vec<Store>, Vec<Store>) = stores
            .into_iter()
            .partition(|store| store.kind == TrustStoreKind::Tsa);
        Ok(Self {
            stores,
            tsa_roots: tsa.into_iter().flat_map(|store| store.anchors).collect(),
            identities,
            actions,
            verify_timestamp: requirement.verify_timestamp,
            user_metadata: requirement.user_metadata.clone(),
        })
    }

    /// Whether one of `artefacts` is a signature over `digest` that counts: all that do, at least one.
    ///
    /// # Errors
    /// Why not.
    pub fn verify(
        &self,
        digest: &Digest,
        artefacts: &[&Artefact],
        revocations: &[Arc<RevocationAnswer>],
        now: Timestamp,
    ) -> Result<Vec<Verified>, Refused> {
        let mut refused = Refused::default();
        let mut verified = Vec::new();
        let mut statuses = Statuses::new(revocations);
        for artefact in artefacts {
            match self
                .signed(artefact, digest)
                .and_then(|signed| self.judge(&signed, &mut statuses, now))
            {
                Ok(one) => verified.push(one),
                Err(error) => refused.add(&error),
            }
        }
        if verified.is_empty() {
            return Err(refused);
        }
        finding::sort(&mut verified);
        Ok(verified)
    }

    /// What certificate authorities have to be asked before `artefacts` can be judged: for envelopes over `digest` whose
    /// signature and chain are good and that the policy trusts. Without repetition, bounded.
    ///
    /// Who is not trusted names no address: it would be one that an attacker makes this node visit.
    pub fn revocation_wants(
        &self,
        digest: &Digest,
        artefacts: &[&Artefact],
    ) -> Vec<RevocationWant> {
        let mut wants: Vec<RevocationWant> = Vec::new();
        for chain in self.chains(digest, artefacts) {
            for want in revocation::wants(&borrow(&chain)) {
                if !wants.contains(&want) && wants.len() < MAX_WANTS {
                    wants.push(want);
                }
            }
        }
        wants
    }

    /// Whether `answer` is one to what [`NotationVerifier::revocation_wants`] asked for, is signed by whoever may answer for
    /// a certificate in `artefacts`, was fresh when it was gathered, and was not said before what is `stored`. What is not
    /// must not replace a stored one.
    pub fn accepts(
        &self,
        digest: &Digest,
        artefacts: &[&Artefact],
        answer: &RevocationAnswer,
        stored: Option<&RevocationAnswer>,
    ) -> bool {
        self.chains(digest, artefacts).iter().any(|chain| {
            let chain = borrow(chain);
            revocation::wants(&chain).contains(&answer.want)
                && revocation::acceptable(answer, &chain)
                && stored.is_none_or(|stored| revocation::supersedes(answer, stored, &chain))
        })
    }

    fn signed(&self, artefact: &Artefact, digest: &Digest) -> Result<Signed, NotationError> {
        Signed::verify(artefact, digest, |scheme, chain| {
            self.vouched(scheme, chain)
        })
    }

    /// The chains whose revocation counts: of trusted signers, and of the timestamp authorities over their signatures. Each
    /// once, in however many envelopes it stands.
    fn chains(&self, digest: &Digest, artefacts: &[&Artefact]) -> Vec<Vec<Vec<u8>>> {
        let mut chains: Vec<Vec<Vec<u8>>> = Vec::new();
        let mut add = |chain: Vec<Vec<u8>>| {
            if !chains.contains(&chain) {
                chains.push(chain);
            }
        };
        for artefact in artefacts {
            let Ok(signed) = self.signed(artefact, digest) else {
                continue;
            };
            if !self.authentic(&signed) {
                continue;
            }
            if self.actions.checks_revocation() {
                add(signed.chain.iter().map(|one| one.der.clone()).collect());
            }
            if !self.tsa_roots.is_empty()
                && let Ok(stamp) = self.stamp(&signed)
            {
                add(stamp.chain);
            }
        }
        chains
    }
}

fn borrow(chain: &[Vec<u8>]) -> Vec<&[u8]> {
    chain.iter().map(Vec::as_slice).collect()
}

fn refuse(span: &Span, message: &str) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        span: span.clone(),
        message: message.to_owned(),
    }
}

fn identities(
    listed: &[TrustedIdentity],
    place: &Span,
    diagnostics: &mut Vec<Diagnostic>,
) -> Identities {
    if listed.iter().any(|one| one.text == "*") {
        if listed.len() > 1 {
            diagnostics.push(refuse(
                place,
                "`*` in `trustedIdentities` trusts everyone: it stands alone, or not at all",
            ));
        }
        return Identities::Any;
    }
    if listed.is_empty() {
        diagnostics.push(refuse(
            place,
            "`trustedIdentities` is empty: nobody could sign",
        ));
    }
    let mut identities: Vec<Identity> = Vec::new();
    for one in listed {
        let Some(subject) = one.text.strip_prefix("x509.subject:") else {
            diagnostics.push(refuse(
                &one.span,
                "a trusted identity is `*` or begins with `x509.subject:`",
            ));
            continue;
        };
        match Identity::parse(subject) {
            Ok(identity) => {
                if identities
                    .iter()
                    .any(|other| other.covers(&identity) || identity.covers(other))
                {
                    diagnostics.push(refuse(
                        &one.span,
                        "this trusted identity overlaps with another one: keep the wider or the narrower",
                    ));
                }
                identities.push(identity);
            }
            Err(why) => diagnostics.push(refuse(
                &one.span,
                &format!("this trusted identity cannot be used: {why}"),
            )),
        }
    }
    Identities::Listed(identities)
}
