//! How an image is made: a shared layer of busybox, a layer of its own, a configuration.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use anyhow::{Context, Result};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{Blob, CONFIG, INDEX, Image, LAYER, MANIFEST, Multi, add, digest, header};

/// Where Debian's busybox-static puts it.
const BUSYBOX: &str = "/bin/busybox";

/// What an image is to be.
#[derive(Debug, Clone)]
pub struct Recipe {
    marker: String,
    user: Option<String>,
    entrypoint: Vec<String>,
    padding: usize,
    index: bool,
    created: Option<String>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
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
            created: None,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
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

    /// With a time of creation in its configuration (RFC 3339).
    #[must_use]
    pub fn created(mut self, time: &str) -> Self {
        self.created = Some(time.to_owned());
        self
    }

    /// With a label in its configuration.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// With an annotation of its manifest.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), value.to_owned());
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
        if let (Some(run), false) = (run.as_object_mut(), self.labels.is_empty()) {
            run.insert("Labels".into(), json!(self.labels));
        }
        let diff_ids: Vec<&str> = layers.iter().map(|layer| layer.digest.as_str()).collect();
        let mut config = json!({
            "architecture": architecture,
            "os": "linux",
            "config": run,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": [{"created_by": self.marker}],
        });
        if let (Some(config), Some(created)) = (config.as_object_mut(), &self.created) {
            config.insert("created".into(), json!(created));
        }
        let config = Blob::new(serde_json::to_vec(&config)?);
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.descriptor(CONFIG),
            "layers": layers.iter().map(|layer| layer.descriptor(LAYER)).collect::<Vec<_>>(),
        });
        if let (Some(manifest), false) = (manifest.as_object_mut(), self.annotations.is_empty()) {
            manifest.insert("annotations".into(), json!(self.annotations));
        }
        Ok((config, Blob::new(serde_json::to_vec(&manifest)?)))
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
