//! A private containerd on a socket of its own, and images made by hand to import into it.
#![allow(dead_code, unreachable_pub, missing_docs)]

pub mod image;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use portcullis::containerd::Containerd;
use portcullis_policy::Digest;
use tokio::time::Instant;

/// containerd 2.x, where tests/setup.sh unpacks it.
pub fn second() -> PathBuf {
    let peers = std::env::var_os("PORTCULLIS_PEERS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers"),
        PathBuf::from,
    );
    peers.join("usr/bin/containerd")
}

/// One containerd with everything it writes in a temporary directory.
pub struct Node {
    pub dir: tempfile::TempDir,
    bin: PathBuf,
    process: Option<Child>,
    pub major: u32,
}

pub fn deadline() -> Instant {
    Instant::now() + Duration::from_mins(1)
}

impl Node {
    /// Every containerd that can be had here; says what is skipped and why.
    pub fn every() -> Vec<Self> {
        let mut found = Vec::new();
        for path in [PathBuf::from("/usr/bin/containerd"), second()] {
            if !path.exists() {
                eprintln!("skipped: there is no {}", path.display());
                continue;
            }
            match Self::start(&path) {
                Ok(node) => found.push(node),
                Err(reason) => eprintln!("skipped: {}: {reason}", path.display()),
            }
        }
        found
    }

    fn start(path: &Path) -> Result<Self, String> {
        if !nix::unistd::geteuid().is_root() {
            return Err("containerd needs root".to_owned());
        }
        let version = Command::new(path)
            .arg("--version")
            .output()
            .map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&version.stdout).into_owned();
        let number = text.split_whitespace().nth(2).unwrap_or_default();
        let major = number
            .split('.')
            .next()
            .and_then(|major| major.parse().ok());
        let major = major.ok_or_else(|| format!("unknown version `{number}`"))?;
        let mut node = Self {
            dir: tempfile::Builder::new().prefix("pc").tempdir().unwrap(),
            bin: path.parent().unwrap_or(Path::new("/")).to_owned(),
            process: None,
            major,
        };
        node.configure();
        node.run();
        Ok(node)
    }

    fn configure(&self) {
        let dir = self.dir.path();
        fs::create_dir_all(dir.join("cni")).unwrap();
        fs::write(
            dir.join("cni/10-lo.conflist"),
            r#"{"cniVersion":"1.0.0","name":"lo","plugins":[{"type":"loopback"}]}"#,
        )
        .unwrap();
        let (version, cri, extra) = if self.major >= 2 {
            (3, "io.containerd.cri.v1.runtime", "")
        } else {
            (
                2,
                "io.containerd.grpc.v1.cri",
                "sandbox_image = \"pause.test/pause:1\"\n",
            )
        };
        let dir = dir.display();
        let mut text = format!(
            "version = {version}\nroot = \"{dir}/root\"\nstate = \"{dir}/state\"\n\
             [grpc]\naddress = \"{dir}/c.sock\"\n[ttrpc]\naddress = \"{dir}/t.sock\"\n\
             [plugins.\"{cri}\"]\n{extra}restrict_oom_score_adj = true\ndisable_apparmor = true\n\
             [plugins.\"{cri}\".cni]\nbin_dir = \"/usr/lib/cni\"\nconf_dir = \"{dir}/cni\"\n\
             [plugins.\"{cri}\".containerd]\nsnapshotter = \"native\"\n",
        );
        if self.major >= 2 {
            text.push_str(
                "[plugins.\"io.containerd.cri.v1.images\"]\nsnapshotter = \"native\"\n\
                 [plugins.\"io.containerd.cri.v1.images\".pinned_images]\nsandbox = \"pause.test/pause:1\"\n",
            );
        }
        fs::write(self.dir.path().join("config.toml"), text).unwrap();
    }

    pub fn run(&mut self) {
        let log = File::create(self.dir.path().join("log")).unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        let child = Command::new(self.bin.join("containerd"))
            .arg("-c")
            .arg(self.dir.path().join("config.toml"))
            .env("PATH", format!("{}:{path}:/usr/sbin", self.bin.display()))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(child);
    }

    pub fn kill(&mut self) {
        if let Some(mut child) = self.process.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("c.sock")
    }

    pub fn client(&self) -> Containerd {
        Containerd::new(&self.socket()).unwrap()
    }

    /// Waits until CRI answers.
    pub async fn ready(&self, client: &Containerd) {
        let until = deadline();
        while client.version(until).await.is_err() {
            let log = || fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            assert!(
                Instant::now() < until,
                "containerd does not start:\n{}",
                log()
            );
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn ctr(&self, arguments: &[&str]) {
        let out = Command::new(self.bin.join("ctr"))
            .arg("-a")
            .arg(self.socket())
            .args(["-n", "k8s.io"])
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "ctr {arguments:?}: {said}");
    }

    /// Puts bytes into the content store as they are, and keeps them there: no image refers to them, so a collection
    /// that runs between the write and the label takes them away, and they are written again.
    pub fn ingest(&self, bytes: &[u8], digest: &Digest) {
        let ctr = |arguments: &[&str]| {
            Command::new(self.bin.join("ctr"))
                .arg("-a")
                .arg(self.socket())
                .args(["-n", "k8s.io", "content"])
                .args(arguments)
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        };
        let digest_text = digest.to_string();
        for _ in 0..10 {
            let mut write = ctr(&["ingest", "--expected-digest", &digest_text, &digest.hex()]);
            write.stdin.take().unwrap().write_all(bytes).unwrap();
            assert!(write.wait().unwrap().success());
            let label = "containerd.io/gc.root=test";
            if ctr(&["label", &digest_text, label])
                .wait()
                .unwrap()
                .success()
            {
                return;
            }
        }
        panic!("{digest} does not stay in the content store");
    }

    /// Imports an OCI archive and unpacks it with the snapshotter in use.
    pub fn import(&self, archive: &Path) {
        let archive = archive.display().to_string();
        let mut arguments = vec!["images", "import", "--snapshotter", "native"];
        if self.major >= 2 {
            // The transfer service unpacks for the default snapshotter alone.
            arguments.push("--local");
        }
        arguments.push(&archive);
        self.ctr(&arguments);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        // Shims and mounts are named by directories of this node alone.
        let state = self.dir.path().join("state");
        let tasks = state.join("io.containerd.runtime.v2.task/k8s.io");
        for task in fs::read_dir(tasks).into_iter().flatten().flatten() {
            if let Ok(text) = fs::read_to_string(task.path().join("init.pid"))
                && let Ok(pid) = text.trim().parse()
            {
                let _ = nix::sys::signal::kill(
                    nix::unistd::Pid::from_raw(pid),
                    nix::sys::signal::SIGKILL,
                );
            }
            if let Ok(text) = fs::read_to_string(task.path().join("shim.pid"))
                && let Ok(pid) = text.trim().parse()
            {
                let _ = nix::sys::signal::kill(
                    nix::unistd::Pid::from_raw(pid),
                    nix::sys::signal::SIGKILL,
                );
            }
        }
        let own = self.dir.path().display().to_string();
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        for place in mounts
            .lines()
            .rev()
            .filter_map(|line| line.split(' ').nth(1))
        {
            if place.starts_with(&own) {
                let _ = Command::new("umount").args(["-l", place]).status();
            }
        }
    }
}
