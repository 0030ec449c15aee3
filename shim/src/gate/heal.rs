//! Before a deny for lack of evidence, one bounded gather with the node's credentials (docs/rules.md rule 9): the kubelet never
//! pulls an image again that is present, so nobody else would.

use std::time::Duration;

use portcullis_policy::Digest;
use tokio::time::Instant;

use super::Gate;
use super::flight::Keep;
use super::gather::OnBehalf;
use super::judge::{Matched, Subject};
use crate::notary::GatherError;
use crate::registry::{Fingerprint, RemoteError};
use crate::store::Link;

/// Most digests of one image whose origin is asked for.
const MAX_ORIGINS: usize = 4;

/// What one healing depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct HealKey {
    namespace: Option<String>,
    generation: u64,
    reference: String,
    roots: Vec<Digest>,
    credentials: Fingerprint,
}

/// Why healing brought nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum HealFailure {
    /// Somebody could not be asked.
    #[error(transparent)]
    Remote(RemoteError),
    /// An answer came and was refused.
    #[error("{0}")]
    Refused(String),
}

/// `None`: whatever was asked for came.
pub(super) type Healed = Option<HealFailure>;

impl Keep for Healed {
    fn keep(&self) -> Option<Duration> {
        match self {
            // Healed once: if it is still not enough, asking again at once would bring the same.
            None | Some(HealFailure::Refused(_)) => Some(Duration::from_secs(5)),
            Some(HealFailure::Remote(error)) => Some(error.negative_ttl()),
        }
    }
}

impl Gate {
    /// Gathers what `subject` needs for one of `candidates`.
    pub(super) async fn heal(
        &self,
        subject: &Subject,
        candidates: &[Link],
        deadline: Instant,
    ) -> Healed {
        let auth = self
            .inner
            .parts
            .registry
            .node_auth(&subject.reference, deadline)
            .await;
        let mut roots: Vec<Digest> = candidates.iter().map(|link| link.root).collect();
        roots.sort_unstable();
        roots.dedup();
        roots.truncate(MAX_ORIGINS);
        let key = HealKey {
            namespace: subject.namespace.clone(),
            generation: subject.active.generation,
            reference: subject.reference.raw().to_owned(),
            roots: roots.clone(),
            credentials: auth.fingerprint(),
        };
        let (gate, owned) = (self.clone(), subject.clone());
        let host = subject.reference.domain().to_owned();
        let flight = self.inner.heals.join(key, || async move {
            let Matched::Governed(wanted) = owned.matched() else {
                return None;
            };
            let whom = OnBehalf {
                namespace: owned.namespace(),
                generation: owned.active.generation,
                auth: &auth,
            };
            let gathered = gate
                .gather_collections(whom, &wanted.notary, &owned.reference, deadline)
                .await;
            let mut failure = gathered.err().map(|error| match error {
                GatherError::Remote(error) => HealFailure::Remote(error),
                GatherError::Notary(error) => HealFailure::Refused(error.to_string()),
            });
            if wanted.origin {
                for root in &roots {
                    if let Err(error) = gate
                        .ask_origin(&owned.reference, root, &auth, deadline)
                        .await
                    {
                        failure = failure.or(Some(HealFailure::Remote(error)));
                    }
                }
            }
            if wanted.beside.is_wanted() {
                for root in &roots {
                    if let Err(error) = gate
                        .gather_beside(&owned, root, &wanted.beside, &auth, deadline)
                        .await
                    {
                        failure = failure.or(Some(HealFailure::Remote(error)));
                    }
                }
            }
            failure
        });
        flight
            .await
            .unwrap_or(Some(HealFailure::Remote(RemoteError::Timeout { host })))
    }
}
