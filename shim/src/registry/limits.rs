//! Hosts that asked to be left alone (429 with `Retry-After`): until then no request is sent to them with the same
//! credentials, whatever it is about. Others with other credentials have a limit of their own.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::auth::Fingerprint;

/// Limits remembered; those that end first are forgotten first.
const MAX_REMEMBERED: usize = 256;

/// Whose requests a host limits: its origin, and the credentials shown to it.
pub(super) type LimitKey = (String, Fingerprint);

/// What hosts asked for.
#[derive(Debug, Default)]
pub(super) struct Limits(Mutex<HashMap<LimitKey, Instant>>);

impl Limits {
    /// How long the host still wants to be left alone.
    pub(super) fn wait(&self, key: &LimitKey) -> Option<Duration> {
        let wait = self
            .lock()
            .get(key)?
            .saturating_duration_since(Instant::now());
        (!wait.is_zero()).then_some(wait)
    }

    /// Remembers what the host asked for.
    pub(super) fn remember(&self, key: LimitKey, wait: Duration) {
        let now = Instant::now();
        let mut limits = self.lock();
        limits.retain(|_, until| *until > now);
        if limits.len() >= MAX_REMEMBERED && !limits.contains_key(&key) {
            let soonest = limits.iter().min_by_key(|(_, until)| **until);
            if let Some(soonest) = soonest.map(|(key, _)| key.clone()) {
                limits.remove(&soonest);
            }
        }
        limits.insert(key, now + wait.min(super::retry_after::CAP));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LimitKey, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::auth::Auth;
    use super::*;

    fn key(host: &str, user: &str) -> LimitKey {
        let auth = Auth::Basic {
            username: user.to_owned(),
            password: String::new(),
        };
        (host.to_owned(), auth.fingerprint())
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_is_for_one_host_and_one_user_and_ends_when_the_host_said() {
        let limits = Limits::default();
        limits.remember(key("r", "alice"), Duration::from_secs(7));
        assert!(limits.wait(&key("r", "alice")).is_some());
        assert!(limits.wait(&key("r", "bob")).is_none());
        assert!(limits.wait(&key("s", "alice")).is_none());
        tokio::time::advance(Duration::from_secs(7)).await;
        assert!(limits.wait(&key("r", "alice")).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn no_host_is_left_alone_for_more_than_a_minute_and_no_crowd_of_them_is_remembered() {
        let limits = Limits::default();
        limits.remember(key("r", "alice"), Duration::from_hours(9));
        assert!(limits.wait(&key("r", "alice")) <= Some(Duration::from_mins(1)));
        for number in 0..2 * MAX_REMEMBERED {
            limits.remember(key(&number.to_string(), "alice"), Duration::from_secs(5));
        }
        assert!(limits.lock().len() <= MAX_REMEMBERED);
    }
}
