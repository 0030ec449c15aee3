//! PullImage: match, resolve, gather, decide; forward by digest only; afterwards prove, remember and move the tag.

use std::time::Duration;

use bytes::Bytes;
use portcullis_policy::Digest;
use portcullis_policy::model::Mode;
use portcullis_proto::code;
use portcullis_proto::cri::{AuthConfig, PullImageRequest, PullImageResponse, path};
use portcullis_proto::wire;
use portcullis_trust::{Decision, OriginSource};
use prost::Message as _;
use tokio::time::Instant;

use super::flight::Keep;
use super::gather::OnBehalf;
use super::judge::{Matched, Subject, Trust};
use super::record::{Event, Outcome};
use super::{Gate, names, pod, refusal};
use crate::intercept::{After, Before, Reply, Ticket};
use crate::notary::GatherError;
use crate::registry::{Auth, AuthError, AuthFields, Fingerprint, RemoteError};
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
    /// Policy says no. `offered`: what the registry has, where it was asked.
    Deny {
        decision: Decision,
        offered: Option<Digest>,
    },
    /// No decision was possible.
    Undecided { error: RemoteError, mode: Mode },
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

/// What is remembered while containerd pulls.
#[derive(Debug)]
pub(super) struct PullTicket {
    pub subject: Subject,
    /// `None`: audit mode, forwarded unchanged because no digest could be had.
    pub digest: Option<Digest>,
    pub source: ResolutionSource,
    pub enforced: bool,
}

impl Gate {
    pub(super) async fn before_pull(&self, message: Bytes) -> Before {
        let begun = Instant::now();
        let request = match PullImageRequest::read(&message) {
            Ok(request) => request,
            Err(error) => return Before::Refuse(refusal::wire(&error)),
        };
        let pod = match pod::of_pull(request.sandbox_config.as_ref()) {
            Ok(pod) => pod,
            Err(refused) => return Before::Refuse(refused),
        };
        let namespace = pod.namespace.clone();
        let spec = request.image.unwrap_or_default();
        if !spec.image_ref.is_empty() && spec.image_ref != spec.image {
            return Before::Refuse(refusal::invalid(
                "PullImage names two images: image and image_ref differ",
            ));
        }
        let image = spec.image.as_str();
        let active = self.inner.parts.policy.current();
        let event = Event::pull(pod, image, begun);
        let reference = match names::parse(image) {
            Ok(reference) => reference,
            Err(error) => {
                let text = names::unusable(namespace.as_deref(), &error);
                let excused =
                    active.policy.node_mode == Mode::Audit && !names::never_excused(&error);
                self.record(&active, event, &Outcome::unusable(&text, excused));
                if excused {
                    return Before::Forward {
                        message,
                        ticket: None,
                    };
                }
                return Before::Refuse(refusal::policy_says_no(&text));
            }
        };
        let auth = match request.auth.as_ref().map(given).transpose() {
            Ok(None | Some(Auth::Anonymous)) => {
                self.inner
                    .parts
                    .registry
                    .node_auth(&reference, self.deadline())
                    .await
            }
            Ok(Some(auth)) => auth,
            Err(error) => return Before::Refuse(refusal::invalid(&error.to_string())),
        };
        let subject = Subject {
            active,
            namespace,
            reference,
        };
        let verdict = self.judge_pull(&subject, &auth).await;
        let verdict = self.guard_reserved_tag(&subject, verdict).await;
        self.record(&subject.active, event, &Outcome::of_pull(&verdict));
        match verdict {
            PullVerdict::Allow { digest, source, .. } => {
                forward_by_digest(&message, subject, digest, source, true)
            }
            PullVerdict::Deny { decision, offered } => match (&decision.denial, decision.mode) {
                (Some(denial), Mode::Enforce) => Before::Refuse(refusal::denied(denial)),
                _ => {
                    self.forward_in_audit(message, subject, offered, &auth)
                        .await
                }
            },
            PullVerdict::Undecided {
                error,
                mode: Mode::Enforce,
            } => {
                let refused =
                    refusal::undecided(subject.namespace(), subject.reference.raw(), &error);
                Before::Refuse(refused)
            }
            PullVerdict::Undecided {
                mode: Mode::Audit, ..
            } => self.forward_in_audit(message, subject, None, &auth).await,
        }
    }

    /// Steps 3 to 5, shared by all callers that ask the same on the same behalf.
    pub(super) async fn judge_pull(&self, subject: &Subject, auth: &Auth) -> PullVerdict {
        let key = PullKey {
            namespace: subject.namespace.clone(),
            generation: subject.active.generation,
            reference: subject.reference.raw().to_owned(),
            credentials: auth.fingerprint(),
        };
        let deadline = self.deadline();
        let (gate, owned, auth) = (self.clone(), subject.clone(), auth.clone());
        let flight = self.inner.pulls.join(key, || async move {
            gate.judge_alone(&owned, &auth, deadline).await
        });
        flight.await.unwrap_or_else(|| PullVerdict::Undecided {
            error: RemoteError::Timeout {
                host: subject.reference.domain().to_owned(),
            },
            mode: mode_of(&subject.matched()),
        })
    }

    async fn judge_alone(&self, subject: &Subject, auth: &Auth, deadline: Instant) -> PullVerdict {
        let (notary, origin, signed_tags, mode) = match subject.matched() {
            Matched::Refused(decision) => {
                return PullVerdict::Deny {
                    decision,
                    offered: None,
                };
            }
            Matched::Governed {
                notary,
                origin,
                signed_tags,
                mode,
            } => (notary, origin, signed_tags, mode),
        };
        let whom = OnBehalf {
            namespace: subject.namespace(),
            generation: subject.active.generation,
            auth,
        };
        let gathered = self
            .gather_collections(whom, &notary, &subject.reference, deadline)
            .await;
        let mut failure = None;
        let mut refused = None;
        match gathered {
            Ok(()) => {}
            Err(GatherError::Remote(error)) => failure = Some(error),
            Err(GatherError::Notary(error)) => refused = Some(error.to_string()),
        }

        // A digest reference is judged as that digest, from stored evidence if need be. A tag needs an answer from now.
        let candidates = match subject.reference.digest() {
            Some(digest) => vec![(*digest, ResolutionSource::Reference)],
            None if failure.is_some() || refused.is_some() => Vec::new(),
            None => match self.signed_digests(&subject.reference, &notary) {
                Ok(digests) => digests
                    .into_iter()
                    .map(|digest| (digest, ResolutionSource::Notary))
                    .collect(),
                Err(error) => {
                    refused = Some(error.to_string());
                    Vec::new()
                }
            },
        };
        let mut denied = None;
        for (digest, source) in candidates {
            let decision = self.decide(subject, &digest, Trust::Stored);
            if decision.allowed() {
                return PullVerdict::Allow {
                    digest,
                    source,
                    decision,
                };
            }
            denied = Some(decision);
        }

        // What remains is what the registry says: the origin of a digest, or the meaning of a tag.
        let mut offered = None;
        let asks_registry = origin || denied.is_none();
        if asks_registry {
            match self.ask_registry(&subject.reference, auth, deadline).await {
                Ok(found) => {
                    offered = Some(found.digest);
                    let from_tag = subject.reference.digest().is_none();
                    let stale = failure.is_some() || refused.is_some();
                    let trust = if from_tag && stale {
                        Trust::Without
                    } else {
                        Trust::Stored
                    };
                    let source = if from_tag {
                        ResolutionSource::Registry
                    } else {
                        ResolutionSource::Reference
                    };
                    let decision = self.decide(subject, &found.digest, trust);
                    if decision.allowed() && !(signed_tags && from_tag) {
                        return PullVerdict::Allow {
                            digest: found.digest,
                            source,
                            decision,
                        };
                    }
                    denied = Some(decision);
                }
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        if let Some(error) = failure {
            return PullVerdict::Undecided { error, mode };
        }
        match denied {
            Some(decision) => PullVerdict::Deny {
                decision: explain(subject, decision, refused, signed_tags),
                offered,
            },
            None => PullVerdict::Undecided {
                error: RemoteError::Timeout {
                    host: subject.reference.domain().to_owned(),
                },
                mode,
            },
        }
    }

    pub(super) async fn after_pull(&self, ticket: PullTicket, reply: Reply) -> After {
        let Some(digest) = ticket.digest.filter(|_| reply.code == code::OK) else {
            return After::Pass;
        };
        let PullTicket {
            subject,
            source,
            enforced,
            ..
        } = ticket;
        let outcome = self
            .settle_pull(&subject, digest, source, reply.message.as_ref())
            .await;
        match outcome {
            Err(refused) if enforced => After::Refuse(refused),
            Err(refused) => {
                tracing::warn!(reference = %subject.reference, text = refused.message, "audit: the pull would fail");
                After::Pass
            }
            Ok(()) => After::Pass,
        }
    }

    async fn settle_pull(
        &self,
        subject: &Subject,
        digest: Digest,
        source: ResolutionSource,
        reply: Option<&Bytes>,
    ) -> Result<(), crate::intercept::Refusal> {
        let deadline = self.deadline();
        let pulled = reply
            .and_then(|message| PullImageResponse::decode(message.as_ref()).ok())
            .and_then(|response| names::image_id(&response.image_ref))
            .ok_or_else(|| refusal::failed("containerd answered a pull without an image ID"))?;
        let links = self
            .prove(&digest, deadline)
            .await
            .map_err(|error| refusal::containerd(&error))?;
        if !links.iter().any(|link| link.config == pulled) {
            return Err(refusal::policy_says_no(&format!(
                "containerd answered the pull of {} with image ID {pulled}, which {digest} does not contain",
                subject.reference.at_digest(&digest)
            )));
        }
        self.record_origin(&subject.reference, digest, OriginSource::Pull);
        self.remember(subject, digest, source);
        self.move_tag(subject, digest, pulled).await
    }
}

/// The mode of a refusal, from matching alone.
fn mode_of(matched: &Matched) -> Mode {
    match matched {
        Matched::Refused(decision) => decision.mode,
        Matched::Governed { mode, .. } => *mode,
    }
}

/// Adds to a denial what the trust server said, and why an unsigned tag is not enough.
fn explain(
    subject: &Subject,
    mut decision: Decision,
    refused: Option<String>,
    signed_tags: bool,
) -> Decision {
    let allowed_but_for_tag = decision.denial.is_none() && signed_tags;
    if allowed_but_for_tag {
        decision.denial = Some(portcullis_trust::Denial {
            reason: portcullis_trust::DenialReason::NotSatisfied,
            text: format!(
                "{} may not use {}: its rule has `tags: signed`, and no signature binds this tag; use a digest",
                refusal::namespace_words(subject.namespace()),
                subject.reference
            ),
        });
    }
    if let (Some(denial), Some(refused)) = (&mut decision.denial, refused)
        && !denial.text.contains(&refused)
    {
        denial.text = format!("{} ({refused})", denial.text);
    }
    decision
}

/// The credentials that came with the pull.
fn given(auth: &AuthConfig) -> Result<Auth, AuthError> {
    Auth::from_cri(&AuthFields {
        username: &auth.username,
        password: &auth.password,
        auth: &auth.auth,
        server_address: &auth.server_address,
        identity_token: &auth.identity_token,
        registry_token: &auth.registry_token,
    })
}

/// Rule 1: what leaves for containerd is `name@sha256:<digest just verified>`.
pub(super) fn forward_by_digest(
    message: &Bytes,
    subject: Subject,
    digest: Digest,
    source: ResolutionSource,
    enforced: bool,
) -> Before {
    let name = subject.reference.at_digest(&digest);
    match wire::replace(message, path::PULL_IMAGE, name.as_bytes()) {
        Ok(message) => {
            let ticket = PullTicket {
                subject,
                digest: Some(digest),
                source,
                enforced,
            };
            Before::Forward {
                message,
                ticket: Some(Ticket(Box::new(ticket))),
            }
        }
        Err(error) => Before::Refuse(refusal::wire(&error)),
    }
}
