//! RunPodSandbox and RemovePodSandbox: what the gate learns about pods. The pause image is not judged yet; it is counted.

use bytes::Bytes;
use portcullis_proto::code;
use portcullis_proto::cri::{RemovePodSandboxRequest, RunPodSandboxRequest, RunPodSandboxResponse};
use prost::Message as _;

use super::{Gate, refusal};
use crate::containerd::Sandbox;
use crate::intercept::{After, Before, Reply, Ticket};

/// What is remembered while containerd works on a sandbox.
#[derive(Debug)]
pub(super) enum SandboxTicket {
    /// It is being made; the ID is still to come.
    Run(Sandbox),
    /// It is being removed.
    Remove(String),
}

impl Gate {
    pub(super) fn before_sandbox(&self, message: Bytes) -> Before {
        let request = match RunPodSandboxRequest::read(&message) {
            Ok(request) => request,
            Err(error) => return Before::Refuse(refusal::wire(&error)),
        };
        let Some(metadata) = request.config.and_then(|config| config.metadata) else {
            return Before::Refuse(refusal::invalid("RunPodSandbox has no pod metadata"));
        };
        self.inner.parts.metrics.pause_image_unverified();
        let sandbox = Sandbox {
            id: String::new(),
            namespace: metadata.namespace,
            name: metadata.name,
            uid: metadata.uid,
            runtime_handler: request.runtime_handler,
        };
        Before::Forward {
            message,
            ticket: Some(Ticket(Box::new(SandboxTicket::Run(sandbox)))),
        }
    }

    pub(super) fn before_remove_sandbox(message: Bytes) -> Before {
        match RemovePodSandboxRequest::read(&message) {
            Ok(request) => {
                let ticket = SandboxTicket::Remove(request.pod_sandbox_id);
                Before::Forward {
                    message,
                    ticket: Some(Ticket(Box::new(ticket))),
                }
            }
            Err(error) => Before::Refuse(refusal::wire(&error)),
        }
    }

    pub(super) fn after_sandbox(&self, ticket: SandboxTicket, reply: &Reply) -> After {
        if reply.code != code::OK {
            return After::Pass;
        }
        match ticket {
            SandboxTicket::Run(mut sandbox) => {
                let made = reply
                    .message
                    .as_ref()
                    .and_then(|message| RunPodSandboxResponse::decode(message.as_ref()).ok());
                // Without an ID nothing is learned; the create will ask containerd.
                if let Some(made) = made.filter(|made| !made.pod_sandbox_id.is_empty()) {
                    sandbox.id = made.pod_sandbox_id;
                    self.inner.parts.store.put_sandbox(sandbox);
                }
            }
            SandboxTicket::Remove(id) => self.inner.parts.store.remove_sandbox(&id),
        }
        After::Pass
    }
}
