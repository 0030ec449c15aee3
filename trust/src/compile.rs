//! A policy set with its keys and identities parsed, so that a bad key is found when the policy is loaded.

use std::sync::Arc;

use portcullis_policy::bootstrap::Bootstrap;
use portcullis_policy::model::{Mode, NotaryRequirement, Rule, Scope};
use portcullis_policy::{Diagnostic, ImageReference, PolicySet};

use crate::decide::Decision;

/// A policy that decisions can be computed from.
#[derive(Debug, Clone)]
pub struct CompiledPolicy {
    /// The documents.
    pub set: Arc<PolicySet>,
    /// The bootstrap list.
    pub bootstrap: Arc<Bootstrap>,
    /// What `mode` means for rules that do not say, and for "no rule".
    pub node_mode: Mode,
}

/// What matching alone tells, before any network.
#[derive(Debug, Clone)]
pub enum Prematch<'a> {
    /// Refused already (no rule, explicit deny, unsupported system): no request may be made for it.
    Refused(Decision),
    /// These rules govern it.
    Governed(Needs<'a>),
}

/// What a decision will need to be gathered.
#[derive(Debug, Clone)]
pub struct Needs<'a> {
    /// The governing rules.
    pub rules: Vec<&'a Rule>,
    /// Notary collections to gather.
    pub notary: Vec<&'a NotaryRequirement>,
    /// Some alternative is a bare `allow`: an origin is needed.
    pub origin: bool,
    /// The mode that governs a refusal.
    pub mode: Mode,
}

impl CompiledPolicy {
    /// Parses every key of `set`.
    ///
    /// # Errors
    /// One diagnostic per key that does not parse, with the place it stands.
    pub fn compile(
        _set: PolicySet,
        _bootstrap: Bootstrap,
        _node_mode: Mode,
    ) -> Result<Self, Vec<Diagnostic>> {
        todo!()
    }

    /// Matching alone. The bootstrap list is not consulted here: it needs a digest.
    pub fn prematch(&self, _namespace: Option<&str>, _reference: &ImageReference) -> Prematch<'_> {
        todo!()
    }

    /// Who governs `namespace`: for messages.
    pub fn scope_of(&self, _namespace: Option<&str>) -> Option<Scope> {
        todo!()
    }
}
