//! Steps 3 to 5 for a pull: match, resolve, gather, decide.

use std::time::Duration;

use portcullis_policy::Digest;
use portcullis_policy::model::Mode;
use portcullis_trust::Decision;
use tokio::time::Instant;

use super::Gate;
use super::flight::Keep;
use super::gather::OnBehalf;
use super::judge::{Matched, Subject, Trust, Wanted};
use crate::notary::GatherError;
use crate::registry::{Auth, Fingerprint, RemoteError};
use crate::store::ResolutionSource;

/// What the judgement of a pull depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct PullKey {
    namespace: Option<String>,
    generation: u64,
    reference: String,
    credentials: Fingerprint,
}

/// The judgement of a pull.
#[derive(Debug, Clone)]
pub(super) enum PullVerdict {
    /// This digest may be pulled.
    Allow {
        digest: Digest,
        source: ResolutionSource,
        decision: Decision,
    },
    /// Policy says no.
    Deny {
        decision: Decision,
        judged: Option<Judged>,
    },
    /// No decision was possible; `decision`: what follows from what is known.
    Undecided {
        error: RemoteError,
        mode: Mode,
        decision: Option<Decision>,
        judged: Option<Judged>,
    },
}

/// The digest that a decision is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Judged {
    pub digest: Digest,
    pub source: ResolutionSource,
}

impl Judged {
    /// What the registry has for the reference, if it was asked; else what the reference names.
    pub(super) fn offered(self) -> Option<Digest> {
        (self.source != ResolutionSource::Notary).then_some(self.digest)
    }
}

impl Keep for PullVerdict {
    fn keep(&self) -> Option<Duration> {
        match self {
            Self::Allow { .. } => None,
            Self::Deny { .. } => Some(Duration::from_secs(5)),
            Self::Undecided { error, .. } => Some(error.negative_ttl()),
        }
    }
}

/// What is known so far about one pull.
struct Inquiry<'a> {
    subject: &'a Subject,
    auth: &'a Auth,
    deadline: Instant,
    wanted: &'a Wanted,
    /// No trust data could be had now.
    stale: bool,
    /// Somebody who might have changed the outcome could not be asked.
    failure: Option<RemoteError>,
    /// What the trust server said was refused, or it said that there is nothing.
    refused: Option<String>,
    /// The denial to report unless something better is found, and what it is about.
    denied: Option<(Decision, Judged)>,
}

impl Gate {
    /// The judgement, shared by all callers that ask the same on the same behalf.
    pub(super) async fn judge_pull(
        &self,
        subject: &Subject,
        auth: &Auth,
        deadline: Instant,
    ) -> PullVerdict {
        let key = PullKey {
            namespace: subject.namespace.clone(),
            generation: subject.active.generation,
            reference: subject.reference.raw().to_owned(),
            credentials: auth.fingerprint(),
        };
        let (gate, owned, auth) = (self.clone(), subject.clone(), auth.clone());
        let flight = self.inner.pulls.join(key, || async move {
            gate.judge_alone(&owned, &auth, deadline).await
        });
        flight.await.unwrap_or_else(|| PullVerdict::Undecided {
            error: out_of_time(subject),
            mode: subject.mode(),
            decision: None,
            judged: None,
        })
    }

    async fn judge_alone(&self, subject: &Subject, auth: &Auth, deadline: Instant) -> PullVerdict {
        let wanted = match subject.matched() {
            Matched::Refused(decision) => {
                return PullVerdict::Deny {
                    decision: decision.clone(),
                    judged: None,
                };
            }
            Matched::Governed(wanted) => wanted,
        };
        // A tag whose trust data says no, or cannot be had, may still be allowed for what the registry takes it to mean.
        let by_tag = subject.reference.digest().is_none();
        let elsewhere = wanted.origin || (by_tag && wanted.beside.is_wanted());
        let mut inquiry = Inquiry {
            subject,
            auth,
            deadline,
            wanted,
            stale: false,
            failure: None,
            refused: None,
            denied: None,
        };
        if let Some(allowed) = self.ask_trust_data(&mut inquiry).await {
            return allowed;
        }
        // What remains is what the registry says: the origin of a digest, or the meaning of a tag.
        let undecided = inquiry.denied.is_none() && inquiry.failure.is_none();
        if elsewhere || undecided {
            return self.ask_for_meaning(inquiry).await;
        }
        inquiry.end()
    }

    /// Gathers trust data. A digest reference is judged as that digest, from stored evidence if need be; a tag needs an
    /// answer from now.
    async fn ask_trust_data(&self, inquiry: &mut Inquiry<'_>) -> Option<PullVerdict> {
        let subject = inquiry.subject;
        let whom = OnBehalf {
            namespace: subject.namespace(),
            generation: subject.active.generation,
            auth: inquiry.auth,
        };
        let gathered = self
            .gather_collections(
                whom,
                &inquiry.wanted.notary,
                &subject.reference,
                inquiry.deadline,
            )
            .await;
        inquiry.stale = gathered.is_err();
        match gathered {
            Ok(()) => {}
            Err(GatherError::Remote(error)) => inquiry.failure = Some(error),
            Err(GatherError::Notary(error)) => inquiry.refused = Some(error.to_string()),
        }
        let mut candidates = Vec::new();
        if let Some(digest) = subject.reference.digest() {
            candidates.push((*digest, ResolutionSource::Reference));
        } else if !inquiry.stale {
            let signed = self.signed_digests(&subject.reference, &inquiry.wanted.notary);
            candidates.extend(
                signed
                    .into_iter()
                    .map(|digest| (digest, ResolutionSource::Notary)),
            );
        }
        for (digest, source) in candidates {
            let decision = self
                .decide_looking_beside(inquiry, &digest, Trust::Stored)
                .await;
            if decision.allowed() {
                return Some(PullVerdict::Allow {
                    digest,
                    source,
                    decision,
                });
            }
            inquiry.denied = Some((decision, Judged { digest, source }));
        }
        None
    }

    async fn ask_for_meaning(&self, mut inquiry: Inquiry<'_>) -> PullVerdict {
        let subject = inquiry.subject;
        let asked = self.ask_registry(&subject.reference, inquiry.auth, inquiry.deadline);
        let found = match asked.await {
            Ok(found) => found.digest,
            Err(error) => {
                inquiry.failure.get_or_insert(error);
                return inquiry.end();
            }
        };
        let from_tag = subject.reference.digest().is_none();
        let (source, trust) = if from_tag {
            let trust = if inquiry.stale {
                Trust::Without
            } else {
                Trust::Stored
            };
            (ResolutionSource::Registry, trust)
        } else {
            (ResolutionSource::Reference, Trust::Stored)
        };
        let judged = Judged {
            digest: found,
            source,
        };
        // The registry means what the signed tag means: nothing new was learned, unless its word is what was missing.
        if let Some((_, known)) = &mut inquiry.denied
            && known.digest == found
            && !inquiry.wanted.origin
        {
            *known = judged;
            return inquiry.end();
        }
        let decision = self
            .decide_looking_beside(&mut inquiry, &found, trust)
            .await;
        if decision.allowed() {
            return PullVerdict::Allow {
                digest: found,
                source,
                decision,
            };
        }
        inquiry.denied = Some((decision, judged));
        inquiry.end()
    }

    /// Decides from what is stored; where something beside the image is missing, looks there once and decides again.
    async fn decide_looking_beside(
        &self,
        inquiry: &mut Inquiry<'_>,
        digest: &Digest,
        trust: Trust,
    ) -> Decision {
        let decision = self.decide(inquiry.subject, digest, trust);
        let mendable = decision
            .denial
            .as_ref()
            .is_some_and(|denial| denial.reason.mendable());
        let beside = &inquiry.wanted.beside;
        if !mendable || !beside.is_wanted() {
            return decision;
        }
        let looked = self
            .gather_beside(
                inquiry.subject,
                digest,
                beside,
                inquiry.auth,
                inquiry.deadline,
            )
            .await;
        let decision = self.decide(inquiry.subject, digest, trust);
        if let Err(error) = looked
            && !decision.allowed()
        {
            inquiry.failure.get_or_insert(error);
        }
        decision
    }
}

impl Inquiry<'_> {
    /// Nothing allows the image.
    fn end(self) -> PullVerdict {
        let (decision, judged) = self.denied.unzip();
        let failure = match (self.failure, decision) {
            (None, Some(decision)) => {
                return PullVerdict::Deny {
                    decision: explain(decision, self.refused),
                    judged,
                };
            }
            (Some(error), decision) => (error, decision),
            (None, None) => (out_of_time(self.subject), None),
        };
        let (error, decision) = failure;
        PullVerdict::Undecided {
            error,
            // Rules that hold for this digest already refuse nothing.
            mode: decision
                .as_ref()
                .map_or(self.wanted.mode, |decision| decision.mode),
            decision,
            judged,
        }
    }
}

fn out_of_time(subject: &Subject) -> RemoteError {
    RemoteError::Timeout {
        host: subject.reference.domain().to_owned(),
    }
}

/// Adds to a denial what the trust server said.
fn explain(mut decision: Decision, refused: Option<String>) -> Decision {
    if let (Some(denial), Some(refused)) = (&mut decision.denial, refused)
        && !denial.text.contains(&refused)
    {
        denial.text = format!("{} ({refused})", denial.text);
    }
    decision
}
