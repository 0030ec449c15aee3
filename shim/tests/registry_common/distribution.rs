//! A real docker-registry (Debian's 2.8) with images written straight into its storage.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use portcullis_policy::Digest;

pub struct Distribution {
    pub address: SocketAddr,
    process: Child,
    dir: tempfile::TempDir,
}

impl Drop for Distribution {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}

impl Distribution {
    /// Starts one on a port of its own. `auth` is the `auth` part of its configuration, in which `DIR` stands for
    /// its directory; `files` are written there first.
    pub fn start(auth: &str, files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().display().to_string();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let config = dir.path().join("config.yml");
        std::fs::write(
            &config,
            format!(
                "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {root}/data}}}}\n\
                 http: {{addr: '127.0.0.1:0', secret: x}}\n{}",
                auth.replace("DIR", &root)
            ),
        )
        .unwrap();
        let mut process = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("these tests need docker-registry (apt install docker-registry)");
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let mut seen = String::new();
        let address = loop {
            let mut line = String::new();
            assert_ne!(
                log.read_line(&mut line).unwrap(),
                0,
                "docker-registry ended: {seen}"
            );
            if let Some((_, rest)) = line.split_once("listening on ") {
                let end = rest.find(['"', ' ']).unwrap();
                break rest[..end].parse().unwrap();
            }
            seen.push_str(&line);
        };
        // Its log must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self {
            address,
            process,
            dir,
        }
    }

    /// The file that holds a blob.
    pub fn blob(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.dir
            .path()
            .join("data/docker/registry/v2/blobs/sha256")
            .join(&hex[..2])
            .join(&hex)
            .join("data")
    }

    /// Stores a manifest under a tag.
    pub fn store(&self, repository: &str, tag: &str, manifest: &str) -> Digest {
        let digest = Digest::of(manifest.as_bytes());
        let hex = digest.hex();
        let base = self.dir.path().join("data/docker/registry/v2");
        let manifests = base
            .join("repositories")
            .join(repository)
            .join("_manifests");
        write(&self.blob(&digest), manifest);
        for link in [
            manifests.join("revisions/sha256").join(&hex).join("link"),
            manifests.join("tags").join(tag).join("current/link"),
            manifests
                .join("tags")
                .join(tag)
                .join("index/sha256")
                .join(&hex)
                .join("link"),
        ] {
            write(&link, &digest.to_string());
        }
        digest
    }
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}
