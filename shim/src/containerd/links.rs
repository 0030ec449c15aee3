//! Proofs that a digest ends in an image ID, from content that is hashed here (docs/rules.md rule 3).

use std::collections::BTreeSet;

use portcullis_policy::Digest;
use tokio::time::Instant;

use super::image::{self, Document, Kind, Refusal};
use super::{Containerd, ContainerdError};
use crate::store::Link;

/// Largest index or manifest in bytes: the size registries themselves take (distribution, `maxManifestBodyBytes`).
const MAX_MANIFEST: usize = 4 * 1024 * 1024;

/// Largest config in bytes.
const MAX_CONFIG: usize = 8 * 1024 * 1024;

/// How deep indexes may nest: one inside another.
const MAX_DEPTH: usize = 2;

/// Most documents looked for below one root. Of most platforms of an index there is nothing on the node.
const MAX_DOCUMENTS: usize = 1_024;

/// Most targets looked at for one image ID.
const MAX_TARGETS: usize = 4_096;

fn refused(digest: &Digest) -> impl Fn(Refusal) -> ContainerdError {
    let digest = *digest;
    move |cause| ContainerdError::Content { digest, cause }
}

/// A manifest that was read.
struct Found {
    digest: Digest,
    config: Digest,
    layers: usize,
}

impl Containerd {
    /// Every link from `root` to an image whose manifest and config are in containerd's content store. Which platform
    /// it is for does not matter: the image ID decides what runs.
    ///
    /// # Errors
    /// [`ContainerdError::Content`] if `root` itself is missing or refused: no image document, one that can be read in
    /// two ways, a schema 1 manifest, a checkpoint. What is missing or refused further down makes no link.
    pub async fn prove(
        &self,
        root: &Digest,
        deadline: Instant,
    ) -> Result<Vec<Link>, ContainerdError> {
        let mut manifests = Vec::new();
        let mut level: Vec<(Option<Kind>, Digest)> = vec![(None, *root)];
        let mut seen = BTreeSet::new();
        for depth in 0..=MAX_DEPTH {
            let mut below = Vec::new();
            for (kind, digest) in std::mem::take(&mut level) {
                if seen.len() >= MAX_DOCUMENTS || !seen.insert(digest) {
                    continue;
                }
                match self.document(&digest, kind, deadline).await {
                    Ok(Document::Index(entries)) if depth < MAX_DEPTH => {
                        below.extend(
                            entries
                                .into_iter()
                                .map(|(kind, digest)| (Some(kind), digest)),
                        );
                    }
                    Ok(Document::Index(_)) => {}
                    Ok(Document::Manifest { config, layers }) => {
                        manifests.push(Found {
                            digest,
                            config,
                            layers,
                        });
                    }
                    Err(ContainerdError::Content { .. }) if digest != *root => {}
                    Err(error) => return Err(error),
                }
            }
            level = below;
        }
        let mut links = Vec::new();
        for found in manifests {
            match self.link(root, &found, deadline).await {
                Ok(link) => links.push(link),
                Err(ContainerdError::Content { .. }) if found.digest != *root => {}
                Err(error) => return Err(error),
            }
        }
        Ok(links)
    }

    async fn document(
        &self,
        digest: &Digest,
        kind: Option<Kind>,
        deadline: Instant,
    ) -> Result<Document, ContainerdError> {
        let bytes = self.blob(digest, MAX_MANIFEST, deadline).await?;
        let document = image::document(&bytes).map_err(refused(digest))?;
        let is = match document {
            Document::Index(_) => Kind::Index,
            Document::Manifest { .. } => Kind::Manifest,
        };
        if kind.is_some_and(|said| said != is) {
            return Err(refused(digest)("not what the index says it is"));
        }
        Ok(document)
    }

    async fn link(
        &self,
        root: &Digest,
        found: &Found,
        deadline: Instant,
    ) -> Result<Link, ContainerdError> {
        let bytes = self.blob(&found.config, MAX_CONFIG, deadline).await?;
        let config = image::config(&bytes, found.layers).map_err(refused(&found.config))?;
        Ok(Link {
            root: *root,
            manifest: found.digest,
            config: found.config,
            chain_id: config.chain_id,
            user: config.user,
        })
    }

    /// Every link to an image ID from the targets of containerd's image records. Names of records are ignored: only
    /// where their targets lead counts.
    pub async fn links_to_image(
        &self,
        image_id: &Digest,
        deadline: Instant,
    ) -> Result<Vec<Link>, ContainerdError> {
        let mut targets = BTreeSet::new();
        for record in self.image_records(deadline).await? {
            if targets.len() >= MAX_TARGETS {
                break;
            }
            targets.insert(record.target);
        }
        let mut links = Vec::new();
        for target in targets {
            match self.prove(&target, deadline).await {
                Ok(found) => {
                    links.extend(found.into_iter().filter(|link| link.config == *image_id));
                }
                Err(ContainerdError::Content { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(links)
    }

    /// The targets of image records that lead to an image ID, without repetition.
    pub async fn roots_of(
        &self,
        image_id: &Digest,
        deadline: Instant,
    ) -> Result<Vec<Digest>, ContainerdError> {
        let links = self.links_to_image(image_id, deadline).await?;
        let roots: BTreeSet<Digest> = links.into_iter().map(|link| link.root).collect();
        Ok(roots.into_iter().collect())
    }
}
