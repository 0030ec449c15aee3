//! cosign's legacy formats: a manifest under a tag made of the image's digest, one layer per signature or attestation, and
//! what belongs to it in the layer's annotations.

use portcullis_trust::evidence::ArtefactKind;

use crate::registry::RemoteError;

use super::found::Found;
use super::json::{Annotations, Manifest};
use super::layers::{self, Layer};
use super::limits::{MAX_ATTESTATION, MAX_SIGNATURE};
use super::media;
use super::place::Place;

/// Which of the two.
#[derive(Debug, Clone, Copy)]
pub(super) enum Legacy {
    /// `sha256-<hex>.sig`
    Signatures,
    /// `sha256-<hex>.att`
    Attestations,
}

/// What a host has. Nothing, if there is no such tag.
pub(super) async fn at_host(
    place: &Place<'_>,
    which: Legacy,
    room: usize,
) -> Result<Found, RemoteError> {
    let (suffix, media_type, kind, cap) = match which {
        Legacy::Signatures => (
            "sig",
            media::SIMPLE_SIGNING,
            ArtefactKind::CosignSignature,
            MAX_SIGNATURE,
        ),
        Legacy::Attestations => (
            "att",
            media::DSSE,
            ArtefactKind::CosignAttestation,
            MAX_ATTESTATION,
        ),
    };
    let tag = format!("sha256-{}.{suffix}", place.subject.hex());
    let Some(answer) = place.tagged(&tag, media::MANIFESTS).await? else {
        return Ok(Found::default());
    };
    let manifest = Manifest::parse(&answer.body)
        .ok_or_else(|| place.invalid("a signature tag that is no manifest"))?;
    let mut truncated = manifest.layers.more;
    let mut layers = Vec::new();
    for layer in manifest.layers.of {
        if layer.media_type != media_type {
            continue;
        }
        let digest = layer.digest();
        match (digest, layer.annotations) {
            (Some(digest), Annotations::Within(annotations)) => layers.push(Layer {
                kind,
                digest,
                size: layer.size,
                annotations,
            }),
            (Some(_), Annotations::Beyond) => truncated = true,
            (None, _) => {}
        }
    }
    let mut found = layers::fetch(place, layers, cap, room).await;
    found.truncated |= truncated;
    Ok(found)
}
