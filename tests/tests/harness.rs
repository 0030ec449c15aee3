//! The harness itself: an instrument that cannot fail proves nothing.

use anyhow::{Context, Result};
use portcullis_tests::containerd::Generation;
use portcullis_tests::front::{Front, Weather};
use portcullis_tests::http::{request, send};
use portcullis_tests::image::Recipe;
use portcullis_tests::kubelet::{Pod, PullPolicy, Reason};
use portcullis_tests::node::{HOST, Node, pinned, tagged};
use portcullis_tests::notary::Notary;
use portcullis_tests::raw;
use portcullis_tests::registry::{Registry, map_host};
use portcullis_tests::scratch::Scratch;
use portcullis_tests::skip::generations;
use portcullis_tests::tap::{CREATE_CONTAINER, Tap};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tap_passes_everything_and_sees_unpinned_pulls() -> Result<()> {
    for generation in generations("the_tap_passes_everything_and_sees_unpinned_pulls")? {
        let node = Node::start(generation).await?;
        let tap = Tap::start(&node.dir().join("tap.sock"), &node.containerd.socket())?;
        let mut kubelet = node.containerd.kubelet_at(tap.socket()).await?;
        let image = Recipe::new("tapped").build()?;
        node.registry.push("shop/app", "1", &image).await?;

        let by_digest = Pod::new("shop", &pinned("shop/app", &image));
        let running = kubelet.run_pod(&by_digest).await?;
        assert_eq!(kubelet.output(&running).await?, "marker=tapped uid=0");
        assert!(tap.unpinned_pulls()?.is_empty());

        let by_tag = Pod::new("shop", &tagged("shop/app", "1")).pulled(PullPolicy::Always);
        kubelet.run_pod(&by_tag).await?;
        assert_eq!(tap.unpinned_pulls()?, [tagged("shop/app", "1")]);
        let images: Vec<String> = tap
            .creates()?
            .into_iter()
            .filter_map(|create| Some(create.config?.image?.image))
            .collect();
        assert_eq!(images, [image.id(), image.id()]);

        let unknown = raw::call(tap.socket(), "/no.Such/Method", raw::frame(0, b"")).await?;
        assert_eq!(unknown.code, 12, "{unknown:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tap_holds_a_create_until_it_is_let_go() -> Result<()> {
    let node = Node::start(Generation::One).await?;
    let tap = Tap::start(&node.dir().join("tap.sock"), &node.containerd.socket())?;
    let mut kubelet = node.containerd.kubelet_at(tap.socket()).await?;
    let image = Recipe::new("held").build()?;
    node.registry.push("shop/app", "1", &image).await?;
    let pod = Pod::new("shop", &tagged("shop/app", "1"));
    let mut held = tap.hold(CREATE_CONTAINER);
    let attempt = tokio::spawn(async move { kubelet.run_pod(&pod).await });
    held.arrived().await?;
    let native = node.containerd.native().await?;
    assert_eq!(
        native.containers().await?.len(),
        1,
        "only the sandbox may exist"
    );
    held.release();
    let running = attempt.await??;
    assert_eq!(native.chain_id(&running.container).await?, image.chain_id());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_can_lie_and_the_chain_id_tells() -> Result<()> {
    for generation in generations("a_record_can_lie_and_the_chain_id_tells")? {
        let node = Node::start(generation).await?;
        let mut kubelet = node.kubelet().await?;
        let (good, evil) = (Recipe::new("good").build()?, Recipe::new("evil").build()?);
        node.registry.push("shop/app", "1", &good).await?;
        node.registry.push("shop/evil", "1", &evil).await?;
        for reference in [tagged("shop/app", "1"), tagged("shop/evil", "1")] {
            kubelet.run_pod(&Pod::new("shop", &reference)).await?;
        }
        let native = node.containerd.native().await?;
        let target = native
            .record(&tagged("shop/evil", "1"))
            .await?
            .context("no record")?;
        assert_eq!(target.target, evil.digest());
        let lie = pinned("shop/app", &good);
        native.point(&lie, &target).await?;
        portcullis_tests::daemon::wait_until("CRI to believe the lie", async || {
            let id = kubelet.image_id(&lie).await?;
            Ok((id.as_deref() == Some(evil.id())).then_some(()))
        })
        .await?;
        let fooled = kubelet.run_pod(&Pod::new("shop", &lie)).await?;
        assert_eq!(native.chain_id(&fooled.container).await?, evil.chain_id());
        assert_eq!(kubelet.output(&fooled).await?, "marker=evil uid=0");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn containers_end_with_a_reboot_and_outlive_a_restart_of_containerd() -> Result<()> {
    for generation in
        generations("containers_end_with_a_reboot_and_outlive_a_restart_of_containerd")?
    {
        let mut node = Node::start(generation).await?;
        let image = Recipe::new("survivor").build()?;
        node.registry.push("shop/app", "1", &image).await?;
        let pod = Pod::new("shop", &tagged("shop/app", "1"));
        let running = node.kubelet().await?.run_pod(&pod).await?;
        node.containerd.restart().await?;
        assert!(node.kubelet().await?.is_running(&running.container).await?);
        node.containerd.reboot().await?;
        let mut kubelet = node.kubelet().await?;
        assert!(!kubelet.is_running(&running.container).await?);
        node.registry.stop()?;
        let again = kubelet.run_pod(&Pod::new("shop", &pod.image)).await?;
        assert_eq!(kubelet.output(&again).await?, "marker=survivor uid=0");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_registry_lets_only_its_user_pull() -> Result<()> {
    let node = Node::start(Generation::One).await?;
    let private = Registry::start_private(&node.subdir("private")?, "ann", "secret")?;
    map_host(
        &node.containerd.certs_dir(),
        "private.example.com",
        private.port(),
    )?;
    let image = Recipe::new("private").build()?;
    private.push("team/app", "1", &image).await?;
    let mut kubelet = node.kubelet().await?;
    let pod = Pod::new("team", "private.example.com/team/app:1");
    let refused = kubelet.run_pod(&pod).await.err().context("it ran")?;
    assert_eq!(refused.reason, Reason::ErrImagePull);
    let pod = pod.credential("ann", "wrong").credential("ann", "secret");
    let running = kubelet.run_pod(&pod).await?;
    assert_eq!(kubelet.output(&running).await?, "marker=private uid=0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notary_serves_what_was_signed_and_is_gone_once_stopped() -> Result<()> {
    let scratch = Scratch::new()?;
    let mut notary = Notary::start(&scratch.dir("notary")?)?;
    let gun = format!("{HOST}/shop/app");
    let image = Recipe::new("signed").build()?;
    notary.init(&gun, "alice")?;
    notary.sign(&gun, "1", &image, "alice")?;
    assert_eq!(notary.pin(&gun)?.len(), 64);
    assert!(notary.public_key("alice")?.contains("BEGIN PUBLIC KEY"));
    let ca = notary.ca().display().to_string();
    let url = format!(
        "https://127.0.0.1:{}/v2/{gun}/_trust/tuf/targets/releases.json",
        notary.port()
    );
    let fetch = || {
        portcullis_tests::daemon::run(
            std::process::Command::new("curl").args(["-fsS", "--cacert", &ca, &url]),
        )
    };
    assert!(fetch()?.contains("\"1\""), "the tag is not in the releases");
    notary.stop()?;
    assert!(fetch().is_err());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_front_counts_and_turns_a_server_away() -> Result<()> {
    let scratch = Scratch::new()?;
    let registry = Registry::start(&scratch.dir("registry")?)?;
    let front = Front::start(registry.port())?;
    let ask = async || {
        send(
            front.port(),
            request(http::Method::GET, front.port(), "/v2/", bytes::Bytes::new())?,
        )
        .await
    };
    assert_eq!(front.connections(), 0);
    assert!(ask().await?.status().is_success());
    assert_eq!(front.connections(), 1);
    front.set(Weather::Down);
    assert!(ask().await.is_err());
    assert_eq!(front.connections(), 2);
    front.set(Weather::Slow);
    assert!(ask().await?.status().is_success());
    Ok(())
}
