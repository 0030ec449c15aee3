//! Sigstore bundles and notation envelopes: the referrers of an image (OCI distribution-spec 1.1, "Listing Referrers").

mod link;
mod list;
pub(super) mod memory;

use std::collections::BTreeMap;

use futures_util::future::join_all;
use portcullis_policy::Digest;
use portcullis_trust::evidence::ArtefactKind;

use crate::registry::{RemoteError, manifest};

use self::memory::ApiMemory;
use super::found::Found;
use super::json::{Descriptor, Manifest};
use super::layers::{self, Layer};
use super::limits::{MAX_ATTESTATION, MAX_OPENED, MAX_SIGNATURE};
use super::media::{self, Kind, Said};
use super::place::Place;

/// What a host has of each of `kinds`. `room` is what each may take into memory.
pub(super) async fn at_host(
    place: &Place<'_>,
    memory: &ApiMemory,
    kinds: &[Kind],
    room: usize,
) -> Result<Vec<Found>, RemoteError> {
    let listing = list::list(place, memory).await?;
    let chosen = Chosen::from(&listing.descriptors, kinds);
    let mut requests = Vec::with_capacity(chosen.of.len());
    for (digest, size) in &chosen.of {
        requests.push(open(place, digest, *size, kinds));
    }
    let mut layers: Vec<Vec<Layer>> = kinds.iter().map(|_| Vec::new()).collect();
    let mut missed = Found {
        truncated: listing.truncated || chosen.truncated,
        ..Found::default()
    };
    for opened in join_all(requests).await {
        match opened {
            Ok(Some((kind, layer))) => {
                let at = kinds.iter().position(|wanted| *wanted == kind);
                if let Some(layers) = at.and_then(|at| layers.get_mut(at)) {
                    layers.push(layer);
                }
            }
            Ok(None) => {}
            Err(error) => missed.missed(error),
        }
    }
    let mut requests = Vec::with_capacity(kinds.len());
    for (kind, layers) in kinds.iter().zip(layers) {
        let cap = match kind {
            Kind::Bundle => MAX_ATTESTATION,
            Kind::Notation => MAX_SIGNATURE,
        };
        requests.push(layers::fetch(place, layers, cap, room));
    }
    let mut all = join_all(requests).await;
    for found in &mut all {
        found.truncated |= missed.truncated;
        if let Some(failure) = &missed.failure {
            found.missed(failure.clone());
        }
    }
    Ok(all)
}

/// The manifests to open.
struct Chosen {
    of: Vec<(Digest, usize)>,
    truncated: bool,
}

impl Chosen {
    /// Those that are said to be of a wanted kind, then those of which nothing is said, each up to the cap: what somebody else
    /// pushed under another name cannot push them out. More of the same name can, which denies and never allows.
    fn from(descriptors: &[Descriptor], kinds: &[Kind]) -> Self {
        let mut chosen = Self {
            of: Vec::new(),
            truncated: false,
        };
        let wanted = kinds.iter().map(|kind| Said::Is(*kind));
        for class in wanted.chain([Said::Nothing]) {
            let mut room = MAX_OPENED;
            for descriptor in descriptors {
                let is_manifest =
                    descriptor.media_type.is_empty() || media::is_manifest(&descriptor.media_type);
                if !is_manifest || media::said(descriptor.artifact_type.as_deref()) != class {
                    continue;
                }
                let Some(digest) = descriptor.digest() else {
                    continue;
                };
                if chosen.of.iter().any(|(known, _)| *known == digest) {
                    continue;
                }
                let size = usize::try_from(descriptor.size)
                    .ok()
                    .filter(|size| *size <= manifest::MAX_MANIFEST);
                match (size, room.checked_sub(1)) {
                    (Some(size), Some(rest)) => {
                        room = rest;
                        chosen.of.push((digest, size));
                    }
                    _ => chosen.truncated = true,
                }
            }
        }
        chosen
    }
}

/// What a manifest says is a signature. `None`: it is of no kind that is wanted, or of another image.
async fn open(
    place: &Place<'_>,
    digest: &Digest,
    size: usize,
    kinds: &[Kind],
) -> Result<Option<(Kind, Layer)>, RemoteError> {
    let bytes = place.manifest(digest, size).await?;
    let Some(manifest) = Manifest::parse(&bytes) else {
        return Ok(None);
    };
    if manifest.is_of_another(place.subject) {
        return Ok(None);
    }
    let is: Option<(Kind, ArtefactKind)> = kinds
        .iter()
        .find_map(|kind| Some((*kind, media::artefact(&manifest, *kind)?)));
    let layer = manifest.layers.of.into_iter().next();
    Ok(is.zip(layer).and_then(|((kind, artefact), layer)| {
        let layer = Layer {
            kind: artefact,
            digest: layer.digest()?,
            size: layer.size,
            annotations: BTreeMap::new(),
        };
        Some((kind, layer))
    }))
}
