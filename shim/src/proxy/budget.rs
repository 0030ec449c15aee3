//! A bound on the bytes held by all calls together.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One permit stands for this many bytes, so that 16 MiB fit in the semaphore's counts.
const UNIT: usize = 1024;

/// Bytes that may be held at a time.
#[derive(Debug, Clone)]
pub(super) struct Budget(Arc<Semaphore>);

/// A share of the budget, given back when dropped.
#[derive(Debug)]
pub(super) struct Share(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes / UNIT)))
    }

    /// Waits for a share of `bytes`. `None`: more than can be had, or nothing is given any more.
    pub(super) async fn share(&self, bytes: usize) -> Option<Share> {
        let permits = u32::try_from(bytes.div_ceil(UNIT)).ok()?;
        Arc::clone(&self.0)
            .acquire_many_owned(permits)
            .await
            .ok()
            .map(Share)
    }

    /// A share of `bytes`, if it can be had at once.
    pub(super) fn try_share(&self, bytes: usize) -> Option<Share> {
        let permits = u32::try_from(bytes.div_ceil(UNIT)).ok()?;
        Arc::clone(&self.0)
            .try_acquire_many_owned(permits)
            .ok()
            .map(Share)
    }
}
