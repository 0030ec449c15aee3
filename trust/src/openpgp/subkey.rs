//! A subkey: bound by its primary key, which it confirms if it is to sign; or somebody else's.

use pgp::packet::{PublicKey, PublicSubkey, Signature, SignatureType, SubpacketData};
use pgp::types::KeyDetails;

use super::algorithm;
use super::certificate::{begun, ended, reason};
use super::error::{KeyProblem, Revocation};
use super::stated::{Purpose, Stated};

/// A subkey whose bindings are verified.
#[derive(Debug)]
pub(super) struct Subkey {
    pub(super) key: PublicSubkey,
    pub(super) fingerprint: String,
    weakness: Option<KeyProblem>,
    revoked: Option<Revocation>,
    /// Valid bindings, each with whether the subkey confirms it.
    bindings: Vec<(Stated, Option<Stated>)>,
}

impl Subkey {
    /// Verifies what `primary` says about `key`.
    pub(super) fn new(primary: &PublicKey, key: PublicSubkey, signatures: &[Signature]) -> Self {
        let mut bindings = Vec::new();
        let mut revoked = None;
        for signature in signatures {
            if signature.verify_subkey_binding(primary, &key).is_err() {
                continue;
            }
            match signature.typ() {
                Some(SignatureType::SubkeyRevocation) => revoked = Some(reason(signature)),
                Some(SignatureType::SubkeyBinding) => {
                    if let Ok(stated) = Stated::read(signature, Purpose::Certificate) {
                        bindings.push((stated, confirmation(signature, primary, &key)));
                    }
                }
                _ => {}
            }
        }
        Self {
            fingerprint: hex::encode_upper(key.fingerprint().as_bytes()),
            weakness: algorithm::weakness(&key),
            key,
            revoked,
            bindings,
        }
    }

    /// Whether it may sign data at `at`.
    pub(super) fn counts(&self, at: Option<i64>) -> Result<(), KeyProblem> {
        if let Some(reason) = self.revoked {
            return Err(KeyProblem::Revoked(reason));
        }
        if let Some(weakness) = self.weakness {
            return Err(weakness);
        }
        let created = i64::from(self.key.created_at().as_secs());
        begun(created, at)?;
        let (binding, confirmed) = self
            .bindings
            .iter()
            .filter(|(stated, _)| stated.begun(at))
            .max_by_key(|(stated, _)| stated.created)
            .filter(|(stated, _)| stated.in_force(at))
            .ok_or(KeyProblem::UnboundSubkey)?;
        ended(created, binding.key_lifetime, at)?;
        if binding.signs != Some(true) {
            return Err(KeyProblem::NotForSigning);
        }
        match confirmed {
            Some(confirmed) if confirmed.in_force(at) => Ok(()),
            _ => Err(KeyProblem::NoBackSignature),
        }
    }
}

/// The primary key binding signature in a subkey's binding.
fn confirmation(binding: &Signature, primary: &PublicKey, key: &PublicSubkey) -> Option<Stated> {
    let config = binding.config()?;
    config
        .hashed_subpackets()
        .chain(config.unhashed_subpackets())
        .filter_map(|one| match &one.data {
            SubpacketData::EmbeddedSignature(embedded) => Some(embedded),
            _ => None,
        })
        .filter(|one| one.verify_primary_key_binding(key, primary).is_ok())
        .filter_map(|one| Stated::read(one, Purpose::Certificate).ok())
        .max_by_key(|stated| stated.created)
}
