//! Tells the store what is still there, so that it can give up what is not (docs/rules.md: evidence is evicted only when
//! no image known to CRI links to it).

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Gate;
use crate::containerd::ContainerdError;

/// How often.
const EVERY: Duration = Duration::from_mins(10);
/// Time for each question to containerd.
const QUESTION: Duration = Duration::from_secs(10);

impl Gate {
    /// Tidies now and then. Runs until dropped.
    pub async fn keep_tidy(&self) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.tidy().await {
                tracing::debug!(%error, "nothing was tidied");
            }
        }
    }

    async fn tidy(&self) -> Result<(), ContainerdError> {
        let (containerd, store) = (&self.inner.parts.containerd, &self.inner.parts.store);
        let images = containerd.images_in_view(Instant::now() + QUESTION).await?;
        store.retain(&images.into_iter().map(|image| image.id).collect());
        let sandboxes = containerd.sandboxes(Instant::now() + QUESTION).await?;
        store.retain_sandboxes(&sandboxes.into_iter().map(|sandbox| sandbox.id).collect());
        Ok(())
    }
}
