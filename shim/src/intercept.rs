//! What passes between the proxy and the gate. The proxy knows nothing of policy, the gate nothing of HTTP.

use std::any::Any;
use std::fmt;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use portcullis_proto::method::Method;

/// A gRPC status that ends a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// One of [`portcullis_proto::code`].
    pub code: i32,
    /// `grpc-message`, not yet percent-encoded.
    pub message: String,
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Before {
    /// It goes to containerd as this message (unframed protobuf).
    Forward {
        /// The message to send.
        message: Bytes,
        /// Handed back with the answer; `None`: the answer passes through unread, as frames.
        ticket: Option<Ticket>,
    },
    /// It is answered with this status and containerd never sees it.
    Refuse(Refusal),
}

/// What becomes of an answer.
#[derive(Debug, PartialEq, Eq)]
pub enum After {
    /// It goes to the client as it came, byte for byte.
    Pass,
    /// The client gets this status instead.
    Refuse(Refusal),
}

/// What the gate wants to remember between request and answer. Opaque to the proxy.
pub struct Ticket(pub Box<dyn Any + Send>);

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket")
    }
}

/// What containerd answered to a call that has a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// gRPC status; [`portcullis_proto::code::UNAVAILABLE`] if the connection was lost.
    pub code: i32,
    /// The reply message (unframed), where there was one.
    pub message: Option<Bytes>,
}

/// The gate, seen from the proxy. Both calls run off the proxy's thread and are bounded in time by the gate.
///
/// Dropping the future of [`Interceptor::before`] or [`Interceptor::after`] means that the client went away; work
/// shared with others goes on.
pub trait Interceptor: Send + Sync + 'static {
    /// Judges the request of a method whose `gate` or `learn` flag is set.
    fn before(&self, method: &'static Method, message: Bytes) -> BoxFuture<'static, Before>;

    /// Takes the answer of a call that was forwarded with a ticket.
    fn after(&self, ticket: Ticket, reply: Reply) -> BoxFuture<'static, After>;
}
