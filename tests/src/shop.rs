//! A node whose namespace shop asks for what cosign signed, with the images of one repository.

use std::time::SystemTime;

use anyhow::Result;
use portcullis_trust::Timestamp;
use serde_json::{Value, json};

use crate::containerd::Generation;
use crate::gated::Gated;
use crate::image::{Image, Recipe};
use crate::node::HOST;
use crate::policy::shop_policy;
use crate::signers::{Cosign, Format, Subject};
use crate::skip;

/// The repository.
pub const REPOSITORY: &str = "shop/app";

/// The node.
#[derive(Debug)]
pub struct Shop {
    /// Node and gate.
    pub gated: Gated,
    /// cosign with its keys.
    pub cosign: Cosign,
}

impl Shop {
    /// One with these keys and a gate that is not started yet; `None`: there is no cosign, and `test` is noted as skipped.
    pub async fn prepare(test: &str, keys: &[&str]) -> Result<Option<Self>> {
        let Some(program) = skip::signer(test, Cosign::find()) else {
            return Ok(None);
        };
        let gated = Gated::prepare(Generation::One).await?;
        let cosign = Cosign::new(program, &gated.node.subdir("cosign")?)?;
        for key in keys {
            cosign.key(key)?;
        }
        Ok(Some(Self { gated, cosign }))
    }

    /// Starts the gate with one rule for everything in `shop/`.
    pub fn require(&mut self, requirement: &Value) -> Result<()> {
        let policy = shop_policy(&format!("{HOST}/shop/*"), requirement);
        self.gated.start(&policy)
    }

    /// A key as a list of `keys:`.
    pub fn keys(&self, name: &str) -> Result<Value> {
        Ok(json!([{"pem": self.cosign.public_key(name)?}]))
    }

    /// An image as the signers name it.
    pub fn subject<'a>(&self, image: &'a Image) -> Subject<'a> {
        Subject {
            port: self.gated.node.registry.port(),
            repository: REPOSITORY,
            digest: image.digest(),
        }
    }

    /// Pushes an image that prints the name of its tag.
    pub async fn push(&self, tag: &str) -> Result<Image> {
        self.gated.push(REPOSITORY, tag, tag).await
    }

    /// Pushes an image made otherwise, or once more under another tag.
    pub async fn push_as(&self, tag: &str, recipe: &Recipe) -> Result<Image> {
        let image = recipe.build()?;
        self.gated
            .node
            .registry
            .push(REPOSITORY, tag, &image)
            .await?;
        Ok(image)
    }

    /// Signs.
    pub fn sign(&self, key: &str, format: Format, image: &Image) -> Result<()> {
        self.cosign.sign(key, format, self.subject(image), &[])
    }

    /// Attests: `kind` is what `--type` takes.
    pub fn attest(
        &self,
        key: &str,
        format: Format,
        image: &Image,
        kind: &str,
        predicate: &Value,
    ) -> Result<()> {
        let subject = self.subject(image);
        self.cosign.attest(key, format, subject, kind, predicate)
    }
}

/// A time so many hours ago, as documents write it.
pub fn hours_ago(hours: i64) -> String {
    let Timestamp(now) = Timestamp::from_system(SystemTime::now());
    Timestamp(now - hours * 3600).to_string()
}
