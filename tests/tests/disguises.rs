//! Creates and starts that name one image and mean another, made by a client that has the socket.

use anyhow::{Context, Result};
use k8s_cri::v1::{CreateContainerRequest, ImageSpec, StartContainerRequest};
use portcullis_tests::containerd::Generation;
use portcullis_tests::gated::Gated;
use portcullis_tests::image::Image;
use portcullis_tests::kubelet::{Kubelet, Pod, Sandbox};
use portcullis_tests::node::{HOST, pinned, tagged};
use portcullis_tests::policy::namespace_policy;
use portcullis_tests::raw;
use portcullis_tests::skip::generations;
use portcullis_tests::tap::{CREATE_CONTAINER, START_CONTAINER};
use prost::Message as _;

struct Stage {
    gated: Gated,
    good: Image,
    evil: Image,
    pod: Pod,
    sandbox: Sandbox,
    kubelet: Kubelet,
}

/// A signed image that runs, an unsigned one on the node, and a sandbox to create in.
async fn stage(generation: Generation) -> Result<Stage> {
    let mut gated = Gated::prepare(generation).await?;
    gated.collection("shop/app")?;
    let signed = gated.signed()?;
    gated.start(&namespace_policy(
        "shop",
        &[(&format!("{HOST}/shop/*"), signed)],
    ))?;
    let good = gated.push_signed("shop/app", "1", "signed").await?;
    let evil = gated.smuggle("shop/app", "evil", "evil").await?;
    let mut kubelet = gated.kubelet().await?;
    let pod = Pod::new("shop", &tagged("shop/app", "1"));
    let sandbox = kubelet.run_pod(&pod).await?.sandbox;
    gated.tap.clear();
    Ok(Stage {
        gated,
        good,
        evil,
        pod,
        sandbox,
        kubelet,
    })
}

impl Stage {
    fn request(&self, image: &str, user_specified: &str) -> CreateContainerRequest {
        let user = (Some(0), String::new());
        let mut request = self
            .kubelet
            .create_request(&self.pod, &self.sandbox, image, user);
        if let Some(config) = request.config.as_mut() {
            config.image = Some(ImageSpec {
                image: image.to_owned(),
                user_specified_image: user_specified.to_owned(),
                ..ImageSpec::default()
            });
        }
        request
    }

    /// Nothing that containerd was asked to create or has created is the unsigned image.
    async fn assert_nothing_evil(&self, what: &str) -> Result<()> {
        for create in self.gated.tap.creates()? {
            let image = create.config.and_then(|config| config.image);
            let image = image.context("a create without an image")?.image;
            assert_eq!(image, self.good.id(), "{what}: containerd was asked for it");
        }
        let strangers = self.gated.strangers(&[&self.good]).await?;
        assert!(strangers.is_empty(), "{what}: {strangers:?}");
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_spelling_of_an_unjudged_image_reaches_containerd() -> Result<()> {
    for generation in generations("no_spelling_of_an_unjudged_image_reaches_containerd")? {
        let mut stage = stage(generation).await?;
        let evil = stage.evil.id().to_owned();
        let hex = evil.trim_start_matches("sha256:").to_owned();
        let good = stage.pod.image.clone();
        let good_pinned = pinned("shop/app", &stage.good);
        let images = [
            evil.clone(),
            hex.clone(),
            evil.get(..19).context("short")?.to_owned(),
            hex.get(..12).context("short")?.to_owned(),
            evil.to_uppercase(),
            format!("sha256:{}", hex.to_uppercase()),
            tagged("shop/app", "evil"),
            pinned("shop/app", &stage.evil),
        ];
        let claims = [
            good.clone(),
            good_pinned,
            format!("{good}@{}", stage.evil.digest()),
            format!("{}@{}", tagged("shop/app", "evil"), stage.good.digest()),
        ];
        for image in &images {
            for claim in &claims {
                let request = stage.request(image, claim);
                let made = stage.kubelet.runtime().create_container(request).await;
                // What runs may be the judged image in its place; never the other.
                if let Ok(made) = made {
                    let id = made.into_inner().container_id;
                    let native = stage.gated.node.containerd.native().await?;
                    assert_eq!(native.chain_id(&id).await?, stage.good.chain_id());
                }
                stage
                    .assert_nothing_evil(&format!("{image} as {claim}"))
                    .await?;
            }
        }
        let long = "a".repeat(1 << 20);
        for (image, claim) in [
            ("", ""),
            ("", " "),
            (evil.as_str(), ""),
            (evil.as_str(), " "),
            (evil.as_str(), "\u{200b}"),
            (evil.as_str(), "registry.example.com/shop/\u{430}pp:1"),
            (evil.as_str(), "REGISTRY.EXAMPLE.COM/shop/app:1"),
            (evil.as_str(), evil.as_str()),
            (evil.as_str(), "/var/lib/checkpoint.tar"),
            (evil.as_str(), long.as_str()),
            (long.as_str(), good.as_str()),
            ("/var/lib/checkpoint.tar", ""),
            (hex.as_str(), ""),
        ] {
            let request = stage.request(image, claim);
            let refused = stage.kubelet.runtime().create_container(request).await;
            let what: String = format!("{image} as {claim:?}").chars().take(200).collect();
            let refused = refused.err().with_context(|| format!("{what} was made"))?;
            assert!(
                refused.message().len() < 8 * 1024,
                "{what}: {} bytes",
                refused.message().len()
            );
            stage.assert_nothing_evil(&what).await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_ref_beside_the_image_is_no_second_opinion() -> Result<()> {
    let stage = stage(Generation::One).await?;
    for (image, reference) in [
        (stage.good.id(), stage.evil.id()),
        (stage.evil.id(), stage.good.id()),
    ] {
        let mut request = stage.request(image, &stage.pod.image);
        let mut config = request.config.take().context("no config")?;
        let mut spec = config.image.take().context("no image")?.encode_to_vec();
        // ImageSpec.image_ref, cri-api 0.36.
        spec.extend(raw::field(20, reference.as_bytes()));
        let mut config = config.encode_to_vec();
        config.extend(raw::field(2, &spec));
        let mut message = request.encode_to_vec();
        message.extend(raw::field(2, &config));
        let body = raw::frame(0, &message);
        let answer = raw::call(&stage.gated.shim.socket(), CREATE_CONTAINER, body).await?;
        assert_eq!(answer.code, 3, "{}", answer.message);
        assert!(stage.gated.tap.creates()?.is_empty());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prefixes_of_ids_open_nothing() -> Result<()> {
    let mut stage = stage(Generation::One).await?;
    let mut direct = stage.gated.node.kubelet().await?;
    let evil_pod = Pod::new("shop", &tagged("shop/app", "evil"));
    let user = (Some(0), String::new());
    let (container, _) = direct
        .create(&evil_pod, &stage.sandbox, stage.evil.id(), user)
        .await?;
    stage.gated.tap.clear();
    for length in [64, 63, 12, 1, 0] {
        let container_id = container.get(..length).context("short")?.to_owned();
        let request = StartContainerRequest { container_id };
        let started = stage.kubelet.runtime().start_container(request).await;
        assert!(started.is_err(), "{length} digits started it");
    }
    let huge = StartContainerRequest {
        container_id: "f".repeat(1 << 20),
    };
    let refused = stage.kubelet.runtime().start_container(huge).await;
    let refused = refused.err().context("a megabyte of ID")?;
    assert!(refused.message().len() < 8 * 1024);
    assert!(stage.gated.tap.calls_of(START_CONTAINER).is_empty());

    let mut request = stage.request(stage.good.id(), &stage.pod.image);
    request.pod_sandbox_id.truncate(12);
    let made = stage.kubelet.runtime().create_container(request).await;
    assert!(made.is_err(), "a prefix was taken for a sandbox");
    assert!(stage.gated.tap.creates()?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sandbox_that_is_gone_lends_its_namespace_to_nobody() -> Result<()> {
    let mut stage = stage(Generation::One).await?;
    let old = stage.sandbox.clone();
    stage.kubelet.remove_sandbox(&old.id).await?;
    // The same pod again, now of a namespace without a policy.
    let mut stranger = Pod::new("stranger", &stage.pod.image);
    stranger.name.clone_from(&stage.pod.name);
    stranger.uid.clone_from(&stage.pod.uid);
    stage.sandbox = stage.kubelet.run_sandbox(&stranger).await?;
    for id in [old.id.clone(), stage.sandbox.id.clone()] {
        let mut request = stage.request(stage.good.id(), &stage.pod.image);
        request.pod_sandbox_id = id;
        request.sandbox_config = Some(old.config.clone());
        let made = stage.kubelet.runtime().create_container(request).await;
        assert!(made.is_err(), "the old namespace was believed");
        let mut request = stage.request(stage.good.id(), &stage.pod.image);
        request.sandbox_config = None;
        let made = stage.kubelet.runtime().create_container(request).await;
        assert!(made.is_err(), "the old namespace was kept");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_create_given_up_in_mid_flight_leaves_nothing_that_starts() -> Result<()> {
    for generation in generations("a_create_given_up_in_mid_flight_leaves_nothing_that_starts")? {
        let mut stage = stage(generation).await?;
        let native = stage.gated.node.containerd.native().await?;
        let target = native
            .record(&tagged("shop/app", "evil"))
            .await?
            .context("no record")?;
        let mut held = stage.gated.tap.hold(CREATE_CONTAINER);
        let request = stage.request(stage.good.id(), &stage.pod.image);
        let attempt = tokio::spawn({
            let mut kubelet = stage.gated.kubelet().await?;
            async move { kubelet.runtime().create_container(request).await }
        });
        held.arrived().await?;
        for record in native.records().await? {
            if record.target == stage.good.digest() {
                native.point(&record.name, &target).await?;
            }
        }
        attempt.abort();
        let _ = attempt.await;
        held.release();
        // Whatever comes of it: everything that exists is asked to start, again and again while it settles.
        for _ in 0..20 {
            for container_id in native.containers().await? {
                let request = StartContainerRequest { container_id };
                let _ = stage.kubelet.runtime().start_container(request).await;
            }
        }
        for id in stage.kubelet.running_containers().await? {
            assert_eq!(native.chain_id(&id).await?, stage.good.chain_id());
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_the_gate_between_create_and_start_is_not_noticed() -> Result<()> {
    for generation in generations("a_restart_of_the_gate_between_create_and_start_is_not_noticed")?
    {
        let mut stage = stage(generation).await?;
        for reference in [stage.pod.image.clone(), pinned("shop/app", &stage.good)] {
            let pod = Pod::new("shop", &reference);
            let sandbox = stage.kubelet.run_sandbox(&pod).await?;
            let user = (Some(0), String::new());
            let made = stage.kubelet.create(&pod, &sandbox, stage.good.id(), user);
            let (container, _) = made.await?;
            stage.gated.shim.kill()?;
            // While it is away somebody makes another.
            let mut direct = stage.gated.node.kubelet().await?;
            let evil_pod = Pod::new("shop", &tagged("shop/app", "evil"));
            let user = (Some(0), String::new());
            let made = direct.create(&evil_pod, &sandbox, stage.evil.id(), user);
            let (evil, _) = made.await?;
            stage.gated.shim.start()?;
            stage.kubelet = stage.gated.kubelet().await?;
            stage.kubelet.start(&container).await?;
            assert!(stage.kubelet.is_running(&container).await?);
            assert!(stage.kubelet.start(&evil).await.is_err(), "{reference}");
            assert!(!direct.is_running(&evil).await?);
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_overtakes_the_look_at_the_snapshot_is_judged_itself() -> Result<()> {
    for generation in
        generations("a_start_that_overtakes_the_look_at_the_snapshot_is_judged_itself")?
    {
        let mut stage = stage(generation).await?;
        let native = stage.gated.node.containerd.native().await?;
        let target = native
            .record(&tagged("shop/app", "evil"))
            .await?
            .context("no record")?;
        let before = native.containers().await?;
        let mut create = stage.gated.tap.hold(CREATE_CONTAINER);
        let request = stage.request(stage.good.id(), &stage.pod.image);
        let mut attempt = tokio::spawn({
            let mut kubelet = stage.gated.kubelet().await?;
            async move { kubelet.runtime().create_container(request).await }
        });
        create.arrived().await?;
        for record in native.records().await? {
            if record.target == stage.good.digest() {
                native.point(&record.name, &target).await?;
            }
        }
        // containerd makes the container, and the gate does not get to see on what.
        let mut look = stage
            .gated
            .tap
            .hold("/containerd.services.containers.v1.Containers/Get");
        create.release();
        tokio::select! {
            arrived = look.arrived() => arrived?,
            // CRI noticed the names in time and knew the image no more: nothing was made.
            created = &mut attempt => {
                assert!(created?.is_err(), "the gate did not look");
                continue;
            }
        }
        let made = native.containers().await?;
        let container_id = made
            .into_iter()
            .find(|id| !before.contains(id))
            .context("no container was made")?;
        let chain = native.chain_id(&container_id).await?;
        let request = StartContainerRequest { container_id };
        let started = stage.kubelet.runtime().start_container(request).await;
        if chain != stage.good.chain_id() {
            assert!(started.is_err(), "the wrong image was started");
        }
        look.release();
        let created = attempt.await?;
        assert_eq!(created.is_ok(), chain == stage.good.chain_id());
        let strangers = stage.gated.strangers(&[&stage.good]).await?;
        assert!(strangers.is_empty(), "{strangers:?}");
    }
    Ok(())
}
