//! An attack: what was attached to one image is attached to another, as whoever may push can do.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::image::{Blob, INDEX, Image, MANIFEST};
use crate::registry::Registry;

/// Attaches every signature and attestation of `from` to `to` too: the tags `.sig` and `.att`, and what the referrers tag
/// lists, with `to` as its subject. Gives how many there were.
pub async fn transplant(
    registry: &Registry,
    repository: &str,
    from: &Image,
    to: &Image,
) -> Result<usize> {
    let tag = |image: &Image, suffix: &str| format!("{}{suffix}", image.digest().replace(':', "-"));
    let mut moved = 0;
    for suffix in [".sig", ".att"] {
        if let Some(manifest) = registry.manifest(repository, &tag(from, suffix)).await? {
            registry
                .put_manifest(repository, &tag(to, suffix), MANIFEST, &manifest)
                .await?;
            moved += 1;
        }
    }
    let Some(index) = registry.manifest(repository, &tag(from, "")).await? else {
        return Ok(moved);
    };
    let mut index: Value = serde_json::from_slice(&index)?;
    let (root, kind) = to.root_with_type();
    let subject = json!({"mediaType": kind, "digest": root.digest, "size": root.bytes.len()});
    let entries = index["manifests"].as_array_mut();
    for entry in entries.context("an index without manifests")? {
        let digest = entry["digest"].as_str().context("no digest")?;
        let manifest = registry.manifest(repository, digest).await?;
        let mut manifest: Value = serde_json::from_slice(&manifest.context("no such manifest")?)?;
        manifest["subject"] = subject.clone();
        let manifest = Blob::new(serde_json::to_vec(&manifest)?);
        registry
            .put_manifest(repository, &manifest.digest, MANIFEST, &manifest.bytes)
            .await?;
        entry["digest"] = json!(manifest.digest);
        entry["size"] = json!(manifest.bytes.len());
        moved += 1;
    }
    let index = serde_json::to_vec(&index)?;
    registry
        .put_manifest(repository, &tag(to, ""), INDEX, &index)
        .await?;
    Ok(moved)
}
