//! A node without the gate: containerd, a registry, and the pause image that a node is installed with.

use std::path::Path;

use anyhow::Result;

use crate::containerd::{Containerd, Generation, PAUSE};
use crate::image::Image;
use crate::kubelet::Kubelet;
use crate::registry::{Registry, map_host};
use crate::scratch::Scratch;

/// The registry's name in image references; `hosts.toml` says which port it is.
pub const HOST: &str = "registry.example.com";

/// The node. Everything ends when it is dropped, containerd first, its directory last.
#[derive(Debug)]
pub struct Node {
    /// containerd.
    pub containerd: Containerd,
    /// The registry behind [`HOST`].
    pub registry: Registry,
    /// The sandbox image, imported.
    pub pause: Image,
    scratch: Scratch,
}

impl Node {
    /// Starts one.
    pub async fn start(generation: Generation) -> Result<Self> {
        let scratch = Scratch::new()?;
        let registry = Registry::start(&scratch.dir("registry")?)?;
        let containerd =
            Containerd::start(generation, &scratch.dir("c")?, &scratch.cgroup_parent()).await?;
        map_host(&containerd.certs_dir(), HOST, registry.port())?;
        let pause = Image::pause()?;
        containerd.import(&pause, PAUSE).await?;
        Ok(Self {
            containerd,
            registry,
            pause,
            scratch,
        })
    }

    /// A kubelet that talks to containerd directly.
    pub async fn kubelet(&self) -> Result<Kubelet> {
        self.containerd.kubelet().await
    }

    /// The directory of the node.
    pub fn dir(&self) -> &Path {
        self.scratch.path()
    }

    /// A new directory in it.
    pub fn subdir(&self, name: &str) -> Result<std::path::PathBuf> {
        self.scratch.dir(name)
    }
}

/// `<HOST>/<repository>:<tag>`.
pub fn tagged(repository: &str, tag: &str) -> String {
    format!("{HOST}/{repository}:{tag}")
}

/// `<HOST>/<repository>@<digest>`.
pub fn pinned(repository: &str, image: &Image) -> String {
    format!("{HOST}/{repository}@{}", image.digest())
}
