//! Ways past the gate. Each must end with containerd never having heard of the image, or with no container of it.

use anyhow::{Context, Result};
use k8s_cri::v1::{ImageSpec, Mount};
use portcullis_tests::containerd::Generation;
use portcullis_tests::daemon::wait_until;
use portcullis_tests::gated::{Gated, SIGNER};
use portcullis_tests::image::Recipe;
use portcullis_tests::kubelet::{Kubelet, Pod, PullPolicy, Reason};
use portcullis_tests::node::{HOST, pinned, tagged};
use portcullis_tests::policy::namespace_policy;
use portcullis_tests::skip::generations;
use portcullis_tests::tap::CREATE_CONTAINER;
use tonic::Code;

/// A gate whose namespace `shop` wants signatures, and which knows no other namespace.
async fn shop(generation: Generation) -> Result<Gated> {
    let mut gated = Gated::prepare(generation).await?;
    gated.collection("shop/app")?;
    let signed = gated.signed()?;
    gated.start(&namespace_policy(
        "shop",
        &[(&format!("{HOST}/shop/*"), signed)],
    ))?;
    Ok(gated)
}

async fn assert_refused_at_create(kubelet: &mut Kubelet, pod: &Pod) -> Result<()> {
    let refused = kubelet.run_pod(pod).await.err().context("it ran")?;
    assert_eq!(refused.reason, Reason::CreateContainer, "{refused}");
    assert!(
        refused.message.starts_with("SignatureValidationFailed: "),
        "{refused}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_moved_in_the_registry_still_runs_the_signed_digest() -> Result<()> {
    let gated = shop(Generation::One).await?;
    gated.push_signed("shop/app", "1", "signed").await?;
    let evil = gated.push("shop/app", "1", "evil").await?;
    assert_eq!(
        gated.node.registry.resolve("shop/app", "1").await?,
        evil.digest()
    );
    let mut kubelet = gated.kubelet().await?;
    let pod = Pod::new("shop", &tagged("shop/app", "1")).pulled(PullPolicy::Always);
    let running = kubelet.run_pod(&pod).await?;
    assert_eq!(kubelet.output(&running).await?, "marker=signed uid=0");
    gated.assert_digest_only()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_cached_by_another_namespace_is_refused() -> Result<()> {
    for generation in generations("an_image_cached_by_another_namespace_is_refused")? {
        let gated = shop(generation).await?;
        gated.push_signed("shop/app", "1", "signed").await?;
        let mut kubelet = gated.kubelet().await?;
        kubelet
            .run_pod(&Pod::new("shop", &tagged("shop/app", "1")))
            .await?;
        for pull in [PullPolicy::Never, PullPolicy::IfNotPresent] {
            let stranger = Pod::new("stranger", &tagged("shop/app", "1")).pulled(pull);
            assert_refused_at_create(&mut kubelet, &stranger).await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_smuggled_onto_the_node_is_refused() -> Result<()> {
    for generation in generations("an_image_smuggled_onto_the_node_is_refused")? {
        let gated = shop(generation).await?;
        let evil = gated.smuggle("shop/app", "evil", "evil").await?;
        let mut kubelet = gated.kubelet().await?;
        for reference in [tagged("shop/app", "evil"), pinned("shop/app", &evil)] {
            let pod = Pod::new("shop", &reference).pulled(PullPolicy::Never);
            let refused = kubelet.run_pod(&pod).await.err().context("it ran")?;
            // A digest that CRI knows under another name alone is absent for kubelet: never pulled either.
            let outcomes = [Reason::CreateContainer, Reason::ErrImageNeverPull];
            assert!(outcomes.contains(&refused.reason), "{refused}");
        }
        assert!(gated.strangers(&[]).await?.is_empty());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_id_in_a_pod_is_refused_in_full_and_truncated() -> Result<()> {
    let gated = shop(Generation::One).await?;
    let image = gated.push_signed("shop/app", "1", "signed").await?;
    let mut kubelet = gated.kubelet().await?;
    kubelet
        .run_pod(&Pod::new("shop", &tagged("shop/app", "1")))
        .await?;
    let id = image.id();
    let short = id.get(..19).context("short id")?;
    for reference in [id, short] {
        for pull in [PullPolicy::IfNotPresent, PullPolicy::Always] {
            let pod = Pod::new("shop", reference).pulled(pull);
            assert!(kubelet.run_pod(&pod).await.is_err(), "{reference} ran");
        }
    }
    gated.assert_digest_only()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reference_that_no_rule_matches_causes_no_request() -> Result<()> {
    let gated = shop(Generation::One).await?;
    gated.push("other/app", "1", "other").await?;
    gated.push("shop/app", "unsigned", "unsigned").await?;
    let mut kubelet = gated.kubelet().await?;
    // Both fronts count: a reference that a rule matches is looked up.
    let matched = Pod::new("shop", &tagged("shop/app", "unsigned"));
    assert!(kubelet.run_pod(&matched).await.is_err());
    assert!(gated.registry_front.connections() > 0);
    assert!(gated.notary_front.connections() > 0);
    let before = gated.outside_connections();
    for (namespace, reference) in [
        ("shop", tagged("other/app", "1")),
        ("stranger", tagged("shop/app", "1")),
        (
            "shop",
            "registry.example.com.evil.example/shop/app:1".to_owned(),
        ),
    ] {
        let pod = Pod::new(namespace, &reference).credential("user", "secret");
        let refused = kubelet.run_pod(&pod).await.err().context("it ran")?;
        assert_eq!(
            refused.reason,
            Reason::SignatureValidationFailed,
            "{refused}"
        );
    }
    assert_eq!(gated.outside_connections(), before);
    assert!(gated.tap.pulls()?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_volume_is_judged_like_an_image() -> Result<()> {
    let gated = shop(Generation::One).await?;
    gated.push_signed("shop/app", "1", "signed").await?;
    let evil = gated.smuggle("shop/data", "1", "evil data").await?;
    let mut kubelet = gated.kubelet().await?;
    let mut pod = Pod::new("shop", &tagged("shop/app", "1"));
    pod.image_volumes = vec![Mount {
        container_path: "/data".into(),
        readonly: true,
        image: Some(ImageSpec {
            image: evil.id().to_owned(),
            user_specified_image: tagged("shop/data", "1"),
            annotations: pod.all_annotations(),
            ..ImageSpec::default()
        }),
        ..Mount::default()
    }];
    assert_refused_at_create(&mut kubelet, &pod).await?;
    assert!(gated.tap.creates()?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_whose_name_lies_about_its_digest_never_runs() -> Result<()> {
    for generation in generations("a_record_whose_name_lies_about_its_digest_never_runs")? {
        let gated = shop(generation).await?;
        let good = gated.push_signed("shop/app", "1", "signed").await?;
        gated.smuggle("shop/evil", "1", "evil").await?;
        let native = gated.node.containerd.native().await?;
        let target = native
            .record(&tagged("shop/evil", "1"))
            .await?
            .context("no record")?;
        // The pod is one that ran before: its evidence is stored, only the names on the node were changed.
        let mut kubelet = gated.kubelet().await?;
        let pod = Pod::new("shop", &pinned("shop/app", &good)).pulled(PullPolicy::IfNotPresent);
        kubelet.run_pod(&pod).await?;
        let lies = [pinned("shop/app", &good), tagged("shop/app", "1")];
        for lie in &lies {
            native.point(lie, &target).await?;
        }
        wait_until("CRI to believe the lie", async || {
            let id = kubelet.image_id(&lies[0]).await?;
            Ok((id.as_deref() != Some(good.id())).then_some(()))
        })
        .await?;
        for lie in &lies {
            let pod = Pod::new("shop", lie).pulled(PullPolicy::IfNotPresent);
            // Running the image that was judged is right, refusing is right; running the other is not.
            if let Ok(running) = kubelet.run_pod(&pod).await {
                assert_eq!(native.chain_id(&running.container).await?, good.chain_id());
            }
        }
        assert_eq!(gated.strangers(&[&good]).await?, Vec::<String>::new());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_moved_between_judgement_and_create_leaves_no_container() -> Result<()> {
    for generation in generations("a_tag_moved_between_judgement_and_create_leaves_no_container")? {
        let gated = shop(generation).await?;
        let good = gated.push_signed("shop/app", "1", "signed").await?;
        gated.smuggle("shop/evil", "1", "evil").await?;
        let native = gated.node.containerd.native().await?;
        let target = native
            .record(&tagged("shop/evil", "1"))
            .await?
            .context("no record")?;
        let mut kubelet = gated.kubelet().await?;
        let pod = Pod::new("shop", &tagged("shop/app", "1"));
        kubelet.run_pod(&pod).await?;

        let name = pod.image.as_str();
        let source = native.record(name).await?.context("no record")?;
        // Without the gate this works at one of the first tries: the harness has a test that it does.
        for _ in 0..8 {
            let mut held = gated.tap.hold(CREATE_CONTAINER);
            let attempt = tokio::spawn({
                let (mut kubelet, pod) = (gated.kubelet().await?, Pod::new("shop", name));
                async move { kubelet.run_pod(&pod).await }
            });
            held.arrived().await?;
            // The name now stands for the other image, and CRI has not heard of it yet.
            native.point(name, &target).await?;
            held.release();
            if let Ok(running) = attempt.await? {
                let chain = native.chain_id(&running.container).await?;
                assert_eq!(chain, good.chain_id());
            }
            native.point(name, &source).await?;
            wait_until("CRI to follow the record back", async || {
                let id = kubelet.image_id(name).await?;
                Ok((id.as_deref() == Some(good.id())).then_some(()))
            })
            .await?;
        }
        assert_eq!(gated.strangers(&[&good]).await?, Vec::<String>::new());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_created_behind_the_gate_is_not_started_through_it() -> Result<()> {
    let gated = shop(Generation::One).await?;
    let evil = gated.smuggle("shop/app", "evil", "evil").await?;
    let mut direct = gated.node.kubelet().await?;
    let mut kubelet = gated.kubelet().await?;
    let pod = Pod::new("shop", &tagged("shop/app", "evil"));
    let sandbox = kubelet.run_sandbox(&pod).await?;
    let user = (Some(0), String::new());
    let (container, _) = direct.create(&pod, &sandbox, evil.id(), user).await?;
    let refused = kubelet
        .start(&container)
        .await
        .err()
        .context("it started")?;
    assert!(
        refused.message.contains("SignatureValidationFailed: "),
        "{refused}"
    );
    assert!(!direct.is_running(&container).await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_namespace_at_create_is_the_sandboxs_own() -> Result<()> {
    let gated = shop(Generation::One).await?;
    let image = gated.push_signed("shop/app", "1", "signed").await?;
    let mut kubelet = gated.kubelet().await?;
    kubelet
        .run_pod(&Pod::new("shop", &tagged("shop/app", "1")))
        .await?;
    let stranger = Pod::new("stranger", &tagged("shop/app", "1"));
    let mut sandbox = kubelet.run_sandbox(&stranger).await?;
    let metadata = sandbox.config.metadata.as_mut().context("no metadata")?;
    metadata.namespace = "shop".into();
    let label = "io.kubernetes.pod.namespace".to_owned();
    sandbox.config.labels.insert(label, "shop".into());
    let user = (Some(0), String::new());
    let refused = kubelet
        .create(&stranger, &sandbox, image.id(), user)
        .await
        .err()
        .context("a forged namespace was believed")?;
    assert!(!refused.message.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_whose_label_and_metadata_disagree_is_malformed() -> Result<()> {
    let gated = shop(Generation::One).await?;
    gated.push_signed("shop/app", "1", "signed").await?;
    let mut kubelet = gated.kubelet().await?;
    let pod = Pod::new("stranger", &tagged("shop/app", "1"));
    let mut sandbox = kubelet.run_sandbox(&pod).await?;
    let metadata = sandbox.config.metadata.as_mut().context("no metadata")?;
    metadata.namespace = "shop".into();
    let refused = kubelet
        .ensure_image(&pod, &sandbox.config)
        .await
        .err()
        .context("it was pulled")?;
    assert_eq!(refused.code, Code::InvalidArgument, "{refused}");
    assert!(gated.tap.pulls()?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_create_that_names_the_image_by_tag_is_forwarded_by_id() -> Result<()> {
    let gated = shop(Generation::One).await?;
    let image = gated.push_signed("shop/app", "1", "signed").await?;
    let mut kubelet = gated.kubelet().await?;
    let pod = Pod::new("shop", &tagged("shop/app", "1"));
    let sandbox = kubelet.run_sandbox(&pod).await?;
    kubelet.ensure_image(&pod, &sandbox.config).await?;
    // As crictl and critest do: the name, and no user_specified_image.
    let user = (Some(0), String::new());
    let mut request = kubelet.create_request(&pod, &sandbox, &pod.image, user);
    let spec = request
        .config
        .as_mut()
        .and_then(|config| config.image.as_mut());
    spec.context("no image")?.user_specified_image.clear();
    kubelet.runtime().create_container(request).await?;
    let creates = gated.tap.creates()?;
    let forwarded = creates
        .first()
        .and_then(|create| create.config.as_ref()?.image.as_ref())
        .context("containerd saw no create")?;
    assert_eq!(forwarded.image, image.id());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_image_is_refused() -> Result<()> {
    let gated = shop(Generation::One).await?;
    let image = Recipe::new("checkpoint").build()?;
    gated
        .node
        .registry
        .push("shop/app", "plain", &image)
        .await?;
    let (root, media_type) = image.root_with_type();
    let mut manifest: serde_json::Value = serde_json::from_slice(&root.bytes)?;
    let fields = manifest.as_object_mut().context("not an object")?;
    let annotation = serde_json::json!({"org.criu.checkpoint.container.name": "main"});
    fields.insert("annotations".into(), annotation);
    let bytes = serde_json::to_vec(&manifest)?;
    let registry = &gated.node.registry;
    registry
        .put_manifest("shop/app", "checkpoint", media_type, &bytes)
        .await?;
    gated
        .notary
        .sign_bytes(&format!("{HOST}/shop/app"), "checkpoint", &bytes, SIGNER)?;
    let mut kubelet = gated.kubelet().await?;
    let pod = Pod::new("shop", &tagged("shop/app", "checkpoint"));
    assert!(kubelet.run_pod(&pod).await.is_err(), "a checkpoint ran");
    assert!(gated.strangers(&[]).await?.is_empty());
    Ok(())
}
