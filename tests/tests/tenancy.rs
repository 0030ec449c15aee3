//! Two namespaces with two policies on one node, where tags belong to the node and verdicts to a namespace.

use anyhow::{Context, Result};
use portcullis_tests::containerd::Generation;
use portcullis_tests::gated::Gated;
use portcullis_tests::image::Recipe;
use portcullis_tests::kubelet::{Pod, PullPolicy, Reason};
use portcullis_tests::node::{HOST, pinned, tagged};
use portcullis_tests::policy::{Demand, namespace_policy};
use portcullis_tests::skip::generations;

/// Namespace `a` wants signatures, namespace `b` takes anything from the same repositories.
async fn two_tenants(generation: Generation) -> Result<Gated> {
    let mut gated = Gated::prepare(generation).await?;
    gated.collection("shop/app")?;
    let signed = gated.signed()?;
    let pattern = format!("{HOST}/shop/*");
    let policy = format!(
        "{}---\n{}",
        namespace_policy("a", &[(&pattern, signed)]),
        namespace_policy("b", &[(&pattern, Demand::Allow)])
    );
    gated.start(&policy)?;
    Ok(gated)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_moved_by_a_neighbour_leaves_both_tenants_running_and_restartable() -> Result<()> {
    for generation in
        generations("a_tag_moved_by_a_neighbour_leaves_both_tenants_running_and_restartable")?
    {
        let gated = two_tenants(generation).await?;
        let good = gated.push_signed("shop/app", "1", "signed").await?;
        let mut kubelet = gated.kubelet().await?;
        let pod_a = Pod::new("a", &tagged("shop/app", "1"));
        let a = kubelet.run_pod(&pod_a).await?;

        let other = gated.push("shop/app", "1", "unsigned").await?;
        let pod_b = Pod::new("b", &pod_a.image).pulled(PullPolicy::Always);
        let b = kubelet.run_pod(&pod_b).await?;
        assert_eq!(kubelet.output(&b).await?, "marker=unsigned uid=0");
        assert!(
            kubelet.is_running(&a.container).await?,
            "a's pod was stopped"
        );

        for _ in 0..3 {
            let again = kubelet.start_container(&pod_a, &a.sandbox).await?;
            assert_eq!(kubelet.output(&again).await?, "marker=signed uid=0");
            let again = kubelet.start_container(&pod_b, &b.sandbox).await?;
            assert_eq!(kubelet.output(&again).await?, "marker=unsigned uid=0");
        }
        assert!(
            kubelet.is_running(&b.container).await?,
            "b's pod was stopped"
        );
        assert_eq!(
            gated.strangers(&[&good, &other]).await?,
            Vec::<String>::new()
        );
        gated.assert_digest_only()?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_never_takes_the_user_of_a_neighbours_image() -> Result<()> {
    let gated = two_tenants(Generation::One).await?;
    let good = Recipe::new("signed").user("4711").build()?;
    gated.node.registry.push("shop/app", "1", &good).await?;
    gated.sign("shop/app", "1", &good)?;
    let mut kubelet = gated.kubelet().await?;
    let pod_a = Pod::new("a", &tagged("shop/app", "1"));
    let a = kubelet.run_pod(&pod_a).await?;
    assert_eq!(kubelet.output(&a).await?, "marker=signed uid=4711");

    // The neighbour's image says root, and kubelet takes the uid from whatever the tag names at the moment.
    gated.push("shop/app", "1", "root").await?;
    let pod_b = Pod::new("b", &pod_a.image).pulled(PullPolicy::Always);
    kubelet.run_pod(&pod_b).await?;
    match kubelet.start_container(&pod_a, &a.sandbox).await {
        Ok(again) => assert_eq!(kubelet.output(&again).await?, "marker=signed uid=4711"),
        Err(refused) => {
            assert_eq!(refused.reason, Reason::CreateContainer, "{refused}");
            for word in ["tag", "digest"] {
                assert!(
                    refused.message.contains(word),
                    "{word} is missing: {refused}"
                );
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_neighbours_policy_opens_nothing() -> Result<()> {
    let gated = two_tenants(Generation::One).await?;
    gated.push("shop/app", "1", "unsigned").await?;
    let mut kubelet = gated.kubelet().await?;
    kubelet
        .run_pod(&Pod::new("b", &tagged("shop/app", "1")))
        .await?;
    for pull in PullPolicy::ALL {
        let pod = Pod::new("a", &tagged("shop/app", "1")).pulled(pull);
        let refused = kubelet.run_pod(&pod).await.err().context("it ran")?;
        let expected = if pull == PullPolicy::Always {
            Reason::SignatureValidationFailed
        } else {
            Reason::CreateContainer
        };
        assert_eq!(refused.reason, expected, "{refused}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_pull_moves_no_tag_and_removes_no_image() -> Result<()> {
    let gated = two_tenants(Generation::One).await?;
    let other = gated.push("shop/app", "2", "unsigned").await?;
    let mut kubelet = gated.kubelet().await?;
    let pod_b = Pod::new("b", &tagged("shop/app", "2"));
    let b = kubelet.run_pod(&pod_b).await?;
    let pod_a = Pod::new("a", &pod_b.image).pulled(PullPolicy::Always);
    assert!(kubelet.run_pod(&pod_a).await.is_err());
    let id = kubelet.image_id(&pod_b.image).await?;
    assert_eq!(id.as_deref(), Some(other.id()));
    let again = kubelet.restart_container(&pod_b, &b).await?;
    assert_eq!(kubelet.output(&again).await?, "marker=unsigned uid=0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_by_digest_moves_no_tag_whatever_tag_it_mentions() -> Result<()> {
    for generation in generations("a_pull_by_digest_moves_no_tag_whatever_tag_it_mentions")? {
        let gated = two_tenants(generation).await?;
        let first = gated.push("shop/app", "1", "first").await?;
        let mut kubelet = gated.kubelet().await?;
        let name = tagged("shop/app", "1");
        kubelet.run_pod(&Pod::new("b", &name)).await?;
        let other = gated.push("shop/app", "1", "other").await?;
        let both = format!("{name}@{}", other.digest());
        for reference in [both, pinned("shop/app", &other)] {
            let pod = Pod::new("b", &reference).pulled(PullPolicy::Always);
            let running = kubelet.run_pod(&pod).await?;
            assert_eq!(kubelet.output(&running).await?, "marker=other uid=0");
            let id = kubelet.image_id(&name).await?;
            assert_eq!(id.as_deref(), Some(first.id()), "{reference}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_with_immutable_tags_takes_digests_alone() -> Result<()> {
    let mut gated = Gated::prepare(Generation::One).await?;
    gated.start(&format!(
        "apiVersion: portcullis.dev/v1\nkind: ImagePolicy\nmetadata: {{name: own, namespace: b}}\nspec:\n  repositories:\n  \
         - {{name: \"{HOST}/shop/*\", tags: immutable, policy: {{allow: {{}}}}}}\n"
    ))?;
    let image = gated.push("shop/app", "1", "first").await?;
    let mut kubelet = gated.kubelet().await?;
    let before = gated.outside_connections();
    for pull in [PullPolicy::Always, PullPolicy::IfNotPresent] {
        let pod = Pod::new("b", &tagged("shop/app", "1")).pulled(pull);
        let refused = kubelet.run_pod(&pod).await.err().context("it ran")?;
        assert!(refused.message.contains("tags: immutable"), "{refused}");
    }
    assert_eq!(gated.outside_connections(), before);
    kubelet
        .run_pod(&Pod::new("b", &pinned("shop/app", &image)))
        .await?;
    // Present by now, and still no way to say which digest the tag meant first.
    gated.smuggle("shop/app", "1", "later").await?;
    let pod = Pod::new("b", &tagged("shop/app", "1")).pulled(PullPolicy::Never);
    let refused = kubelet.run_pod(&pod).await.err().context("it ran")?;
    assert_eq!(refused.reason, Reason::CreateContainer, "{refused}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_whose_tag_cannot_be_recorded_fails_and_leaves_the_tag() -> Result<()> {
    let mut gated = two_tenants(Generation::One).await?;
    gated.shim.configure(|settings| settings.budget = "3s")?;
    gated.shim.restart()?;
    let first = gated.push("shop/app", "1", "first").await?;
    let mut kubelet = gated.kubelet().await?;
    let name = tagged("shop/app", "1");
    kubelet.run_pod(&Pod::new("b", &name)).await?;
    gated.push("shop/app", "1", "other").await?;
    gated.tap.native_down(true);
    let pod = Pod::new("b", &name).pulled(PullPolicy::Always);
    let refused = kubelet.run_pod(&pod).await.err().context("it ran")?;
    assert!(refused.reason != Reason::CreateContainer, "{refused}");
    gated.tap.native_down(false);
    let id = kubelet.image_id(&name).await?;
    assert_eq!(id.as_deref(), Some(first.id()));
    let running = kubelet.run_pod(&pod).await?;
    assert_eq!(kubelet.output(&running).await?, "marker=other uid=0");
    Ok(())
}
