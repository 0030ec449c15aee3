//! What was found beside images and at certificate authorities: signatures, revocations, descriptions.

use std::sync::Arc;

use portcullis_policy::Digest;
use portcullis_trust::evidence::{
    ImageDescription, RevocationAnswer, RevocationWant, SignatureSet, SignatureSource,
};
use serde::Serialize;

use super::{Change, DescriptionKey, Memory, SignatureKey, removals};
use crate::store::StoreError;
use crate::store::layout;
use crate::store::sized::Sized;
use crate::store::table::Table;

impl Memory {
    pub(in crate::store) fn signatures(
        &self,
        source: &SignatureSource,
        repository: &str,
        subject: &Digest,
    ) -> Option<Arc<SignatureSet>> {
        self.signatures
            .get(&(*subject, repository.to_owned(), source.clone()))
    }

    /// Takes a set together with what an older one of the same source had.
    pub(in crate::store) fn put_signatures(
        &mut self,
        set: SignatureSet,
        changes: &mut Vec<Change>,
    ) -> Result<(), StoreError> {
        let key = signature_key(&set);
        let set = match self.signatures.get(&key) {
            // Of two answers that overlap, the newer one says what is listed now.
            Some(before) if before.gathered_at > set.gathered_at => {
                before.as_ref().clone().merged_with(&set)
            }
            Some(before) => set.merged_with(&before),
            None => set,
        };
        let limit = self.caps.found_bytes;
        put(
            Table::Signatures,
            &mut self.signatures,
            key,
            set,
            limit,
            changes,
        )
    }

    pub(in crate::store) fn revocation(
        &self,
        want: &RevocationWant,
    ) -> Option<Arc<RevocationAnswer>> {
        self.revocations.get(want)
    }

    pub(in crate::store) fn put_revocation(
        &mut self,
        answer: RevocationAnswer,
        changes: &mut Vec<Change>,
    ) -> Result<(), StoreError> {
        let key = answer.want.clone();
        let limit = self.caps.found_bytes;
        put(
            Table::Revocations,
            &mut self.revocations,
            key,
            answer,
            limit,
            changes,
        )
    }

    pub(in crate::store) fn descriptions(&self, subject: &Digest) -> Vec<Arc<ImageDescription>> {
        let stored = self
            .descriptions
            .from((*subject, Digest::from_bytes([0; 32])))
            .take_while(|((of, _), _)| of == subject);
        let aside = self
            .descriptions
            .aside()
            .filter(|((of, _), _)| of == subject);
        stored
            .chain(aside)
            .map(|(_, description)| Arc::clone(description))
            .collect()
    }

    pub(in crate::store) fn put_description(
        &mut self,
        description: ImageDescription,
        changes: &mut Vec<Change>,
    ) -> Result<(), StoreError> {
        let key = description_key(&description);
        let limit = self.caps.found_bytes;
        put(
            Table::Descriptions,
            &mut self.descriptions,
            key,
            description,
            limit,
            changes,
        )
    }
}

pub(super) fn signature_key(set: &SignatureSet) -> SignatureKey {
    (set.subject, set.repository.clone(), set.source.clone())
}

pub(super) fn description_key(description: &ImageDescription) -> DescriptionKey {
    (description.subject, Digest::of(&description.manifest))
}

fn put<K: Ord + Clone + Serialize, V: Serialize>(
    table: Table,
    records: &mut Sized<K, V>,
    key: K,
    record: V,
    limit: usize,
    changes: &mut Vec<Change>,
) -> Result<(), StoreError> {
    let change = layout::put(table, &key, &record)?;
    let size = change.value.as_ref().map_or(0, Vec::len);
    if size > limit {
        let what = table.name();
        return Err(StoreError::TooLarge { what, limit });
    }
    let (stored, gone) = records.put(key, Arc::new(record), size);
    changes.extend(removals(table, &gone));
    if !stored {
        return Err(StoreError::Full {
            table: table.name(),
        });
    }
    changes.push(change);
    Ok(())
}
