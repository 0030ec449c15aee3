//! The bounds of the proxy.

use std::time::Duration;

/// Every bound of the proxy that may need another value in a test or on an unusual node.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections served at a time; more wait in the socket's backlog. The kubelet has two, crictl one per run.
    pub connections: usize,
    /// Streams a client may have open on one connection; more wait in the client, as HTTP/2 says.
    pub streams: u32,
    /// Calls on all connections that have no answer yet; more are answered `RESOURCE_EXHAUSTED`.
    pub calls: usize,
    /// Calls forwarded with a ticket and not judged yet; more are answered `RESOURCE_EXHAUSTED`.
    pub completions: usize,
    /// Bytes of gated requests and answers held at a time, over all calls.
    pub buffered: usize,
    /// How long the body of a gated request may take to arrive, waiting for a share of `buffered` included.
    pub request_body: Duration,
    /// How long a call waits for a connection to containerd, if its own `grpc-timeout` is not shorter.
    pub upstream_wait: Duration,
    /// How long a call that must be completed may take after it was forwarded. The kubelet's longest deadline of such a
    /// call is 4 minutes (`RunPodSandbox`).
    pub completion: Duration,
    /// How long calls may take to finish once the proxy is told to stop.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            streams: 1024,
            calls: 4096,
            completions: 256,
            buffered: 64 * 1024 * 1024,
            request_body: Duration::from_secs(10),
            upstream_wait: Duration::from_secs(5),
            completion: Duration::from_mins(10),
            drain: Duration::from_secs(2),
        }
    }
}
