//! Step 4: evidence from the network into the store. Nothing here decides.

use std::time::Duration;

use portcullis_policy::model::{NotaryRequirement, NotaryServer};
use portcullis_policy::{Digest, ImageReference};
use portcullis_trust::evidence::NotaryEvidence;
use portcullis_trust::{Origin, OriginSource};
use tokio::time::Instant;

use super::Gate;
use super::flight::Keep;
use crate::notary::GatherError;
use crate::registry::{Auth, Descriptor, Fingerprint, RemoteError};
use crate::store::StoreError;

/// What one update of a collection depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct CollectionKey {
    trust: NotaryServer,
    gun: String,
    namespace: Option<String>,
    generation: u64,
    credentials: Fingerprint,
}

/// How one update ended. The collection itself is in the store.
pub(super) type Gathered = Result<(), GatherError>;

impl Keep for Gathered {
    fn keep(&self) -> Option<Duration> {
        match self {
            Ok(()) => None,
            Err(GatherError::Remote(error)) => Some(error.negative_ttl()),
            // Refused or missing trust data: a definite answer (docs/rules.md, "unsigned").
            Err(GatherError::Notary(_)) => Some(Duration::from_secs(5)),
        }
    }
}

/// For whom evidence is gathered: part of every key, so that no tenant rides on another's credentials or failure.
#[derive(Debug, Clone, Copy)]
pub(super) struct OnBehalf<'a> {
    /// Namespace of the pod.
    pub namespace: Option<&'a str>,
    /// Policy generation.
    pub generation: u64,
    /// Credentials of the call, or the node's.
    pub auth: &'a Auth,
}

impl Gate {
    /// Updates every collection that `needs` names for the repository of `reference`; the first failure is returned after
    /// all were tried.
    pub(super) async fn gather_collections(
        &self,
        whom: OnBehalf<'_>,
        needs: &[NotaryRequirement],
        reference: &ImageReference,
        deadline: Instant,
    ) -> Gathered {
        let mut outcome = Ok(());
        let mut asked: Vec<&NotaryServer> = Vec::new();
        for need in needs {
            if asked.contains(&&need.trust) {
                continue;
            }
            asked.push(&need.trust);
            let gathered = self
                .gather_collection(whom, &need.trust, reference.repository(), deadline)
                .await;
            if outcome.is_ok() {
                outcome = gathered;
            }
        }
        outcome
    }

    async fn gather_collection(
        &self,
        whom: OnBehalf<'_>,
        trust: &NotaryServer,
        gun: String,
        deadline: Instant,
    ) -> Gathered {
        let key = CollectionKey {
            trust: trust.clone(),
            gun: gun.clone(),
            namespace: whom.namespace.map(str::to_owned),
            generation: whom.generation,
            credentials: whom.auth.fingerprint(),
        };
        let (gate, trust, auth) = (self.clone(), trust.clone(), whom.auth.clone());
        let server = trust.server.clone();
        self.inner
            .collections
            .join(key, || async move {
                gate.update_collection(&trust, &gun, &auth, deadline).await
            })
            .await
            .unwrap_or(Err(GatherError::Remote(RemoteError::Timeout {
                host: server,
            })))
    }

    async fn update_collection(
        &self,
        trust: &NotaryServer,
        gun: &str,
        auth: &Auth,
        deadline: Instant,
    ) -> Gathered {
        let parts = &self.inner.parts;
        // Floors outlive the copy they were read from.
        let memory = parts
            .store
            .notary_memory(&trust.server, gun)
            .unwrap_or_default();
        let stored = parts.store.notary(&trust.server, gun);
        let previous = stored.as_deref().map(|evidence| &evidence.collection);
        let now = self.now();
        let (collection, memory) = parts
            .notary
            .gather(trust, gun, auth, &memory, previous, now, deadline)
            .await?;
        // The store never lowers a floor, so of two updates that overlap the newer one stays.
        match parts
            .store
            .put_notary(NotaryEvidence { collection, memory })
            .await
        {
            Ok(()) => {}
            Err(error @ StoreError::Io { .. }) => {
                tracing::warn!(%gun, %error, "trust data is held in memory only");
            }
            Err(error) => tracing::warn!(%gun, %error, "trust data was not taken into the store"),
        }
        Ok(())
    }

    /// Asks the registry what `reference` names, and records that its repository holds it.
    pub(super) async fn ask_registry(
        &self,
        reference: &ImageReference,
        auth: &Auth,
        deadline: Instant,
    ) -> Result<Descriptor, RemoteError> {
        let found = self
            .inner
            .parts
            .registry
            .head(reference, auth, deadline)
            .await?;
        self.record_origin(reference, found.digest, OriginSource::Registry);
        Ok(found)
    }

    /// Asks the registry whether the repository of `reference` holds `digest`, and records it if so.
    pub(super) async fn ask_origin(
        &self,
        reference: &ImageReference,
        digest: &Digest,
        auth: &Auth,
        deadline: Instant,
    ) -> Result<(), RemoteError> {
        self.inner
            .parts
            .registry
            .head_digest(reference, digest, auth, deadline)
            .await?;
        self.record_origin(reference, *digest, OriginSource::Registry);
        Ok(())
    }

    /// Remembers that the repository of `reference` holds `digest`.
    pub(super) fn record_origin(
        &self,
        reference: &ImageReference,
        digest: Digest,
        source: OriginSource,
    ) {
        let (repository, at) = (reference.repository(), self.now());
        let known = self.inner.parts.store.origins(&digest);
        if known
            .iter()
            .any(|origin| origin.repository == repository && origin.source == source)
        {
            return;
        }
        self.inner.parts.store.put_origin(Origin {
            repository,
            digest,
            source,
            at,
            reason: None,
        });
    }
}
