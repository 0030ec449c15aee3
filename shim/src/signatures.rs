//! The signature client: what lies beside an image in its registry, in lookaside stores and at certificate authorities.
//!
//! It fetches and bounds; it never decides. Every byte it hands on was hashed against the digest that its manifest
//! names, where there is a manifest.

mod cosign;
mod describe;
mod extension;
mod found;
mod gather;
mod json;
mod layers;
mod limits;
mod lookaside;
mod media;
mod place;
mod platform;
mod referrers;
mod revocation;

use std::sync::Arc;

use portcullis_policy::model::Password;
use portcullis_policy::{Digest, ImageReference};
use portcullis_trust::Timestamp;
use portcullis_trust::evidence::{
    ImageDescription, RevocationAnswer, RevocationWant, SignatureSource,
};
use tokio::time::Instant;

use crate::registry::reach::Reach;
use crate::registry::strangers::Strangers;
use crate::registry::{Auth, Registry, RemoteError};

pub use self::gather::Gathered;
use self::referrers::memory::ApiMemory;

/// The client. Cheap to clone; clones share connections, tokens and circuit breakers with the registry client.
#[derive(Debug, Clone)]
pub struct SignatureClient {
    registry: Registry,
    lacking_api: Arc<ApiMemory>,
    authorities: Arc<Strangers>,
}

/// What lies beside which image, and on whose behalf it is asked.
#[derive(Debug, Clone, Copy)]
pub struct SignatureQuestion<'a> {
    /// Names the repository.
    pub reference: &'a ImageReference,
    /// The image.
    pub subject: &'a Digest,
    /// Where to look.
    pub sources: &'a [SignatureSource],
    /// Passwords of lookaside stores by base URL. Shown to no one else.
    pub passwords: &'a [(String, Password)],
    /// Credentials for the registry.
    pub auth: &'a Auth,
    /// Written into what is found.
    pub now: Timestamp,
    /// All of it ends here.
    pub deadline: Instant,
}

impl SignatureClient {
    /// A client that reaches registries as `registry` does.
    pub fn new(registry: &Registry) -> Self {
        Self::reaching(registry, Reach::NotLocal)
    }

    /// The same, and certificate authorities may be on this node too: for tests, and for nodes that run their own.
    pub fn with_local_authorities(registry: &Registry) -> Self {
        Self::reaching(registry, Reach::Anywhere)
    }

    fn reaching(registry: &Registry, reach: Reach) -> Self {
        let proxies = registry.fetcher().proxies();
        Self {
            registry: registry.clone(),
            lacking_api: Arc::default(),
            authorities: Arc::new(Strangers::new(proxies, reach)),
        }
    }

    /// Looks in every source, side by side. A definite "nothing there" is an empty set; whoever could not be asked is a
    /// failure, and never an empty set.
    pub async fn gather(&self, question: &SignatureQuestion<'_>) -> Vec<Gathered> {
        gather::gather(&self.registry, &self.lacking_api, question).await
    }

    /// Index, manifest and config of an image: of the platform of this node where `subject` is an index.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub async fn describe(
        &self,
        reference: &ImageReference,
        subject: &Digest,
        auth: &Auth,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<ImageDescription, RemoteError> {
        let asked = describe::Asked {
            registry: &self.registry,
            reference,
            auth,
            deadline,
        };
        asked.describe(subject, now).await
    }

    /// Asks a certificate authority. No credentials are sent. Only `http` and `https`; addresses of this node and its link
    /// are refused, as certificates of strangers name them.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub async fn revocation(
        &self,
        want: &RevocationWant,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<RevocationAnswer, RemoteError> {
        revocation::ask(&self.authorities, want, now, deadline).await
    }
}
