//! Hosts that were seen to lack the referrers API: asking them for it again would be a request for nothing.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::registry::hosts::Host;

/// How long it is remembered.
const LIFE: Duration = Duration::from_mins(10);
/// Hosts for which it is.
const MAX_HOSTS: usize = 64;

/// What was seen.
#[derive(Debug, Default)]
pub(in super::super) struct ApiMemory(Mutex<HashMap<String, Instant>>);

impl ApiMemory {
    /// Whether `host` was seen to lack the API.
    pub(super) fn lacks_api(&self, host: &Host) -> bool {
        self.lock()
            .get(&key(host))
            .is_some_and(|until| Instant::now() < *until)
    }

    /// Remembers that `host` lacks the API.
    pub(super) fn note(&self, host: &Host) {
        let now = Instant::now();
        let mut hosts = self.lock();
        hosts.retain(|_, until| *until > now);
        if hosts.len() < MAX_HOSTS {
            hosts.insert(key(host), now + LIFE);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A mirror may stand in for registries with the API and for others without.
fn key(host: &Host) -> String {
    let namespace = host.namespace.as_deref().unwrap_or_default();
    format!("{}{} {namespace}", host.base.authority, host.base.path)
}
