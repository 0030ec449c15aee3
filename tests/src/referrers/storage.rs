//! What the registry holds.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde_json::{Value, json};

use crate::image::digest;

/// A manifest with the type it was pushed with.
#[derive(Debug, Clone)]
pub(super) struct Manifest {
    pub media_type: String,
    pub bytes: Bytes,
}

#[derive(Debug, Default)]
struct Repository {
    blobs: BTreeSet<String>,
    manifests: BTreeMap<String, Manifest>,
    /// Digests of the manifests, in the order in which they came.
    order: Vec<String>,
    tags: BTreeMap<String, String>,
}

/// Everything, in memory.
#[derive(Debug, Default)]
pub(super) struct Storage {
    blobs: BTreeMap<String, Bytes>,
    repositories: BTreeMap<String, Repository>,
    uploads: BTreeMap<String, Vec<u8>>,
    begun: u64,
}

impl Storage {
    /// A blob of a repository.
    pub(super) fn blob(&self, repository: &str, digest: &str) -> Option<Bytes> {
        let known = self.repositories.get(repository)?.blobs.contains(digest);
        known.then(|| self.blobs.get(digest).cloned()).flatten()
    }

    /// Takes a blob in, if it hashes to `wanted`.
    pub(super) fn put_blob(&mut self, repository: &str, wanted: &str, bytes: Bytes) -> bool {
        if digest(&bytes) != wanted {
            return false;
        }
        self.blobs.insert(wanted.to_owned(), bytes);
        self.repository(repository).blobs.insert(wanted.to_owned());
        true
    }

    /// Lets a repository have a blob of another one.
    pub(super) fn mount(&mut self, repository: &str, digest: &str) -> bool {
        let known = self.blobs.contains_key(digest);
        if known {
            self.repository(repository).blobs.insert(digest.to_owned());
        }
        known
    }

    /// Begins an upload. Its id.
    pub(super) fn begin(&mut self) -> String {
        self.begun += 1;
        let id = format!("upload-{}", self.begun);
        self.uploads.insert(id.clone(), Vec::new());
        id
    }

    /// Adds to an upload. How much there is now.
    pub(super) fn append(&mut self, id: &str, bytes: &[u8]) -> Option<usize> {
        let upload = self.uploads.get_mut(id)?;
        upload.extend_from_slice(bytes);
        Some(upload.len())
    }

    /// Ends an upload.
    pub(super) fn take(&mut self, id: &str) -> Option<Bytes> {
        self.uploads.remove(id).map(Bytes::from)
    }

    /// A manifest by tag or digest, with its digest.
    pub(super) fn manifest(&self, repository: &str, name: &str) -> Option<(String, Manifest)> {
        let repository = self.repositories.get(repository)?;
        let digest = repository.tags.get(name).map_or(name, String::as_str);
        let manifest = repository.manifests.get(digest)?;
        Some((digest.to_owned(), manifest.clone()))
    }

    /// Takes a manifest in under a tag or its digest. Its digest and that of its subject; `None` if it is not JSON, has
    /// another digest, or names blobs that the repository does not have.
    pub(super) fn put_manifest(
        &mut self,
        repository: &str,
        name: &str,
        manifest: Manifest,
    ) -> Option<(String, Option<String>)> {
        let document: Value = serde_json::from_slice(&manifest.bytes).ok()?;
        let digest = digest(&manifest.bytes);
        let by_digest = name.starts_with("sha256:");
        if by_digest && name != digest {
            return None;
        }
        let held = self.repository(repository);
        let layers = document["layers"].as_array().into_iter().flatten();
        let blobs = layers.chain(document.get("config"));
        let mut named = blobs.filter_map(|blob| blob["digest"].as_str());
        if !named.all(|blob| held.blobs.contains(blob)) {
            return None;
        }
        if !by_digest {
            held.tags.insert(name.to_owned(), digest.clone());
        }
        if held.manifests.insert(digest.clone(), manifest).is_none() {
            held.order.push(digest.clone());
        }
        let subject = document["subject"]["digest"].as_str().map(str::to_owned);
        Some((digest, subject))
    }

    /// Removes a tag or a manifest.
    pub(super) fn delete_manifest(&mut self, repository: &str, name: &str) -> bool {
        let held = self.repository(repository);
        held.order.retain(|digest| digest != name);
        held.tags.remove(name).is_some() | held.manifests.remove(name).is_some()
    }

    /// The tags of a repository.
    pub(super) fn tags(&self, repository: &str) -> Vec<String> {
        self.repositories
            .get(repository)
            .map(|held| held.tags.keys().cloned().collect())
            .unwrap_or_default()
    }

    /// Descriptors of the manifests whose subject is `digest`, in the order in which they came.
    pub(super) fn referrers(&self, repository: &str, digest: &str) -> Vec<Value> {
        let Some(held) = self.repositories.get(repository) else {
            return Vec::new();
        };
        let pushed = held.order.iter();
        pushed
            .filter_map(|own| {
                let manifest = held.manifests.get(own)?;
                let document: Value = serde_json::from_slice(&manifest.bytes).ok()?;
                if document["subject"]["digest"].as_str() != Some(digest) {
                    return None;
                }
                let kind = [&document["artifactType"], &document["config"]["mediaType"]];
                let kind = kind.into_iter().find_map(Value::as_str);
                let mut descriptor = json!({
                    "mediaType": manifest.media_type,
                    "digest": own,
                    "size": manifest.bytes.len(),
                });
                if let Some(kind) = kind {
                    descriptor["artifactType"] = kind.into();
                }
                if let Some(annotations) = document.get("annotations") {
                    descriptor["annotations"] = annotations.clone();
                }
                Some(descriptor)
            })
            .collect()
    }

    fn repository(&mut self, name: &str) -> &mut Repository {
        self.repositories.entry(name.to_owned()).or_default()
    }
}
