//! What evidence a requirement can be proved by.

use portcullis_policy::ImageReference;
use portcullis_policy::model::{
    Lookaside, Mode, NotaryRequirement, NotationRequirement, Password, Requirement, Rule,
    SignatureStore,
};

use crate::evidence::SignatureSource;

/// What a decision will need to be gathered.
#[derive(Debug, Clone)]
pub struct Needs<'a> {
    /// The governing rules. Empty for a digest reference that the bootstrap list allows.
    pub rules: Vec<&'a Rule>,
    /// Notary collections to gather, of the branches that can hold at all. Several may name one server and repository
    /// with different signers.
    pub notary: Vec<&'a NotaryRequirement>,
    /// Some alternative is a bare `allow`: an origin is needed.
    pub origin: bool,
    /// Where signatures are to be looked for, without repetition.
    pub sources: Vec<SignatureSource>,
    /// Passwords of lookaside stores, by URL.
    pub passwords: Vec<(&'a str, &'a Password)>,
    /// Requirements whose signatures' certificates may have been revoked.
    pub notation: Vec<&'a NotationRequirement>,
    /// Some alternative asks what the image says about itself.
    pub description: bool,
    /// The mode that governs a refusal.
    pub mode: Mode,
}

impl<'a> Needs<'a> {
    pub(crate) fn nothing(mode: Mode) -> Self {
        Self {
            rules: Vec::new(),
            notary: Vec::new(),
            origin: false,
            sources: Vec::new(),
            passwords: Vec::new(),
            notation: Vec::new(),
            description: false,
            mode,
        }
    }

    fn look_in(&mut self, source: SignatureSource) {
        if !self.sources.contains(&source) {
            self.sources.push(source);
        }
    }

    fn add(&mut self, requirement: &'a Requirement, reference: &ImageReference) {
        match requirement {
            Requirement::Deny { .. } => {}
            Requirement::Allow => self.origin = true,
            Requirement::Notary(one) => {
                if !self.notary.contains(&one) {
                    self.notary.push(one);
                }
            }
            Requirement::Cosign(one) => {
                // Bundles name no repository: they cannot satisfy a comparison with one.
                if one.identity.is_none() {
                    self.look_in(SignatureSource::Bundles);
                }
                self.look_in(SignatureSource::CosignSignatures);
            }
            Requirement::Attestation(_) => {
                self.look_in(SignatureSource::Bundles);
                self.look_in(SignatureSource::CosignAttestations);
            }
            Requirement::Notation(one) => {
                self.look_in(SignatureSource::Notation);
                if !self.notation.contains(&one) {
                    self.notation.push(one);
                }
            }
            Requirement::Simple(one) => {
                self.look_in(store(&one.store, reference));
                if let SignatureStore::Lookaside(Lookaside {
                    url,
                    password: Some(password),
                }) = &one.store
                {
                    self.passwords.push((&url.0, password));
                }
            }
            Requirement::Annotations(_) => self.description = true,
            Requirement::All(of) | Requirement::Any { of, .. } => {
                for inner in of {
                    needs(inner, reference, self);
                }
            }
        }
    }
}

/// Where simple-signing signatures for `reference` are.
pub(crate) fn store(store: &SignatureStore, reference: &ImageReference) -> SignatureSource {
    match store {
        SignatureStore::RegistryExtension => SignatureSource::RegistryExtension,
        SignatureStore::Lookaside(lookaside) => SignatureSource::from(&lookaside.url),
        SignatureStore::RegistriesD(registries) => registries
            .lookaside(reference)
            .map_or(SignatureSource::RegistryExtension, SignatureSource::from),
    }
}

/// Adds what `requirement` can be proved by, of the branches that can hold at all.
pub(crate) fn needs<'a>(
    requirement: &'a Requirement,
    reference: &ImageReference,
    wanted: &mut Needs<'a>,
) {
    if reachable(requirement) {
        wanted.add(requirement, reference);
    }
}

/// Whether some evidence could satisfy `requirement`.
pub(crate) fn reachable(requirement: &Requirement) -> bool {
    match requirement {
        Requirement::Deny { .. } => false,
        Requirement::All(of) => of.iter().all(reachable),
        Requirement::Any { threshold, of } => {
            of.iter().filter(|one| reachable(one)).count() >= *threshold
        }
        _ => true,
    }
}
