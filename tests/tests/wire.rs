//! Requests that no well-behaved client sends: ambiguous messages, and services that are none of kubelet's business.
//! containerd must never see them.

use std::collections::HashMap;

use anyhow::{Context, Result};
use portcullis_tests::containerd::Generation;
use portcullis_tests::gated::Gated;
use portcullis_tests::kubelet::Pod;
use portcullis_tests::node::{HOST, pinned, tagged};
use portcullis_tests::policy::namespace_policy;
use portcullis_tests::raw::{self, field, frame, varint};
use portcullis_tests::skip::generations;
use portcullis_tests::tap::{CREATE_CONTAINER, PULL_IMAGE};
use prost::Message as _;

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_services_on_the_socket_are_not_implemented() -> Result<()> {
    for generation in generations("other_services_on_the_socket_are_not_implemented")? {
        let gated = shop(generation).await?;
        for path in [
            "/runtime.v1alpha2.ImageService/PullImage",
            "/runtime.v1alpha2.RuntimeService/CreateContainer",
            // Calls that the gate never makes itself here: its own go through the tap too.
            "/containerd.services.images.v1.Images/Delete",
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
    let evil = gated.smuggle("shop/evil", "1", "evil").await?;
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
