//! Signatures of the real notary: whose count, for what, and for how long.

use anyhow::{Context, Result};
use portcullis_tests::containerd::Generation;
use portcullis_tests::front::Weather;
use portcullis_tests::gated::{Gated, SIGNER};
use portcullis_tests::kubelet::{Pod, PullPolicy, Reason};
use portcullis_tests::node::{HOST, pinned, tagged};
use portcullis_tests::notary::RELEASES;
use portcullis_tests::policy::namespace_policy;

async fn shop() -> Result<Gated> {
    let mut gated = Gated::prepare(Generation::One).await?;
    gated.collection("shop/app")?;
    let signed = gated.signed()?;
    gated.start(&namespace_policy(
        "shop",
        &[(&format!("{HOST}/shop/*"), signed)],
    ))?;
    Ok(gated)
}

async fn refused(gated: &Gated, reference: &str) -> Result<String> {
    let pod = Pod::new("shop", reference).pulled(PullPolicy::Always);
    let error = gated
        .kubelet()
        .await?
        .run_pod(&pod)
        .await
        .err()
        .with_context(|| format!("{reference} ran"))?;
    assert_eq!(error.reason, Reason::SignatureValidationFailed, "{error}");
    assert!(gated.tap.pulls()?.is_empty());
    Ok(error.message)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_the_pinned_signer_signed_runs() -> Result<()> {
    let mut gated = shop().await?;
    let gun = format!("{HOST}/shop/app");
    gated.notary.delegate(&gun, "targets/mallory", "mallory")?;
    gated.notary.delegate(&gun, RELEASES, "mallory")?;
    let by_mallory = gated.push("shop/app", "mallory", "mallory").await?;
    gated.notary.sign(&gun, "mallory", &by_mallory, "mallory")?;
    let message = refused(&gated, &tagged("shop/app", "mallory")).await?;
    assert!(message.contains(SIGNER), "{message}");

    let released = gated.push("shop/app", "released", "released only").await?;
    gated
        .notary
        .sign_in(&gun, "released", &released, &[RELEASES])?;
    refused(&gated, &tagged("shop/app", "released")).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_digest_must_be_one_that_was_signed() -> Result<()> {
    let gated = shop().await?;
    let unsigned = gated.push("shop/app", "2", "unsigned").await?;
    refused(&gated, &pinned("shop/app", &unsigned)).await?;
    let signed = gated.push_signed("shop/app", "1", "signed").await?;
    let mut kubelet = gated.kubelet().await?;
    let pod = Pod::new("shop", &pinned("shop/app", &signed));
    let running = kubelet.run_pod(&pod).await?;
    assert_eq!(kubelet.output(&running).await?, "marker=signed uid=0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repository_without_trust_data_is_refused() -> Result<()> {
    let gated = shop().await?;
    gated.push("shop/nothing", "1", "unsigned").await?;
    refused(&gated, &tagged("shop/nothing", "1")).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collection_with_another_root_than_the_pinned_one_is_refused() -> Result<()> {
    let mut gated = Gated::prepare(Generation::One).await?;
    gated.collection("shop/app")?;
    gated.shim.configure(|settings| {
        for server in &mut settings.notary {
            for (_, pin) in &mut server.pins {
                *pin = "0".repeat(64);
            }
        }
    })?;
    let signed = gated.signed()?;
    gated.start(&namespace_policy(
        "shop",
        &[(&format!("{HOST}/shop/*"), signed)],
    ))?;
    gated.push_signed("shop/app", "1", "signed").await?;
    refused(&gated, &tagged("shop/app", "1")).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn newly_signed_data_moves_the_tag_for_new_pulls() -> Result<()> {
    let gated = shop().await?;
    gated.push_signed("shop/app", "1", "first").await?;
    let mut kubelet = gated.kubelet().await?;
    let pod = Pod::new("shop", &tagged("shop/app", "1")).pulled(PullPolicy::Always);
    let running = kubelet.run_pod(&pod).await?;
    assert_eq!(kubelet.output(&running).await?, "marker=first uid=0");
    gated.push_signed("shop/app", "1", "second").await?;
    let again = kubelet.restart_container(&pod, &running).await?;
    assert_eq!(kubelet.output(&again).await?, "marker=second uid=0");
    gated.assert_digest_only()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signer_taken_out_of_the_policy_counts_no_longer() -> Result<()> {
    let mut gated = shop().await?;
    gated.push_signed("shop/app", "1", "signed").await?;
    let mut kubelet = gated.kubelet().await?;
    let pod = Pod::new("shop", &tagged("shop/app", "1"));
    let running = kubelet.run_pod(&pod).await?;
    let gun = format!("{HOST}/shop/app");
    gated.notary.delegate(&gun, "targets/bob", "bob")?;
    let bob = gated.signed_by("bob")?;
    let policy = namespace_policy("shop", &[(&format!("{HOST}/shop/*"), bob)]);
    gated.shim.reload_policy("policy.yaml", &policy)?;
    let refused = kubelet
        .restart_container(&pod, &running)
        .await
        .err()
        .context("a removed signer still counts")?;
    assert_eq!(refused.reason, Reason::CreateContainer, "{refused}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stored_trust_data_serves_a_digest_while_notary_is_down() -> Result<()> {
    let mut gated = shop().await?;
    let image = gated.push_signed("shop/app", "1", "signed").await?;
    let mut kubelet = gated.kubelet().await?;
    kubelet
        .run_pod(&Pod::new("shop", &tagged("shop/app", "1")))
        .await?;
    gated.notary.stop()?;
    gated.notary_front.set(Weather::Down);
    let pod = Pod::new("shop", &pinned("shop/app", &image)).pulled(PullPolicy::Always);
    let running = kubelet.run_pod(&pod).await?;
    assert_eq!(kubelet.output(&running).await?, "marker=signed uid=0");

    // What was never seen cannot be decided, and that is said as such.
    let unknown = Pod::new("shop", &tagged("shop/other", "1"));
    let refused = kubelet.run_pod(&unknown).await.err().context("it ran")?;
    assert_eq!(refused.reason, Reason::RegistryUnavailable, "{refused}");
    Ok(())
}
