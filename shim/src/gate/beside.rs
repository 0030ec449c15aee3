//! Step 4 for what lies beside an image: signatures, attestations, revocations and the image's own description, from the
//! network into the store. Nothing here decides.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use portcullis_policy::{Digest, ImageReference};
use portcullis_trust::evidence::{RevocationWant, SignatureSet, SignatureSource};
use tokio::time::Instant;

use super::Gate;
use super::flight::Keep;
use super::gather::OnBehalf;
use super::judge::{Beside, Subject, notation_artefacts, revocation_wants};
use crate::registry::{Auth, Fingerprint, RemoteError};
use crate::signatures::SignatureQuestion;
use crate::telemetry::metrics::Look;

/// Certificate authorities asked together.
const TOGETHER: usize = 4;
/// Most questions to certificate authorities for one image.
const MAX_QUESTIONS: usize = 32;

/// What one gathering depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct BesideKey {
    namespace: Option<String>,
    generation: u64,
    repository: String,
    digest: Digest,
    sources: Vec<SignatureSource>,
    description: bool,
    credentials: Fingerprint,
}

/// How one gathering ended: the first failure, after everything was tried. What was found is in the store.
#[derive(Debug, Clone)]
pub(super) struct FoundBeside(pub(super) Result<(), RemoteError>);

impl Keep for FoundBeside {
    fn keep(&self) -> Option<Duration> {
        self.0.as_ref().err().map(RemoteError::negative_ttl)
    }
}

impl Gate {
    /// Looks beside `digest` in the repository of `subject`.
    pub(super) async fn gather_beside(
        &self,
        subject: &Subject,
        digest: &Digest,
        wanted: &Beside,
        auth: &Auth,
        deadline: Instant,
    ) -> Result<(), RemoteError> {
        let whom = OnBehalf {
            namespace: subject.namespace(),
            generation: subject.active.generation,
            auth,
        };
        let key = BesideKey {
            namespace: whom.namespace.map(str::to_owned),
            generation: whom.generation,
            repository: subject.reference.repository(),
            digest: *digest,
            sources: wanted.sources.clone(),
            description: wanted.description,
            credentials: auth.fingerprint(),
        };
        let (gate, owned, digest) = (self.clone(), subject.clone(), *digest);
        let (wanted, auth) = (wanted.clone(), auth.clone());
        let flight = self.inner.beside.join(key, || async move {
            FoundBeside(
                gate.look_beside(&owned, &digest, &wanted, &auth, deadline)
                    .await,
            )
        });
        match flight.await {
            Some(FoundBeside(outcome)) => outcome,
            None => Err(RemoteError::Timeout {
                host: subject.reference.domain().to_owned(),
            }),
        }
    }

    async fn look_beside(
        &self,
        subject: &Subject,
        digest: &Digest,
        wanted: &Beside,
        auth: &Auth,
        deadline: Instant,
    ) -> Result<(), RemoteError> {
        let reference = &subject.reference;
        let (signatures, description) = tokio::join!(
            self.gather_signatures(reference, digest, wanted, auth, deadline),
            self.gather_description(reference, digest, wanted, auth, deadline),
        );
        let revocations = self
            .gather_revocations(subject, digest, wanted, deadline)
            .await;
        signatures.and(description).and(revocations)
    }

    async fn gather_signatures(
        &self,
        reference: &ImageReference,
        digest: &Digest,
        wanted: &Beside,
        auth: &Auth,
        deadline: Instant,
    ) -> Result<(), RemoteError> {
        if wanted.sources.is_empty() {
            return Ok(());
        }
        let question = SignatureQuestion {
            reference,
            subject: digest,
            sources: &wanted.sources,
            passwords: &wanted.passwords,
            auth,
            now: self.now(),
            deadline,
        };
        let mut outcome = Ok(());
        for one in self.inner.parts.signatures.gather(&question).await {
            let look = match (&one.set, &one.failure) {
                (None, _) => Look::Failed,
                (Some(_), Some(_)) => Look::Partial,
                (Some(set), None) if set.artefacts.is_empty() => Look::Nothing,
                (Some(_), None) => Look::Found,
            };
            self.inner.parts.metrics.looked(&one.source, look);
            if let Some(set) = one.set {
                self.inner.parts.store.put_signatures(set);
            }
            if let Some(error) = one.failure {
                let source = one.source;
                tracing::debug!(?source, %reference, %error, "signatures could not be looked for");
                outcome = outcome.and(Err(error));
            }
        }
        outcome
    }

    /// What hashes to the digest never changes: it is fetched once.
    async fn gather_description(
        &self,
        reference: &ImageReference,
        digest: &Digest,
        wanted: &Beside,
        auth: &Auth,
        deadline: Instant,
    ) -> Result<(), RemoteError> {
        let parts = &self.inner.parts;
        if !wanted.description || !parts.store.descriptions(digest).is_empty() {
            return Ok(());
        }
        let described = parts
            .signatures
            .describe(reference, digest, auth, self.now(), deadline)
            .await?;
        parts.store.put_description(described);
        Ok(())
    }

    /// Asks certificate authorities. Whether a missing answer matters is the policy's to say, in the decision: it is no
    /// failure of the gathering.
    async fn gather_revocations(
        &self,
        subject: &Subject,
        digest: &Digest,
        wanted: &Beside,
        deadline: Instant,
    ) -> Result<(), RemoteError> {
        let parts = &self.inner.parts;
        let repository = subject.reference.repository();
        let sets: Vec<Arc<SignatureSet>> = parts
            .store
            .signatures(&SignatureSource::Notation, &repository, digest)
            .into_iter()
            .collect();
        let policy = &subject.active.policy;
        let mut wants = revocation_wants(policy, wanted, digest, &sets);
        wants.truncate(MAX_QUESTIONS);
        let sets = &sets;
        let questions = wants.into_iter().map(|want| async move {
            self.gather_revocation(subject, digest, wanted, sets, &want, deadline)
                .await;
        });
        stream::iter(questions)
            .buffer_unordered(TOGETHER)
            .collect::<()>()
            .await;
        Ok(())
    }

    async fn gather_revocation(
        &self,
        subject: &Subject,
        digest: &Digest,
        wanted: &Beside,
        sets: &[Arc<SignatureSet>],
        want: &RevocationWant,
        deadline: Instant,
    ) {
        let parts = &self.inner.parts;
        let answer = match parts
            .signatures
            .revocation(want, self.now(), deadline)
            .await
        {
            Ok(answer) => answer,
            Err(error) => {
                tracing::debug!(%error, "a certificate authority gave no answer");
                return;
            }
        };
        let artefacts = notation_artefacts(sets);
        let stored = parts.store.revocation(want);
        let accepted = wanted.notation.iter().any(|requirement| {
            let verifier = subject.active.policy.notation(requirement);
            verifier.is_some_and(|verifier| {
                verifier.accepts(digest, &artefacts, &answer, stored.as_deref())
            })
        });
        if accepted {
            parts.store.put_revocation(answer);
        } else {
            tracing::debug!("the answer of a certificate authority was not usable");
        }
    }
}
