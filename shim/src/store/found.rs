//! Signatures, revocations and descriptions: what the gate reads and writes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use portcullis_policy::Digest;
use portcullis_trust::evidence::{
    ImageDescription, RevocationAnswer, RevocationWant, SignatureSet, SignatureSource,
};

use super::Store;
use super::memory::{Change, Memory};
use crate::store::StoreError;

impl Store {
    /// What a source had for a digest in a repository.
    pub fn signatures(
        &self,
        source: &SignatureSource,
        repository: &str,
        subject: &Digest,
    ) -> Option<Arc<SignatureSet>> {
        self.memory().signatures(source, repository, subject)
    }

    /// Takes what a source has now. What an older set had stays, with its age ([`SignatureSet::merged_with`]).
    pub fn put_signatures(&self, set: SignatureSet) {
        self.found(|memory, changes| memory.put_signatures(set, changes));
    }

    /// The answer to a question to a certificate authority.
    pub fn revocation(&self, want: &RevocationWant) -> Option<Arc<RevocationAnswer>> {
        self.memory().revocation(want)
    }

    /// Takes an answer. Whoever calls this has checked that it is one.
    pub fn put_revocation(&self, answer: RevocationAnswer) {
        self.found(|memory, changes| memory.put_revocation(answer, changes));
    }

    /// What an image says about itself, for every platform that is known.
    pub fn descriptions(&self, subject: &Digest) -> Vec<Arc<ImageDescription>> {
        self.memory().descriptions(subject)
    }

    /// Takes a description.
    pub fn put_description(&self, description: ImageDescription) {
        self.found(|memory, changes| memory.put_description(description, changes));
    }

    /// What gave way is written down even where the record itself found no room.
    fn found(&self, put: impl FnOnce(&mut Memory, &mut Vec<Change>) -> Result<(), StoreError>) {
        if let Err(error) = self.change(put) {
            self.inner.refused.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%error, "a record is not in the store; it is held in memory for a while if it is not too large");
        }
    }
}
