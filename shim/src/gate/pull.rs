//! PullImage: match, resolve, gather, decide; forward by digest only; afterwards prove, remember and move the tag.

use bytes::Bytes;
use portcullis_policy::Digest;
use portcullis_policy::model::Mode;
use portcullis_proto::code;
use portcullis_proto::cri::{AuthConfig, PullImageRequest, PullImageResponse, path};
use portcullis_proto::wire;
use portcullis_trust::{Decision, OriginSource};
use prost::Message as _;
use tokio::time::Instant;

use super::judge::{Matched, Subject};
use super::judge_pull::PullVerdict;
use super::record::{Event, Outcome};
use super::{Gate, names, pod, refusal};
use crate::intercept::{After, Before, Reply, Ticket};
use crate::registry::{Auth, AuthError, AuthFields};
use crate::store::ResolutionSource;

/// What is remembered while containerd pulls.
#[derive(Debug)]
pub(super) struct PullTicket {
    pub subject: Subject,
    pub digest: Digest,
    pub source: ResolutionSource,
    pub enforced: bool,
}

impl Gate {
    pub(super) async fn before_pull(&self, message: Bytes) -> Before {
        let begun = Instant::now();
        let deadline = self.deadline();
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
        let subject = Subject::new(active, namespace, reference);
        let auth = match request.auth.as_ref().map(given).transpose() {
            Ok(None | Some(Auth::Anonymous)) => self.node_auth(&subject, deadline).await,
            Ok(Some(auth)) => auth,
            Err(error) => {
                return self.without_verdict(
                    subject.mode(),
                    message,
                    refusal::invalid(&error.to_string()),
                );
            }
        };
        let verdict = self.judge_pull(&subject, &auth, deadline).await;
        let verdict = self.guard_reserved_tag(&subject, verdict, deadline).await;
        self.record(&subject.active, event, &Outcome::of_pull(&verdict));
        match verdict {
            PullVerdict::Allow {
                digest,
                source,
                decision,
            } => match decision.mode {
                Mode::Enforce => forward_by_digest(&message, subject, digest, source, true),
                Mode::Audit => {
                    self.forward_if_taggable(message, subject, digest, source, deadline)
                        .await
                }
            },
            PullVerdict::Deny {
                decision:
                    Decision {
                        mode: Mode::Enforce,
                        denial,
                        ..
                    },
                ..
            } => Before::Refuse(match &denial {
                Some(denial) => refusal::denied(denial),
                None => refusal::policy_says_no("the image was refused"),
            }),
            PullVerdict::Undecided {
                error,
                mode: Mode::Enforce,
                ..
            } => {
                let refused =
                    refusal::undecided(subject.namespace(), subject.reference.raw(), &error);
                Before::Refuse(refused)
            }
            PullVerdict::Deny { judged, .. } | PullVerdict::Undecided { judged, .. } => {
                self.forward_in_audit(message, subject, judged, &auth, deadline)
                    .await
            }
        }
    }

    /// The node's credentials, where a rule may have use for them: a credential provider is asked for nothing else, as it
    /// may use the network (rule 2).
    pub(super) async fn node_auth(&self, subject: &Subject, deadline: Instant) -> Auth {
        match subject.matched() {
            Matched::Refused(decision) if decision.mode == Mode::Enforce => Auth::Anonymous,
            _ => {
                let registry = &self.inner.parts.registry;
                registry.node_auth(&subject.reference, deadline).await
            }
        }
    }

    pub(super) async fn after_pull(&self, ticket: PullTicket, reply: Reply) -> After {
        if reply.code != code::OK {
            return After::Pass;
        }
        let PullTicket {
            subject,
            digest,
            source,
            enforced,
        } = ticket;
        let outcome = self
            .settle_pull(&subject, digest, source, enforced, reply.message.as_ref())
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
        enforced: bool,
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
        if !enforced && self.is_reserved_tag(subject, &digest, deadline).await {
            // Audit lets the pull pass; the name stays with what distributes policy.
            return Ok(());
        }
        self.move_tag(subject, digest, pulled).await
    }
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
                digest,
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
