//! The gate and containerd go the same way to a registry, in every form that containerd's configuration has for it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use http::Method;
use portcullis_tests::containerd::Generation;
use portcullis_tests::daemon::free_port;
use portcullis_tests::gated::Gated;
use portcullis_tests::kubelet::{Kubelet, KubeletError, Pod, PullPolicy, Reason};
use portcullis_tests::liar::{Liar, Tls};
use portcullis_tests::node::{HOST, tagged};
use portcullis_tests::policy::{Demand, namespace_policy};
use portcullis_tests::registry::map_mirrors;
use portcullis_tests::skip::generations;

fn policy() -> String {
    namespace_policy("shop", &[("*", Demand::Allow)])
}

fn gate_certs(gated: &Gated) -> PathBuf {
    gated.node.dir().join("shim-certs.d")
}

fn write_hosts(certs: &Path, text: &str) -> Result<()> {
    Ok(fs::write(certs.join(HOST).join("hosts.toml"), text)?)
}

async fn pull(kubelet: &mut Kubelet, tag: &str) -> Result<String, KubeletError> {
    let pod = Pod::new("shop", &tagged("app", tag)).pulled(PullPolicy::Always);
    let sandbox = kubelet.run_sandbox(&pod).await?;
    let pulled = kubelet.ensure_image(&pod, &sandbox.config).await;
    let _ = kubelet.remove_sandbox(&sandbox.id).await;
    pulled
}

/// The gate asked `front` what the tag means, and containerd fetched what it means.
fn assert_both_came(front: &Liar, tag: &str) {
    let asked = front.asked();
    let tag = format!("/manifests/{tag}?");
    assert!(
        asked
            .iter()
            .any(|asked| asked.method == Method::HEAD && asked.path.contains(&tag)),
        "the gate went elsewhere: {asked:#?}"
    );
    assert!(
        asked
            .iter()
            .any(|asked| asked.method == Method::GET && asked.path.contains("/blobs/")),
        "containerd went elsewhere: {asked:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_first_mirror_down_gate_and_containerd_reach_the_same_second_one() -> Result<()> {
    for generation in
        generations("with_the_first_mirror_down_gate_and_containerd_reach_the_same_second_one")?
    {
        let mut gated = Gated::prepare(generation).await?;
        let second = Liar::start(gated.node.registry.port(), None)?;
        let upstream = Liar::start(gated.node.registry.port(), None)?;
        for certs in [gate_certs(&gated), gated.node.containerd.certs_dir()] {
            let mirrors = [free_port()?, second.port()];
            map_mirrors(&certs, HOST, &mirrors, upstream.port())?;
        }
        gated.start(&policy())?;
        let image = gated.push("app", "1", "mirrored").await?;
        let mut kubelet = gated.kubelet().await?;
        assert_eq!(pull(&mut kubelet, "1").await?, image.id());
        assert_both_came(&second, "1");
        assert!(upstream.asked().is_empty(), "{:#?}", upstream.asked());
        gated.assert_digest_only()?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_older_mirrors_of_containerds_own_configuration_are_used_by_both() -> Result<()> {
    let mut gated = Gated::prepare(Generation::One).await?;
    let second = Liar::start(gated.node.registry.port(), None)?;
    let down = free_port()?;
    let config = gated.node.containerd.config_file();
    let text = fs::read_to_string(&config)?;
    let path = format!(
        "config_path = \"{}\"",
        gated.node.containerd.certs_dir().display()
    );
    assert!(text.contains(&path), "{text}");
    let mirrors = format!(
        "[plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors.\"{HOST}\"]\n    endpoint = [\"http://127.0.0.1:{down}\", \"http://127.0.0.1:{}\"]",
        second.port()
    );
    fs::write(&config, text.replace(&path, &mirrors))?;
    gated.node.containerd.kill()?;
    gated.node.containerd.restart().await?;
    // Nothing but containerd's own file says where to go.
    fs::remove_dir_all(gate_certs(&gated).join(HOST))?;
    gated
        .shim
        .configure(|settings| settings.containerd_config = config)?;
    gated.start(&policy())?;
    let image = gated.push("app", "1", "mirrored").await?;
    let mut kubelet = gated.kubelet().await?;
    assert_eq!(pull(&mut kubelet, "1").await?, image.id());
    assert_both_came(&second, "1");
    gated.assert_digest_only()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_that_nobody_vouched_for_is_refused_until_the_operator_names_it() -> Result<()>
{
    let mut gated = Gated::prepare(Generation::One).await?;
    let tls = Tls {
        ca: None,
        ..gated.notary.front_tls()
    };
    let front = Liar::start(gated.node.registry.port(), Some(&tls))?;
    let host = |ca: &str| {
        format!(
            "[host.\"https://127.0.0.1:{}\"]\n  capabilities = [\"pull\", \"resolve\"]\n{ca}",
            front.port()
        )
    };
    let server = format!("server = \"https://127.0.0.1:{}\"\n\n", front.port());
    let ca = format!("  ca = \"{}\"\n", gated.notary.ca().display());
    write_hosts(&gate_certs(&gated), &(server.clone() + &host("")))?;
    gated.start(&policy())?;
    gated.push("app", "1", "true").await?;
    gated.push("app", "2", "true").await?;
    let mut kubelet = gated.kubelet().await?;
    let refused = pull(&mut kubelet, "1")
        .await
        .err()
        .context("it was pulled")?;
    assert_eq!(refused.reason, Reason::RegistryUnavailable, "{refused}");
    assert!(
        refused.message.contains("cannot be reached: TLS"),
        "{refused}"
    );
    assert!(front.asked().is_empty() && gated.tap.pulls()?.is_empty());
    write_hosts(&gate_certs(&gated), &(server + &host(&ca)))?;
    pull(&mut kubelet, "2").await?;
    gated.assert_digest_only()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_https_is_configured_plain_http_is_not_taken_instead() -> Result<()> {
    let mut gated = Gated::prepare(Generation::One).await?;
    let front = Liar::start(gated.node.registry.port(), None)?;
    let text = format!(
        "server = \"https://127.0.0.1:{0}\"\n\n[host.\"https://127.0.0.1:{0}\"]\n  capabilities = [\"pull\", \"resolve\"]\n",
        front.port()
    );
    write_hosts(&gate_certs(&gated), &text)?;
    gated.start(&policy())?;
    gated.push("app", "1", "true").await?;
    let mut kubelet = gated.kubelet().await?;
    let refused = pull(&mut kubelet, "1")
        .await
        .err()
        .context("it was pulled")?;
    assert_eq!(refused.reason, Reason::RegistryUnavailable, "{refused}");
    assert!(refused.message.contains("does not speak TLS"), "{refused}");
    assert!(front.asked().is_empty() && gated.tap.pulls()?.is_empty());
    Ok(())
}
