//! What every connection shares.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::budget::Budget;
use super::drain::Drain;
use super::limits::Limits;
use super::metrics::ProxyMetrics;
use crate::intercept::Interceptor;

/// What every connection shares.
pub(super) struct Shared {
    pub(super) upstream: PathBuf,
    pub(super) interceptor: Arc<dyn Interceptor>,
    pub(super) metrics: Arc<ProxyMetrics>,
    pub(super) drain: Drain,
    pub(super) budget: Budget,
    /// Calls without an answer; see [`Limits::calls`].
    pub(super) calls: Arc<Semaphore>,
    /// Ticketed calls not judged yet; see [`Limits::completions`].
    pub(super) completions: Arc<Semaphore>,
    pub(super) limits: Limits,
}

impl Shared {
    pub(super) fn new(
        upstream: PathBuf,
        interceptor: Arc<dyn Interceptor>,
        metrics: Arc<ProxyMetrics>,
        limits: Limits,
    ) -> Self {
        Self {
            upstream,
            interceptor,
            metrics,
            drain: Drain::default(),
            budget: Budget::new(limits.buffered),
            calls: Arc::new(Semaphore::new(limits.calls)),
            completions: Arc::new(Semaphore::new(limits.completions)),
            limits,
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("upstream", &self.upstream)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
