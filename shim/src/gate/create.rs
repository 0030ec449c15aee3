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
use super::{Gate, refusal};
use crate::containerd::{ContainerdError, Sandbox};
use crate::intercept::{After, Before, Refusal, Reply, Ticket};
use crate::store::Link;

/// Time for removing a container that must not stay.
const REMOVE: Duration = Duration::from_secs(10);

/// What is remembered while containerd creates.
#[derive(Debug)]
pub(super) struct CreateTicket {
    pub link: Link,
    pub namespace: Option<String>,
    /// Name of the tag record the reference stands for.
    pub record: Option<String>,
    pub image: String,
    pub enforced: bool,
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
        let sandbox = match self.sandbox_of(&request.pod_sandbox_id, deadline).await {
            Ok(Some(sandbox)) => sandbox,
            Ok(None) => {
                let text = format!("the pod sandbox {} does not exist", request.pod_sandbox_id);
                return Before::Refuse(refusal::failed(&text));
            }
            Err(error) => return Before::Refuse(refusal::containerd(&error)),
        };
        if let Err(refused) = agrees(&request, &sandbox) {
            return Before::Refuse(refused);
        }
        let named = Named::of(spec);
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
        let volumes = request
            .config
            .as_ref()
            .is_some_and(|config| config.mounts.iter().any(|mount| mount.image.is_some()));
        if volumes && self.inner.parts.policy.current().policy.node_mode == Mode::Enforce {
            let text = format!(
                "{} may not mount an image as a volume: this build cannot judge image volumes; copy the files into the image",
                refusal::namespace_words(Some(&sandbox.namespace))
            );
            self.record(
                &self.inner.parts.policy.current(),
                event.volume(),
                &Outcome::unusable(&text, false),
            );
            return Before::Refuse(refusal::policy_says_no(&text));
        }
        match self.judge_named(&sandbox.namespace, &named, deadline).await {
            Ok(Judged::Run {
                active,
                outcome,
                link,
                enforced,
                record,
            }) => {
                self.record(&active, event, &outcome);
                let ticket = CreateTicket {
                    link,
                    namespace: Some(sandbox.namespace),
                    record,
                    image: named.label().to_owned(),
                    enforced,
                };
                forward_image(&message, spec, ticket)
            }
            Ok(Judged::Unchanged { active, outcome }) => {
                self.record(&active, event, &outcome);
                Before::Forward {
                    message,
                    ticket: None,
                }
            }
            Ok(Judged::Refused {
                active,
                outcome,
                refusal,
            }) => {
                self.record(&active, event, &outcome);
                Before::Refuse(refusal)
            }
            Err(error) => self.without_verdict(message, refusal::containerd(&error)),
        }
    }

    /// containerd did not say what a verdict needs: refused, but audit mode breaks nothing that worked without us.
    pub(super) fn without_verdict(&self, message: Bytes, refusal: Refusal) -> Before {
        if self.inner.parts.policy.current().policy.node_mode == Mode::Enforce {
            return Before::Refuse(refusal);
        }
        tracing::warn!(text = refusal.message, "audit: the call would be refused");
        Before::Forward {
            message,
            ticket: None,
        }
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
        let Some(created) = created.filter(|created| !created.container_id.is_empty()) else {
            return After::Refuse(refusal::failed(
                "containerd answered CreateContainer without a container ID",
            ));
        };
        match self
            .confirm(
                &created.container_id,
                &ticket.link,
                &ticket.image,
                ticket.enforced,
            )
            .await
        {
            Ok(()) => After::Pass,
            Err(refused) => After::Refuse(refused),
        }
    }

    /// Compares the snapshot of a container with what was judged; removes the container if it is something else.
    pub(super) async fn confirm(
        &self,
        container: &str,
        link: &Link,
        image: &str,
        enforced: bool,
    ) -> Result<(), Refusal> {
        let compared = self
            .compare_snapshot(container, link, self.deadline())
            .await;
        let refused = match compared {
            Ok(Snapshot::Judged) => {
                self.inner.judged.insert(container);
                return Ok(());
            }
            Ok(Snapshot::Other { parent }) => {
                tracing::error!(container, image, judged = %link.chain_id, ?parent, "a container does not run what was judged");
                self.inner.parts.metrics.snapshot_mismatch();
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
                text = refused.message,
                "audit: the container would be removed"
            );
            return Ok(());
        }
        // If it cannot be removed now it was still not judged, so its StartContainer will be refused.
        if let Err(error) = self
            .inner
            .parts
            .containerd
            .remove_container(container, Instant::now() + REMOVE)
            .await
        {
            tracing::warn!(container, %error, "a container that must not run could not be removed");
        }
        Err(refused)
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

fn forward_image(message: &Bytes, spec: &ImageSpec, ticket: CreateTicket) -> Before {
    let id = ticket.link.config.to_string();
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
