//! After a digest pull: the tag (docs/rules.md). The record is made for people and for the kubelet; safety never depends on
//! it, nor on the locks here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portcullis_policy::Digest;
use portcullis_trust::{Denial, DenialReason};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};

use super::judge::Subject;
use super::judge_pull::{Judged, PullVerdict};
use super::{Gate, refusal};
use crate::containerd::{ContainerdError, ImageRecord};
use crate::intercept::Refusal;
use crate::store::{Resolution, ResolutionSource};

/// How long CRI's view may take to show the record (measured: about 10 ms).
const VIEW: Duration = Duration::from_secs(5);
/// How long a tag move waits for a create that is due.
const DUE: Duration = Duration::from_secs(2);
/// First and longest pause between looks at CRI's view.
const POLL: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(200));
/// Most creates that are waited for at once.
const MAX_DUE: usize = 1024;

struct Due {
    record: String,
    namespace: Option<String>,
    until: Instant,
}

/// Locks per record name, and the creates that are due after a pull.
#[derive(Default)]
pub(super) struct TagMoves {
    locks: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    due: Mutex<Vec<Due>>,
    served: Notify,
}

impl TagMoves {
    fn lock_for(&self, record: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        Arc::clone(locks.entry(record.to_owned()).or_default())
    }

    /// A pull in `namespace` ended with `record`: its create is due.
    fn expect(&self, record: &str, namespace: Option<&str>) {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        due.retain(|entry| entry.until > now);
        if due.len() < MAX_DUE {
            let namespace = namespace.map(str::to_owned);
            due.push(Due {
                record: record.to_owned(),
                namespace,
                until: now + DUE,
            });
        }
    }

    /// The create came.
    pub(super) fn serve(&self, record: &str, namespace: Option<&str>) {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        due.retain(|entry| entry.record != record || entry.namespace.as_deref() != namespace);
        drop(due);
        self.served.notify_waiters();
    }

    fn last_due(&self, record: &str, namespace: Option<&str>) -> Option<Instant> {
        let due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let others = due
            .iter()
            .filter(|entry| entry.record == record && entry.namespace.as_deref() != namespace);
        others
            .map(|entry| entry.until)
            .filter(|until| *until > now)
            .max()
    }

    /// Waits until no other namespace's create is due for `record`, at most [`DUE`].
    async fn wait_for_others(&self, record: &str, namespace: Option<&str>) {
        loop {
            let served = self.served.notified();
            let Some(until) = self.last_due(record, namespace) else {
                return;
            };
            if timeout_at(until, served).await.is_err() {
                return;
            }
        }
    }
}

impl Gate {
    /// Remembers the digest accepted for a reference in a namespace.
    pub(super) fn remember(&self, subject: &Subject, digest: Digest, source: ResolutionSource) {
        let reference = subject.reference.normalised();
        let known = self
            .inner
            .parts
            .store
            .resolution(subject.namespace(), &reference);
        if known.is_some_and(|known| known.digest == digest) {
            return;
        }
        self.inner.parts.store.put_resolution(Resolution {
            namespace: subject.namespace.clone(),
            reference,
            digest,
            source,
            gathered_at: self.now(),
        });
    }

    /// Makes `repo:tag` name the image just pulled, as the kubelet will ask for it, and waits until CRI shows it. On
    /// failure the record is as it was.
    pub(super) async fn move_tag(
        &self,
        subject: &Subject,
        digest: Digest,
        image: Digest,
    ) -> Result<(), Refusal> {
        let Some(record) = subject.reference.tag_record_name() else {
            return Ok(());
        };
        let until = Instant::now() + DUE + VIEW;
        let lock = self.inner.tags.lock_for(&record);
        let Ok(_held) = timeout_at(until, lock.lock()).await else {
            return Err(refusal::unavailable(&format!(
                "the tag {record} is being moved by other pulls, try again"
            )));
        };
        let containerd = &self.inner.parts.containerd;
        let current = containerd
            .image_record(&record, until)
            .await
            .map_err(|error| refusal::containerd(&error))?;
        let in_place = current
            .as_ref()
            .is_some_and(|current| current.target == digest);
        if !in_place {
            self.inner
                .tags
                .wait_for_others(&record, subject.namespace())
                .await;
        }
        let deadline = Instant::now() + VIEW;
        let pulled = subject.reference.at_digest(&digest);
        let previous = if in_place {
            None
        } else {
            let like = containerd
                .image_record(&pulled, deadline)
                .await
                .map_err(|error| refusal::containerd(&error))?;
            let like = like.filter(|like| like.target == digest).ok_or_else(|| {
                refusal::unavailable(&format!(
                    "containerd has no record {pulled} after pulling it, try again"
                ))
            })?;
            match containerd.point_record(&record, &like, deadline).await {
                Ok(previous) => previous,
                Err(error) => {
                    if matches!(error, ContainerdError::Timeout { .. }) {
                        // Perhaps it was done all the same.
                        self.put_back(&record, current.as_ref()).await;
                    }
                    return Err(refusal::containerd(&error));
                }
            }
        };
        if self.shown(&record, &image, deadline).await {
            self.inner.tags.expect(&record, subject.namespace());
            return Ok(());
        }
        if !in_place {
            self.put_back(&record, previous.as_ref()).await;
        }
        Err(refusal::unavailable(&format!(
            "the image was pulled, but containerd does not show it as {record}; the tag was put back, try again"
        )))
    }

    async fn shown(&self, record: &str, image: &Digest, deadline: Instant) -> bool {
        let (mut pause, longest) = POLL;
        while Instant::now() < deadline {
            if let Ok(Some(shown)) = self
                .inner
                .parts
                .containerd
                .image_status(record, deadline)
                .await
                && shown.id == *image
            {
                return true;
            }
            sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
        false
    }

    async fn put_back(&self, record: &str, previous: Option<&ImageRecord>) {
        let deadline = Instant::now() + VIEW;
        if let Err(error) = self
            .inner
            .parts
            .containerd
            .restore_record(record, previous, deadline)
            .await
        {
            tracing::warn!(%record, %error, "the tag could not be put back as it was");
        }
    }

    /// Bootstrap tags are never moved by a pod's pull: what distributes policy keeps its name.
    pub(super) async fn guard_reserved_tag(
        &self,
        subject: &Subject,
        verdict: PullVerdict,
        deadline: Instant,
    ) -> PullVerdict {
        let PullVerdict::Allow {
            digest, decision, ..
        } = &verdict
        else {
            return verdict;
        };
        let Some(record) = subject.reference.tag_record_name() else {
            return verdict;
        };
        if !self.is_reserved_tag(subject, digest, deadline).await {
            return verdict;
        }
        let mut decision = decision.clone();
        decision.denial = Some(Denial {
            reason: DenialReason::NotSatisfied,
            text: format!(
                "{} may not move the tag {record}: it names an image of this node's bootstrap list; use a digest",
                refusal::namespace_words(subject.namespace())
            ),
        });
        PullVerdict::Deny {
            // Allowed but for its name: in audit it is what goes forward.
            judged: Some(Judged {
                digest: *digest,
                source: ResolutionSource::Registry,
            }),
            decision,
        }
    }

    /// Whether the tag names an image of the bootstrap list, or containerd does not say, and `digest` is none.
    pub(super) async fn is_reserved_tag(
        &self,
        subject: &Subject,
        digest: &Digest,
        deadline: Instant,
    ) -> bool {
        let bootstrap = &subject.active.policy.bootstrap.images;
        let repository = subject.reference.repository();
        let reserved = |target: &Digest| {
            bootstrap
                .iter()
                .any(|image| image.repository == repository && image.digest == *target)
        };
        let Some(record) = subject.reference.tag_record_name() else {
            return false;
        };
        if !bootstrap.iter().any(|image| image.repository == repository) || reserved(digest) {
            return false;
        }
        let held = self
            .inner
            .parts
            .containerd
            .image_record(&record, deadline)
            .await;
        match held {
            Ok(held) => held.is_some_and(|held| reserved(&held.target)),
            Err(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_move_waits_for_another_namespaces_create_and_no_longer_than_the_limit() {
        let moves = TagMoves::default();
        moves.expect("r/app:1", Some("a"));
        assert!(
            moves
                .wait_for_others("r/app:1", Some("b"))
                .now_or_never()
                .is_none(),
            "a's create is due"
        );
        assert!(
            moves
                .wait_for_others("r/app:1", Some("a"))
                .now_or_never()
                .is_some(),
            "a itself need not wait"
        );
        assert!(
            moves
                .wait_for_others("r/other:1", Some("b"))
                .now_or_never()
                .is_some()
        );
        let begun = Instant::now();
        moves.wait_for_others("r/app:1", Some("b")).await;
        assert!(begun.elapsed() <= DUE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_move_goes_on_once_the_create_came() {
        let moves = TagMoves::default();
        moves.expect("r/app:1", Some("a"));
        let begun = Instant::now();
        let create = async { moves.serve("r/app:1", Some("a")) };
        tokio::join!(moves.wait_for_others("r/app:1", Some("b")), create);
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
