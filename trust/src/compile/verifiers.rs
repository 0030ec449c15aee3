//! The verifier of every requirement in a set, each compiled once.

use std::collections::HashMap;
use std::hash::Hash;

use portcullis_policy::Diagnostic;
use portcullis_policy::model::{
    AnnotationsRequirement, AttestationRequirement, CosignRequirement, NotationRequirement,
    Requirement, SimpleRequirement,
};

use crate::annotations::AnnotationsVerifier;
use crate::attestation::AttestationVerifier;
use crate::notation::NotationVerifier;
use crate::openpgp::SimpleVerifier;
use crate::sigstore::CosignVerifier;

/// Verifiers by the requirement they were made from.
#[derive(Debug, Default)]
pub(crate) struct Verifiers {
    pub(crate) cosign: HashMap<CosignRequirement, CosignVerifier>,
    pub(crate) attestation: HashMap<AttestationRequirement, AttestationVerifier>,
    pub(crate) notation: HashMap<NotationRequirement, NotationVerifier>,
    pub(crate) simple: HashMap<SimpleRequirement, SimpleVerifier>,
    pub(crate) annotations: HashMap<AnnotationsRequirement, AnnotationsVerifier>,
}

impl Verifiers {
    /// Compiles `requirement` itself, not what is nested in it.
    pub(crate) fn add(&mut self, requirement: &Requirement, diagnostics: &mut Vec<Diagnostic>) {
        match requirement {
            Requirement::Cosign(one) => {
                insert(&mut self.cosign, one, CosignVerifier::compile, diagnostics);
            }
            Requirement::Attestation(one) => insert(
                &mut self.attestation,
                one,
                AttestationVerifier::compile,
                diagnostics,
            ),
            Requirement::Notation(one) => insert(
                &mut self.notation,
                one,
                NotationVerifier::compile,
                diagnostics,
            ),
            Requirement::Simple(one) => {
                insert(&mut self.simple, one, SimpleVerifier::compile, diagnostics);
            }
            Requirement::Annotations(one) => insert(
                &mut self.annotations,
                one,
                AnnotationsVerifier::compile,
                diagnostics,
            ),
            Requirement::Allow
            | Requirement::Deny { .. }
            | Requirement::All(_)
            | Requirement::Any { .. }
            | Requirement::Notary(_) => {}
        }
    }
}

fn insert<R: Clone + Eq + Hash, V>(
    verifiers: &mut HashMap<R, V>,
    requirement: &R,
    compile: impl FnOnce(&R) -> Result<V, Vec<Diagnostic>>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    if verifiers.contains_key(requirement) {
        return;
    }
    match compile(requirement) {
        Ok(verifier) => {
            verifiers.insert(requirement.clone(), verifier);
        }
        Err(found) => {
            // One Secret may be named by many rules.
            for diagnostic in found {
                if !diagnostics.contains(&diagnostic) {
                    diagnostics.push(diagnostic);
                }
            }
        }
    }
}
