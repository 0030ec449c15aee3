//! Step 5: the pure decision, over what the store holds now.

use std::sync::{Arc, OnceLock};

use portcullis_policy::model::{Mode, NotaryRequirement, NotationRequirement, Password};
use portcullis_policy::{Digest, ImageReference};
use portcullis_trust::compile::Prematch;
use portcullis_trust::evidence::{Artefact, RevocationWant, SignatureSet, SignatureSource};
use portcullis_trust::notary::bound_digest;
use portcullis_trust::{CompiledPolicy, Decision, Evidence, Question, Timestamp};

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
    /// Matching depends on nothing else, and is done once.
    matched: Arc<OnceLock<Matched>>,
}

/// What matching alone says, owned so that it can be held while waiting.
#[derive(Debug, Clone)]
pub(super) enum Matched {
    /// Refused before any network.
    Refused(Decision),
    /// Governed by rules that need this.
    Governed(Wanted),
}

/// What the rules for an image can be satisfied by.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// Collections to gather.
    pub notary: Vec<NotaryRequirement>,
    /// Some alternative is a bare `allow`.
    pub origin: bool,
    /// What to gather once the digest is known.
    pub beside: Beside,
    /// Mode of a refusal.
    pub mode: Mode,
}

/// What lies beside an image.
#[derive(Debug, Clone, Default)]
pub(super) struct Beside {
    /// Where signatures are looked for.
    pub sources: Vec<SignatureSource>,
    /// Passwords of lookaside stores.
    pub passwords: Vec<(String, Password)>,
    /// Requirements whose certificates may have been revoked.
    pub notation: Vec<NotationRequirement>,
    /// Whether the image's own description is asked for.
    pub description: bool,
}

impl Beside {
    /// Whether anything is wanted at all.
    pub(super) fn is_wanted(&self) -> bool {
        self.description || !self.sources.is_empty()
    }
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
    /// An image and whose it is.
    pub(super) fn new(
        active: Arc<ActivePolicy>,
        namespace: Option<String>,
        reference: ImageReference,
    ) -> Self {
        Self {
            active,
            namespace,
            reference,
            matched: Arc::default(),
        }
    }

    /// Namespace as the policy crates take it.
    pub(super) fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// The mode of a refusal, from matching alone.
    pub(super) fn mode(&self) -> Mode {
        match self.matched() {
            Matched::Refused(decision) => decision.mode,
            Matched::Governed(wanted) => wanted.mode,
        }
    }

    /// Step 3.
    pub(super) fn matched(&self) -> &Matched {
        self.matched.get_or_init(|| self.matches())
    }

    fn matches(&self) -> Matched {
        match self
            .active
            .policy
            .prematch(self.namespace(), &self.reference)
        {
            Prematch::Refused(decision) => Matched::Refused(decision),
            Prematch::Governed(needs) => Matched::Governed(Wanted {
                notary: needs.notary.into_iter().cloned().collect(),
                origin: needs.origin,
                beside: Beside {
                    sources: needs.sources,
                    passwords: needs
                        .passwords
                        .into_iter()
                        .map(|(url, password)| (url.to_owned(), password.clone()))
                        .collect(),
                    notation: needs.notation.into_iter().cloned().collect(),
                    description: needs.description,
                },
                mode: needs.mode,
            }),
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
        let evidence = self.evidence(subject, digest, trust);
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

    /// Everything the store holds that a decision about `digest` may be computed from.
    pub(super) fn evidence(&self, subject: &Subject, digest: &Digest, trust: Trust) -> Evidence {
        let store = &self.inner.parts.store;
        let mut evidence = Evidence {
            origins: store.origins(digest),
            ..Evidence::default()
        };
        let Matched::Governed(wanted) = subject.matched() else {
            return evidence;
        };
        let repository = subject.reference.repository();
        if trust == Trust::Stored {
            let mut servers: Vec<&str> = Vec::new();
            for need in &wanted.notary {
                if servers.contains(&need.trust.server.as_str()) {
                    continue;
                }
                servers.push(&need.trust.server);
                evidence.notary.extend(
                    store
                        .notary(&need.trust.server, &repository)
                        .map(Arc::unwrap_or_clone),
                );
            }
        }
        let beside = &wanted.beside;
        let sets = beside.sources.iter();
        evidence.signatures = sets
            .filter_map(|source| store.signatures(source, &repository, digest))
            .collect();
        if beside.description {
            evidence.descriptions = store.descriptions(digest);
        }
        let wants = revocation_wants(&subject.active.policy, beside, digest, &evidence.signatures);
        evidence.revocations = wants
            .iter()
            .filter_map(|want| store.revocation(want))
            .collect();
        evidence
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

/// What certificate authorities have to be asked before the notation signatures among `sets` can be judged.
pub(super) fn revocation_wants(
    policy: &CompiledPolicy,
    beside: &Beside,
    digest: &Digest,
    sets: &[Arc<SignatureSet>],
) -> Vec<RevocationWant> {
    let artefacts = notation_artefacts(sets);
    let mut wants = Vec::new();
    for requirement in &beside.notation {
        let Some(verifier) = policy.notation(requirement) else {
            continue;
        };
        for want in verifier.revocation_wants(digest, &artefacts) {
            if !wants.contains(&want) {
                wants.push(want);
            }
        }
    }
    wants
}

/// The notation envelopes among `sets`.
pub(super) fn notation_artefacts(sets: &[Arc<SignatureSet>]) -> Vec<&Artefact> {
    sets.iter()
        .filter(|set| set.source == SignatureSource::Notation)
        .flat_map(|set| {
            let earlier = set.earlier.iter().map(|one| &one.artefact);
            set.artefacts.iter().chain(earlier)
        })
        .collect()
}
