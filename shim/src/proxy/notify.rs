//! What systemd is told (`sd_notify`): ready, reloading, stopping, a status line, watchdog pings. Without systemd nothing
//! is sent. Messages only; descriptors come through [`super::listener`].

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};

/// Sends READY=1 once every part of the start-up has said so.
#[derive(Debug)]
pub struct Readiness(Arc<AtomicUsize>);

/// One part of the start-up. Dropped without [`Pending::ready`] the daemon never becomes ready, and systemd ends it.
#[derive(Debug)]
#[must_use = "the daemon is ready once `ready` is called on every part"]
pub struct Pending {
    left: Arc<AtomicUsize>,
    part: &'static str,
}

impl Readiness {
    /// A start-up of which this value is the first part: ready no sooner than [`Readiness::started`] is called.
    #[expect(
        clippy::new_without_default,
        reason = "a default readiness reads as being ready"
    )]
    pub fn new() -> Self {
        Self(Arc::new(AtomicUsize::new(1)))
    }

    /// Adds a part to wait for.
    pub fn part(&self, part: &'static str) -> Pending {
        self.0.fetch_add(1, Ordering::AcqRel);
        Pending {
            left: Arc::clone(&self.0),
            part,
        }
    }

    /// Every part has been added.
    pub fn started(self) {
        finish(&self.0);
    }
}

impl Pending {
    /// This part is ready.
    pub fn ready(self) {
        tracing::debug!(part = self.part, "ready");
        finish(&self.left);
    }
}

fn finish(left: &AtomicUsize) {
    if left.fetch_sub(1, Ordering::AcqRel) == 1 {
        send(&[NotifyState::Ready]);
    }
}

/// The daemon begins to drain.
pub fn stopping() {
    send(&[NotifyState::Stopping]);
}

/// The policy is being reloaded; [`reloaded`] must follow (`Type=notify-reload`).
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(_) => send(&[NotifyState::Reloading]),
    }
}

/// The reload ended, well or not.
pub fn reloaded() {
    send(&[NotifyState::Ready]);
}

/// One line for `systemctl status`.
pub fn status(line: &str) {
    // A newline would begin another assignment.
    let line = line.replace(['\n', '\r'], " ");
    send(&[NotifyState::Status(&line)]);
}

/// Pings the watchdog twice per `WatchdogSec=`; completes at once where there is none. Run it on the proxy's runtime: it
/// vouches that this runtime turns.
pub async fn watchdog() {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return;
    };
    let half = limit / 2;
    if half.is_zero() {
        return;
    }
    let mut ticks = interval(half);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        send(&[NotifyState::Watchdog]);
    }
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd could not be notified");
    }
}
