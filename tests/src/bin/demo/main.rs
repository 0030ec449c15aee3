//! The gate at work, as a transcript: a real containerd, registry, notary and containers, in a temporary directory.

mod with_cosign;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use portcullis_tests::containerd::{Containerd, Generation};
use portcullis_tests::front::Weather;
use portcullis_tests::gated::{Gated, SIGNER};
use portcullis_tests::image::{Image, Recipe};
use portcullis_tests::kubelet::{Kubelet, KubeletError, Pod, PullPolicy, Running};
use portcullis_tests::narrate::{Transcript, short};
use portcullis_tests::node::{HOST, pinned, tagged};
use portcullis_tests::policy::namespace_policy;

/// The whole demonstration ends within this, whatever hangs.
const LIMIT: Duration = Duration::from_mins(3);

const REPOSITORY: &str = "shop/app";

fn main() -> ExitCode {
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("demo: containerd and containers need root; run it as root");
        return ExitCode::from(2);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let outcome = runtime.map_err(Into::into).and_then(|runtime| {
        // Daemons die with the thread that started them, which is this one.
        runtime.block_on(async {
            tokio::select! {
                outcome = tokio::time::timeout(LIMIT, show()) => {
                    outcome.context("the demonstration takes too long")?
                }
                _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
            }
        })
    });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What the scenes share.
struct Stage {
    out: Transcript,
    gated: Gated,
    kubelet: Kubelet,
}

async fn show() -> Result<bool> {
    let out = Transcript::new();
    out.paragraph(
        "Portcullis stands between the kubelet and containerd and lets an image be pulled or run only when its digest \
         is proved trustworthy. Everything below is real, on loopback and in a temporary directory; the kubelet is \
         played call by call.",
    );
    let mut gated = Gated::prepare(Generation::One).await?;
    gated.shim.quiet();
    gated.collection(REPOSITORY)?;
    let signed = gated.signed()?;
    let pattern = format!("{HOST}/shop/*");
    gated.start(&namespace_policy("shop", &[(&pattern, signed)]))?;
    let kubelet = gated.kubelet().await?;
    let mut stage = Stage {
        out,
        gated,
        kubelet,
    };
    stage.set().await?;
    let image = stage.signed_image().await?;
    stage.unsigned_image().await?;
    let (pod, running) = stage.moved_tag(&image).await?;
    stage.neighbour().await?;
    let mut judged = vec![(REPOSITORY, image)];
    if let Some(image) = stage.cosign().await? {
        judged.push((with_cosign::REPOSITORY, image));
    }
    stage.alone(&pod, &running).await?;
    stage.ledger(&judged).await?;
    Ok(stage.out.finish())
}

/// A container that says one line and stays.
fn talking(line: &str) -> Recipe {
    Recipe::new(line).entrypoint(&["/bin/sh", "-c", "cat /marker; echo; exec sleep 1000000"])
}

impl Stage {
    async fn set(&mut self) -> Result<()> {
        let (name, version) = Containerd::kubelet(&self.gated.node.containerd)
            .await?
            .version()
            .await?;
        self.out.paragraph("");
        self.out.says("runtime", &format!("{name} {version}"));
        self.out.says(
            "policy",
            &format!("namespace shop runs {HOST}/shop/* if {SIGNER} signed it (Portieris ImagePolicy, Notary v1)"),
        );
        Ok(())
    }

    async fn push(&self, tag: &str, recipe: &Recipe) -> Result<Image> {
        let image = recipe.build()?;
        let registry = &self.gated.node.registry;
        registry.push(REPOSITORY, tag, &image).await?;
        Ok(image)
    }

    /// Runs a pod, tells how it went, and gives the first line that the container said.
    async fn run(&mut self, pod: &Pod) -> Result<(Running, String)> {
        self.ask(pod);
        let before = self.gated.tap.pulls()?.len();
        let running = self
            .kubelet
            .run_pod(pod)
            .await
            .map_err(|error| anyhow::anyhow!("the pod did not run: {error}"))?;
        self.tell_pulls(before)?;
        let line = self.kubelet.output(&running).await?;
        self.out.says("container", &format!("\"{line}\""));
        Ok((running, line))
    }

    /// Runs a pod that must be refused and tells the refusal.
    async fn refuse(&mut self, pod: &Pod) -> Result<KubeletError> {
        self.ask(pod);
        let before = self.gated.tap.pulls()?.len();
        let refused = match self.kubelet.run_pod(pod).await {
            Err(refused) => refused,
            Ok(running) => {
                let line = self.kubelet.output(&running).await?;
                self.out
                    .check(false, &format!("it ran and said \"{line}\""));
                anyhow::bail!("{} ran", pod.image);
            }
        };
        self.tell_pulls(before)?;
        self.out.says("kubectl shows", &refused.to_string());
        Ok(refused)
    }

    fn ask(&self, pod: &Pod) {
        let kind = if pod.uid.contains('-') {
            "pod"
        } else {
            "static pod"
        };
        self.out.says(
            "kubelet",
            &format!(
                "{kind} in namespace {}, image {}, pull {:?}",
                pod.namespace, pod.image, pod.pull
            ),
        );
    }

    fn tell_pulls(&self, before: usize) -> Result<()> {
        let pulls = self.gated.tap.pulls()?;
        let new = pulls.get(before..).unwrap_or_default();
        if new.is_empty() {
            self.out
                .says("containerd", "was not asked to pull anything");
        }
        for pull in new {
            let image = pull.image.clone().unwrap_or_default().image;
            self.out
                .says("containerd", &format!("was asked to pull {image}"));
        }
        Ok(())
    }

    async fn signed_image(&mut self) -> Result<Image> {
        self.out.scene(
            "A signed image, named by its tag, is pulled by its digest and runs as a static pod",
        );
        let image = self
            .push("1", &talking("hello from the signed image"))
            .await?;
        self.gated.sign(REPOSITORY, "1", &image)?;
        self.out.says(
            SIGNER,
            &format!(
                "signs {} as {}",
                tagged(REPOSITORY, "1"),
                short(image.digest())
            ),
        );
        let (_, line) = self
            .run(&Pod::new("shop", &tagged(REPOSITORY, "1")).in_file())
            .await?;
        self.out.check(
            line == "hello from the signed image" && self.gated.tap.unpinned_pulls()?.is_empty(),
            "it runs, and no admission webhook could have seen this pod",
        );
        Ok(image)
    }

    async fn unsigned_image(&mut self) -> Result<()> {
        self.out.scene("An unsigned image is refused");
        self.push("unsigned", &talking("hello from the unsigned image"))
            .await?;
        let before = self.gated.tap.pulls()?.len();
        let pod = Pod::new("shop", &tagged(REPOSITORY, "unsigned"));
        let refused = self.refuse(&pod).await?;
        self.out.check(
            self.gated.tap.pulls()?.len() == before && refused.message.contains("policy.yaml"),
            "not a byte of it was fetched, and the text names the rule and its file",
        );
        Ok(())
    }

    async fn moved_tag(&mut self, signed: &Image) -> Result<(Pod, Running)> {
        self.out.scene("An attacker moves the tag in the registry");
        let evil = self.push("1", &talking("hello from the attacker")).await?;
        self.out.says(
            "registry",
            &format!(
                "{} is now {}",
                tagged(REPOSITORY, "1"),
                short(evil.digest())
            ),
        );
        let pod = Pod::new("shop", &tagged(REPOSITORY, "1")).pulled(PullPolicy::Always);
        let (running, line) = self.run(&pod).await?;
        let chain = self.gated.node.containerd.native().await?;
        let chain = chain.chain_id(&running.container).await?;
        self.out.check(
            line == "hello from the signed image" && chain == signed.chain_id(),
            "the signed digest still runs",
        );
        Ok((pod, running))
    }

    async fn neighbour(&mut self) -> Result<()> {
        self.out
            .scene("Another namespace wants the image that is already on the node");
        let creates = self.gated.tap.creates()?.len();
        let pod = Pod::new("guest", &tagged(REPOSITORY, "1")).pulled(PullPolicy::Never);
        self.refuse(&pod).await?;
        self.out.check(
            self.gated.tap.creates()?.len() == creates,
            "a cached image is no permission: containerd was not asked to create the container",
        );
        Ok(())
    }

    async fn alone(&mut self, pod: &Pod, running: &Running) -> Result<()> {
        self.out
            .scene("Registry and notary are stopped, and the signed pod restarts");
        self.gated.node.registry.stop()?;
        self.gated.notary.stop()?;
        self.gated.registry_front.set(Weather::Down);
        self.gated.notary_front.set(Weather::Down);
        self.out.says("network", "registry and notary are gone");
        let before = self.gated.outside_connections();
        let pod = pod.clone().pulled(PullPolicy::IfNotPresent);
        self.ask(&pod);
        let again = self
            .kubelet
            .restart_container(&pod, running)
            .await
            .map_err(|error| anyhow::anyhow!("the pod did not restart: {error}"))?;
        let line = self.kubelet.output(&again).await?;
        self.out.says("container", &format!("\"{line}\""));
        self.out.check(
            line == "hello from the signed image" && self.gated.outside_connections() == before,
            "judged again from stored evidence, without asking anyone",
        );
        Ok(())
    }

    async fn ledger(&mut self, judged: &[(&str, Image)]) -> Result<()> {
        self.out.scene("What containerd was asked for, all in all");
        let expected: Vec<String> = judged
            .iter()
            .map(|(repository, image)| pinned(repository, image))
            .collect();
        let pulls = self.gated.tap.pulls()?;
        let names: Vec<String> = pulls
            .into_iter()
            .map(|pull| pull.image.unwrap_or_default().image)
            .collect();
        for name in &names {
            self.out.says("PullImage", name);
        }
        self.out.check(
            !names.is_empty() && names.iter().all(|name| expected.contains(name)),
            "every pull names a signed digest",
        );
        let images: Vec<&Image> = judged.iter().map(|(_, image)| image).collect();
        let strangers = self.gated.strangers(&images).await?;
        self.out.check(
            strangers.is_empty(),
            "every container on the node stands on a signed image's layers, by their chain ID",
        );
        Ok(())
    }
}
