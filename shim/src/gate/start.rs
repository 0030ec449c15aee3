//! StartContainer: a container this process judged goes on; any other is judged now, image and snapshot.

use bytes::Bytes;
use portcullis_policy::model::Mode;
use portcullis_proto::cri::{ImageSpec, StartContainerRequest};
use tokio::time::Instant;

use super::create::Made;
use super::named::{Judged, Named};
use super::record::{Event, Pod};
use super::{Gate, refusal};
use crate::intercept::Before;

impl Gate {
    pub(super) async fn before_start(&self, message: Bytes) -> Before {
        let begun = Instant::now();
        let deadline = self.deadline();
        let request = match StartContainerRequest::read(&message) {
            Ok(request) => request,
            Err(error) => return Before::Refuse(refusal::wire(&error)),
        };
        let forward = |message| Before::Forward {
            message,
            ticket: None,
        };
        let generation = self.inner.parts.policy.current().generation;
        if self
            .inner
            .judged
            .contains(&request.container_id, generation)
        {
            return forward(message);
        }
        let container = match self
            .inner
            .parts
            .containerd
            .container(&request.container_id, deadline)
            .await
        {
            Ok(Some(container)) => container,
            Ok(None) => {
                let refused = refusal::not_found(&request.container_id);
                return self.without_verdict(Mode::Enforce, message, refused);
            }
            Err(error) => {
                return self.without_verdict(Mode::Enforce, message, refusal::containerd(&error));
            }
        };
        let sandbox = match self.sandbox_of(&container.sandbox_id, deadline).await {
            Ok(Some(sandbox)) => sandbox,
            Ok(None) => {
                let refused = refusal::failed("the pod sandbox of this container does not exist");
                return self.without_verdict(Mode::Enforce, message, refused);
            }
            Err(error) => {
                return self.without_verdict(Mode::Enforce, message, refusal::containerd(&error));
            }
        };
        let spec = ImageSpec {
            image: container
                .image_id
                .map_or(container.image, |id| id.to_string()),
            user_specified_image: container.user_specified_image,
            ..ImageSpec::default()
        };
        let named = Named::of(&spec);
        let event = Event::start(Pod::from(&sandbox), named.label(), &container.id, begun);
        match self.judge_named(&sandbox.namespace, &named, deadline).await {
            Judged::Run {
                active,
                outcome,
                link,
                enforced,
                ..
            } => {
                self.record(&active, event, &outcome);
                let made = Made {
                    container: &container.id,
                    link: &link,
                    generation: active.generation,
                    image: named.label(),
                    enforced,
                };
                match self.confirm(made, deadline).await {
                    Ok(()) => forward(message),
                    Err(unconfirmed) => {
                        // A container that may be right, and may even be running, is not removed for a question that
                        // containerd did not answer.
                        if unconfirmed.other {
                            self.remove(&container.id).await;
                        }
                        Before::Refuse(unconfirmed.refusal)
                    }
                }
            }
            Judged::Unchanged { active, outcome } => {
                self.record(&active, event, &outcome);
                forward(message)
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
}
