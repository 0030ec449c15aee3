//! Step 5: the pure decision, over what the store holds now.

use std::sync::Arc;

use portcullis_policy::model::{Mode, NotaryRequirement, TagRule};
use portcullis_policy::{Digest, ImageReference};
use portcullis_trust::compile::Prematch;
use portcullis_trust::notary::bound_digest;
use portcullis_trust::{Decision, Evidence, Question, Timestamp};

use super::Gate;
use crate::policy::ActivePolicy;

/// Whose image is judged, under which policy: what does not change while a call is worked on.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    /// The policy in force when the call began.
    pub active: Arc<ActivePolicy>,
    /// Namespace of the pod; `None`: a call without one.
    pub namespace: Option<String>,
    /// What the user named.
    pub reference: ImageReference,
}

/// What matching alone says, owned so that it can be held while waiting.
#[derive(Debug, Clone)]
pub(super) enum Matched {
    /// Refused before any network.
    Refused(Decision),
    /// Governed by rules that need this.
    Governed {
        /// Collections to gather.
        notary: Vec<NotaryRequirement>,
        /// Some alternative is a bare `allow`.
        origin: bool,
        /// A rule accepts a tag only from a signature.
        signed_tags: bool,
        /// Mode of a refusal.
        mode: Mode,
    },
}

/// Whether stored trust data counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// It does.
    Stored,
    /// It does not: a tag is being pulled, and no trust data could be had now. What a tag meant earlier is no answer to
    /// what it means (a freeze attack would hide the newer one).
    Without,
}

impl Subject {
    /// Namespace as the policy crates take it.
    pub(super) fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// The mode of a refusal, from matching alone.
    pub(super) fn mode(&self) -> Mode {
        match self.matched() {
            Matched::Refused(decision) => decision.mode,
            Matched::Governed { mode, .. } => mode,
        }
    }

    /// Step 3.
    pub(super) fn matched(&self) -> Matched {
        match self
            .active
            .policy
            .prematch(self.namespace(), &self.reference)
        {
            Prematch::Refused(decision) => Matched::Refused(decision),
            Prematch::Governed(needs) => Matched::Governed {
                signed_tags: needs.rules.iter().any(|rule| rule.tags == TagRule::Signed),
                notary: needs.notary.into_iter().cloned().collect(),
                origin: needs.origin,
                mode: needs.mode,
            },
        }
    }
}

impl Gate {
    /// The clock, never before the last time recorded: a clock that jumped back extends nothing.
    pub(super) fn now(&self) -> Timestamp {
        let now = self.inner.parts.clock.now();
        self.inner
            .parts
            .store
            .last_time()
            .map_or(now, |last| now.max(last))
    }

    /// Decides for one digest from what the store holds.
    pub(super) fn decide(&self, subject: &Subject, digest: &Digest, trust: Trust) -> Decision {
        let store = &self.inner.parts.store;
        let gun = subject.reference.repository();
        let mut evidence = Evidence {
            origins: store.origins(digest),
            ..Evidence::default()
        };
        if trust == Trust::Stored
            && let Matched::Governed { notary, .. } = subject.matched()
        {
            let mut servers: Vec<&str> = Vec::new();
            for need in &notary {
                if servers.contains(&need.trust.server.as_str()) {
                    continue;
                }
                servers.push(&need.trust.server);
                evidence.notary.extend(
                    store
                        .notary(&need.trust.server, &gun)
                        .map(Arc::unwrap_or_clone),
                );
            }
        }
        let question = Question {
            namespace: subject.namespace(),
            reference: &subject.reference,
            digest,
        };
        subject
            .active
            .policy
            .decide(&question, &evidence, self.now())
    }

    /// The digests that signed trust data in the store binds the tag of `reference` to, without repetition. Trust data
    /// that binds it to nothing gives none; the decision says why.
    pub(super) fn signed_digests(
        &self,
        reference: &ImageReference,
        needs: &[NotaryRequirement],
    ) -> Vec<Digest> {
        let (Some(tag), None) = (reference.tag(), reference.digest()) else {
            return Vec::new();
        };
        let gun = reference.repository();
        let mut digests = Vec::new();
        for need in needs {
            let Some(evidence) = self.inner.parts.store.notary(&need.trust.server, &gun) else {
                continue;
            };
            let bound = bound_digest(need, &evidence.collection, &evidence.memory, tag);
            digests.extend(bound.ok().filter(|digest| !digests.contains(digest)));
        }
        digests
    }
}
