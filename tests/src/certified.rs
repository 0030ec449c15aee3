//! A node whose namespace shop asks for what notation signed with certificates of an authority.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::containerd::Generation;
use crate::gated::Gated;
use crate::image::Image;
use crate::kubelet::{Kubelet, Pod, Running};
use crate::liar::{Liar, Reply, json as body, status};
use crate::node::{HOST, tagged};
use crate::pki::{Pki, Profile};
use crate::policy::shop_policy;
use crate::shop::REPOSITORY;
use crate::signers::{Envelope, Notation, Subject};
use crate::skip;

/// Where the authority's list is, behind a name that only the node's proxy knows: the gate asks no address of its own node.
pub const CRL: &str = "http://crl.example.com/shop.crl";

/// The node, with an authority `shop` that `root` vouches for.
#[derive(Debug)]
pub struct Certified {
    /// Node and gate.
    pub gated: Gated,
    /// notation with its keys.
    pub notation: Notation,
    /// The authority.
    pub pki: Pki,
    /// The node's proxy: what was asked through it.
    pub proxy: Liar,
    /// What the authority publishes; `None`: its server is down.
    list: Arc<Mutex<Option<Vec<u8>>>>,
}

impl Certified {
    /// A gate that is not started yet, and an authority `shop` that `root` vouches for.
    pub async fn prepare(test: &str) -> Result<Option<Self>> {
        let Some(program) = skip::signer(test, Notation::find()) else {
            return Ok(None);
        };
        let mut gated = Gated::prepare(Generation::One).await?;
        let notation = Notation::new(program, &gated.node.subdir("notation")?);
        let pki = Pki::new(&gated.node.subdir("pki")?);
        pki.root("root")?;
        pki.issue("shop", "root", Profile::Authority, 3000)?;
        let list = Arc::new(Mutex::new(Some(pki.crl("shop", &[])?)));
        let proxy = Liar::start(0, None)?;
        let published = Arc::clone(&list);
        proxy.says(move |asked| {
            let list = published.lock().unwrap_or_else(PoisonError::into_inner);
            Reply::Lie(match list.as_ref() {
                Some(bytes) if asked.path == CRL => body(bytes.clone()),
                _ => status(503),
            })
        });
        gated.shim.proxy(proxy.port());
        Ok(Some(Self {
            gated,
            notation,
            pki,
            proxy,
            list,
        }))
    }

    /// Starts the gate with [`Certified::policy`].
    pub fn start(&mut self, more: &Value) -> Result<()> {
        let policy = self.policy(more)?;
        self.gated.start(&policy)
    }

    /// What is signed under `root`; `more` is asked beside that.
    pub fn policy(&self, more: &Value) -> Result<String> {
        let mut asked = json!({
            "trustStores": {"ca": {"root": [{"pem": self.pki.pem("root", "crt")?}]}},
            "trustedIdentities": ["*"],
            "level": "strict",
        });
        for (name, value) in more.as_object().context("no mapping")? {
            asked[name] = value.clone();
        }
        let requirement = json!({"notation": asked});
        Ok(shop_policy(&format!("{HOST}/shop/*"), &requirement))
    }

    /// Certifies `name` by `issuer`.
    pub fn certify(&self, name: &str, issuer: &str, profile: Profile<'_>, days: u32) -> Result<()> {
        self.pki.issue(name, issuer, profile, days)?;
        let (key, chain) = (self.pki.file(name, "key"), self.pki.file(name, "chain"));
        self.notation.import(name, &key, &chain)
    }

    /// From now on the authority's server has this list; `None`: it is down.
    pub fn publish(&self, list: Option<Vec<u8>>) {
        *self.list.lock().unwrap_or_else(PoisonError::into_inner) = list;
    }

    /// Signs; `more` are further arguments.
    pub fn sign(&self, key: &str, envelope: Envelope, image: &Image, more: &[&str]) -> Result<()> {
        let subject = Subject {
            port: self.gated.node.registry.port(),
            repository: REPOSITORY,
            digest: image.digest(),
        };
        self.notation.sign(key, envelope, subject, more)
    }

    /// Pushes an image and signs it with `key`.
    pub async fn push(&self, tag: &str, key: &str) -> Result<String> {
        let image = self.gated.push(REPOSITORY, tag, tag).await?;
        self.sign(key, Envelope::Jws, &image, &[])?;
        Ok(tagged(REPOSITORY, tag))
    }

    /// Restarts the daemon and then the container.
    pub async fn restart(
        &mut self,
        pod: &Pod,
        running: &Running,
    ) -> Result<Result<Running, String>> {
        self.gated.shim.restart()?;
        let mut kubelet: Kubelet = self.gated.kubelet().await?;
        let again = kubelet.restart_container(pod, running).await;
        Ok(again.map_err(|error| error.message))
    }
}
