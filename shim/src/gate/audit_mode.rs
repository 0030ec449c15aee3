//! Audit mode at pull (CONTRACTS §4): what would be refused goes forward, by digest where one can be had.

use bytes::Bytes;
use portcullis_policy::Digest;

use super::Gate;
use super::judge::Subject;
use super::pull::{PullTicket, forward_by_digest};
use crate::intercept::{Before, Ticket};
use crate::registry::Auth;
use crate::store::ResolutionSource;

impl Gate {
    /// Forwards a pull that enforcement would refuse. `offered`: the digest the registry gave, if it was asked already.
    pub(super) async fn forward_in_audit(
        &self,
        message: Bytes,
        subject: Subject,
        offered: Option<Digest>,
        auth: &Auth,
    ) -> Before {
        let digest = match (subject.reference.digest(), offered) {
            (Some(digest), _) => Some(*digest),
            (None, Some(digest)) => Some(digest),
            (None, None) => {
                let found = self
                    .ask_registry(&subject.reference, auth, self.deadline())
                    .await;
                found.ok().map(|found| found.digest)
            }
        };
        let source = ResolutionSource::Registry;
        if let Some(digest) = digest {
            return forward_by_digest(&message, subject, digest, source, false);
        }
        let ticket = PullTicket {
            subject,
            digest: None,
            source,
            enforced: false,
        };
        Before::Forward {
            message,
            ticket: Some(Ticket(Box::new(ticket))),
        }
    }
}
