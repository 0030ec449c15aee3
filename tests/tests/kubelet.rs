//! What a kubelet does all day, through the gate: it must work as without, for images that the policy trusts, and end in
//! a helpful refusal for the others.

use anyhow::{Context, Result};
use futures_util::StreamExt as _;
use k8s_cri::v1::{
    GetEventsRequest, ListContainersRequest, ListImagesRequest, RuntimeConfigRequest,
};
use portcullis_tests::containerd::Generation;
use portcullis_tests::daemon::{PATIENCE, wait_for};
use portcullis_tests::gated::Gated;
use portcullis_tests::image::Recipe;
use portcullis_tests::kubelet::{Pod, PullPolicy, Reason};
use portcullis_tests::node::{HOST, pinned, tagged};
use portcullis_tests::policy::{Demand, cluster_policy, namespace_policy};
use portcullis_tests::raw;
use portcullis_tests::skip::{generations, skipped};
use prost::Message as _;
use tonic::Code;

/// A gate whose namespace `shop` wants signatures for `shop/*` and lets `open/*` pass.
async fn shop(generation: Generation) -> Result<Gated> {
    let mut gated = Gated::prepare(generation).await?;
    gated.collection("shop/app")?;
    let signed = gated.signed()?;
    let rules = [
        (format!("{HOST}/shop/*"), signed),
        (format!("{HOST}/open/*"), Demand::Allow),
    ];
    let rules: Vec<_> = rules.iter().map(|(p, d)| (p.as_str(), d.clone())).collect();
    gated.start(&namespace_policy("shop", &rules))?;
    Ok(gated)
}

async fn every_sequence(generation: Generation) -> Result<()> {
    let gated = shop(generation).await?;
    let image = gated.push_signed("shop/app", "1", "signed").await?;
    let mut kubelet = gated.kubelet().await?;

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
                assert_eq!(kubelet.output(&running).await?, "marker=signed uid=0");
                let again = kubelet.restart_container(&pod, &running).await?;
                assert_eq!(kubelet.output(&again).await?, "marker=signed uid=0");
                kubelet.remove_sandbox(&running.sandbox.id).await?;
            }
        }
    }
    assert!(!gated.tap.pulls()?.is_empty());
    gated.assert_digest_only()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kubelet_sequence_runs_a_signed_image_on_containerd_1() -> Result<()> {
    every_sequence(Generation::One).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kubelet_sequence_runs_a_signed_image_on_containerd_2() -> Result<()> {
    match Generation::Two.binaries() {
        Ok(_) => every_sequence(Generation::Two).await,
        Err(reason) => {
            skipped(
                "every_kubelet_sequence_runs_a_signed_image_on_containerd_2",
                &reason,
            );
            Ok(())
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unsigned_image_is_refused_before_containerd_hears_of_it() -> Result<()> {
    let gated = shop(Generation::One).await?;
    gated.push("shop/app", "unsigned", "unsigned").await?;
    let mut kubelet = gated.kubelet().await?;
    for pull in [PullPolicy::IfNotPresent, PullPolicy::Always] {
        let api = Pod::new("shop", &tagged("shop/app", "unsigned")).pulled(pull);
        for pod in [api.clone(), api.in_file()] {
            let refused = kubelet.run_pod(&pod).await.err().context("it ran")?;
            assert_eq!(
                refused.reason,
                Reason::SignatureValidationFailed,
                "{refused}"
            );
            assert_eq!(refused.code, Code::Unknown);
            for word in ["shop", "shop/app:unsigned", "policy.yaml"] {
                assert!(
                    refused.message.contains(word),
                    "{word} is missing: {refused}"
                );
            }
        }
    }
    assert!(gated.tap.pulls()?.is_empty());
    assert!(gated.tap.creates()?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_that_allows_a_repository_runs_it_by_digest() -> Result<()> {
    let gated = shop(Generation::One).await?;
    gated.push("open/tool", "1", "open").await?;
    let mut kubelet = gated.kubelet().await?;
    let pod = Pod::new("shop", &tagged("open/tool", "1"));
    let running = kubelet.run_pod(&pod).await?;
    assert_eq!(kubelet.output(&running).await?, "marker=open uid=0");
    assert_eq!(gated.tap.pulls()?.len(), 1);
    gated.assert_digest_only()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_index_runs_the_platform_manifest_it_names() -> Result<()> {
    for generation in generations("a_signed_index_runs_the_platform_manifest_it_names")? {
        let gated = shop(generation).await?;
        let image = Recipe::new("multi").multi_platform().build()?;
        gated
            .node
            .registry
            .push("shop/app", "multi", &image)
            .await?;
        gated.sign("shop/app", "multi", &image)?;
        let mut kubelet = gated.kubelet().await?;
        let running = kubelet
            .run_pod(&Pod::new("shop", &tagged("shop/app", "multi")))
            .await?;
        assert_eq!(kubelet.output(&running).await?, "marker=multi uid=0");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_with_a_user_never_runs_as_root_because_its_tag_was_pulled_by_digest() -> Result<()>
{
    for generation in
        generations("an_image_with_a_user_never_runs_as_root_because_its_tag_was_pulled_by_digest")?
    {
        let gated = shop(generation).await?;
        let image = Recipe::new("user").user("4711").build()?;
        gated.node.registry.push("shop/app", "user", &image).await?;
        gated.sign("shop/app", "user", &image)?;
        let mut kubelet = gated.kubelet().await?;
        let pod = Pod::new("shop", &tagged("shop/app", "user"));
        let running = kubelet.run_pod(&pod).await?;
        assert_eq!(kubelet.output(&running).await?, "marker=user uid=4711");
        let id = kubelet.image_id(&pod.image).await?;
        assert_eq!(
            id.as_deref(),
            Some(image.id()),
            "the tag is gone from CRI's view"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_untagged_name_means_latest() -> Result<()> {
    let gated = shop(Generation::One).await?;
    gated.push_signed("shop/app", "latest", "latest").await?;
    let mut kubelet = gated.kubelet().await?;
    let pod = Pod::new("shop", &format!("{HOST}/shop/app"));
    let running = kubelet.run_pod(&pod).await?;
    assert_eq!(kubelet.output(&running).await?, "marker=latest uid=0");
    gated.assert_digest_only()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audit_mode_runs_what_it_would_deny_and_says_so() -> Result<()> {
    let mut gated = Gated::prepare(Generation::One).await?;
    gated.collection("shop/app")?;
    gated.shim.configure(|settings| settings.mode = "audit")?;
    let signed = gated.signed()?;
    gated.start(&namespace_policy(
        "shop",
        &[("registry.example.com/shop/*", signed)],
    ))?;
    gated.push("shop/app", "unsigned", "unsigned").await?;
    gated.push("other/app", "1", "no rule").await?;
    let mut kubelet = gated.kubelet().await?;
    for (reference, marker) in [
        (tagged("shop/app", "unsigned"), "marker=unsigned uid=0"),
        (tagged("other/app", "1"), "marker=no rule uid=0"),
    ] {
        let running = kubelet.run_pod(&Pod::new("shop", &reference)).await?;
        assert_eq!(kubelet.output(&running).await?, marker);
    }
    wait_for("the audit lines", || {
        let lines = gated.shim.json_lines();
        let would = lines
            .iter()
            .filter(|line| line.to_string().contains("would-deny"))
            .count();
        Ok((would >= 2).then_some(()))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_decision_leaves_an_audit_line() -> Result<()> {
    let gated = shop(Generation::One).await?;
    let image = gated.push_signed("shop/app", "1", "signed").await?;
    gated.push("shop/app", "unsigned", "unsigned").await?;
    let mut kubelet = gated.kubelet().await?;
    kubelet
        .run_pod(&Pod::new("shop", &tagged("shop/app", "1")))
        .await?;
    let refused = kubelet
        .run_pod(&Pod::new("shop", &tagged("shop/app", "unsigned")))
        .await;
    assert!(refused.is_err());
    for (words, what) in [
        (
            vec!["pull", "allow", "shop", image.digest()],
            "the allowed pull",
        ),
        (
            vec!["create", "allow", "shop", image.digest()],
            "the allowed create",
        ),
        (
            vec!["pull", "deny", "shop", "shop/app:unsigned"],
            "the denied pull",
        ),
    ] {
        wait_for(what, || {
            let lines = gated.shim.json_lines();
            let found = lines.iter().map(ToString::to_string).any(|line| {
                line.contains("\"audit\"") && words.iter().all(|word| line.contains(word))
            });
            Ok(found.then_some(()))
        })?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_fields_reach_containerd_byte_for_byte() -> Result<()> {
    let gated = shop(Generation::One).await?;
    let image = gated.push_signed("shop/app", "1", "signed").await?;
    let mut kubelet = gated.kubelet().await?;
    let pod = Pod::new("shop", &tagged("shop/app", "1"));
    let sandbox = kubelet.run_sandbox(&pod).await?;
    // Fields that no release of CRI has, in an order that no encoder writes, with a varint of its own.
    let request = |name: &str| {
        let spec = [
            raw::field(99, b"later release"),
            raw::field(1, name.as_bytes()),
            raw::field(2000, b"\x00\xff"),
        ]
        .concat();
        let mut message = raw::field(3, &sandbox.config.encode_to_vec());
        message.extend(raw::field(77, b"\x08\x01"));
        message.extend(raw::varint(78 << 3));
        message.extend(raw::varint(u64::MAX));
        message.extend(raw::field(1, &spec));
        message
    };
    let path = portcullis_tests::tap::PULL_IMAGE;
    let sent = raw::frame(0, &request(&pod.image));
    let answer = raw::call(&gated.shim.socket(), path, sent).await?;
    assert_eq!(answer.code, 0, "{answer:?}");
    let calls = gated.tap.calls_of(path);
    let call = calls.first().context("containerd saw no pull")?;
    let expected = request(&pinned("shop/app", &image));
    assert_eq!(call.message(), expected.as_slice());

    let list = [raw::field(1, &raw::field(500, b"x")), raw::field(900, b"y")].concat();
    let path = "/runtime.v1.ImageService/ListImages";
    let sent = raw::frame(0, &list);
    gated.tap.clear();
    assert_eq!(
        raw::call(&gated.shim.socket(), path, sent.clone())
            .await?
            .code,
        0
    );
    assert!(
        gated
            .tap
            .calls_of(path)
            .iter()
            .any(|call| call.frame == sent)
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn container_events_stream_through() -> Result<()> {
    if let Err(reason) = Generation::Two.binaries() {
        skipped("container_events_stream_through", &reason);
        return Ok(());
    }
    let gated = shop(Generation::Two).await?;
    gated.push_signed("shop/app", "1", "signed").await?;
    let mut kubelet = gated.kubelet().await?;
    // grpc-go sends the headers of a stream with its first message, so the call is under way before there is an answer.
    let (arrived, mut container_ids) = tokio::sync::mpsc::channel(16);
    let mut listener = gated.kubelet().await?;
    let listening = tokio::spawn(async move {
        let call = listener.runtime().get_container_events(GetEventsRequest {});
        let mut events = call.await?.into_inner();
        while let Some(event) = events.next().await {
            if arrived.send(event?.container_id).await.is_err() {
                break;
            }
        }
        anyhow::Ok(())
    });
    wait_for("the stream to reach containerd", || {
        let path = "/runtime.v1.RuntimeService/GetContainerEvents";
        Ok((!gated.tap.calls_of(path).is_empty()).then_some(()))
    })?;
    let running = kubelet
        .run_pod(&Pod::new("shop", &tagged("shop/app", "1")))
        .await?;
    loop {
        let id = tokio::time::timeout(PATIENCE, container_ids.recv())
            .await
            .context("no event of the container")?
            .context("the stream ended")?;
        if id == running.container {
            break;
        }
    }
    listening.abort();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_more_than_a_mebibyte_passes_unchanged() -> Result<()> {
    let gated = shop(Generation::One).await?;
    let image = gated.push_signed("shop/app", "1", "signed").await?;
    let mut kubelet = gated.kubelet().await?;
    let pod = Pod::new("shop", &tagged("shop/app", "1"));
    let running = kubelet.run_pod(&pod).await?;
    for _ in 0..10 {
        let mut request =
            kubelet.create_request(&pod, &running.sandbox, image.id(), (Some(0), String::new()));
        let config = request.config.as_mut().context("no config")?;
        config
            .annotations
            .insert("large".into(), "x".repeat(120 * 1024));
        kubelet.runtime().create_container(request).await?;
    }
    let request = ListContainersRequest { filter: None };
    let mut through = kubelet
        .runtime()
        .list_containers(request.clone())
        .await?
        .into_inner();
    let mut direct = gated
        .node
        .kubelet()
        .await?
        .runtime()
        .list_containers(request)
        .await?
        .into_inner();
    assert!(direct.encoded_len() > 1024 * 1024);
    for reply in [&mut through, &mut direct] {
        reply.containers.sort_by(|a, b| a.id.cmp(&b.id));
    }
    assert_eq!(through, direct);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_containerd_does_not_know_stays_unknown() -> Result<()> {
    let gated = shop(Generation::One).await?;
    let mut kubelet = gated.kubelet().await?;
    let status = kubelet
        .runtime()
        .runtime_config(RuntimeConfigRequest {})
        .await
        .err()
        .context("containerd 1.6 answered RuntimeConfig")?;
    assert_eq!(status.code(), Code::Unimplemented);
    // The kubelet goes on with what there is.
    kubelet.version().await?;
    kubelet
        .images()
        .list_images(ListImagesRequest { filter: None })
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cluster_policies_govern_namespaces_without_their_own() -> Result<()> {
    let mut gated = Gated::prepare(Generation::One).await?;
    gated.collection("shop/app")?;
    let signed = gated.signed()?;
    let pattern = format!("{HOST}/*");
    let policy = format!(
        "{}---\n{}",
        cluster_policy("shop", &[(&pattern, signed)]),
        namespace_policy("lab", &[(&pattern, Demand::Allow)])
    );
    gated.start(&policy)?;
    gated.push("shop/app", "unsigned", "unsigned").await?;
    let mut kubelet = gated.kubelet().await?;
    let reference = tagged("shop/app", "unsigned");
    let refused = kubelet
        .run_pod(&Pod::new("web", &reference))
        .await
        .err()
        .context("it ran")?;
    assert_eq!(
        refused.reason,
        Reason::SignatureValidationFailed,
        "{refused}"
    );
    kubelet.run_pod(&Pod::new("lab", &reference)).await?;
    Ok(())
}
