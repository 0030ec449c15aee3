//! Signatures and attestations as they were found beside an image. Nothing here is verified.

use std::collections::{BTreeMap, HashSet};

use portcullis_policy::Digest;
use portcullis_policy::model::LookasideUrl;

use crate::time::Timestamp;

/// Where signatures of one system are looked for.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub enum SignatureSource {
    /// Sigstore bundles: OCI referrers, or the index under the tag `sha256-<hex>`.
    Bundles,
    /// cosign's legacy signatures: the tag `sha256-<hex>.sig`.
    CosignSignatures,
    /// cosign's legacy attestations: the tag `sha256-<hex>.att`.
    CosignAttestations,
    /// notation envelopes: OCI referrers, or the index under the tag `sha256-<hex>`.
    Notation,
    /// Simple signing in a lookaside store, by its base URL.
    Lookaside(String),
    /// Simple signing by the registry's own extension.
    RegistryExtension,
}

/// What an artefact is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub enum ArtefactKind {
    /// A Sigstore bundle (JSON, `application/vnd.dev.sigstore.bundle…`).
    SigstoreBundle,
    /// Simple-signing payload of a legacy cosign signature; signature, certificate and log entry are annotations.
    CosignSignature,
    /// DSSE envelope of a legacy cosign attestation; certificate and log entry are annotations.
    CosignAttestation,
    /// notation envelope, `application/jose+json`.
    NotationJws,
    /// notation envelope, `application/cose`.
    NotationCose,
    /// OpenPGP message with a simple-signing payload.
    SimpleSigning,
}

/// One signed artefact.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Artefact {
    /// What it is.
    pub kind: ArtefactKind,
    /// Its bytes, whose digest the registry's manifest named (lookaside: as they came).
    #[serde(with = "super::signature::base64_bytes")]
    pub bytes: Vec<u8>,
    /// Annotations of its layer. Empty but for the legacy kinds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// An artefact that is not listed any more.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EarlierArtefact {
    /// The artefact.
    pub artefact: Artefact,
    /// When it was last found.
    pub gathered_at: Timestamp,
}

/// What one source had for a digest in a repository.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignatureSet {
    /// The source.
    pub source: SignatureSource,
    /// Normalised repository it was asked about. It does not count for another one.
    pub repository: String,
    /// The digest it was asked about.
    pub subject: Digest,
    /// What was found, without repetition. May be empty: there was nothing.
    pub artefacts: Vec<Artefact>,
    /// What was found before and was not listed any more when last asked. It still counts, with the age it has: only a
    /// signed fact removes evidence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<EarlierArtefact>,
    /// More was there than the caps allow to be looked at.
    pub truncated: bool,
    /// When the source was last asked.
    pub gathered_at: Timestamp,
}

impl SignatureSet {
    /// Most artefacts in one set, earlier ones included.
    pub const MAX_ARTEFACTS: usize = 128;
    /// Most bytes of all of them as they are written down, where an older answer is kept beside a newer one.
    pub const MAX_MERGED: usize = 44 << 20;

    /// This set with what `before`, an older answer to the same question, had and this one has not.
    ///
    /// Where this answer is cut off, what was known comes first: whoever floods a repository must not push out a
    /// signature that counted. Otherwise what is listed now does: what was deleted must not keep new signatures out.
    #[must_use]
    pub fn merged_with(mut self, before: &Self) -> Self {
        let now = self.gathered_at;
        self.artefacts.truncate(Self::MAX_ARTEFACTS);
        let gone = before
            .artefacts
            .iter()
            .map(|artefact| (artefact, before.gathered_at));
        let gone = gone.chain(
            before
                .earlier
                .iter()
                .map(|one| (&one.artefact, one.gathered_at)),
        );
        let listed: HashSet<&Artefact> = self.artefacts.iter().collect();
        let mut earlier: Vec<EarlierArtefact> = gone
            .filter(|(artefact, at)| *at <= now && !listed.contains(artefact))
            .map(|(artefact, gathered_at)| EarlierArtefact {
                artefact: artefact.clone(),
                gathered_at,
            })
            .collect();
        earlier.truncate(Self::MAX_ARTEFACTS);
        // A set that is too large is not stored at all: what is old must not keep what is new out.
        let mut room = Self::MAX_MERGED;
        if self.truncated {
            earlier.retain(|one| fits(&one.artefact, &mut room));
            let most = Self::MAX_ARTEFACTS.saturating_sub(earlier.len());
            self.artefacts.truncate(most);
            self.artefacts.retain(|one| fits(one, &mut room));
        } else {
            self.artefacts.retain(|one| fits(one, &mut room));
            let most = Self::MAX_ARTEFACTS.saturating_sub(self.artefacts.len());
            earlier.retain(|one| fits(&one.artefact, &mut room));
            earlier.truncate(most);
        }
        self.earlier = earlier;
        self
    }
}

/// Whether there is room for `artefact`, which is then taken. Base64 takes four bytes for three, JSON up to six for one.
fn fits(artefact: &Artefact, room: &mut usize) -> bool {
    let annotations = artefact.annotations.iter();
    let annotations: usize = annotations
        .map(|(name, value)| name.len() + value.len())
        .sum();
    let size = artefact.bytes.len().div_ceil(3).saturating_mul(4);
    let size = size.saturating_add(annotations.saturating_mul(6));
    match room.checked_sub(size) {
        Some(left) => {
            *room = left;
            true
        }
        None => false,
    }
}

impl From<&LookasideUrl> for SignatureSource {
    fn from(url: &LookasideUrl) -> Self {
        Self::Lookaside(url.0.clone())
    }
}

pub(super) mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        STANDARD.decode(text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[u32], at: i64, truncated: bool) -> SignatureSet {
        let artefact = |name: &u32| Artefact {
            kind: ArtefactKind::SigstoreBundle,
            bytes: name.to_be_bytes().to_vec(),
            annotations: BTreeMap::new(),
        };
        SignatureSet {
            source: SignatureSource::Bundles,
            repository: "r.example/app".to_owned(),
            subject: Digest::of(b""),
            artefacts: names.iter().map(artefact).collect(),
            earlier: Vec::new(),
            truncated,
            gathered_at: Timestamp(at),
        }
    }

    fn names(set: &SignatureSet) -> Vec<u32> {
        let all = set.artefacts.iter();
        let all = all.chain(set.earlier.iter().map(|one| &one.artefact));
        all.map(|one| u32::from_be_bytes(one.bytes.clone().try_into().unwrap()))
            .collect()
    }

    #[test]
    fn what_is_not_listed_any_more_keeps_counting_with_its_own_age() {
        let merged = set(&[2], 20, false).merged_with(&set(&[1, 2], 10, false));
        assert_eq!(names(&merged), [2, 1]);
        assert_eq!(merged.earlier[0].gathered_at, Timestamp(10));
        let empty = set(&[], 30, false).merged_with(&merged);
        let ages: Vec<i64> = empty.earlier.iter().map(|one| one.gathered_at.0).collect();
        assert_eq!((names(&empty), ages), (vec![2, 1], vec![20, 10]));
    }

    #[test]
    fn a_flood_does_not_push_out_a_signature_that_was_known() {
        let cap = u32::try_from(SignatureSet::MAX_ARTEFACTS).unwrap();
        let mut known = set(&[0], 10, false);
        for round in 1..20 {
            let flood: Vec<u32> = (round * cap..(round + 1) * cap).collect();
            known = set(&flood, 10 + i64::from(round), true).merged_with(&known);
            assert!(names(&known).contains(&0), "round {round}");
            assert!(names(&known).len() <= SignatureSet::MAX_ARTEFACTS);
        }
    }

    #[test]
    fn large_ones_that_were_deleted_do_not_make_a_set_too_large_to_be_stored() {
        let heavy = |names: &[u32], truncated| {
            let mut heavy = set(names, 10, truncated);
            for artefact in &mut heavy.artefacts {
                artefact.bytes.resize(8 << 20, 0);
            }
            heavy
        };
        let first = |set: &SignatureSet| {
            let all = set.artefacts.iter();
            let all = all.chain(set.earlier.iter().map(|one| &one.artefact));
            all.map(|one| one.bytes[3]).collect::<Vec<u8>>()
        };
        let mut new = heavy(&[5, 6, 7, 8], false);
        new.artefacts.extend(set(&[9], 10, false).artefacts);
        let mut before = heavy(&[1, 2, 3, 4], false);
        before.artefacts.extend(set(&[0], 10, false).artefacts);
        let merged = new.clone().merged_with(&before);
        // What is listed, and of what was the small one that still fits.
        assert_eq!(first(&merged), [5, 6, 7, 8, 9, 0]);
        assert!(serde_json::to_vec(&merged).unwrap().len() < SignatureSet::MAX_MERGED + 4096);
        new.truncated = true;
        let merged = new.merged_with(&before);
        assert_eq!(first(&merged), [9, 1, 2, 3, 4, 0]);
    }

    #[test]
    fn what_was_deleted_does_not_keep_new_signatures_out() {
        let cap = u32::try_from(SignatureSet::MAX_ARTEFACTS).unwrap();
        let flooded = set(&(1..=cap).collect::<Vec<_>>(), 10, true);
        let merged = set(&[0], 20, false).merged_with(&flooded);
        assert_eq!(names(&merged)[0], 0);
    }
}
