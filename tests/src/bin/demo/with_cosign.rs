//! The scene with cosign.

use anyhow::Result;
use portcullis_tests::image::Image;
use portcullis_tests::kubelet::Pod;
use portcullis_tests::narrate::short;
use portcullis_tests::node::{HOST, tagged};
use portcullis_tests::policy::own_policy;
use portcullis_tests::signers::{Cosign, Format, Subject};
use serde_json::json;

use super::{Stage, talking};

const NAMESPACE: &str = "build";
/// Where that team's images are.
pub(super) const REPOSITORY: &str = "build/app";

impl Stage {
    /// Another team's images, signed by another tool. Gives the image that runs; `None`: there is no cosign.
    pub(super) async fn cosign(&mut self) -> Result<Option<Image>> {
        self.out
            .scene("Another team signs with cosign, and somebody else does too");
        let program = match Cosign::find() {
            Ok(program) => program,
            Err(reason) => {
                self.out.says("left out", &reason);
                return Ok(None);
            }
        };
        let cosign = Cosign::new(program, &self.gated.node.subdir("cosign")?)?;
        for key in ["release", "mallory"] {
            cosign.key(key)?;
        }
        let asked =
            json!({"keys": [{"pem": cosign.public_key("release")?}], "transparencyLog": "ignore"});
        let policy = own_policy(
            NAMESPACE,
            &format!("{HOST}/build/*"),
            &json!({"cosign": asked}),
        );
        self.gated.shim.reload_policy("build.yaml", &policy)?;
        self.out.says(
            "policy",
            &format!(
                "namespace {NAMESPACE} runs {HOST}/build/* if release signed it; in force at once"
            ),
        );
        self.sign(&cosign, "evil", &["mallory"]).await?;
        let evil = Pod::new(NAMESPACE, &tagged(REPOSITORY, "evil"));
        let refused = self.refuse(&evil).await?;
        let image = self.sign(&cosign, "1", &["mallory", "release"]).await?;
        let pod = Pod::new(NAMESPACE, &tagged(REPOSITORY, "1"));
        let (_, line) = self.run(&pod).await?;
        self.out.check(
            line == "hello from build 1" && refused.message.contains("build.yaml"),
            "a signature by release is what counts, whatever lies beside it",
        );
        Ok(Some(image))
    }

    async fn sign(&self, cosign: &Cosign, tag: &str, keys: &[&str]) -> Result<Image> {
        let image = talking(&format!("hello from build {tag}")).build()?;
        let registry = &self.gated.node.registry;
        registry.push(REPOSITORY, tag, &image).await?;
        for key in keys {
            let subject = Subject {
                port: registry.port(),
                repository: REPOSITORY,
                digest: image.digest(),
            };
            cosign.sign(key, Format::Bundle, subject, &[])?;
            let digest = short(image.digest());
            let name = tagged(REPOSITORY, tag);
            self.out.says(key, &format!("signs {name} ({digest})"));
        }
        Ok(image)
    }
}
