//! What the admin socket asks of the gate: the same judgement as a pull's, without its effects.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use portcullis_policy::{Digest, ImageReference};
use portcullis_trust::evidence::Recorded;
use portcullis_trust::{Origin, OriginSource};
use tokio::time::Instant;

use super::judge::{Subject, Trust};
use super::judge_pull::PullVerdict;
use super::{Gate, names};
use crate::admin::{
    AdminApi, AdminError, AdoptReport, AdoptRequest, CheckReport, ImageQuestion, NodeStatus,
    UpstreamStatus,
};
use crate::containerd::ContainerdError;
use crate::telemetry::Verdict;

/// Time for asking containerd who it is.
const VERSION: Duration = Duration::from_secs(2);

impl AdminApi for Gate {
    fn check(&self, question: ImageQuestion) -> BoxFuture<'_, Result<CheckReport, AdminError>> {
        async move { Ok(self.check_image(&question).await) }.boxed()
    }

    fn adopt(&self, request: AdoptRequest) -> BoxFuture<'_, Result<AdoptReport, AdminError>> {
        self.adopt_image(request).boxed()
    }

    fn status(&self) -> BoxFuture<'_, NodeStatus> {
        self.node_status().boxed()
    }
}

impl Gate {
    async fn check_image(&self, question: &ImageQuestion) -> CheckReport {
        let active = self.inner.parts.policy.current();
        let reference = match names::parse(&question.image) {
            Ok(reference) => reference,
            Err(error) => {
                let text = names::unusable(question.namespace.as_deref(), &error);
                let mode = active.policy.node_mode;
                let report = CheckReport::undecided(question, mode, "unusable", text);
                return CheckReport {
                    verdict: Verdict::Deny,
                    ..report
                };
            }
        };
        let deadline = self.deadline();
        let subject = Subject::new(active, question.namespace.clone(), reference);
        let auth = self.node_auth(&subject, deadline).await;
        let report = match self.judge_pull(&subject, &auth, deadline).await {
            PullVerdict::Allow {
                digest, decision, ..
            } => CheckReport::of(question, Some(digest), &decision),
            PullVerdict::Deny { decision, judged } => {
                let named = subject.reference.digest().copied();
                let judged = judged.map(|judged| judged.digest);
                CheckReport::of(question, judged.or(named), &decision)
            }
            PullVerdict::Undecided { error, mode, .. } => {
                CheckReport::undecided(question, mode, "undecided", error.to_string())
            }
        };
        CheckReport {
            evidence: report
                .digest
                .filter(|_| question.record)
                .map(|digest| Box::new(self.recorded(&subject, digest))),
            ..report
        }
    }

    /// What is known about an image, to be judged again in a test of policies.
    fn recorded(&self, subject: &Subject, digest: Digest) -> Recorded {
        Recorded {
            version: 1,
            image: subject.reference.raw().to_owned(),
            digest,
            recorded_at: self.now(),
            evidence: self.evidence(subject, &digest, Trust::Stored),
        }
    }

    /// Records that an operator vouches for where an image came from. It counts only where a rule asks for no signature.
    async fn adopt_image(&self, request: AdoptRequest) -> Result<AdoptReport, AdminError> {
        let reference =
            names::parse(&request.image).map_err(|error| AdminError::Invalid(error.to_string()))?;
        let deadline = self.deadline();
        let root = self
            .root_on_node(&reference, deadline)
            .await
            .map_err(|error| unavailable(&error))?;
        let root = root.ok_or_else(|| {
            AdminError::NotFound(format!(
                "containerd has no image {} in namespace k8s.io",
                reference.normalised()
            ))
        })?;
        let links = self
            .prove(&root, deadline)
            .await
            .map_err(|error| unavailable(&error))?;
        if links.is_empty() {
            return Err(AdminError::NotFound(format!(
                "no platform of {root} is on this node"
            )));
        }
        let (repository, at) = (reference.repository(), self.now());
        self.inner.parts.store.put_origin(Origin {
            repository: repository.clone(),
            digest: root,
            source: OriginSource::Adopted,
            at,
            reason: Some(request.reason),
        });
        Ok(AdoptReport {
            image: request.image,
            repository,
            digests: vec![root],
        })
    }

    /// The digest that a name on this node stands for, as containerd's records have it: an operator asks, and is told which.
    async fn root_on_node(
        &self,
        reference: &ImageReference,
        deadline: Instant,
    ) -> Result<Option<Digest>, ContainerdError> {
        if let Some(digest) = reference.digest() {
            let records = self.inner.parts.containerd.image_records(deadline).await?;
            return Ok(records
                .iter()
                .any(|record| record.target == *digest)
                .then_some(*digest));
        }
        let Some(name) = reference.tag_record_name() else {
            return Ok(None);
        };
        let record = self
            .inner
            .parts
            .containerd
            .image_record(&name, deadline)
            .await?;
        Ok(record.map(|record| record.target))
    }

    async fn node_status(&self) -> NodeStatus {
        let parts = &self.inner.parts;
        let mut alarms = Vec::new();
        let upstream = match parts.containerd.version(Instant::now() + VERSION).await {
            Ok((name, version)) => UpstreamStatus {
                connected: true,
                name,
                version,
            },
            Err(error) => {
                alarms.push(error.to_string());
                UpstreamStatus::default()
            }
        };
        let counted = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let store = parts.store.counts();
        let store = store
            .into_iter()
            .map(|(table, count)| (table.to_owned(), counted(count)))
            .collect();
        if let Some(last) = parts
            .store
            .last_time()
            .filter(|last| parts.clock.now() < *last)
        {
            alarms.push(format!(
                "the clock is behind the last time recorded ({last}); set it, or reset the record"
            ));
        }
        alarms.extend(parts.registry.open_circuits().into_iter().map(|host| {
            format!("{host} failed repeatedly and has not answered since; it is asked by one request every 30 s")
        }));
        let counters = BTreeMap::from([(
            "registryRequests".to_owned(),
            parts.registry.requests_sent(),
        )]);
        NodeStatus {
            upstream,
            store,
            counters,
            alarms,
        }
    }
}

fn unavailable(error: &ContainerdError) -> AdminError {
    AdminError::Unavailable(error.to_string())
}
