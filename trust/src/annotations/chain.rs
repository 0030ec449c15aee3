//! Index, manifest and config of an image, each proved by its hash to be what the one before it names.

use std::fmt;

use portcullis_policy::Digest;
use serde_json::{Map, Value};

use crate::evidence::ImageDescription;
use crate::strict_json::{self, Object};

/// Most entries of an index.
const MAX_ENTRIES: usize = 1024;

/// Media types of an index: OCI's, and Docker's manifest list.
const INDEX_TYPES: [&str; 2] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];
/// Media types of a manifest.
const MANIFEST_TYPES: [&str; 2] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// Why a description is not one of the image in question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotThisImage {
    #[error("its index or manifest does not hash to the image's digest")]
    Subject,
    #[error("its manifest is not one of its index")]
    Manifest,
    #[error("its config is not that of its manifest")]
    Config,
    #[error("a document of it is not JSON with unambiguous keys")]
    Json,
    #[error("a document of it is not the index, manifest or config it stands for")]
    Kind,
}

/// Where something about an image stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Index,
    Descriptor,
    Manifest,
    Labels,
    Config,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Index => "the annotations of the index",
            Self::Descriptor => "the annotations of the manifest's entry in the index",
            Self::Manifest => "the annotations of the manifest",
            Self::Labels => "the labels of the config",
            Self::Config => "the fields of the config",
        })
    }
}

/// What an image says about itself, by place.
#[derive(Debug)]
pub(super) struct Chain {
    maps: Vec<(Place, Map<String, Value>)>,
    created: Option<Value>,
}

impl Chain {
    /// Hashes from `digest` down.
    pub(super) fn read(
        digest: &Digest,
        description: &ImageDescription,
    ) -> Result<Self, NotThisImage> {
        let manifest_digest = Digest::of(&description.manifest);
        let mut maps = Vec::new();
        if let Some(bytes) = &description.index {
            if Digest::of(bytes) != *digest {
                return Err(NotThisImage::Subject);
            }
            let index = json(bytes)?;
            index_maps(object(&index)?, &manifest_digest, &mut maps)?;
        } else if manifest_digest != *digest {
            return Err(NotThisImage::Subject);
        }
        let manifest = json(&description.manifest)?;
        let manifest = object(&manifest)?;
        kind(manifest, &MANIFEST_TYPES, "manifests")?;
        let config = manifest.object("config").map_err(|_| NotThisImage::Json)?;
        let config = config.ok_or(NotThisImage::Kind)?;
        if named(config)? != Some(Digest::of(&description.config)) {
            return Err(NotThisImage::Config);
        }
        annotations(manifest, Place::Manifest, &mut maps)?;

        let config = json(&description.config)?;
        let config = object(&config)?;
        let created = config.get("created").map_err(|_| NotThisImage::Json)?;
        let run = config.object("config").map_err(|_| NotThisImage::Json)?;
        if let Some(run) = run
            && let Some(labels) = run.object("Labels").map_err(|_| NotThisImage::Json)?
        {
            maps.push((Place::Labels, labels.0.clone()));
        }
        Ok(Self {
            created: created.cloned(),
            maps,
        })
    }

    /// What every place that has `key` has for it; `None`: not a text.
    pub(super) fn values(&self, key: &str) -> impl Iterator<Item = (Place, Option<&str>)> {
        self.maps
            .iter()
            .filter_map(move |(place, map)| Some((*place, map.get(key)?.as_str())))
    }

    /// `created` of the config, if it is there.
    pub(super) fn created(&self) -> Option<(Place, Option<&str>)> {
        self.created
            .as_ref()
            .map(|value| (Place::Config, value.as_str()))
    }
}

fn index_maps(
    index: Object<'_>,
    manifest: &Digest,
    maps: &mut Vec<(Place, Map<String, Value>)>,
) -> Result<(), NotThisImage> {
    kind(index, &INDEX_TYPES, "config")?;
    kind(index, &INDEX_TYPES, "layers")?;
    annotations(index, Place::Index, maps)?;
    let entries = index.array("manifests").map_err(|_| NotThisImage::Json)?;
    if entries.len() > MAX_ENTRIES {
        return Err(NotThisImage::Kind);
    }
    let mut listed = false;
    for entry in entries {
        let entry = object(entry)?;
        // Listed twice, with different annotations: both are said about it.
        if named(entry)? == Some(*manifest) {
            listed = true;
            annotations(entry, Place::Descriptor, maps)?;
        }
    }
    if listed {
        Ok(())
    } else {
        Err(NotThisImage::Manifest)
    }
}

/// A document that is an index to one reader and a manifest to another is neither (CVE-2021-41190).
fn kind(document: Object<'_>, types: &[&str], foreign: &str) -> Result<(), NotThisImage> {
    let has = |name| document.get(name).map_err(|_| NotThisImage::Json);
    if has(foreign)?.is_some() || has("fsLayers")?.is_some() {
        return Err(NotThisImage::Kind);
    }
    if has("schemaVersion")?.and_then(Value::as_u64) != Some(2) {
        return Err(NotThisImage::Kind);
    }
    match document.text("mediaType") {
        Ok(None) => Ok(()),
        Ok(Some(said)) if types.contains(&said) => Ok(()),
        _ => Err(NotThisImage::Kind),
    }
}

fn annotations(
    of: Object<'_>,
    place: Place,
    maps: &mut Vec<(Place, Map<String, Value>)>,
) -> Result<(), NotThisImage> {
    let found = of.object("annotations").map_err(|_| NotThisImage::Json)?;
    maps.extend(found.map(|annotations| (place, annotations.0.clone())));
    Ok(())
}

fn named(descriptor: Object<'_>) -> Result<Option<Digest>, NotThisImage> {
    let text = descriptor.text("digest").map_err(|_| NotThisImage::Json)?;
    Ok(text.and_then(|text| text.parse().ok()))
}

fn json(bytes: &[u8]) -> Result<Value, NotThisImage> {
    strict_json::parse(bytes).map_err(|_| NotThisImage::Json)
}

fn object(value: &Value) -> Result<Object<'_>, NotThisImage> {
    Object::of(value).ok_or(NotThisImage::Json)
}
