//! After start, policy reload and store rebuild, evidence is gathered for every image present, running ones first
//! (docs/rules.md rule 9), so that a create finds it stored.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use portcullis_trust::DenialReason;
use tokio::time::Instant;

use super::judge::{Matched, Subject, Trust};
use super::named::{Judged, Named};
use super::{Gate, names};
use crate::containerd::{ContainerdError, CriContainer, ImageRecord};
use crate::policy::ActivePolicy;

/// Images looked at together: enough to hide latency, too few to burden a registry.
const TOGETHER: usize = 4;
/// Most (namespace, image) pairs of one round.
const MAX_PAIRS: usize = 20_000;
/// Time for each question to containerd.
const QUESTION: Duration = Duration::from_secs(10);
/// Pause before a round is tried again: first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(15), Duration::from_mins(15));

/// What one round found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Warmed {
    /// Images that have the evidence their rules ask for, or need none.
    pub ready: usize,
    /// Images still without it.
    pub lacking: usize,
}

impl Gate {
    /// Gathers at once, again after failures with growing pauses, and again for each new policy. Runs until dropped.
    pub async fn keep_warm(&self) {
        let mut changes = self.inner.parts.policy.subscribe();
        let (mut pause, longest) = RETRY;
        loop {
            let complete = match self.warm().await {
                Ok(warmed) => {
                    tracing::info!(
                        ready = warmed.ready,
                        lacking = warmed.lacking,
                        "evidence gathered for images present"
                    );
                    warmed.lacking == 0
                }
                Err(error) => {
                    tracing::warn!(%error, "evidence for images present could not be gathered");
                    false
                }
            };
            let changed = if complete {
                changes.changed().await
            } else {
                tokio::select! {
                    changed = changes.changed() => changed,
                    () = tokio::time::sleep(pause) => {
                        pause = (pause * 2).min(longest);
                        continue;
                    }
                }
            };
            if changed.is_err() {
                return;
            }
            pause = RETRY.0;
        }
    }

    /// One round.
    ///
    /// # Errors
    /// [`ContainerdError`] if containerd could not be asked what is there.
    pub async fn warm(&self) -> Result<Warmed, ContainerdError> {
        let containerd = &self.inner.parts.containerd;
        for sandbox in containerd.sandboxes(Instant::now() + QUESTION).await? {
            if self.inner.parts.store.sandbox(&sandbox.id).is_none() {
                self.inner.parts.store.put_sandbox(sandbox);
            }
        }
        let mut containers = containerd.containers(Instant::now() + QUESTION).await?;
        containers.sort_by_key(|container| !container.running);
        let mut namespaces: BTreeSet<Option<String>> = BTreeSet::from([None]);
        let mut warmed = Warmed::default();
        let mut used = BTreeSet::new();
        for container in &containers {
            if let Ok(Some(sandbox)) = self
                .sandbox_of(&container.sandbox_id, Instant::now() + QUESTION)
                .await
            {
                namespaces.insert(Some(sandbox.namespace.clone()));
                used.insert((
                    !container.running,
                    sandbox.namespace,
                    reference_of(container),
                    image_of(container),
                ));
            }
        }
        let judged = used.into_iter().map(|(_, namespace, reference, image)| {
            let gate = self.clone();
            async move {
                let named = Named { reference, image };
                let judged = gate.judge_named(&namespace, &named, gate.deadline()).await;
                matches!(judged, Judged::Run { .. })
            }
        });
        let results: Vec<bool> = stream::iter(judged).buffered(TOGETHER).collect().await;
        let ready = results.iter().filter(|ready| **ready).count();
        tracing::debug!(ready, of = results.len(), "images of containers judged");

        let active = self.inner.parts.policy.current();
        namespaces.extend(
            active
                .policy
                .set
                .governed_namespaces
                .iter()
                .cloned()
                .map(Some),
        );
        let records = containerd.image_records(Instant::now() + QUESTION).await?;
        let mut pairs = Vec::new();
        for record in records.into_iter().map(Arc::new) {
            for namespace in &namespaces {
                pairs.push((Arc::clone(&record), namespace.clone()));
            }
        }
        pairs.truncate(MAX_PAIRS);
        let warming = pairs.into_iter().map(|(record, namespace)| {
            let (gate, active) = (self.clone(), Arc::clone(&active));
            async move { gate.warm_record(active, &record, namespace).await }
        });
        let results: Vec<Option<bool>> = stream::iter(warming)
            .buffer_unordered(TOGETHER)
            .collect()
            .await;
        for ready in results.into_iter().flatten() {
            if ready {
                warmed.ready += 1;
            } else {
                warmed.lacking += 1;
            }
        }
        Ok(warmed)
    }

    /// Gathers what one record needs in one namespace. `None`: nothing there to judge.
    async fn warm_record(
        &self,
        active: Arc<ActivePolicy>,
        record: &ImageRecord,
        namespace: Option<String>,
    ) -> Option<bool> {
        let reference = names::parse(&record.name).ok()?;
        let subject = Subject::new(active, namespace, reference);
        let Matched::Governed { .. } = subject.matched() else {
            return None;
        };
        let deadline = self.deadline();
        let mut links = self.inner.parts.store.links_from(&record.target);
        if links.is_empty() {
            links = self.prove(&record.target, deadline).await.ok()?;
        }
        let lacking = |gate: &Self| {
            let decision = gate.decide(&subject, &record.target, Trust::Stored);
            decision
                .denial
                .is_some_and(|denial| denial.reason == DenialReason::LackOfEvidence)
        };
        if links.is_empty() || !lacking(self) {
            return Some(true);
        }
        self.heal(&subject, &links, deadline).await;
        Some(!lacking(self))
    }
}

fn reference_of(container: &CriContainer) -> Option<String> {
    let given = &container.user_specified_image;
    if given.is_empty() {
        names::image_id(&container.image)
            .is_none()
            .then(|| container.image.clone())
    } else {
        Some(given.clone())
    }
}

fn image_of(container: &CriContainer) -> String {
    container
        .image_id
        .map_or_else(|| container.image.clone(), |id| id.to_string())
}
