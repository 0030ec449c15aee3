//! Images as OCI archives, byte by byte, so that odd ones can be made too.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis_policy::Digest;
use serde_json::{Value, json};

pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// An OCI layout under construction.
pub struct Layout {
    dir: tempfile::TempDir,
    named: Vec<Value>,
}

/// One image for one platform.
#[derive(Debug, Clone)]
pub struct Built {
    pub manifest: Digest,
    pub config: Digest,
    pub size: usize,
}

impl Default for Layout {
    fn default() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("blobs/sha256")).unwrap();
        fs::write(
            dir.path().join("oci-layout"),
            r#"{"imageLayoutVersion":"1.0.0"}"#,
        )
        .unwrap();
        let named = Vec::new();
        Self { dir, named }
    }
}

impl Layout {
    pub fn blob(&self, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        fs::write(
            self.dir.path().join("blobs/sha256").join(digest.hex()),
            bytes,
        )
        .unwrap();
        digest
    }

    /// A layer with busybox and one file of its own.
    pub fn layer(&self, marker: &str) -> (Digest, usize) {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("bin")).unwrap();
        fs::create_dir(root.path().join("etc")).unwrap();
        fs::copy("/bin/busybox", root.path().join("bin/busybox")).unwrap();
        fs::write(root.path().join("etc/marker"), marker).unwrap();
        let tar = Command::new("tar")
            .args([
                "--sort=name",
                "--mtime=@0",
                "--owner=0",
                "--group=0",
                "-cf",
                "-",
                "-C",
            ])
            .arg(root.path())
            .arg(".")
            .output()
            .unwrap();
        assert!(tar.status.success());
        (self.blob(&tar.stdout), tar.stdout.len())
    }

    /// An image for this machine's platform, of one layer per marker.
    pub fn image(&self, markers: &[&str], user: &str) -> Built {
        let layers: Vec<_> = markers.iter().map(|marker| self.layer(marker)).collect();
        let config = json!({
            "architecture": "amd64", "os": "linux",
            "config": {"User": user, "Cmd": ["/bin/busybox", "sleep", "1000"], "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": layers.iter().map(|(digest, _)| digest).collect::<Vec<_>>()},
        })
        .to_string();
        let digest = self.blob(config.as_bytes());
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": digest, "size": config.len()},
            "layers": layers.iter().map(|(digest, size)| json!({
                "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": size,
            })).collect::<Vec<_>>(),
        })
        .to_string();
        Built {
            manifest: self.blob(manifest.as_bytes()),
            config: digest,
            size: manifest.len(),
        }
    }

    /// An index over images, each for the platform named.
    pub fn index(&self, images: &[(&Built, &str)]) -> (Digest, usize) {
        let index = json!({
            "schemaVersion": 2, "mediaType": INDEX,
            "manifests": images.iter().map(|(image, architecture)| json!({
                "mediaType": MANIFEST, "digest": image.manifest, "size": image.size,
                "platform": {"os": "linux", "architecture": architecture},
            })).collect::<Vec<_>>(),
        })
        .to_string();
        (self.blob(index.as_bytes()), index.len())
    }

    /// An index whose entries are indexes.
    pub fn index_of_indexes(&self, indexes: &[(Digest, usize)]) -> (Digest, usize) {
        let entries: Vec<_> = indexes
            .iter()
            .map(|(digest, size)| json!({"mediaType": INDEX, "digest": digest, "size": size}))
            .collect();
        let index =
            json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).to_string();
        (self.blob(index.as_bytes()), index.len())
    }

    pub fn bytes(&self, digest: &Digest) -> Vec<u8> {
        fs::read(self.dir.path().join("blobs/sha256").join(digest.hex())).unwrap()
    }

    /// Gives a document of the layout a name that import will record.
    pub fn name(&mut self, name: &str, media_type: &str, (digest, size): (Digest, usize)) {
        self.named.push(json!({
            "mediaType": media_type, "digest": digest, "size": size,
            "annotations": {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name},
        }));
    }

    pub fn name_image(&mut self, name: &str, image: &Built) {
        self.name(name, MANIFEST, (image.manifest, image.size));
    }

    /// The archive for `ctr images import`.
    pub fn archive(&self, place: &Path) -> PathBuf {
        let index =
            json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": self.named}).to_string();
        fs::write(self.dir.path().join("index.json"), index).unwrap();
        let archive = place.join("image.tar");
        let tar = Command::new("tar")
            .arg("-cf")
            .arg(&archive)
            .arg("-C")
            .arg(self.dir.path())
            .arg(".")
            .status()
            .unwrap();
        assert!(tar.success());
        archive
    }
}
