//! A circuit breaker: a host that keeps failing is left alone for a while, then asked by one request at a time.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Consecutive failures that open it.
const THRESHOLD: u32 = 5;
/// How long it stays open.
const PAUSE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant },
    Probing,
}

/// The breaker of one host.
#[derive(Debug)]
pub(crate) struct Breaker(Mutex<State>);

impl Default for Breaker {
    fn default() -> Self {
        Self(Mutex::new(State::Closed { failures: 0 }))
    }
}

/// Leave to send one request. Dropped without a verdict (the caller went away) it counts neither way.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    breaker: &'a Breaker,
    probe: bool,
    spent: bool,
}

impl Breaker {
    /// Leave to send a request now; `None` while the host is left alone, or while another request probes it.
    pub(crate) fn enter(&self) -> Option<Pass<'_>> {
        let mut state = self.lock();
        let probe = match *state {
            State::Closed { .. } => false,
            State::Open { until } if Instant::now() >= until => {
                *state = State::Probing;
                true
            }
            State::Open { .. } | State::Probing => return None,
        };
        Some(Pass {
            breaker: self,
            probe,
            spent: false,
        })
    }

    /// Whether a request would be refused now.
    pub(crate) fn refuses(&self) -> bool {
        match *self.lock() {
            State::Closed { .. } => false,
            State::Open { until } => Instant::now() < until,
            State::Probing => true,
        }
    }

    /// Whether the host failed so often that it is left alone, or asked by one request at a time. It lasts until a
    /// request succeeds.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(*self.lock(), State::Closed { .. })
    }

    /// Whether nothing is remembered about the host.
    pub(crate) fn is_untouched(&self) -> bool {
        *self.lock() == State::Closed { failures: 0 }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is a plain value, whole at every moment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// The host answered. Whether that closed the breaker.
    pub(crate) fn succeeded(mut self) -> bool {
        self.spent = true;
        let before = std::mem::replace(&mut *self.breaker.lock(), State::Closed { failures: 0 });
        !matches!(before, State::Closed { .. })
    }

    /// The host failed: no connection, no answer in time, or a 5xx. Whether that opened the breaker.
    pub(crate) fn failed(mut self) -> bool {
        self.spent = true;
        let mut state = self.breaker.lock();
        let before = *state;
        *state = match before {
            State::Closed { failures } if failures.saturating_add(1) < THRESHOLD => State::Closed {
                failures: failures.saturating_add(1),
            },
            // A straggler must not lengthen a pause that has begun.
            State::Open { until } => State::Open { until },
            // Nor end a probe that is not its own.
            State::Probing if !self.probe => State::Probing,
            State::Closed { .. } | State::Probing => State::Open {
                until: Instant::now() + PAUSE,
            },
        };
        matches!(before, State::Closed { .. }) && matches!(*state, State::Open { .. })
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.probe && !self.spent {
            *self.breaker.lock() = State::Open {
                until: Instant::now(),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(breaker: &Breaker) {
        for _ in 0..THRESHOLD {
            breaker.enter().unwrap().failed();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn five_failures_in_a_row_open_it_and_a_success_between_them_does_not() {
        let breaker = Breaker::default();
        for _ in 0..20 {
            for _ in 0..4 {
                breaker.enter().unwrap().failed();
            }
            breaker.enter().unwrap().succeeded();
        }
        assert!(!breaker.refuses());
        open(&breaker);
        assert!(breaker.refuses());
        assert!(breaker.enter().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn after_thirty_seconds_exactly_one_request_probes() {
        let breaker = Breaker::default();
        open(&breaker);
        tokio::time::advance(Duration::from_secs(29)).await;
        assert!(breaker.enter().is_none());
        tokio::time::advance(Duration::from_secs(1)).await;
        let probe = breaker.enter().unwrap();
        assert!(breaker.enter().is_none());
        probe.failed();
        assert!(breaker.enter().is_none());
        tokio::time::advance(PAUSE).await;
        breaker.enter().unwrap().succeeded();
        assert!(breaker.is_untouched());
    }

    #[tokio::test(start_paused = true)]
    async fn opening_and_closing_are_each_told_once_and_between_them_it_counts_as_open() {
        let breaker = Breaker::default();
        for _ in 1..THRESHOLD {
            assert!(!breaker.enter().unwrap().failed());
        }
        let straggler = breaker.enter().unwrap();
        assert!(!breaker.is_open());
        assert!(breaker.enter().unwrap().failed());
        assert!(!straggler.failed());
        tokio::time::advance(PAUSE).await;
        assert!(breaker.is_open(), "nobody has seen the host answer");
        assert!(!breaker.enter().unwrap().failed());
        tokio::time::advance(PAUSE).await;
        assert!(breaker.enter().unwrap().succeeded());
        assert!(!breaker.is_open());
        assert!(!breaker.enter().unwrap().succeeded());
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_whose_caller_went_away_does_not_block_the_host_for_ever() {
        let breaker = Breaker::default();
        open(&breaker);
        tokio::time::advance(PAUSE).await;
        drop(breaker.enter().unwrap());
        assert!(breaker.enter().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn stragglers_do_not_lengthen_the_pause() {
        let breaker = Breaker::default();
        let straggler = breaker.enter().unwrap();
        open(&breaker);
        tokio::time::advance(Duration::from_secs(20)).await;
        straggler.failed();
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(breaker.enter().is_some());
    }
}
