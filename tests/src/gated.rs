//! A node with the gate: kubelet ─▶ shim ─▶ tap ─▶ containerd, and fronts before registry and notary that count what
//! the gate asks for.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::containerd::{Generation, PAUSE};
use crate::front::{Front, Weather};
use crate::image::{Image, Recipe};
use crate::kubelet::{Kubelet, Pod, PullPolicy, Reason};
use crate::node::{HOST, Node, tagged};
use crate::notary::Notary;
use crate::policy::{Demand, NotaryServer};
use crate::registry::map_host;
use crate::shim::{Settings, Shim};
use crate::tap::Tap;

/// The directory of registry hosts that the gate reads.
const CERTS: &str = "shim-certs.d";

/// The signer that policies of the tests believe.
pub const SIGNER: &str = "alice";

/// The node. Everything ends when it is dropped.
#[derive(Debug)]
pub struct Gated {
    /// The gate.
    pub shim: Shim,
    /// What stands between the gate and containerd.
    pub tap: Tap,
    /// What the gate asks the registry; containerd has its own way there.
    pub registry_front: Front,
    /// What the gate asks notary.
    pub notary_front: Front,
    /// Notary.
    pub notary: Notary,
    /// The node without the gate.
    pub node: Node,
    guns: Vec<(String, String)>,
}

/// Rule one, at the end of every test with a gate that only ever enforced.
impl Drop for Gated {
    fn drop(&mut self) {
        if self.shim.always_enforced() && !std::thread::panicking() {
            let unpinned = self.tap.unpinned_ever();
            assert!(
                unpinned.is_empty(),
                "containerd was asked to pull {unpinned:?}"
            );
        }
    }
}

impl Gated {
    /// Starts everything but the shim, which waits for its policy. The pause image is on the bootstrap list.
    pub async fn prepare(generation: Generation) -> Result<Self> {
        let node = Node::start(generation).await?;
        let notary = Notary::start(&node.subdir("notary")?)?;
        let registry_front = Front::start(node.registry.port())?;
        let notary_front = Front::start(notary.port())?;
        let tap = Tap::start(&node.dir().join("tap.sock"), &node.containerd.socket())?;
        let certs_dir = node.subdir(CERTS)?;
        map_host(&certs_dir, HOST, registry_front.port())?;
        // The gate takes the registry hosts from where containerd's configuration says; its copy leads through the front.
        let containerd_config = node.dir().join("shim-containerd.toml");
        let text = std::fs::read_to_string(node.containerd.config_file())?.replace(
            &node.containerd.certs_dir().display().to_string(),
            &certs_dir.display().to_string(),
        );
        std::fs::write(&containerd_config, text)?;
        let name = PAUSE.split(':').next().unwrap_or_default();
        let settings = Settings {
            upstream: tap.socket().to_owned(),
            certs_dir,
            containerd_config,
            docker_config: None,
            providers: None,
            notary: Vec::new(),
            mode: "enforce",
            budget: "10s",
            bootstrap: vec![format!("{name}@{}", node.pause.digest())],
        };
        let shim = Shim::new(&node.subdir("shim")?, settings)?;
        Ok(Self {
            shim,
            tap,
            registry_front,
            notary_front,
            notary,
            node,
            guns: Vec::new(),
        })
    }

    /// Makes a Notary collection for `repository` and pins its root in the node's configuration (before the start).
    pub fn collection(&mut self, repository: &str) -> Result<()> {
        self.collection_of(repository, SIGNER)
    }

    /// As [`Gated::collection`], with another signer.
    pub fn collection_of(&mut self, repository: &str, signer: &str) -> Result<()> {
        let gun = format!("{HOST}/{repository}");
        self.notary.init(&gun, signer)?;
        let pin = self.notary.pin(&gun)?;
        self.guns.push((gun, pin));
        let server = NotaryServer {
            repositories: format!("{HOST}/*"),
            port: self.notary_front.port(),
            ca: self.notary.ca(),
            pins: self.guns.clone(),
        };
        self.shim
            .configure(|settings| settings.notary = vec![server])
    }

    /// Builds an image that prints `marker`, pushes it and lets `tag` name it.
    pub async fn push(&self, repository: &str, tag: &str, marker: &str) -> Result<Image> {
        let image = Recipe::new(marker).build()?;
        self.node.registry.push(repository, tag, &image).await?;
        Ok(image)
    }

    /// As [`Gated::push`], and signed.
    pub async fn push_signed(&self, repository: &str, tag: &str, marker: &str) -> Result<Image> {
        let image = self.push(repository, tag, marker).await?;
        self.sign(repository, tag, &image)?;
        Ok(image)
    }

    /// Pushes an image and pulls it onto the node behind the gate's back.
    pub async fn smuggle(&self, repository: &str, tag: &str, marker: &str) -> Result<Image> {
        let image = self.push(repository, tag, marker).await?;
        let mut direct = self.node.kubelet().await?;
        let pod = Pod::new("elsewhere", &tagged(repository, tag));
        let sandbox = direct.run_sandbox(&pod).await?;
        direct.ensure_image(&pod, &sandbox.config).await?;
        direct.remove_sandbox(&sandbox.id).await?;
        Ok(image)
    }

    /// Signs a tag.
    pub fn sign(&self, repository: &str, tag: &str, image: &Image) -> Result<()> {
        self.notary
            .sign(&format!("{HOST}/{repository}"), tag, image, SIGNER)
    }

    /// The demand for a signature by [`SIGNER`].
    pub fn signed(&self) -> Result<Demand> {
        self.signed_by(SIGNER)
    }

    /// The demand for a signature by another signer.
    pub fn signed_by(&self, signer: &str) -> Result<Demand> {
        Ok(Demand::Signed {
            server: format!("https://127.0.0.1:{}", self.notary_front.port()),
            signer: signer.to_owned(),
            key: self.notary.public_key(signer)?,
        })
    }

    /// A kubelet that talks to the gate.
    pub async fn kubelet(&self) -> Result<Kubelet> {
        self.node.containerd.kubelet_at(&self.shim.socket()).await
    }

    /// Runs a pod of namespace shop that pulls always, and gives the first line that its container says.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn runs(&self, reference: &str) -> Result<String> {
        let mut kubelet = self.kubelet().await?;
        let pod = Pod::new("shop", reference).pulled(PullPolicy::Always);
        let running = kubelet.run_pod(&pod).await?;
        kubelet.output(&running).await
    }

    /// Tries the same pod and gives the text of its refusal. Of two refusals of one reference the second may be the first
    /// one, remembered: what has changed is asked for under another name of the image.
    ///
    /// # Errors
    /// When it runs.
    ///
    /// # Panics
    /// When it is refused for another reason than its signatures, or after containerd was asked to pull it.
    pub async fn refuses(&self, reference: &str) -> Result<String> {
        let before = self.tap.pulls()?.len();
        let pod = Pod::new("shop", reference).pulled(PullPolicy::Always);
        let error = self.kubelet().await?.run_pod(&pod).await.err();
        let error = error.with_context(|| format!("{reference} ran"))?;
        assert_eq!(error.reason, Reason::SignatureValidationFailed, "{error}");
        assert_eq!(self.tap.pulls()?.len(), before, "containerd pulled");
        Ok(error.message)
    }

    /// Cuts the gate and containerd off from registry and notary.
    pub fn cut_network(&mut self) -> Result<()> {
        self.registry_front.set(Weather::Down);
        self.notary_front.set(Weather::Down);
        self.node.registry.stop()
    }

    /// Puts the network back. Only the fronts' silence ends: what is stopped must be started.
    pub fn mend_network(&mut self) -> Result<()> {
        self.node.registry.restart()?;
        self.registry_front.set(Weather::Fair);
        self.notary_front.set(Weather::Fair);
        Ok(())
    }

    /// Requests that the gate has made to anything outside: connections to registry and notary.
    pub fn outside_connections(&self) -> u64 {
        self.registry_front.connections() + self.notary_front.connections()
    }

    /// Containers (not sandboxes) that exist in containerd and stand on none of the given images.
    pub async fn strangers(&self, allowed: &[&Image]) -> Result<Vec<String>> {
        let native = self.node.containerd.native().await?;
        let mut strangers = Vec::new();
        for id in native.containers().await? {
            let chain = native.chain_id(&id).await?;
            let known = chain == self.node.pause.chain_id()
                || allowed.iter().any(|image| image.chain_id() == chain);
            if !known {
                strangers.push(id);
            }
        }
        Ok(strangers)
    }

    /// Fails if a PullImage without a digest has ever reached containerd.
    pub fn assert_digest_only(&self) -> Result<()> {
        let unpinned = self.tap.unpinned_pulls()?;
        anyhow::ensure!(
            unpinned.is_empty(),
            "containerd was asked to pull {unpinned:?}"
        );
        Ok(())
    }

    /// The directory of registry hosts that the gate reads; containerd has its own.
    pub fn certs_dir(&self) -> PathBuf {
        self.node.dir().join(CERTS)
    }

    /// The shim's policy directory.
    pub fn policy_dir(&self) -> PathBuf {
        self.shim.policy_dir()
    }

    /// Writes the policy and starts the shim.
    pub fn start(&mut self, policy: &str) -> Result<()> {
        self.shim.write_policy("policy.yaml", policy)?;
        self.shim.start().context("the gate does not start")
    }
}
