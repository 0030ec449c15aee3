//! Small real images, made here: a busybox layer that all share and a layer that makes each one distinct.

use std::fs::File;
use std::path::Path;
use std::sync::OnceLock;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Where Debian's busybox-static puts it.
const BUSYBOX: &str = "/bin/busybox";

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

/// What an image is to be.
#[derive(Debug, Clone)]
pub struct Recipe {
    marker: String,
    user: Option<String>,
    entrypoint: Vec<String>,
    padding: usize,
    index: bool,
}

impl Recipe {
    /// An image whose container prints `marker=<marker> uid=<uid>` and then runs until it is stopped.
    pub fn new(marker: &str) -> Self {
        let script = r#"echo "marker=$(cat /marker) uid=$(id -u)"; exec sleep 1000000"#;
        Self {
            marker: marker.to_owned(),
            user: None,
            entrypoint: vec!["/bin/sh".into(), "-c".into(), script.into()],
            padding: 0,
            index: false,
        }
    }

    /// With `User` in its configuration.
    #[must_use]
    pub fn user(mut self, user: &str) -> Self {
        self.user = Some(user.to_owned());
        self
    }

    /// With another program than the one that prints the marker.
    #[must_use]
    pub fn entrypoint(mut self, entrypoint: &[&str]) -> Self {
        self.entrypoint = entrypoint.iter().map(ToString::to_string).collect();
        self
    }

    /// With so many more bytes in its layer, so that a pull takes a while.
    #[must_use]
    pub fn padding(mut self, bytes: usize) -> Self {
        self.padding = bytes;
        self
    }

    /// As an index of two platforms, of which one is this machine's.
    #[must_use]
    pub fn multi_platform(mut self) -> Self {
        self.index = true;
        self
    }

    /// Makes it.
    pub fn build(&self) -> Result<Image> {
        let base = base_layer()?.clone();
        let own = Blob::new(marker_layer(&self.marker, self.padding)?);
        let layers = vec![base, own];
        let (config, manifest) = self.assemble(&layers, architecture())?;
        let multi = if self.index {
            Some(self.several_platforms(&layers, &manifest)?)
        } else {
            None
        };
        let chain_id = layers.iter().fold(String::new(), |chain, layer| {
            if chain.is_empty() {
                layer.digest.clone()
            } else {
                digest(format!("{chain} {}", layer.digest).as_bytes())
            }
        });
        Ok(Image {
            layers,
            config,
            manifest,
            multi,
            chain_id,
        })
    }

    fn several_platforms(&self, layers: &[Blob], manifest: &Blob) -> Result<Multi> {
        let other = if architecture() == "amd64" {
            "arm64"
        } else {
            "amd64"
        };
        let (foreign_config, foreign_manifest) = self.assemble(layers, other)?;
        let mut entries = Vec::new();
        for (manifest, architecture) in [(&foreign_manifest, other), (manifest, architecture())] {
            let mut entry = manifest.descriptor(MANIFEST);
            if let Some(entry) = entry.as_object_mut() {
                let platform = json!({"os": "linux", "architecture": architecture});
                entry.insert("platform".into(), platform);
            }
            entries.push(entry);
        }
        let document = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries});
        Ok(Multi {
            index: Blob::new(serde_json::to_vec(&document)?),
            foreign_manifest,
            foreign_config,
        })
    }

    fn assemble(&self, layers: &[Blob], architecture: &str) -> Result<(Blob, Blob)> {
        let mut run = json!({"Entrypoint": self.entrypoint, "Env": ["PATH=/bin"]});
        if let (Some(run), Some(user)) = (run.as_object_mut(), &self.user) {
            run.insert("User".into(), json!(user));
        }
        let diff_ids: Vec<&str> = layers.iter().map(|layer| layer.digest.as_str()).collect();
        let config = Blob::new(serde_json::to_vec(&json!({
            "architecture": architecture,
            "os": "linux",
            "config": run,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": [{"created_by": self.marker}],
        }))?);
        let manifest = Blob::new(serde_json::to_vec(&json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.descriptor(CONFIG),
            "layers": layers.iter().map(|layer| layer.descriptor(LAYER)).collect::<Vec<_>>(),
        }))?);
        Ok((config, manifest))
    }
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

/// The name of this machine's architecture in image configurations.
fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "amd64"
    }
}

fn base_layer() -> Result<&'static Blob> {
    static BASE: OnceLock<Blob> = OnceLock::new();
    if let Some(base) = BASE.get() {
        return Ok(base);
    }
    let busybox = std::fs::read(BUSYBOX).with_context(|| {
        format!("{BUSYBOX} is missing: run `make setup` (package busybox-static)")
    })?;
    let mut archive = tar::Builder::new(Vec::new());
    for directory in ["bin", "tmp", "proc", "sys", "dev", "etc"] {
        let mut header = header(0, 0o755);
        header.set_entry_type(tar::EntryType::Directory);
        archive.append_data(&mut header, directory, std::io::empty())?;
    }
    add(&mut archive, "bin/busybox", &busybox, 0o755)?;
    for applet in ["sh", "cat", "echo", "id", "ls", "sleep", "true", "false"] {
        let mut header = header(0, 0o777);
        header.set_entry_type(tar::EntryType::Symlink);
        archive.append_link(&mut header, format!("bin/{applet}"), "busybox")?;
    }
    let accounts = b"root:x:0:0::/:/bin/sh\napp:x:4711:4711::/:/bin/sh\n";
    add(&mut archive, "etc/passwd", accounts, 0o644)?;
    let blob = Blob::new(archive.into_inner()?);
    Ok(BASE.get_or_init(|| blob))
}

fn marker_layer(marker: &str, padding: usize) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    add(&mut archive, "marker", marker.as_bytes(), 0o644)?;
    if padding > 0 {
        let seed = Sha256::digest(marker.as_bytes());
        let bytes: Vec<u8> = seed.iter().copied().cycle().take(padding).collect();
        add(&mut archive, "padding", &bytes, 0o644)?;
    }
    Ok(archive.into_inner()?)
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
