//! Small real images, made here: a busybox layer that all share and a layer that makes each one distinct.

mod recipe;

use std::fs::File;
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub use recipe::Recipe;

/// Media type of an OCI image manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of an OCI image index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// `sha256:<hex>` of some bytes.
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// A blob with its digest.
#[derive(Debug, Clone)]
pub struct Blob {
    /// `sha256:<hex>`.
    pub digest: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Blob {
    /// Hashes some bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self {
            digest: digest(&bytes),
            bytes,
        }
    }

    fn descriptor(&self, media_type: &str) -> Value {
        json!({"mediaType": media_type, "digest": self.digest, "size": self.bytes.len()})
    }
}

/// One image for this machine's platform.
#[derive(Debug, Clone)]
pub struct Image {
    layers: Vec<Blob>,
    config: Blob,
    manifest: Blob,
    multi: Option<Multi>,
    chain_id: String,
}

/// What makes an image one of several platforms.
#[derive(Debug, Clone)]
struct Multi {
    index: Blob,
    foreign_manifest: Blob,
    foreign_config: Blob,
}

impl Image {
    /// The image that sandboxes run.
    pub fn pause() -> Result<Self> {
        Recipe::new("pause")
            .entrypoint(&["/bin/sleep", "1000000"])
            .build()
    }

    /// What a reference to it names: digest of the index, or of the manifest.
    pub fn digest(&self) -> &str {
        &self.root().digest
    }

    /// Size of what the digest names, as a Notary target wants it.
    pub fn size(&self) -> usize {
        self.root().bytes.len()
    }

    /// The image ID: digest of its configuration.
    pub fn id(&self) -> &str {
        &self.config.digest
    }

    /// Chain ID of its layers: the snapshot that its containers stand on.
    pub fn chain_id(&self) -> &str {
        &self.chain_id
    }

    /// The index or manifest with its media type.
    pub fn root_with_type(&self) -> (&Blob, &'static str) {
        match &self.multi {
            Some(multi) => (&multi.index, INDEX),
            None => (&self.manifest, MANIFEST),
        }
    }

    /// Manifests below the index; none for an image without one.
    pub fn child_manifests(&self) -> Vec<&Blob> {
        self.multi
            .iter()
            .flat_map(|multi| [&self.manifest, &multi.foreign_manifest])
            .collect()
    }

    /// Layers and configurations.
    pub fn blobs(&self) -> Vec<&Blob> {
        let foreign = self.multi.iter().map(|multi| &multi.foreign_config);
        self.layers
            .iter()
            .chain([&self.config])
            .chain(foreign)
            .collect()
    }

    fn root(&self) -> &Blob {
        self.root_with_type().0
    }

    /// Writes an OCI archive that imports under `name`.
    pub fn write_archive(&self, path: &Path, name: &str) -> Result<()> {
        let mut archive = tar::Builder::new(File::create(path)?);
        let (root, media_type) = self.root_with_type();
        let mut entry = root.descriptor(media_type);
        if let Some(entry) = entry.as_object_mut() {
            entry.insert(
                "annotations".into(),
                json!({"io.containerd.image.name": name}),
            );
        }
        add(
            &mut archive,
            "oci-layout",
            br#"{"imageLayoutVersion":"1.0.0"}"#,
            0o644,
        )?;
        let index = serde_json::to_vec(&json!({"schemaVersion": 2, "manifests": [entry]}))?;
        add(&mut archive, "index.json", &index, 0o644)?;
        let manifests = self.child_manifests();
        for blob in self.blobs().into_iter().chain(manifests).chain([root]) {
            let place = format!("blobs/{}", blob.digest.replace(':', "/"));
            add(&mut archive, &place, &blob.bytes, 0o644)?;
        }
        archive.finish()?;
        Ok(())
    }
}

fn header(size: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_size(size);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

fn add<W: std::io::Write>(
    archive: &mut tar::Builder<W>,
    name: &str,
    bytes: &[u8],
    mode: u32,
) -> Result<()> {
    let mut header = header(u64::try_from(bytes.len())?, mode);
    archive.append_data(&mut header, name, bytes)?;
    Ok(())
}
