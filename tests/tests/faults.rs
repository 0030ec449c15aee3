//! Broken files, killed processes, silent servers: the gate stays shut for what is not proved and open for what is.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use portcullis_tests::containerd::Generation;
use portcullis_tests::daemon::{PATIENCE, wait_until};
use portcullis_tests::front::Weather;
use portcullis_tests::gated::Gated;
use portcullis_tests::image::Image;
use portcullis_tests::kubelet::{Kubelet, Pod, PullPolicy, Reason};
use portcullis_tests::node::{HOST, tagged};
use portcullis_tests::policy::{Demand, namespace_policy};
use portcullis_tests::skip::generations;
use portcullis_tests::tap::CREATE_CONTAINER;

async fn prepared(generation: Generation) -> Result<(Gated, String)> {
    let mut gated = Gated::prepare(generation).await?;
    gated.collection("shop/app")?;
    let signed = gated.signed()?;
    let policy = namespace_policy("shop", &[(&format!("{HOST}/shop/*"), signed)]);
    Ok((gated, policy))
}

async fn shop(generation: Generation) -> Result<Gated> {
    let (mut gated, policy) = prepared(generation).await?;
    gated.start(&policy)?;
    Ok(gated)
}

async fn assert_still_gated(gated: &Gated) -> Result<()> {
    let mut kubelet = gated.kubelet().await?;
    kubelet
        .run_pod(&Pod::new("shop", &tagged("shop/app", "1")))
        .await?;
    let unsigned = Pod::new("shop", &tagged("shop/app", "unsigned"));
    let refused = kubelet.run_pod(&unsigned).await.err().context("it ran")?;
    assert_eq!(
        refused.reason,
        Reason::SignatureValidationFailed,
        "{refused}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_policy_leaves_the_last_good_set_in_force_even_after_a_restart() -> Result<()> {
    let mut gated = shop(Generation::One).await?;
    gated.push_signed("shop/app", "1", "signed").await?;
    gated.push("shop/app", "unsigned", "unsigned").await?;
    assert_still_gated(&gated).await?;
    let hash = gated.shim.policy_hash()?;
    for broken in [
        "apiVersion: portieris.cloud.ibm.com/v1\nkind: ImagePolicy\nmetadata: {name: x, namespace: shop}\nspec: {repositories: [{nmae: \"*\"}]}\n",
        "this: is: not yaml",
        "",
    ] {
        gated.shim.write_policy("policy.yaml", broken)?;
        gated.shim.hangup()?;
        assert_still_gated(&gated).await?;
        assert_eq!(gated.shim.policy_hash()?, hash);
        gated.shim.restart()?;
        assert_still_gated(&gated).await?;
    }
    // A whole directory that vanishes is no order to trust everything, or nothing.
    std::fs::remove_dir_all(gated.policy_dir())?;
    gated.shim.restart()?;
    assert_still_gated(&gated).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_text_of_a_denial_never_varies() -> Result<()> {
    let gated = shop(Generation::One).await?;
    gated.push("shop/app", "unsigned", "unsigned").await?;
    let mut kubelet = gated.kubelet().await?;
    let mut texts = Vec::new();
    let pod = Pod::new("shop", &tagged("shop/app", "unsigned"));
    let sandbox = kubelet.run_sandbox(&pod).await?;
    for round in 0..10 {
        let mut pod = pod.clone();
        if round % 2 == 1 {
            pod = pod.credential("ann", "one").credential("ben", "two");
        }
        let refused = kubelet
            .ensure_image(&pod, &sandbox.config)
            .await
            .err()
            .context("it was pulled")?;
        // kubelet writes "[a, b]" for two credentials, unless both texts are the same.
        assert!(!refused.message.contains('['), "{refused}");
        texts.push(refused.message);
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_registry_holds_up_its_own_pods_alone() -> Result<()> {
    let mut gated = Gated::prepare(Generation::One).await?;
    gated.collection("shop/app")?;
    let signed = gated.signed()?;
    let (shop, open) = (format!("{HOST}/shop/*"), format!("{HOST}/open/*"));
    gated.shim.configure(|settings| settings.budget = "3s")?;
    gated.start(&namespace_policy(
        "shop",
        &[(&shop, signed), (&open, Demand::Allow)],
    ))?;
    gated.push_signed("shop/app", "1", "signed").await?;
    gated.push("open/tool", "1", "open").await?;
    let mut kubelet = gated.kubelet().await?;
    let pod = Pod::new("shop", &tagged("shop/app", "1"));
    let running = kubelet.run_pod(&pod).await?;

    gated.registry_front.set(Weather::Silent);
    let stuck = tokio::spawn({
        let mut kubelet = gated.kubelet().await?;
        async move {
            kubelet
                .run_pod(&Pod::new("shop", &tagged("open/tool", "1")))
                .await
        }
    });
    let again = kubelet.restart_container(&pod, &running).await?;
    assert_eq!(kubelet.output(&again).await?, "marker=signed uid=0");
    let refused = tokio::time::timeout(portcullis_tests::daemon::PATIENCE, stuck)
        .await
        .context("a silent registry holds a pull for ever")??
        .err()
        .context("it ran")?;
    assert_eq!(refused.reason, Reason::RegistryUnavailable, "{refused}");

    gated.registry_front.set(Weather::Fair);
    let tool = wait_until("the registry to count as back", async || {
        let pod = Pod::new("shop", &tagged("open/tool", "1"));
        Ok(kubelet.run_pod(&pod).await.ok())
    })
    .await?;
    assert_eq!(kubelet.output(&tool).await?, "marker=open uid=0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_containerd_is_seen_as_such_and_passes() -> Result<()> {
    for generation in generations("a_restart_of_containerd_is_seen_as_such_and_passes")? {
        let mut gated = shop(generation).await?;
        gated.push_signed("shop/app", "1", "signed").await?;
        let pod = Pod::new("shop", &tagged("shop/app", "1"));
        let mut kubelet = gated.kubelet().await?;
        let running = kubelet.run_pod(&pod).await?;
        gated.node.containerd.kill()?;
        let refused = kubelet.start_container(&pod, &running.sandbox).await;
        assert!(refused.is_err(), "containerd is down");
        gated.node.containerd.restart().await?;
        let again = wait_until("the gate to find containerd again", async || {
            Ok(kubelet.start_container(&pod, &running.sandbox).await.ok())
        })
        .await?;
        assert_eq!(kubelet.output(&again).await?, "marker=signed uid=0");
        assert!(kubelet.is_running(&running.container).await?);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_store_is_never_trusted_and_never_stops_the_daemon() -> Result<()> {
    let mut gated = shop(Generation::One).await?;
    gated.push_signed("shop/app", "1", "signed").await?;
    gated.push("shop/app", "unsigned", "unsigned").await?;
    assert_still_gated(&gated).await?;
    for damage in ["torn", "scribbled"] {
        gated.shim.stop()?;
        for entry in std::fs::read_dir(gated.shim.state_dir())? {
            let path = entry?.path();
            let bytes = std::fs::read(&path)?;
            let half = bytes.get(..bytes.len() / 2).unwrap_or_default().to_vec();
            let bytes = if damage == "torn" {
                half
            } else {
                bytes.iter().map(|byte| byte ^ 0x55).collect()
            };
            std::fs::write(&path, bytes)?;
        }
        gated
            .shim
            .start()
            .with_context(|| format!("after {damage}"))?;
        assert_still_gated(&gated).await?;
    }
    Ok(())
}

/// A small generator, so that a failure can be repeated from the seed it prints.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// What a busy kubelet does while the gate dies under it: every outcome but a hang is fine.
async fn churn(mut kubelet: Kubelet) {
    loop {
        for (tag, pull) in [
            ("1", PullPolicy::Always),
            ("unsigned", PullPolicy::IfNotPresent),
            ("1", PullPolicy::IfNotPresent),
            ("unsigned", PullPolicy::Never),
        ] {
            let pod = Pod::new("shop", &tagged("shop/app", tag)).pulled(pull);
            if let Ok(running) = kubelet.run_pod(&pod).await {
                let _ = kubelet.remove_sandbox(&running.sandbox.id).await;
            }
        }
    }
}

async fn assert_none_runs(gated: &Gated, evil: &Image, round: u32) -> Result<()> {
    let native = gated.node.containerd.native().await?;
    for container in gated.node.kubelet().await?.running_containers().await? {
        // It may end between the list and the look.
        let chain = native.chain_id(&container).await.unwrap_or_default();
        ensure!(
            chain != evil.chain_id(),
            "round {round}: container {container} runs the unsigned image"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_at_random_moments_let_nothing_unverified_run() -> Result<()> {
    let mut gated = shop(Generation::One).await?;
    let good = gated.push_signed("shop/app", "1", "signed").await?;
    let evil = gated.push("shop/app", "unsigned", "unsigned").await?;
    // Both are on the node, and the tag that pods name is moved to the wrong one again and again behind the gate.
    let mut direct = gated.node.kubelet().await?;
    for tag in ["1", "unsigned"] {
        let pod = Pod::new("elsewhere", &tagged("shop/app", tag));
        let sandbox = direct.run_sandbox(&pod).await?;
        direct.ensure_image(&pod, &sandbox.config).await?;
        direct.remove_sandbox(&sandbox.id).await?;
    }
    let native = gated.node.containerd.native().await?;
    let wrong = native
        .record(&tagged("shop/app", "unsigned"))
        .await?
        .context("no record")?;
    let seed = u64::from(std::process::id()) | 1;
    println!("seed {seed}");
    let mut random = Random(seed);
    for round in 0..20 {
        let busy = tokio::spawn(churn(gated.kubelet().await?));
        if round % 2 == 0 {
            // The worst moment: the tag is moved while a judged create is on its way, and the gate dies around the answer.
            let mut held = gated.tap.hold(CREATE_CONTAINER);
            tokio::time::timeout(PATIENCE, held.arrived()).await??;
            native.point(&tagged("shop/app", "1"), &wrong).await?;
            held.release();
        }
        // Not synchronisation: the moment of the kill is what varies.
        tokio::time::sleep(Duration::from_millis(random.below(60))).await;
        gated.shim.kill()?;
        busy.abort();
        let _ = busy.await;
        assert_none_runs(&gated, &evil, round).await?;
        gated
            .shim
            .start()
            .with_context(|| format!("round {round}"))?;
        // What was created and not started is now started by a kubelet that knows no better.
        let mut kubelet = gated.kubelet().await?;
        for container in direct.created_containers().await? {
            let _ = kubelet.start(&container).await;
        }
        assert_none_runs(&gated, &evil, round).await?;
    }
    // And nothing has to be repaired by hand.
    let mut kubelet = gated.kubelet().await?;
    let pod = Pod::new("shop", &tagged("shop/app", "1")).pulled(PullPolicy::Always);
    let running = kubelet.run_pod(&pod).await?;
    assert_eq!(kubelet.output(&running).await?, "marker=signed uid=0");
    assert_eq!(native.chain_id(&running.container).await?, good.chain_id());
    gated.assert_digest_only()
}
