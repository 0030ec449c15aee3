//! The harness against containerd alone, both generations: what the other files demand of the gate must first hold
//! without it.

use anyhow::{Context, Result};
use portcullis_tests::containerd::Generation;
use portcullis_tests::image::Recipe;
use portcullis_tests::kubelet::{Pod, PullPolicy, Reason};
use portcullis_tests::node::{Node, pinned, tagged};
use portcullis_tests::skip::{generations, skipped};

async fn every_sequence(generation: Generation) -> Result<()> {
    let node = Node::start(generation).await?;
    let mut kubelet = node.kubelet().await?;
    let image = Recipe::new("one").build()?;
    node.registry.push("shop/app", "1", &image).await?;

    let absent = Pod::new("shop", &tagged("shop/app", "1")).pulled(PullPolicy::Never);
    let refused = kubelet.run_pod(&absent).await.err().context("it ran")?;
    assert_eq!(refused.reason, Reason::ErrImageNeverPull);

    for pull in [
        PullPolicy::IfNotPresent,
        PullPolicy::Always,
        PullPolicy::Never,
    ] {
        for reference in [tagged("shop/app", "1"), pinned("shop/app", &image)] {
            let api = Pod::new("shop", &reference).pulled(pull);
            for pod in [api.clone(), api.in_file()] {
                let running = kubelet.run_pod(&pod).await?;
                assert_eq!(kubelet.output(&running).await?, "marker=one uid=0");
                let again = kubelet.restart_container(&pod, &running).await?;
                assert_eq!(kubelet.output(&again).await?, "marker=one uid=0");
                let native = node.containerd.native().await?;
                assert_eq!(native.chain_id(&again.container).await?, image.chain_id());
                kubelet.remove_sandbox(&running.sandbox.id).await?;
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kubelet_sequence_runs_on_containerd_1() -> Result<()> {
    every_sequence(Generation::One).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kubelet_sequence_runs_on_containerd_2() -> Result<()> {
    match Generation::Two.binaries() {
        Ok(_) => every_sequence(Generation::Two).await,
        Err(reason) => {
            skipped("every_kubelet_sequence_runs_on_containerd_2", &reason);
            Ok(())
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images_of_several_platforms_and_with_a_user_run() -> Result<()> {
    for generation in generations("images_of_several_platforms_and_with_a_user_run")? {
        let node = Node::start(generation).await?;
        let mut kubelet = node.kubelet().await?;
        let image = Recipe::new("multi").user("app").multi_platform().build()?;
        node.registry.push("shop/multi", "1", &image).await?;
        let pod = Pod::new("shop", &pinned("shop/multi", &image));
        let running = kubelet.run_pod(&pod).await?;
        assert_eq!(kubelet.output(&running).await?, "marker=multi uid=4711");
        let id = kubelet.image_id(&pod.image).await?;
        assert_eq!(id.as_deref(), Some(image.id()));
    }
    Ok(())
}
