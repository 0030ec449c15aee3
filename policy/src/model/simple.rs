//! What `simple` asks for: OpenPGP simple signing.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::material::{KeyMaterial, Password};
use crate::pattern::{Subject, containers_scope};
use crate::reference::ImageReference;
use crate::span::Span;

/// A simple-signing signature (containers/image `signedBy`, Portieris `simple`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SimpleRequirement {
    /// OpenPGP keyrings, armoured or binary: a signature by any key in any of them counts. Never empty.
    pub keys: Vec<KeyMaterial>,
    /// How the reference in the signature is compared.
    pub identity: SignedIdentity,
    /// Where signatures are looked for.
    pub store: SignatureStore,
    /// Where `simple` (or the `signedBy`) stands.
    pub span: Span,
}

/// containers-policy.json(5), `signedIdentity`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum SignedIdentity {
    /// Equal to the image's reference; for an image named by digest, the repository is equal.
    #[default]
    MatchRepoDigestOrExact,
    /// Equal to the image's reference, tag included.
    MatchExact,
    /// The repository is equal.
    MatchRepository,
    /// Equal to this reference.
    ExactReference(String),
    /// The repository is this one.
    ExactRepository(String),
    /// As `MatchRepoDigestOrExact` after this prefix of the image's reference was replaced.
    Remap {
        /// What is replaced: a host, or a repository namespace.
        prefix: String,
        /// By what.
        signed_prefix: String,
    },
}

/// Where signatures are looked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SignatureStore {
    /// The registry's own extension (`X-Registry-Supports-Signatures`).
    RegistryExtension,
    /// A web server or folder with signatures.
    Lookaside(Lookaside),
    /// registries.d: by the image's name; where nothing is configured for it, the registry's extension.
    RegistriesD(Arc<RegistriesD>),
}

/// The base of a lookaside store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LookasideUrl(pub String);

/// A lookaside store: `https`, `http`, or (registries.d only) `file`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lookaside {
    /// Its base, without a trailing slash.
    pub url: LookasideUrl,
    /// What it asks for.
    pub password: Option<Password>,
}

/// The `docker` section of registries.d (containers-registries.d(5)).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct RegistriesD {
    /// `default-docker`.
    pub default: Option<LookasideUrl>,
    /// By scope: a repository, a namespace, `host[:port]`, or `*.domain`.
    pub docker: BTreeMap<String, LookasideUrl>,
}

impl RegistriesD {
    /// The store configured for an image: the most specific scope that covers it, else the default.
    pub fn lookaside(&self, reference: &ImageReference) -> Option<&LookasideUrl> {
        let subject = Subject::new(reference);
        self.docker
            .iter()
            .filter_map(|(scope, url)| Some((containers_scope(scope, &subject)?, url)))
            .max_by_key(|(quality, _)| *quality)
            .map(|(_, url)| url)
            .or(self.default.as_ref())
    }
}

impl SimpleRequirement {
    pub(super) fn blank(&mut self) {
        self.keys.iter_mut().for_each(KeyMaterial::blank);
        self.span = Span::nowhere();
    }
}
