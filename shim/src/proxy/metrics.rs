//! Counters of the proxy, for telemetry to read.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters since the start. Cheap to raise; readers take a [`ProxyMetrics::snapshot`].
#[derive(Debug, Default)]
pub struct ProxyMetrics {
    passed: Counter,
    gated_forwarded: Counter,
    refused: Counter,
    malformed: Counter,
    unimplemented: Counter,
    overloaded: Counter,
    upstream_unavailable: Counter,
    upstream_lost: Counter,
    upstream_connects: Counter,
    connections: Counter,
    in_flight: Gauge,
    open_connections: Gauge,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProxySnapshot {
    /// Calls passed through unread whose answer began to arrive.
    pub passed: u64,
    /// Calls read and forwarded; if their answer was replaced they count under `refused` as well.
    pub gated_forwarded: u64,
    /// Calls that the gate refused, before or after containerd saw them.
    pub refused: u64,
    /// Calls refused for their form: not gRPC, a bad frame, too large, too slow.
    pub malformed: u64,
    /// Calls of methods that are not in the table.
    pub unimplemented: u64,
    /// Calls beyond [`super::Limits::calls`], [`super::Limits::completions`] or the buffer budget.
    pub overloaded: u64,
    /// Calls answered UNAVAILABLE because containerd could not be reached or went away before it answered.
    pub upstream_unavailable: u64,
    /// Answers that broke off midway and were ended with UNAVAILABLE.
    pub upstream_lost: u64,
    /// Connections made to containerd.
    pub upstream_connects: u64,
    /// Connections accepted.
    pub connections: u64,
    /// Calls that have no answer yet.
    pub in_flight: u64,
    /// Connections open now.
    pub open_connections: u64,
}

impl ProxyMetrics {
    /// The counters now.
    pub fn snapshot(&self) -> ProxySnapshot {
        ProxySnapshot {
            passed: self.passed.get(),
            gated_forwarded: self.gated_forwarded.get(),
            refused: self.refused.get(),
            malformed: self.malformed.get(),
            unimplemented: self.unimplemented.get(),
            overloaded: self.overloaded.get(),
            upstream_unavailable: self.upstream_unavailable.get(),
            upstream_lost: self.upstream_lost.get(),
            upstream_connects: self.upstream_connects.get(),
            connections: self.connections.get(),
            in_flight: self.in_flight.get(),
            open_connections: self.open_connections.get(),
        }
    }

    pub(super) fn count(&self, outcome: Outcome) {
        match outcome {
            Outcome::Passed => &self.passed,
            Outcome::GatedForwarded => &self.gated_forwarded,
            Outcome::Refused => &self.refused,
            Outcome::Malformed => &self.malformed,
            Outcome::Unimplemented => &self.unimplemented,
            Outcome::Overloaded => &self.overloaded,
            Outcome::UpstreamUnavailable => &self.upstream_unavailable,
            Outcome::UpstreamLost => &self.upstream_lost,
            Outcome::UpstreamConnected => &self.upstream_connects,
            Outcome::Accepted => &self.connections,
        }
        .add();
    }

    pub(super) fn call(&self) -> Raised<'_> {
        self.in_flight.raise()
    }

    pub(super) fn connection(&self) -> Raised<'_> {
        self.count(Outcome::Accepted);
        self.open_connections.raise()
    }
}

/// What is counted; see [`ProxySnapshot`].
#[derive(Debug, Clone, Copy)]
pub(super) enum Outcome {
    Passed,
    GatedForwarded,
    Refused,
    Malformed,
    Unimplemented,
    Overloaded,
    UpstreamUnavailable,
    UpstreamLost,
    UpstreamConnected,
    Accepted,
}

#[derive(Debug, Default)]
struct Counter(AtomicU64);

impl Counter {
    fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
struct Gauge(AtomicU64);

impl Gauge {
    fn raise(&self) -> Raised<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Raised(&self.0)
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A gauge raised by one until dropped.
#[derive(Debug)]
pub(super) struct Raised<'a>(&'a AtomicU64);

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
