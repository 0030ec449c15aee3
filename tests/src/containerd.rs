//! A containerd of its own: private root, state, socket and cgroup, loopback network, no access to any registry but
//! those whose ports are named in its `certs.d`.

mod config;
mod native;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::daemon::{Daemon, run, wait_until};
use crate::image::Image;
use crate::kubelet::Kubelet;
use crate::scratch::release;

pub use native::{Native, Record};

/// The name that containerd is configured to take the sandbox image from.
pub const PAUSE: &str = "registry.k8s.io/pause:3.6";

/// Which containerd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// Debian 12's 1.6.
    One,
    /// A 2.x, unpacked by tests/setup.sh.
    Two,
}

impl Generation {
    /// Both.
    pub const ALL: [Self; 2] = [Self::One, Self::Two];

    /// The directory of its binaries; the reason, if this machine has none.
    pub fn binaries(self) -> Result<PathBuf, String> {
        let (place, reason) = match self {
            Self::One => (
                "/usr/bin".into(),
                "containerd is not installed: run `make setup`",
            ),
            Self::Two => (
                peers().join("usr/bin"),
                "no containerd 2.x: tests/setup.sh could not get one",
            ),
        };
        if place.join("containerd").exists() {
            Ok(place)
        } else {
            Err(reason.to_owned())
        }
    }
}

/// Where tests/setup.sh unpacks what Debian 12 lacks.
pub(crate) fn peers() -> PathBuf {
    std::env::var_os("PORTCULLIS_PEERS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers"),
        PathBuf::from,
    )
}

/// The running daemon.
#[derive(Debug)]
pub struct Containerd {
    dir: PathBuf,
    cgroup_parent: String,
    binaries: PathBuf,
    generation: Generation,
    daemon: Daemon,
}

impl Containerd {
    /// Starts one in `dir`, a directory of a scratch directory; its registry hosts are read from `<dir>/certs.d`.
    pub async fn start(generation: Generation, dir: &Path, cgroup_parent: &str) -> Result<Self> {
        let binaries = generation.binaries().map_err(anyhow::Error::msg)?;
        config::write(generation, dir)?;
        let daemon = Self::spawn(&binaries, dir)?;
        let mut containerd = Self {
            dir: dir.to_owned(),
            cgroup_parent: cgroup_parent.to_owned(),
            binaries,
            generation,
            daemon,
        };
        containerd.wait_ready().await?;
        Ok(containerd)
    }

    fn spawn(binaries: &Path, dir: &Path) -> Result<Daemon> {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new(binaries.join("containerd"));
        command
            .arg("--config")
            .arg(dir.join("config.toml"))
            .env(
                "PATH",
                format!("{}:{path}:/usr/sbin:/sbin", binaries.display()),
            )
            .env_remove("NOTIFY_SOCKET");
        Daemon::start("containerd", &command, &dir.join("containerd.log"))
    }

    async fn wait_ready(&mut self) -> Result<()> {
        let socket = self.socket();
        self.daemon.ready(|| socket.exists())?;
        // The socket file is there before anything listens on it.
        wait_until("containerd's CRI service", async || {
            Ok(match self.kubelet_at(&socket).await {
                Ok(mut kubelet) => kubelet.version().await.ok(),
                Err(_) => None,
            })
        })
        .await
        .with_context(|| self.daemon.log_end())?;
        Ok(())
    }

    /// Which containerd this is.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("c.sock")
    }

    /// Its configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.dir.join("config.toml")
    }

    /// The directory of registry hosts.
    pub fn certs_dir(&self) -> PathBuf {
        self.dir.join("certs.d")
    }

    /// A kubelet that talks to containerd directly.
    pub async fn kubelet(&self) -> Result<Kubelet> {
        self.kubelet_at(&self.socket()).await
    }

    /// A kubelet of this node that talks to `socket`: the shim's, or a tap's.
    pub async fn kubelet_at(&self, socket: &Path) -> Result<Kubelet> {
        Kubelet::connect(socket, &self.dir.join("pods"), &self.cgroup_parent).await
    }

    /// Its own API, past every gate: what an attacker with `ctr`, or the truth about a container, needs.
    pub async fn native(&self) -> Result<Native> {
        Native::connect(&self.socket()).await
    }

    /// Imports an image as `ctr images import` does, and waits until CRI shows it.
    pub async fn import(&self, image: &Image, name: &str) -> Result<()> {
        let archive = self.dir.join("import.tar");
        image.write_archive(&archive, name)?;
        self.ctr(&[
            "images",
            "import",
            "--no-unpack",
            &archive.display().to_string(),
        ])?;
        std::fs::remove_file(&archive)?;
        let mut kubelet = self.kubelet().await?;
        wait_until("the imported image in CRI", async || {
            let id = kubelet.image_id(name).await?;
            Ok((id.as_deref() == Some(image.id())).then_some(()))
        })
        .await
    }

    /// Runs `ctr` on this containerd in the namespace of Kubernetes.
    pub fn ctr(&self, arguments: &[&str]) -> Result<String> {
        self.ctr_at(&self.socket(), arguments)
    }

    /// Runs `ctr` on another socket.
    pub fn ctr_at(&self, socket: &Path, arguments: &[&str]) -> Result<String> {
        run(Command::new(self.binaries.join("ctr"))
            .arg("--address")
            .arg(socket)
            .args(["--namespace", "k8s.io"])
            .args(arguments))
    }

    /// Kills it; its shims and containers go on, as on a node.
    pub fn kill(&mut self) -> Result<()> {
        self.daemon.kill()
    }

    /// Starts it again.
    pub async fn restart(&mut self) -> Result<()> {
        self.daemon.kill()?;
        let _ = std::fs::remove_file(self.socket());
        self.daemon = Self::spawn(&self.binaries, &self.dir)?;
        self.wait_ready().await
    }

    /// Ends every container as a reboot does (nothing of /run and no process survives) and starts it again.
    pub async fn reboot(&mut self) -> Result<()> {
        self.daemon.kill()?;
        let owner = self.dir.parent().context("no parent directory")?;
        release(owner);
        for gone in ["state", "c.sock", "c.sock.ttrpc"] {
            let path = self.dir.join(gone);
            let _ = std::fs::remove_dir_all(&path).or_else(|_| std::fs::remove_file(&path));
        }
        self.daemon = Self::spawn(&self.binaries, &self.dir)?;
        self.wait_ready().await
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.daemon.log()
    }
}
