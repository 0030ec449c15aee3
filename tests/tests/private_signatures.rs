//! Signatures in a registry that asks who reads: they are read with the credentials of the pull, and never without.

use std::fs;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_cri::v1::AuthConfig;
use portcullis_tests::containerd::Generation;
use portcullis_tests::daemon::wait_until;
use portcullis_tests::gated::Gated;
use portcullis_tests::image::Recipe;
use portcullis_tests::kubelet::{Pod, PullPolicy, Reason};
use portcullis_tests::policy::shop_policy;
use portcullis_tests::registry::{Registry, map_host};
use portcullis_tests::signers::{Cosign, Format, Subject};
use portcullis_tests::skip;
use serde_json::json;

const PRIVATE: &str = "private.example.com";
const REPOSITORY: &str = "shop/app";
const SECRET: &str = "correct-horse-battery";

/// A gate that asks for a signature by `shop` on what only ann may read: one image for each format, and an unsigned one.
struct Vault {
    gated: Gated,
    _registry: Registry,
}

impl Vault {
    async fn open(test: &str) -> Result<Option<Self>> {
        let Some(program) = skip::signer(test, Cosign::find()) else {
            return Ok(None);
        };
        let mut gated = Gated::prepare(Generation::One).await?;
        let registry = Registry::start_private(&gated.node.subdir("private")?, "ann", SECRET)?;
        for certs in [gated.certs_dir(), gated.node.containerd.certs_dir()] {
            map_host(&certs, PRIVATE, registry.port())?;
        }
        let home = gated.node.subdir("cosign")?;
        let cosign = Cosign::new(program, &home)?;
        let server = format!("127.0.0.1:{}", registry.port());
        let login = json!({"auths": {server: {"auth": STANDARD.encode(format!("ann:{SECRET}"))}}});
        fs::create_dir(home.join(".docker"))?;
        fs::write(home.join(".docker/config.json"), login.to_string())?;
        cosign.key("shop")?;
        for (tag, format) in [
            ("bundle", Some(Format::Bundle)),
            ("legacy", Some(Format::Legacy)),
            ("unsigned", None),
        ] {
            let image = Recipe::new(tag).build()?;
            registry.push(REPOSITORY, tag, &image).await?;
            let subject = Subject {
                port: registry.port(),
                repository: REPOSITORY,
                digest: image.digest(),
            };
            if let Some(format) = format {
                cosign.sign("shop", format, subject, &[])?;
            }
        }
        let key = cosign.public_key("shop")?;
        let signed = json!({"cosign": {"keys": [{"pem": key}], "transparencyLog": "ignore"}});
        gated.start(&shop_policy(&format!("{PRIVATE}/*"), &signed))?;
        Ok(Some(Self {
            gated,
            _registry: registry,
        }))
    }
}

fn pod(tag: &str, known: bool) -> Pod {
    let mut pod = Pod::new("shop", &format!("{PRIVATE}/{REPOSITORY}:{tag}"));
    pod.credentials.extend(known.then(|| AuthConfig {
        username: "ann".into(),
        password: SECRET.into(),
        ..AuthConfig::default()
    }));
    pod
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signatures_are_read_with_the_credentials_of_the_pull() -> Result<()> {
    let name = "private_signatures::signatures_are_read_with_the_credentials_of_the_pull";
    let Some(vault) = Vault::open(name).await? else {
        return Ok(());
    };
    let mut kubelet = vault.gated.kubelet().await?;
    for tag in ["bundle", "legacy"] {
        let stranger = pod(tag, false).pulled(PullPolicy::Always);
        let error = kubelet.run_pod(&stranger).await.err();
        let error = error.context("it ran without credentials")?;
        assert_eq!(error.reason, Reason::RegistryUnavailable, "{error}");
        assert!(error.message.contains("wants credentials"), "{error}");
        let running = kubelet.run_pod(&pod(tag, true)).await?;
        let said = kubelet.output(&running).await?;
        assert_eq!(said, format!("marker={tag} uid=0"));
    }
    let error = kubelet.run_pod(&pod("unsigned", true)).await.err();
    let error = error.context("it ran unsigned")?;
    assert_eq!(error.reason, Reason::SignatureValidationFailed, "{error}");
    assert!(error.message.contains("none was found"), "{error}");
    assert!(!vault.gated.shim.log().contains(SECRET));
    vault.gated.assert_digest_only()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_lost_its_evidence_gets_it_back_with_the_next_pull_of_someone_who_may()
-> Result<()> {
    let name = "private_signatures::a_node_that_lost_its_evidence_gets_it_back_with_the_next_pull_of_someone_who_may";
    let Some(mut vault) = Vault::open(name).await? else {
        return Ok(());
    };
    let mut kubelet = vault.gated.kubelet().await?;
    let running = kubelet.run_pod(&pod("bundle", true)).await?;
    kubelet.remove_sandbox(&running.sandbox.id).await?;
    vault.gated.shim.stop()?;
    vault.gated.shim.forget()?;
    vault.gated.shim.start()?;
    let mut kubelet = vault.gated.kubelet().await?;
    // The image is there, its evidence is not, and a create has no credentials to fetch it with.
    let stranger = kubelet.run_pod(&pod("bundle", false)).await.err();
    stranger.context("it ran without evidence")?;
    // Nor has a pod that does not pull what is present; one that pulls brings it back.
    let known = pod("bundle", true).pulled(PullPolicy::Always);
    let running = wait_until("the evidence to be back", async || {
        Ok(kubelet.run_pod(&known).await.ok())
    })
    .await?;
    let said = kubelet.output(&running).await?;
    assert_eq!(said, "marker=bundle uid=0");
    // For everybody of the namespace: what was proved needs no credentials.
    kubelet.run_pod(&pod("bundle", false)).await?;
    Ok(())
}
