//! Ways past the gate. Each must end with containerd never having heard of the image, or with no container of it.

use std::collections::HashMap;

use anyhow::{Context, Result};
use k8s_cri::v1::{ImageSpec, Mount};
use portcullis_tests::containerd::Generation;
use portcullis_tests::daemon::wait_until;
use portcullis_tests::gated::{Gated, SIGNER};
use portcullis_tests::image::{Image, Recipe};
use portcullis_tests::kubelet::{Kubelet, Pod, PullPolicy, Reason};
use portcullis_tests::node::{HOST, pinned, tagged};
use portcullis_tests::policy::namespace_policy;
use portcullis_tests::raw::{self, field, frame, varint};
use portcullis_tests::skip::generations;
use portcullis_tests::tap::{CREATE_CONTAINER, PULL_IMAGE};
use prost::Message as _;
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

/// Puts an image onto the node behind the gate's back.
async fn smuggle(gated: &Gated, repository: &str, tag: &str, marker: &str) -> Result<Image> {
    let image = gated.push(repository, tag, marker).await?;
    let mut direct = gated.node.kubelet().await?;
    let pod = Pod::new("elsewhere", &tagged(repository, tag));
    let sandbox = direct.run_sandbox(&pod).await?;
    direct.ensure_image(&pod, &sandbox.config).await?;
    direct.remove_sandbox(&sandbox.id).await?;
    Ok(image)
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
        let evil = smuggle(&gated, "shop/app", "evil", "evil").await?;
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
    let evil = smuggle(&gated, "shop/data", "1", "evil data").await?;
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
        smuggle(&gated, "shop/evil", "1", "evil").await?;
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
        smuggle(&gated, "shop/evil", "1", "evil").await?;
        let native = gated.node.containerd.native().await?;
        let target = native
            .record(&tagged("shop/evil", "1"))
            .await?
            .context("no record")?;
        let mut kubelet = gated.kubelet().await?;
        let pod = Pod::new("shop", &tagged("shop/app", "1"));
        kubelet.run_pod(&pod).await?;

        let mut held = gated.tap.hold(CREATE_CONTAINER);
        let attempt = tokio::spawn({
            let (mut kubelet, pod) = (gated.kubelet().await?, Pod::new("shop", &pod.image));
            async move { kubelet.run_pod(&pod).await }
        });
        held.arrived().await?;
        // Every name of the judged image now stands for the other one; CRI has not heard of it yet.
        for record in native.records().await? {
            if record.target == good.digest() {
                native.point(&record.name, &target).await?;
            }
        }
        held.release();
        if let Ok(running) = attempt.await? {
            assert_eq!(native.chain_id(&running.container).await?, good.chain_id());
        }
        assert_eq!(gated.strangers(&[&good]).await?, Vec::<String>::new());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_created_behind_the_gate_is_not_started_through_it() -> Result<()> {
    let gated = shop(Generation::One).await?;
    let evil = smuggle(&gated, "shop/app", "evil", "evil").await?;
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
async fn other_services_on_the_socket_are_not_implemented() -> Result<()> {
    for generation in generations("other_services_on_the_socket_are_not_implemented")? {
        let gated = shop(generation).await?;
        for path in [
            "/runtime.v1alpha2.ImageService/PullImage",
            "/runtime.v1alpha2.RuntimeService/CreateContainer",
            "/containerd.services.images.v1.Images/List",
            "/containerd.services.content.v1.Content/List",
            "/containerd.services.containers.v1.Containers/Create",
            "/runtime.v1.RuntimeService/RestorePod",
            "/runtime.v1.ImageService/PullImage/",
            "/runtime.v1.ImageService/pullimage",
            "//runtime.v1.ImageService/PullImage",
        ] {
            gated.tap.clear();
            let answer = raw::call(&gated.shim.socket(), path, frame(0, b"")).await?;
            assert_eq!(answer.code, 12, "{path}: {answer:?}");
            let seen = gated.tap.calls().into_iter().any(|call| call.path == path);
            assert!(!seen, "{path} reached containerd");
        }
        let ctr = gated
            .node
            .containerd
            .ctr_at(&gated.shim.socket(), &["images", "list"]);
        let error = ctr.err().context("ctr worked through the gate")?;
        assert!(format!("{error:#}").contains("unknown method"), "{error:#}");
    }
    Ok(())
}

/// PullImage bodies that say one image to a lenient reader and another to containerd, or nothing well-formed at all.
fn wire_attacks(good: &str, evil: &str, sandbox: &[u8]) -> HashMap<&'static str, Vec<u8>> {
    let name = |image: &str| field(1, image.as_bytes());
    let spec = |image: &str| field(1, &name(image));
    let sandbox = field(3, sandbox);
    let honest = [spec(good), sandbox.clone()].concat();
    let with_tag = |tag: Vec<u8>, image: &str| {
        let inner = name(image);
        [tag, varint(inner.len() as u64), inner].concat()
    };
    let wrapped_number = varint((((1_u64 << 32) | 1) << 3) | 2);
    let long_tag = vec![0x8a, 0x00];
    let long_length = {
        let inner = name(evil);
        let length = u8::try_from(inner.len()).unwrap_or(0) | 0x80;
        [vec![0x0a, length, 0x00], inner].concat()
    };
    let group = [vec![(1 << 3) | 3], name(evil), vec![(1 << 3) | 4]].concat();
    let inner_twice = field(1, &[name(good), name(evil)].concat());
    let inner_wrapped = {
        let evil_inner = [
            wrapped_number.clone(),
            varint(evil.len() as u64),
            evil.as_bytes().to_vec(),
        ];
        field(1, &[name(good), evil_inner.concat()].concat())
    };
    let mut second = frame(0, &honest);
    second.extend(frame(0, &spec(evil)));
    let mut trailing = frame(0, &honest);
    trailing.extend([0, 0, 0]);
    let mut truncated = frame(0, &honest);
    truncated.truncate(truncated.len() - 3);
    let mut huge = honest.clone();
    huge.extend(field(999, &vec![0; 16 * 1024 * 1024]));
    let framed = |parts: &[&[u8]]| frame(0, &parts.concat());
    HashMap::from([
        ("image twice", framed(&[&honest, &spec(evil)])),
        ("name twice", framed(&[&inner_twice, &sandbox])),
        (
            "tag not minimal",
            framed(&[&honest, &with_tag(long_tag, evil)]),
        ),
        ("length not minimal", framed(&[&honest, &long_length])),
        (
            "field number wrapped",
            framed(&[&honest, &with_tag(wrapped_number, evil)]),
        ),
        (
            "inner field number wrapped",
            framed(&[&inner_wrapped, &sandbox]),
        ),
        ("group", framed(&[&honest, &group])),
        ("wrong wire type", framed(&[&[0x08, 0x01], &honest])),
        ("field number zero", framed(&[&[0x02, 0x00], &honest])),
        (
            "not UTF-8",
            framed(&[&field(1, &field(1, b"\xff\xfe")), &sandbox]),
        ),
        ("sandbox twice", framed(&[&honest, &sandbox])),
        ("second message", second),
        ("bytes after the message", trailing),
        ("truncated", truncated),
        ("compressed", frame(1, &honest)),
        ("unknown flag", frame(2, &honest)),
        ("too large", frame(0, &huge)),
        ("no message", Vec::new()),
    ])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ambiguous_messages_are_refused_and_containerd_never_sees_them() -> Result<()> {
    let gated = shop(Generation::One).await?;
    gated.push_signed("shop/app", "1", "signed").await?;
    let evil = gated.push("shop/app", "evil", "evil").await?;
    let mut kubelet = gated.kubelet().await?;
    let pod = Pod::new("shop", &tagged("shop/app", "1"));
    let sandbox = kubelet.run_sandbox(&pod).await?.config.encode_to_vec();
    for (attack, body) in wire_attacks(&pod.image, &pinned("shop/app", &evil), &sandbox) {
        gated.tap.clear();
        let answer = raw::call(&gated.shim.socket(), PULL_IMAGE, body).await?;
        assert!([3, 8, 12].contains(&answer.code), "{attack}: {answer:?}");
        assert!(
            gated.tap.calls_of(PULL_IMAGE).is_empty(),
            "{attack} reached containerd"
        );
    }
    // Well-formed, but it names no image: a matter of policy.
    gated.tap.clear();
    let body = frame(0, &field(3, &sandbox));
    let answer = raw::call(&gated.shim.socket(), PULL_IMAGE, body).await?;
    assert_eq!(answer.code, 2, "{answer:?}");
    assert!(gated.tap.calls_of(PULL_IMAGE).is_empty());
    assert!(
        kubelet
            .image_id(&tagged("shop/app", "evil"))
            .await?
            .is_none()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ambiguous_creates_are_refused_and_containerd_never_sees_them() -> Result<()> {
    let gated = shop(Generation::One).await?;
    let good = gated.push_signed("shop/app", "1", "signed").await?;
    let evil = smuggle(&gated, "shop/evil", "1", "evil").await?;
    let mut kubelet = gated.kubelet().await?;
    let pod = Pod::new("shop", &tagged("shop/app", "1"));
    let sandbox = kubelet.run_sandbox(&pod).await?;
    kubelet.ensure_image(&pod, &sandbox.config).await?;
    let user = (Some(0), String::new());
    let honest = kubelet
        .create_request(&pod, &sandbox, good.id(), user)
        .encode_to_vec();
    let evil_spec = field(2, &field(1, evil.id().as_bytes()));
    let other_sandbox = field(1, b"another");
    for (attack, extra) in [
        ("config twice", field(2, &evil_spec)),
        ("sandbox id twice", other_sandbox),
        (
            "config as a group",
            [vec![0x13], evil_spec.clone(), vec![0x14]].concat(),
        ),
        ("field number wrapped", {
            let tag = varint((((1_u64 << 32) | 2) << 3) | 2);
            [tag, varint(evil_spec.len() as u64), evil_spec.clone()].concat()
        }),
    ] {
        gated.tap.clear();
        let body = frame(0, &[honest.clone(), extra].concat());
        let answer = raw::call(&gated.shim.socket(), CREATE_CONTAINER, body).await?;
        assert_eq!(answer.code, 3, "{attack}: {answer:?}");
        assert!(
            gated.tap.calls_of(CREATE_CONTAINER).is_empty(),
            "{attack} reached containerd"
        );
    }
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
