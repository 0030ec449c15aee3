//! Fetching the blobs that manifests name as signatures.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use bytes::Bytes;
use futures_util::future::join_all;
use portcullis_policy::Digest;
use portcullis_trust::evidence::{Artefact, ArtefactKind};

use crate::registry::RemoteError;

use super::found::Found;
use super::place::Place;

/// A blob that is an artefact.
#[derive(Debug)]
pub(super) struct Layer {
    pub kind: ArtefactKind,
    pub digest: Digest,
    /// As its manifest says.
    pub size: u64,
    pub annotations: BTreeMap<String, String>,
}

/// Fetches layers, each of at most `cap` bytes and all together of at most `room`. Small ones first: real signatures are,
/// so that a few large ones from somebody else do not use up the room.
pub(super) async fn fetch(place: &Place<'_>, layers: Vec<Layer>, cap: usize, room: usize) -> Found {
    let mut found = Found::default();
    // Several signatures of one payload share its blob.
    let mut wanted: BTreeMap<Digest, usize> = BTreeMap::new();
    let mut by_size: Vec<&Layer> = layers.iter().collect();
    by_size.sort_by_key(|layer| layer.size);
    let mut left = room;
    for layer in by_size {
        let Some(size) = usize::try_from(layer.size).ok().filter(|size| *size <= cap) else {
            found.truncated = true;
            continue;
        };
        if let Entry::Vacant(entry) = wanted.entry(layer.digest) {
            match left.checked_sub(size) {
                Some(rest) => {
                    left = rest;
                    entry.insert(size);
                }
                None => found.truncated = true,
            }
        }
    }
    let mut requests = Vec::with_capacity(wanted.len());
    for (digest, size) in wanted {
        requests.push(async move { (digest, place.blob(&digest, size).await) });
    }
    let mut blobs: BTreeMap<Digest, Bytes> = BTreeMap::new();
    for (digest, answer) in join_all(requests).await {
        let answer: Result<Bytes, RemoteError> = answer;
        match answer {
            Ok(bytes) => {
                blobs.insert(digest, bytes);
            }
            Err(error) => found.missed(error),
        }
    }
    for layer in layers {
        if let Some(bytes) = blobs.get(&layer.digest) {
            found.add(Artefact {
                kind: layer.kind,
                bytes: bytes.to_vec(),
                annotations: layer.annotations,
            });
        }
    }
    found
}
