//! A state directory without a free byte: what ran before goes on starting.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::Command;

use anyhow::Result;
use portcullis_tests::containerd::Generation;
use portcullis_tests::daemon::run;
use portcullis_tests::gated::Gated;
use portcullis_tests::kubelet::{Pod, Reason};
use portcullis_tests::node::{HOST, tagged};
use portcullis_tests::policy::namespace_policy;

/// Writes until there is no room left.
fn fill(file: &std::path::Path) -> Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(file)?;
    while file.write_all(&[0; 4096]).is_ok() {}
    while file.write_all(&[0]).is_ok() {}
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_no_container_and_opens_nothing() -> Result<()> {
    let mut gated = Gated::prepare(Generation::One).await?;
    gated.collection("shop/app")?;
    let state = gated.shim.state_dir();
    // Unmounted with everything else below the test's directory.
    run(Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=4m,mode=0700", "none"])
        .arg(&state))?;
    let signed = gated.signed()?;
    gated.start(&namespace_policy(
        "shop",
        &[(&format!("{HOST}/shop/*"), signed)],
    ))?;
    gated.push_signed("shop/app", "1", "signed").await?;
    gated.push("shop/app", "unsigned", "unsigned").await?;
    let mut kubelet = gated.kubelet().await?;
    let pod = Pod::new("shop", &tagged("shop/app", "1"));
    let running = kubelet.run_pod(&pod).await?;

    fill(&state.join("ballast"))?;
    let mut last = running;
    for _ in 0..3 {
        last = kubelet.restart_container(&pod, &last).await?;
        assert_eq!(kubelet.output(&last).await?, "marker=signed uid=0");
    }
    // A pod that is new to the gate, and one that may not run.
    kubelet.run_pod(&Pod::new("shop", &pod.image)).await?;
    let unsigned = Pod::new("shop", &tagged("shop/app", "unsigned"));
    let refused = kubelet.run_pod(&unsigned).await.err();
    assert!(refused.is_some_and(|refused| refused.reason == Reason::SignatureValidationFailed));
    // Not even a restart of the gate needs room.
    gated.shim.restart()?;
    let mut kubelet = gated.kubelet().await?;
    let again = kubelet.restart_container(&pod, &last).await?;
    assert_eq!(kubelet.output(&again).await?, "marker=signed uid=0");
    Ok(())
}
