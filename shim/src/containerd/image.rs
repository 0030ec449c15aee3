//! What an image's documents say, read strictly. Pure: bytes in, values or a refusal out.
//!
//! A document that two programs could read in two ways is refused (CVE-2021-41190): both index and manifest, a key
//! given twice, or keys that Go's JSON decoder, which ignores case, would take for one.

mod strict;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use portcullis_policy::Digest;

use self::strict::{Object, Raw};

/// Most entries of an index.
const MAX_ENTRIES: usize = 512;

/// Most layers of an image; overlayfs itself takes no more than 500.
const MAX_LAYERS: usize = 512;

/// Marks an index or manifest as a container checkpoint, which restores memory and processes instead of starting a
/// program (containerd and CRI-O read it in `CreateContainer`; CVE-2026-50195).
const CHECKPOINT: &str = "org.criu.checkpoint.container.name";

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A list of manifests.
    Index,
    /// One image for one platform.
    Manifest,
}

impl Kind {
    fn of(media_type: &str) -> Option<Self> {
        match media_type {
            OCI_INDEX | DOCKER_LIST => Some(Self::Index),
            OCI_MANIFEST | DOCKER_MANIFEST => Some(Self::Manifest),
            _ => None,
        }
    }
}

/// An index or a manifest.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Document {
    /// Its entries that are indexes or manifests, in order.
    Index(Vec<(Kind, Digest)>),
    /// One image.
    Manifest {
        /// Digest of its config: the image ID.
        config: Digest,
        /// How many layers it has.
        layers: usize,
    },
}

/// What the gate needs of an image's config.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Config {
    /// Chain ID of all its diff IDs.
    pub(super) chain_id: Digest,
    /// `config.User`; empty: root.
    pub(super) user: String,
}

/// Why a document is refused, in fixed words.
pub(super) type Refusal = &'static str;

impl Object<'_> {
    fn refuse_checkpoint(&self) -> Result<(), Refusal> {
        // Annotation keys are not struct fields in Go: they are compared as they are.
        let annotations: Option<BTreeMap<String, Raw<'_>>> = self.typed("annotations")?;
        if annotations.is_some_and(|map| map.contains_key(CHECKPOINT)) {
            return Err("a container checkpoint, not an image");
        }
        Ok(())
    }

    fn digest(&self) -> Result<Digest, Refusal> {
        let text: Option<String> = self.typed("digest")?;
        text.and_then(|text| text.parse().ok())
            .ok_or("a descriptor without a sha256 digest")
    }
}

/// Reads an index or a manifest.
pub(super) fn document(bytes: &[u8]) -> Result<Document, Refusal> {
    let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8")?;
    let top = Object::parse(text)?;
    for name in ["fsLayers", "signatures"] {
        if top.get(name)?.is_some() {
            return Err("a schema 1 manifest");
        }
    }
    match top.typed::<u64>("schemaVersion")? {
        Some(2) => {}
        Some(1) => return Err("a schema 1 manifest"),
        _ => return Err("not of schema version 2"),
    }
    top.refuse_checkpoint()?;
    let is_index = top.get("manifests")?.is_some();
    let is_manifest = top.get("config")?.is_some() || top.get("layers")?.is_some();
    let kind = match (is_index, is_manifest) {
        (true, true) => return Err("both an index and a manifest"),
        (true, false) => Kind::Index,
        (false, true) => Kind::Manifest,
        (false, false) => return Err("neither an index nor a manifest"),
    };
    if let Some(said) = top.typed::<String>("mediaType")?
        && Kind::of(&said) != Some(kind)
    {
        return Err("its media type is not what it is");
    }
    match kind {
        Kind::Index => index(&top),
        Kind::Manifest => manifest(&top),
    }
}

fn index(top: &Object<'_>) -> Result<Document, Refusal> {
    let entries: Vec<Raw<'_>> = top.typed("manifests")?.unwrap_or_default();
    if entries.len() > MAX_ENTRIES {
        return Err("an index with too many entries");
    }
    let mut out = Vec::new();
    for entry in entries {
        let entry = Object::parse(entry.get())?;
        entry.refuse_checkpoint()?;
        let media_type: Option<String> = entry.typed("mediaType")?;
        // Artifacts of other kinds may be listed; no image comes of them.
        if let Some(kind) = media_type.as_deref().and_then(Kind::of) {
            out.push((kind, entry.digest()?));
        }
    }
    Ok(Document::Index(out))
}

fn manifest(top: &Object<'_>) -> Result<Document, Refusal> {
    let config = top.object("config")?.ok_or("a manifest without a config")?;
    let media_type: Option<String> = config.typed("mediaType")?;
    if !matches!(media_type.as_deref(), Some(OCI_CONFIG | DOCKER_CONFIG)) {
        return Err("a manifest of something other than an image");
    }
    let layers: Vec<Raw<'_>> = top.typed("layers")?.unwrap_or_default();
    if layers.len() > MAX_LAYERS {
        return Err("an image with too many layers");
    }
    Ok(Document::Manifest {
        config: config.digest()?,
        layers: layers.len(),
    })
}

/// Reads the config of a manifest with `layers` layers.
pub(super) fn config(bytes: &[u8], layers: usize) -> Result<Config, Refusal> {
    let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8")?;
    let top = Object::parse(text)?;
    let rootfs = top.object("rootfs")?.ok_or("a config without rootfs")?;
    let diff_ids: Vec<String> = rootfs.typed("diff_ids")?.unwrap_or_default();
    if diff_ids.len() != layers {
        return Err("a config whose diff IDs do not match the layers");
    }
    let diff_ids: Vec<Digest> = diff_ids
        .iter()
        .map(|text| text.parse().map_err(|_| "a diff ID other than sha256"))
        .collect::<Result<_, _>>()?;
    let user: Option<String> = match top.object("config")? {
        Some(run) => run.typed("User")?,
        None => None,
    };
    Ok(Config {
        chain_id: chain_id(&diff_ids).ok_or("an image without layers")?,
        user: user.unwrap_or_default(),
    })
}

/// Chain ID of diff IDs, lowest first (OCI image-spec, "Layer `ChainID`"). `None`: there are none.
fn chain_id(diff_ids: &[Digest]) -> Option<Digest> {
    let (first, rest) = diff_ids.split_first()?;
    Some(rest.iter().fold(*first, |below, layer| {
        Digest::of(format!("{below} {layer}").as_bytes())
    }))
}
