//! Audit mode: it breaks nothing that worked without the gate, and excuses neither malformed requests nor image IDs.

use anyhow::{Context, Result};
use k8s_cri::v1::{ImageSpec, Mount};
use portcullis_tests::containerd::Generation;
use portcullis_tests::daemon::wait_for;
use portcullis_tests::front::Weather;
use portcullis_tests::gated::Gated;
use portcullis_tests::kubelet::{Kubelet, Pod, PullPolicy, Reason};
use portcullis_tests::node::{HOST, pinned, tagged};
use portcullis_tests::policy::{Demand, namespace_policy};
use portcullis_tests::skip::generations;

/// A node in audit mode whose namespace `shop` would want signatures.
async fn audited(generation: Generation) -> Result<Gated> {
    let mut gated = Gated::prepare(generation).await?;
    gated.collection("shop/app")?;
    gated.shim.configure(|settings| {
        settings.mode = "audit";
        settings.budget = "3s";
    })?;
    let signed = gated.signed()?;
    gated.start(&namespace_policy(
        "shop",
        &[(&format!("{HOST}/shop/*"), signed)],
    ))?;
    Ok(gated)
}

/// A rule of our own kind for everything in the test registry's `shop`.
fn own_rule(mode: &str) -> String {
    format!(
        "apiVersion: portcullis.dev/v1\nkind: ImagePolicy\nmetadata: {{name: own, namespace: shop}}\nspec:\n  repositories:\n  \
         - {{name: \"{HOST}/shop/*\", mode: {mode}, policy: {{deny: {{reason: not today}}}}}}\n  \
         - {{name: \"{HOST}/strict/*\", policy: {{deny: {{reason: not today}}}}}}\n"
    )
}

async fn assert_runs(kubelet: &mut Kubelet, pod: &Pod, marker: &str) -> Result<()> {
    let running = kubelet
        .run_pod(pod)
        .await
        .with_context(|| format!("audit broke {} {:?}", pod.image, pod.pull))?;
    assert_eq!(
        kubelet.output(&running).await?,
        format!("marker={marker} uid=0")
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audit_breaks_no_pod_while_the_gate_reaches_neither_registry_nor_notary() -> Result<()> {
    for weather in [Weather::Down, Weather::Silent] {
        let gated = audited(Generation::One).await?;
        let image = gated.push("shop/app", "1", "unsigned").await?;
        gated.registry_front.set(weather);
        gated.notary_front.set(weather);
        let mut kubelet = gated.kubelet().await?;
        for reference in [tagged("shop/app", "1"), pinned("shop/app", &image)] {
            for pull in [PullPolicy::Always, PullPolicy::IfNotPresent] {
                let pod = Pod::new("shop", &reference).pulled(pull);
                assert_runs(&mut kubelet, &pod, "unsigned").await?;
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audit_breaks_no_pod_while_containerds_own_api_fails() -> Result<()> {
    for generation in generations("audit_breaks_no_pod_while_containerds_own_api_fails")? {
        let gated = audited(generation).await?;
        gated.push("shop/app", "1", "unsigned").await?;
        gated.push_signed("shop/app", "2", "signed").await?;
        gated.tap.native_down(true);
        let mut kubelet = gated.kubelet().await?;
        for (tag, marker) in [("1", "unsigned"), ("2", "signed")] {
            let reference = tagged("shop/app", tag);
            assert_runs(&mut kubelet, &Pod::new("shop", &reference), marker).await?;
            // A tag that CRI does not show after its pull makes kubelet run the image as root.
            assert!(kubelet.image_id(&reference).await?.is_some());
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn enforcement_refuses_what_containerds_own_api_cannot_prove() -> Result<()> {
    let mut gated = Gated::prepare(Generation::One).await?;
    gated.shim.configure(|settings| settings.budget = "3s")?;
    gated.start(&namespace_policy(
        "shop",
        &[(&format!("{HOST}/shop/*"), Demand::Allow)],
    ))?;
    let image = gated.smuggle("shop/app", "1", "smuggled").await?;
    gated.tap.native_down(true);
    let mut kubelet = gated.kubelet().await?;
    let pod = Pod::new("shop", &tagged("shop/app", "1")).pulled(PullPolicy::Never);
    let refused = kubelet.run_pod(&pod).await.err().context("it ran")?;
    assert_eq!(refused.reason, Reason::CreateContainer, "{refused}");
    assert!(gated.strangers(&[]).await?.is_empty());
    gated.tap.native_down(false);
    let running = kubelet.run_pod(&pod).await?;
    let native = gated.node.containerd.native().await?;
    assert_eq!(native.chain_id(&running.container).await?, image.chain_id());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audit_never_excuses_an_image_id() -> Result<()> {
    let gated = audited(Generation::One).await?;
    let image = gated.smuggle("shop/app", "1", "cached").await?;
    let mut kubelet = gated.kubelet().await?;
    let short = image.id().get(..19).context("short id")?;
    for reference in [image.id(), short] {
        for pull in [PullPolicy::IfNotPresent, PullPolicy::Always] {
            let pod = Pod::new("shop", reference).pulled(pull);
            assert!(kubelet.run_pod(&pod).await.is_err(), "{reference} ran");
        }
    }
    // Nor where the sandbox is named by a prefix, which containerd would take.
    let pod = Pod::new("shop", short);
    let mut sandbox = kubelet.run_sandbox(&pod).await?;
    sandbox.id.truncate(12);
    let user = (Some(0), String::new());
    let made = kubelet.create(&pod, &sandbox, image.id(), user).await;
    assert!(made.is_err(), "{short} was excused");
    assert!(gated.tap.creates()?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_in_audit_breaks_nothing_where_the_node_enforces() -> Result<()> {
    for generation in generations("a_rule_in_audit_breaks_nothing_where_the_node_enforces")? {
        let mut gated = Gated::prepare(generation).await?;
        gated.shim.configure(|settings| settings.budget = "3s")?;
        gated.start(&own_rule("audit"))?;
        gated.push("shop/app", "1", "audited").await?;
        gated.push("shop/app", "2", "later").await?;
        gated.push("strict/app", "1", "strict").await?;
        let mut kubelet = gated.kubelet().await?;
        let pod = Pod::new("shop", &tagged("shop/app", "1"));
        assert_runs(&mut kubelet, &pod, "audited").await?;
        gated.tap.native_down(true);
        assert_runs(&mut kubelet, &pod, "audited").await?;
        let later = Pod::new("shop", &tagged("shop/app", "2"));
        assert_runs(&mut kubelet, &later, "later").await?;
        gated.tap.native_down(false);
        let refused = kubelet
            .run_pod(&Pod::new("shop", &tagged("strict/app", "1")))
            .await;
        let refused = refused.err().context("its neighbour was not enforced")?;
        assert!(refused.message.contains("not today"), "{refused}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_that_enforces_is_audited_where_the_node_is() -> Result<()> {
    let mut gated = Gated::prepare(Generation::One).await?;
    gated.shim.configure(|settings| settings.mode = "audit")?;
    gated.start(&own_rule("enforce"))?;
    gated.push("shop/app", "1", "audited").await?;
    let mut kubelet = gated.kubelet().await?;
    let pod = Pod::new("shop", &tagged("shop/app", "1"));
    assert_runs(&mut kubelet, &pod, "audited").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_volume_passes_under_audit_and_is_reported() -> Result<()> {
    let mut gated = Gated::prepare(Generation::One).await?;
    gated.start(&own_rule("audit"))?;
    gated.push("shop/app", "1", "audited").await?;
    let data = gated.smuggle("shop/data", "1", "data").await?;
    let mut kubelet = gated.kubelet().await?;
    let mut pod = Pod::new("shop", &tagged("shop/app", "1"));
    let volume = |reference: String| Mount {
        container_path: "/data".into(),
        host_path: "/usr".into(),
        readonly: true,
        image: Some(ImageSpec {
            image: data.id().to_owned(),
            user_specified_image: reference,
            ..ImageSpec::default()
        }),
        ..Mount::default()
    };
    pod.image_volumes = vec![volume(tagged("shop/data", "1"))];
    // containerd 1.6 knows no image volumes and mounts the host's path instead: all that matters is that it was asked.
    let _ = kubelet.run_pod(&pod).await;
    assert_eq!(gated.tap.creates()?.len(), 1);
    wait_for("the audit line of the volume", || {
        let lines = gated.shim.json_lines();
        let found = lines.iter().map(ToString::to_string).any(|line| {
            line.contains("\"volume\"") && line.contains("would-deny") && line.contains("shop/data")
        });
        Ok(found.then_some(()))
    })?;
    for reference in [tagged("strict/data", "1"), data.id().to_owned()] {
        pod.image_volumes = vec![volume(reference)];
        assert!(kubelet.run_pod(&pod).await.is_err());
    }
    assert_eq!(gated.tap.creates()?.len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bootstrap_tag_is_moved_neither_under_enforcement_nor_in_audit() -> Result<()> {
    for mode in ["enforce", "audit"] {
        let mut gated = Gated::prepare(Generation::One).await?;
        let bootstrap = gated.smuggle("platform/sync", "1", "bootstrap").await?;
        let reference = pinned("platform/sync", &bootstrap);
        gated.shim.configure(|settings| {
            settings.bootstrap.push(reference);
            settings.mode = mode;
        })?;
        gated.start(&namespace_policy(
            "shop",
            &[(&format!("{HOST}/platform/*"), Demand::Allow)],
        ))?;
        gated.push("platform/sync", "1", "newer").await?;
        let mut kubelet = gated.kubelet().await?;
        let name = tagged("platform/sync", "1");
        let pod = Pod::new("shop", &name).pulled(PullPolicy::Always);
        if mode == "audit" {
            assert_runs(&mut kubelet, &pod, "newer").await?;
        } else {
            let refused = kubelet.run_pod(&pod).await.err().context("it was moved")?;
            assert!(refused.message.contains("bootstrap list"), "{refused}");
        }
        let id = kubelet.image_id(&name).await?;
        assert_eq!(id.as_deref(), Some(bootstrap.id()), "{mode}");
    }
    Ok(())
}
