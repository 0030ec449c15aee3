//! The admin socket: root only, HTTP/1.1 with JSON (docs/cli.md).
//!
//! It answers questions about the gate and takes an operator's explicit steps. It must never decide anything itself:
//! what `check` says comes from the same gate that judges pulls and creates.

mod client;
mod error;
mod explain;
mod peer;
mod route;
mod server;
mod service;
mod types;
mod words;

use futures_util::future::BoxFuture;

pub use client::{AdminClient, ClientError};
pub use error::{AdminError, ErrorReport};
pub use explain::explain;
pub use route::{Endpoint, MAX_BODY};
pub use server::{AdminServer, Limits};
pub use service::Admin;
pub use types::{
    AdoptReport, AdoptRequest, CheckReport, ExplainReport, ExplainedRule, FindingReport,
    ImageQuestion, NodeStatus, PolicyStatus, ResetReport, RuleReport, StatusReport, UpstreamStatus,
};

/// The gate, seen from the admin socket and from the commands that work in process. Each call is bounded in time by
/// the gate.
pub trait AdminApi: Send + Sync + 'static {
    /// What the gate would say to a pull, and why. Leaves no tag, container or audit line behind.
    fn check(&self, question: ImageQuestion) -> BoxFuture<'_, Result<CheckReport, AdminError>>;

    /// Vouches for the origin of an image on this node.
    fn adopt(&self, request: AdoptRequest) -> BoxFuture<'_, Result<AdoptReport, AdminError>>;

    /// What only the gate knows of the node's health.
    fn status(&self) -> BoxFuture<'_, NodeStatus>;
}
