//! Audit mode (docs/rules.md): what would be refused goes forward, a pull by digest where one can be had.

use std::time::Duration;

use bytes::Bytes;
use portcullis_policy::Digest;
use portcullis_policy::model::Mode;
use tokio::time::Instant;

use super::judge::Subject;
use super::judge_pull::Judged;
use super::pull::forward_by_digest;
use super::{Gate, refusal};
use crate::intercept::{Before, Refusal};
use crate::registry::Auth;
use crate::store::ResolutionSource;

/// Time for a question to containerd, at least.
const QUESTION: Duration = Duration::from_secs(2);

impl Gate {
    /// Forwards a pull that enforcement would refuse. `judged`: the digest that the rules which are enforced, if there are
    /// any, allow.
    pub(super) async fn forward_in_audit(
        &self,
        message: Bytes,
        subject: Subject,
        judged: Option<Judged>,
        auth: &Auth,
        deadline: Instant,
    ) -> Before {
        if subject.mode() == Mode::Enforce {
            // What another rule audits does not open the way for anything that this one was not asked about.
            return match judged {
                Some(Judged { digest, source }) => {
                    forward_by_digest(&message, subject, digest, source, true)
                }
                None => Before::Refuse(refusal::policy_says_no("the image was refused")),
            };
        }
        let digest = match (subject.reference.digest(), judged.and_then(Judged::offered)) {
            (Some(digest), _) => Some(*digest),
            (None, Some(digest)) => Some(digest),
            (None, None) => {
                let found = self.ask_registry(&subject.reference, auth, deadline).await;
                found.ok().map(|found| found.digest)
            }
        };
        let source = ResolutionSource::Registry;
        match digest {
            Some(digest) => {
                self.forward_if_taggable(message, subject, digest, source, deadline)
                    .await
            }
            None => unchanged(message),
        }
    }

    /// Forwards a pull by digest, unless the tag could not be recorded afterwards.
    pub(super) async fn forward_if_taggable(
        &self,
        message: Bytes,
        subject: Subject,
        digest: Digest,
        source: ResolutionSource,
        deadline: Instant,
    ) -> Before {
        if self.can_tag(&subject, deadline).await {
            forward_by_digest(&message, subject, digest, source, false)
        } else {
            unchanged(message)
        }
    }

    /// Whether a tag could be recorded after a pull by digest. If not, the pull goes forward as it came: a tag that the
    /// kubelet does not find after its pull makes it run the image as root.
    async fn can_tag(&self, subject: &Subject, deadline: Instant) -> bool {
        let Some(record) = subject.reference.tag_record_name() else {
            return true;
        };
        // The judgement may have used the budget up in waiting for others, and this is asked of the node itself.
        let deadline = deadline.max(Instant::now() + QUESTION);
        let containerd = &self.inner.parts.containerd;
        match containerd.image_record(&record, deadline).await {
            Ok(_) => true,
            Err(error) => {
                tracing::warn!(%record, %error, "audit: pulled by tag, as the tag could not be recorded after a pull by digest");
                false
            }
        }
    }

    /// Nothing could be judged, because of something other than the image: refused, but audit mode breaks nothing that
    /// worked without us.
    pub(super) fn without_verdict(&self, mode: Mode, message: Bytes, refusal: Refusal) -> Before {
        let node = self.inner.parts.policy.current().policy.node_mode;
        if mode == Mode::Enforce && node == Mode::Enforce {
            return Before::Refuse(refusal);
        }
        tracing::warn!(text = refusal.message, "audit: the call would be refused");
        unchanged(message)
    }
}

fn unchanged(message: Bytes) -> Before {
    Before::Forward {
        message,
        ticket: None,
    }
}
