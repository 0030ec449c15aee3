//! The last time recorded: what notices a clock that jumped backwards (docs/architecture.md).

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::Gate;

/// How often the time is recorded.
const EVERY: Duration = Duration::from_mins(1);

impl Gate {
    /// Records the time, and says so once when the clock is behind it. Runs until dropped.
    pub async fn keep_time(&self) {
        let parts = &self.inner.parts;
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut behind = false;
        loop {
            ticks.tick().await;
            let now = parts.clock.now();
            let last = parts.store.last_time();
            let was_behind = std::mem::replace(&mut behind, last.is_some_and(|last| now < last));
            if behind && !was_behind {
                let last = last.unwrap_or(now);
                tracing::error!(%now, %last, "the clock jumped back; until it is right, the last time recorded counts");
            }
            if !behind {
                parts.store.put_last_time(now);
            }
        }
    }
}
