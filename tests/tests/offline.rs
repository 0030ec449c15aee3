//! A node alone: no registry, no notary, a clock far ahead, an empty store, a reboot.

use anyhow::{Context, Result};
use portcullis_tests::containerd::Generation;
use portcullis_tests::front::Weather;
use portcullis_tests::gated::Gated;
use portcullis_tests::image::Image;
use portcullis_tests::kubelet::{Pod, Reason, Running};
use portcullis_tests::node::{HOST, pinned, tagged};
use portcullis_tests::policy::namespace_policy;
use portcullis_tests::skip::generations;
use portcullis_tests::tap::PULL_IMAGE;

async fn prepared(generation: Generation) -> Result<(Gated, String)> {
    let mut gated = Gated::prepare(generation).await?;
    gated.collection("shop/app")?;
    let signed = gated.signed()?;
    let policy = namespace_policy("shop", &[(&format!("{HOST}/shop/*"), signed)]);
    Ok((gated, policy))
}

/// A gate with one signed pod that runs.
async fn running_pod(generation: Generation) -> Result<(Gated, Image, Pod, Running)> {
    let (mut gated, policy) = prepared(generation).await?;
    gated.start(&policy)?;
    let image = gated.push_signed("shop/app", "1", "signed").await?;
    let pod = Pod::new("shop", &tagged("shop/app", "1"));
    let running = gated.kubelet().await?.run_pod(&pod).await?;
    Ok((gated, image, pod, running))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_pod_restarts_with_registry_and_notary_stopped() -> Result<()> {
    for generation in generations("a_signed_pod_restarts_with_registry_and_notary_stopped")? {
        let (mut gated, image, pod, running) = running_pod(generation).await?;
        gated.node.registry.stop()?;
        gated.notary.stop()?;
        gated.registry_front.set(Weather::Down);
        gated.notary_front.set(Weather::Down);
        let before = gated.outside_connections();
        let mut kubelet = gated.kubelet().await?;
        let again = kubelet.restart_container(&pod, &running).await?;
        assert_eq!(kubelet.output(&again).await?, "marker=signed uid=0");
        let by_digest = Pod::new("shop", &pinned("shop/app", &image)).in_file();
        kubelet.run_pod(&by_digest).await?;
        assert_eq!(
            gated.outside_connections(),
            before,
            "the create path used the network"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_days_off_the_network_pods_still_restart() -> Result<()> {
    let (mut gated, _, pod, running) = running_pod(Generation::One).await?;
    gated.cut_network()?;
    gated.shim.stop()?;
    gated.shim.clock_ahead(60);
    gated.shim.start()?;
    let mut kubelet = gated.kubelet().await?;
    let again = kubelet.restart_container(&pod, &running).await?;
    assert_eq!(kubelet.output(&again).await?, "marker=signed uid=0");
    kubelet
        .run_pod(&Pod::new("shop", &pod.image).in_file())
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_store_heals_at_the_next_create() -> Result<()> {
    let (mut gated, _, pod, running) = running_pod(Generation::One).await?;
    gated.shim.stop()?;
    gated.shim.forget()?;
    gated.shim.start()?;
    gated.tap.clear();
    let mut kubelet = gated.kubelet().await?;
    let again = kubelet.restart_container(&pod, &running).await?;
    assert_eq!(kubelet.output(&again).await?, "marker=signed uid=0");
    assert!(
        gated.tap.calls_of(PULL_IMAGE).is_empty(),
        "it was pulled again"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_store_without_network_denies_and_says_what_to_do() -> Result<()> {
    let (mut gated, _, pod, running) = running_pod(Generation::One).await?;
    gated.shim.stop()?;
    gated.shim.forget()?;
    gated.cut_network()?;
    gated.shim.configure(|settings| settings.budget = "3s")?;
    gated.shim.start()?;
    let mut kubelet = gated.kubelet().await?;
    let refused = kubelet
        .restart_container(&pod, &running)
        .await
        .err()
        .context("it ran without evidence")?;
    assert_eq!(refused.reason, Reason::CreateContainer, "{refused}");
    assert!(refused.message.contains(&pod.image), "{refused}");
    let prefixes = ["SignatureValidationFailed: ", "RegistryUnavailable: "];
    assert!(
        prefixes
            .iter()
            .any(|prefix| refused.message.starts_with(prefix)),
        "{refused}"
    );

    // The pause image and what is on the bootstrap list need no store: a sandbox still starts.
    kubelet.run_sandbox(&Pod::new("shop", &pod.image)).await?;

    // What was missing comes back with the network, without anyone's help.
    gated.mend_network()?;
    let again = portcullis_tests::daemon::wait_until("the store to heal", async || {
        Ok(kubelet.start_container(&pod, &running.sandbox).await.ok())
    })
    .await?;
    assert_eq!(kubelet.output(&again).await?, "marker=signed uid=0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_on_the_bootstrap_list_starts_with_nothing_else_there() -> Result<()> {
    let (mut gated, policy) = prepared(Generation::One).await?;
    let image = gated.push("platform/sync", "1", "bootstrap").await?;
    let reference = pinned("platform/sync", &image);
    // It is on the node from installation, not through the gate, and no policy names it.
    let mut direct = gated.node.kubelet().await?;
    let pod = Pod::new("kube-system", &reference).in_file();
    let sandbox = direct.run_sandbox(&pod).await?;
    direct.ensure_image(&pod, &sandbox.config).await?;
    direct.remove_sandbox(&sandbox.id).await?;
    gated
        .shim
        .configure(|settings| settings.bootstrap.push(reference.clone()))?;
    gated.cut_network()?;
    gated.start(&policy)?;
    let mut kubelet = gated.kubelet().await?;
    let running = kubelet.run_pod(&pod).await?;
    assert_eq!(kubelet.output(&running).await?, "marker=bootstrap uid=0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_boots_alone_starts_its_static_pods() -> Result<()> {
    for generation in generations("a_node_that_boots_alone_starts_its_static_pods")? {
        let (mut gated, image, pod, _) = running_pod(generation).await?;
        gated.shim.stop()?;
        gated.cut_network()?;
        gated.node.containerd.reboot().await?;
        gated.shim.start()?;
        let mut kubelet = gated.kubelet().await?;
        for reference in [pod.image.clone(), pinned("shop/app", &image)] {
            let running = kubelet
                .run_pod(&Pod::new("shop", &reference).in_file())
                .await?;
            assert_eq!(kubelet.output(&running).await?, "marker=signed uid=0");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn enforcement_over_pre_pulled_images_restarts_signed_pods_without_pulling() -> Result<()> {
    for generation in
        generations("enforcement_over_pre_pulled_images_restarts_signed_pods_without_pulling")?
    {
        let (mut gated, policy) = prepared(generation).await?;
        gated.push_signed("shop/app", "1", "signed").await?;
        gated.push("shop/app", "unsigned", "unsigned").await?;
        let mut direct = gated.node.kubelet().await?;
        let good = Pod::new("shop", &tagged("shop/app", "1"));
        let bad = Pod::new("shop", &tagged("shop/app", "unsigned"));
        let good_running = direct.run_pod(&good).await?;
        let bad_running = direct.run_pod(&bad).await?;

        gated.start(&policy)?;
        let mut kubelet = gated.kubelet().await?;
        // What ran goes on running; what restarts is judged.
        assert!(kubelet.is_running(&bad_running.container).await?);
        let again = kubelet.restart_container(&good, &good_running).await?;
        assert_eq!(kubelet.output(&again).await?, "marker=signed uid=0");
        let refused = kubelet
            .restart_container(&bad, &bad_running)
            .await
            .err()
            .context("an unsigned pod restarted")?;
        assert_eq!(refused.reason, Reason::CreateContainer, "{refused}");
        assert!(
            gated.tap.calls_of(PULL_IMAGE).is_empty(),
            "it was pulled again"
        );
    }
    Ok(())
}
