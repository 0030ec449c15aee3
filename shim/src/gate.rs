//! The gate: judges each call, with the I/O around the pure decision (docs/architecture.md, steps 3 to 8).
//!
//! Everything that decides is `portcullis-trust`; what is here fetches what a decision needs, carries it out and
//! makes sure that what was judged is what runs. It must never let a request through because something failed.

mod audit_mode;
mod beside;
mod create;
mod flight;
mod gather;
mod handle;
mod heal;
mod judge;
mod judge_image;
mod judge_pull;
mod judged;
mod named;
mod names;
mod pod;
mod pull;
mod record;
mod refusal;
mod report;
mod sandbox;
mod snapshot;
mod start;
mod tag;
mod tidy;
mod time;
mod warm;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use portcullis_proto::method::Method;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

pub use handle::GateHandle;

use crate::clock::Clock;
use crate::containerd::Containerd;
use crate::intercept::{After, Before, Reply, Ticket};
use crate::notary::NotaryClient;
use crate::policy::PolicyHandle;
use crate::registry::Registry;
use crate::signatures::SignatureClient;
use crate::store::Store;
use crate::telemetry::Metrics;
use beside::{BesideKey, FoundBeside};
use create::CreateTicket;
use flight::Flights;
use gather::{CollectionKey, Gathered};
use heal::{HealKey, Healed};
use judge_pull::{PullKey, PullVerdict};
use judged::JudgedContainers;
use pull::PullTicket;
use sandbox::SandboxTicket;
use tag::TagMoves;

/// What the gate is made of.
#[derive(Clone)]
pub struct Parts {
    /// The policy in force.
    pub policy: PolicyHandle,
    /// The evidence store.
    pub store: Store,
    /// The registry client.
    pub registry: Registry,
    /// The Notary client.
    pub notary: NotaryClient,
    /// The signature client.
    pub signatures: SignatureClient,
    /// The containerd client.
    pub containerd: Containerd,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// All outside work of one gated call (docs/configuration.md `budget`).
    pub budget: Duration,
}

/// The gate. Cheap to clone.
#[derive(Clone)]
pub struct Gate {
    inner: Arc<Inner>,
}

struct Inner {
    parts: Parts,
    pulls: Flights<PullKey, PullVerdict>,
    collections: Flights<CollectionKey, Gathered>,
    beside: Flights<BesideKey, FoundBeside>,
    heals: Flights<HealKey, Healed>,
    judged: JudgedContainers,
    tags: TagMoves,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gate")
    }
}

impl Gate {
    /// Puts the parts together. Nothing runs until the first call.
    pub fn new(parts: Parts) -> Self {
        let tasks = TaskTracker::new();
        Self {
            inner: Arc::new(Inner {
                parts,
                pulls: Flights::new(tasks.clone()),
                collections: Flights::new(tasks.clone()),
                beside: Flights::new(tasks.clone()),
                heals: Flights::new(tasks),
                judged: JudgedContainers::default(),
                tags: TagMoves::default(),
            }),
        }
    }

    /// The parts, for `status`.
    pub fn parts(&self) -> &Parts {
        &self.inner.parts
    }

    /// Judges a request (steps 3 to 7). Methods that the gate only learns from go on unread.
    pub(crate) async fn before(&self, method: &'static Method, message: Bytes) -> Before {
        match method.name {
            "PullImage" => self.before_pull(message).await,
            "CreateContainer" => self.before_create(message).await,
            "StartContainer" => self.before_start(message).await,
            "RunPodSandbox" => self.before_sandbox(message),
            "RemovePodSandbox" => Self::before_remove_sandbox(message),
            _ if method.gate => {
                Before::Refuse(refusal::failed("this build does not judge this method"))
            }
            _ => Before::Forward {
                message,
                ticket: None,
            },
        }
    }

    /// Takes containerd's answer.
    pub(crate) async fn after(&self, ticket: Ticket, reply: Reply) -> After {
        let ticket = match ticket.0.downcast::<PullTicket>() {
            Ok(ticket) => return self.after_pull(*ticket, reply).await,
            Err(ticket) => ticket,
        };
        let ticket = match ticket.downcast::<CreateTicket>() {
            Ok(ticket) => return self.after_create(*ticket, reply).await,
            Err(ticket) => ticket,
        };
        match ticket.downcast::<SandboxTicket>() {
            Ok(ticket) => self.after_sandbox(*ticket, &reply),
            Err(_) => After::Refuse(refusal::failed("the gate lost track of this call")),
        }
    }

    /// When the outside work of a call that begins now must end.
    fn deadline(&self) -> Instant {
        Instant::now() + self.inner.parts.budget
    }
}
