//! Stopping in three steps: GOAWAY, cut endless streams, cut everything.

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// The state of a drain and the count of what it waits for.
#[derive(Debug)]
pub(super) struct Drain {
    started: CancellationToken,
    all: CancellationToken,
    /// A child of `all`.
    streams: CancellationToken,
    calls: TaskTracker,
}

/// Held by a call that the drain waits for, until its last byte was handed to the connection.
pub(super) type Hold = TaskTrackerToken;

impl Default for Drain {
    fn default() -> Self {
        let all = CancellationToken::new();
        Self {
            started: CancellationToken::new(),
            streams: all.child_token(),
            all,
            calls: TaskTracker::new(),
        }
    }
}

impl Drain {
    /// Tells every connection to send a GOAWAY.
    pub(super) fn start(&self) {
        self.started.cancel();
        self.calls.close();
    }

    /// Completes when the drain has started.
    pub(super) async fn started(&self) {
        self.started.cancelled().await;
    }

    /// Counts a call in.
    pub(super) fn hold(&self) -> Hold {
        self.calls.token()
    }

    /// Calls counted.
    pub(super) fn calls(&self) -> usize {
        self.calls.len()
    }

    /// Completes when the drain has started and no call is left. One may still arrive afterwards, on a connection
    /// whose client has not seen the GOAWAY; it is served.
    pub(super) async fn calls_done(&self) {
        self.calls.wait().await;
    }

    /// Ends endless streams.
    pub(super) fn cut_streams(&self) {
        self.streams.cancel();
    }

    /// Ends everything.
    pub(super) fn cut_all(&self) {
        self.all.cancel();
    }

    /// What cuts a call, by its kind.
    pub(super) fn cut(&self, endless: bool) -> &CancellationToken {
        if endless { &self.streams } else { &self.all }
    }
}
