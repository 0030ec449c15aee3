//! CreateContainer: the second, full check. What is forwarded is the image ID that was judged; afterwards the snapshot is
//! compared, and a container that runs something else is removed.

use std::time::Duration;

use bytes::Bytes;
use portcullis_policy::model::Mode;
use portcullis_proto::cri::{CreateContainerRequest, CreateContainerResponse, ImageSpec, path};
use portcullis_proto::{code, wire};
use prost::Message as _;
use tokio::time::Instant;

use super::named::{Judged, Named};
use super::record::{Event, Outcome, Pod};
use super::snapshot::Snapshot;
use super::{Gate, names, refusal};
use crate::containerd::{ContainerdError, Sandbox};
use crate::intercept::{After, Before, Refusal, Reply, Ticket};
use crate::store::Link;

/// Time for removing a container that must not stay.
const REMOVE: Duration = Duration::from_secs(10);

/// What is remembered while containerd creates.
#[derive(Debug)]
pub(super) struct CreateTicket {
    /// `None`: audit, forwarded as it came because no image could be judged.
    pub link: Option<Link>,
    pub generation: u64,
    pub namespace: Option<String>,
    /// Name of the tag record the reference stands for.
    pub record: Option<String>,
    pub image: String,
    pub enforced: bool,
}

/// A container that exists, and what it must be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Made<'a> {
    pub container: &'a str,
    pub link: &'a Link,
    /// Of the policy that judged it.
    pub generation: u64,
    pub image: &'a str,
    pub enforced: bool,
}

/// A container that was not found to be what was judged.
#[derive(Debug)]
pub(super) struct Unconfirmed {
    pub refusal: Refusal,
    /// It is something else; otherwise containerd did not say.
    pub other: bool,
}

impl Gate {
    pub(super) async fn before_create(&self, message: Bytes) -> Before {
        let begun = Instant::now();
        let deadline = self.deadline();
        let request = match CreateContainerRequest::read(&message) {
            Ok(request) => request,
            Err(error) => return Before::Refuse(refusal::wire(&error)),
        };
        let Some(spec) = request
            .config
            .as_ref()
            .and_then(|config| config.image.as_ref())
        else {
            return Before::Refuse(refusal::invalid("CreateContainer names no image"));
        };
        if !spec.image_ref.is_empty() && spec.image_ref != spec.image {
            return Before::Refuse(refusal::invalid(
                "CreateContainer names two images: image and image_ref differ",
            ));
        }
        let named = Named::of(spec);
        let sandbox = match self.sandbox_of(&request.pod_sandbox_id, deadline).await {
            Ok(Some(sandbox)) => sandbox,
            found => {
                let refused = match found {
                    Err(error) => refusal::containerd(&error),
                    _ => refusal::failed(&format!(
                        "there is no pod sandbox with the full ID {}",
                        names::shown(&request.pod_sandbox_id)
                    )),
                };
                if named.excusable() {
                    return self.without_verdict(Mode::Enforce, message, refused);
                }
                return Before::Refuse(refused);
            }
        };
        if let Err(refused) = agrees(&request, &sandbox) {
            return Before::Refuse(refused);
        }
        let container = request
            .config
            .as_ref()
            .and_then(|config| config.metadata.as_ref());
        let event = Event::create(
            Pod::from(&sandbox),
            named.label(),
            container.map(|data| data.name.as_str()),
            begun,
        );
        if let Err(refused) = self.judge_volumes(&request, &sandbox, &event) {
            return Before::Refuse(refused);
        }
        match self.judge_named(&sandbox.namespace, &named, deadline).await {
            Judged::Run {
                active,
                outcome,
                link,
                enforced,
                record,
            } => {
                self.record(&active, event, &outcome);
                let ticket = CreateTicket {
                    link: Some(link.clone()),
                    generation: active.generation,
                    namespace: Some(sandbox.namespace),
                    record,
                    image: named.label().to_owned(),
                    enforced,
                };
                forward_image(&message, spec, &link, ticket)
            }
            Judged::Unchanged { active, outcome } => {
                self.record(&active, event, &outcome);
                let ticket = CreateTicket {
                    link: None,
                    generation: active.generation,
                    namespace: Some(sandbox.namespace),
                    record: None,
                    image: named.label().to_owned(),
                    enforced: false,
                };
                Before::Forward {
                    message,
                    ticket: Some(Ticket(Box::new(ticket))),
                }
            }
            Judged::Refused {
                active,
                outcome,
                refusal,
            } => {
                self.record(&active, event, &outcome);
                Before::Refuse(refusal)
            }
        }
    }

    /// Image volumes: this build cannot judge them, so one that is not under audit is refused.
    fn judge_volumes(
        &self,
        request: &CreateContainerRequest,
        sandbox: &Sandbox,
        event: &Event,
    ) -> Result<(), Refusal> {
        let active = self.inner.parts.policy.current();
        let mounts = request.config.iter().flat_map(|config| &config.mounts);
        for spec in mounts.filter_map(|mount| mount.image.as_ref()) {
            let named = Named::of(spec);
            let mode = named.mode(&active, &sandbox.namespace);
            let text = format!(
                "{} may not mount an image as a volume: this build cannot judge image volumes; copy the files into the image",
                refusal::namespace_words(Some(&sandbox.namespace))
            );
            let outcome = Outcome::unusable(&text, mode == Mode::Audit);
            self.record(&active, event.volume(named.label()), &outcome);
            if mode == Mode::Enforce {
                return Err(refusal::policy_says_no(&text));
            }
        }
        Ok(())
    }

    pub(super) async fn after_create(&self, ticket: CreateTicket, reply: Reply) -> After {
        if let Some(record) = &ticket.record {
            self.inner.tags.serve(record, ticket.namespace.as_deref());
        }
        if reply.code != code::OK {
            return After::Pass;
        }
        let created = reply
            .message
            .as_ref()
            .and_then(|message| CreateContainerResponse::decode(message.as_ref()).ok());
        let created = created.filter(|created| !created.container_id.is_empty());
        let Some(link) = &ticket.link else {
            if let Some(created) = created {
                let judged = &self.inner.judged;
                judged.excuse(&created.container_id, ticket.generation);
            }
            return After::Pass;
        };
        let Some(created) = created else {
            return After::Refuse(refusal::failed(
                "containerd answered CreateContainer without a container ID",
            ));
        };
        let made = Made {
            container: &created.container_id,
            link,
            generation: ticket.generation,
            image: &ticket.image,
            enforced: ticket.enforced,
        };
        match self.confirm(made, self.deadline()).await {
            Ok(()) => After::Pass,
            Err(unconfirmed) => {
                self.remove(made.container).await;
                After::Refuse(unconfirmed.refusal)
            }
        }
    }

    /// Compares the snapshot of a container with what was judged.
    pub(super) async fn confirm(
        &self,
        made: Made<'_>,
        deadline: Instant,
    ) -> Result<(), Unconfirmed> {
        let Made {
            container,
            link,
            generation,
            image,
            enforced,
        } = made;
        let mut other = false;
        let refusal = match self.compare_snapshot(container, link, deadline).await {
            Ok(Snapshot::Judged) => {
                if enforced {
                    self.inner.judged.insert(container);
                } else {
                    self.inner.judged.excuse(container, generation);
                }
                return Ok(());
            }
            Ok(Snapshot::Other { parent }) => {
                tracing::error!(container, image, judged = %link.chain_id, ?parent, "a container does not run what was judged");
                self.inner.parts.metrics.snapshot_mismatch();
                other = true;
                refusal::policy_says_no(&format!(
                    "the container made for {image} does not run the layers of {} that were judged: the image was changed \
                     behind the gate; the container was removed",
                    link.root
                ))
            }
            Err(error) => refusal::containerd(&error),
        };
        if !enforced {
            tracing::warn!(
                container,
                image,
                text = refusal.message,
                "audit: the container would be removed"
            );
            self.inner.judged.excuse(container, generation);
            return Ok(());
        }
        Err(Unconfirmed { refusal, other })
    }

    /// Removes a container that must not run. If it cannot be removed now it was still not judged, so its StartContainer
    /// will be refused.
    pub(super) async fn remove(&self, container: &str) {
        if let Err(error) = self
            .inner
            .parts
            .containerd
            .remove_container(container, Instant::now() + REMOVE)
            .await
        {
            tracing::warn!(container, %error, "a container that must not run could not be removed");
        }
    }

    /// The sandbox as recorded when it was made, else as containerd says (rule 5).
    pub(super) async fn sandbox_of(
        &self,
        id: &str,
        deadline: Instant,
    ) -> Result<Option<Sandbox>, ContainerdError> {
        if let Some(known) = self.inner.parts.store.sandbox(id) {
            return Ok(Some(known));
        }
        let found = self.inner.parts.containerd.sandbox(id, deadline).await?;
        if let Some(sandbox) = &found {
            self.inner.parts.store.put_sandbox(sandbox.clone());
        }
        Ok(found)
    }
}

/// The sandbox_config of a create is only a claim; one that contradicts the sandbox is an attack or a bug.
fn agrees(request: &CreateContainerRequest, sandbox: &Sandbox) -> Result<(), Refusal> {
    let claimed = request
        .sandbox_config
        .as_ref()
        .and_then(|config| config.metadata.as_ref());
    let same = claimed.is_none_or(|claimed| {
        claimed.namespace == sandbox.namespace
            && claimed.name == sandbox.name
            && claimed.uid == sandbox.uid
    });
    if same {
        Ok(())
    } else {
        Err(refusal::invalid(&format!(
            "CreateContainer claims another pod than its sandbox {} was made for ({}/{})",
            sandbox.id, sandbox.namespace, sandbox.name
        )))
    }
}

fn forward_image(message: &Bytes, spec: &ImageSpec, link: &Link, ticket: CreateTicket) -> Before {
    let id = link.config.to_string();
    let mut message = message.clone();
    let mut fields = Vec::new();
    if spec.image != id {
        fields.push(path::CREATE_IMAGE);
    }
    if !spec.image_ref.is_empty() && spec.image_ref != id {
        fields.push(path::CREATE_IMAGE_REF);
    }
    for path in fields {
        message = match wire::replace(&message, path, id.as_bytes()) {
            Ok(message) => message,
            Err(error) => return Before::Refuse(refusal::wire(&error)),
        };
    }
    Before::Forward {
        message,
        ticket: Some(Ticket(Box::new(ticket))),
    }
}
