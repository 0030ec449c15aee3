//! What admission webhooks cannot see, or can be told to overlook: containers added to a running pod, and pods that carry
//! the marks by which a webhook lets them pass.

use anyhow::{Context, Result};
use portcullis_tests::containerd::Generation;
use portcullis_tests::gated::Gated;
use portcullis_tests::kubelet::{Pod, PullPolicy, Reason};
use portcullis_tests::node::{HOST, tagged};
use portcullis_tests::policy::namespace_policy;

/// A gate whose namespace `shop` wants signatures.
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ephemeral_container_is_judged_like_any_other() -> Result<()> {
    let gated = shop().await?;
    gated.push_signed("shop/app", "1", "signed").await?;
    gated.push("shop/app", "unsigned", "unsigned").await?;
    gated.smuggle("shop/app", "evil", "evil").await?;
    let mut kubelet = gated.kubelet().await?;
    let pod = Pod::new("shop", &tagged("shop/app", "1"));
    let running = kubelet.run_pod(&pod).await?;
    let creates = gated.tap.creates()?.len();
    for (tag, pull, reason) in [
        (
            "unsigned",
            PullPolicy::IfNotPresent,
            Reason::SignatureValidationFailed,
        ),
        ("evil", PullPolicy::Never, Reason::CreateContainer),
    ] {
        let debug = Pod {
            image: tagged("shop/app", tag),
            pull,
            ..pod.clone()
        };
        let refused = kubelet
            .start_container(&debug, &running.sandbox)
            .await
            .err()
            .context("it ran")?;
        assert_eq!(refused.reason, reason, "{refused}");
    }
    assert_eq!(gated.tap.creates()?.len(), creates);
    let again = kubelet.start_container(&pod, &running.sandbox).await?;
    assert_eq!(kubelet.output(&again).await?, "marker=signed uid=0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_mark_on_a_pod_opens_the_gate() -> Result<()> {
    let gated = shop().await?;
    gated.push("shop/app", "unsigned", "unsigned").await?;
    let mut kubelet = gated.kubelet().await?;
    for (key, value) in [
        (
            "securityenforcement.admission.cloud.ibm.com/namespace",
            "skip",
        ),
        ("policy.sigstore.dev/include", "false"),
        ("kubernetes.io/config.mirror", "0123456789abcdef"),
        (
            "ownerReferences",
            "[{\"kind\":\"Deployment\",\"name\":\"none\"}]",
        ),
    ] {
        let mut pod = Pod::new("shop", &tagged("shop/app", "unsigned"));
        pod.labels.insert(key.to_owned(), value.to_owned());
        pod.annotations.insert(key.to_owned(), value.to_owned());
        let refused = kubelet.run_pod(&pod).await.err().context("it ran")?;
        assert_eq!(
            refused.reason,
            Reason::SignatureValidationFailed,
            "{key}: {refused}"
        );
    }
    assert!(gated.tap.creates()?.is_empty());
    Ok(())
}
