//! Signatures of the real notation: whose count, and for what.

use anyhow::{Context, Result};
use portcullis_tests::containerd::Generation;
use portcullis_tests::gated::Gated;
use portcullis_tests::image::Image;
use portcullis_tests::kubelet::Pod;
use portcullis_tests::node::{HOST, pinned, tagged};
use portcullis_tests::signers::{Envelope, Notation, Subject};
use portcullis_tests::skip;
use portcullis_tests::transplant::transplant;
use serde_json::json;

const REPOSITORY: &str = "shop/app";

struct Shop {
    gated: Gated,
    notation: Notation,
}

impl Shop {
    async fn prepare(test: &str) -> Result<Option<Self>> {
        let Some(program) = skip::signer(test, Notation::find()) else {
            return Ok(None);
        };
        let gated = Gated::prepare(Generation::One).await?;
        let notation = Notation::new(program, &gated.node.subdir("notation")?);
        for key in ["shop.example", "mallory.example"] {
            notation.key(key)?;
        }
        Ok(Some(Self { gated, notation }))
    }

    /// A gate that asks namespace shop for a signature under the certificate `shop.example`.
    async fn open(test: &str, more: &str) -> Result<Option<Self>> {
        let Some(mut shop) = Self::prepare(test).await? else {
            return Ok(None);
        };
        let certificate = json!({"pem": shop.notation.certificate("shop.example")?});
        let policy = format!(
            "apiVersion: portcullis.dev/v1\nkind: ImagePolicy\nmetadata: {{name: apps, namespace: shop}}\nspec:\n  \
             repositories:\n  - name: \"{HOST}/shop/*\"\n    policy:\n      notation:\n        trustStores: {{ca: {{shop: \
             [{certificate}]}}}}\n        trustedIdentities: [\"*\"]\n        level: strict\n{more}"
        );
        shop.gated.start(&policy)?;
        Ok(Some(shop))
    }

    fn sign(&self, key: &str, envelope: Envelope, image: &Image, more: &[&str]) -> Result<()> {
        let subject = Subject {
            port: self.gated.node.registry.port(),
            repository: REPOSITORY,
            digest: image.digest(),
        };
        self.notation.sign(key, envelope, subject, more)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_signed_under_the_trust_store_runs_and_nothing_else() -> Result<()> {
    let name = "notation::what_is_signed_under_the_trust_store_runs_and_nothing_else";
    let Some(shop) = Shop::open(name, "").await? else {
        return Ok(());
    };
    for (envelope, tag) in [(Envelope::Jws, "jws"), (Envelope::Cose, "cose")] {
        let image = shop.gated.push(REPOSITORY, tag, tag).await?;
        shop.sign("mallory.example", envelope, &image, &[])?;
        let message = shop.gated.refuses(&tagged(REPOSITORY, tag)).await?;
        assert!(message.contains("notation"), "{message}");
        shop.sign("shop.example", envelope, &image, &[])?;
        // The denial is kept for a moment: another name for the same image is another question.
        let output = shop.gated.runs(&pinned(REPOSITORY, &image)).await?;
        assert_eq!(output, format!("marker={tag} uid=0"));
    }
    shop.gated.push(REPOSITORY, "unsigned", "unsigned").await?;
    shop.gated.refuses(&tagged(REPOSITORY, "unsigned")).await?;
    shop.gated.assert_digest_only()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_counts_for_its_digest_alone() -> Result<()> {
    let name = "notation::a_signature_counts_for_its_digest_alone";
    let Some(shop) = Shop::open(name, "").await? else {
        return Ok(());
    };
    let image = shop.gated.push(REPOSITORY, "1", "signed").await?;
    for envelope in Envelope::ALL {
        shop.sign("shop.example", envelope, &image, &[])?;
    }
    let moved = shop.gated.push(REPOSITORY, "2", "moved").await?;
    let registry = &shop.gated.node.registry;
    let transplanted = transplant(registry, REPOSITORY, &image, &moved).await?;
    assert_eq!(transplanted, Envelope::ALL.len());
    let message = shop.gated.refuses(&tagged(REPOSITORY, "2")).await?;
    assert!(message.contains("2 were found"), "{message}");
    shop.gated.runs(&tagged(REPOSITORY, "1")).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn user_metadata_must_be_that_of_the_policy() -> Result<()> {
    let name = "notation::user_metadata_must_be_that_of_the_policy";
    let more = "        userMetadata: {env: prod}\n";
    let Some(shop) = Shop::open(name, more).await? else {
        return Ok(());
    };
    let image = shop.gated.push(REPOSITORY, "1", "signed").await?;
    shop.sign(
        "shop.example",
        Envelope::Jws,
        &image,
        &["--user-metadata", "env=test"],
    )?;
    shop.gated.refuses(&tagged(REPOSITORY, "1")).await?;
    shop.sign(
        "shop.example",
        Envelope::Jws,
        &image,
        &["--user-metadata", "env=prod"],
    )?;
    shop.gated.runs(&pinned(REPOSITORY, &image)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_ends_when_it_says_so_for_running_pods_too() -> Result<()> {
    let name = "notation::a_signature_ends_when_it_says_so_for_running_pods_too";
    let Some(mut shop) = Shop::open(name, "").await? else {
        return Ok(());
    };
    let image = shop.gated.push(REPOSITORY, "1", "signed").await?;
    shop.sign(
        "shop.example",
        Envelope::Cose,
        &image,
        &["--expiry", "240h"],
    )?;
    let mut kubelet = shop.gated.kubelet().await?;
    let pod = Pod::new("shop", &tagged(REPOSITORY, "1"));
    let running = kubelet.run_pod(&pod).await?;
    shop.gated.cut_network()?;
    shop.gated.shim.clock_ahead(11);
    shop.gated.shim.restart()?;
    let mut kubelet = shop.gated.kubelet().await?;
    let error = kubelet.restart_container(&pod, &running).await.err();
    let error = error.context("it ran after the signature's end")?;
    assert!(error.message.contains("expired"), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trustpolicy_json_governs_the_cluster_as_its_owner_means_it() -> Result<()> {
    let name = "notation::a_trustpolicy_json_governs_the_cluster_as_its_owner_means_it";
    let Some(mut shop) = Shop::prepare(name).await? else {
        return Ok(());
    };
    let folder = shop.gated.policy_dir().join("notation");
    let store = folder.join("x509/ca/shop");
    std::fs::create_dir_all(&store)?;
    let certificate = shop.notation.certificate("shop.example")?;
    std::fs::write(store.join("shop.crt"), certificate)?;
    let policy = json!({"version": "1.0", "trustPolicies": [{
        "name": "shop", "registryScopes": [format!("{HOST}/{REPOSITORY}")],
        "signatureVerification": {"level": "strict"}, "trustStores": ["ca:shop"], "trustedIdentities": ["*"],
    }]});
    std::fs::write(folder.join("trustpolicy.json"), policy.to_string())?;
    shop.gated.shim.start()?;
    let image = shop.gated.push(REPOSITORY, "1", "signed").await?;
    shop.sign("shop.example", Envelope::Jws, &image, &[])?;
    assert_eq!(
        shop.gated.runs(&tagged(REPOSITORY, "1")).await?,
        "marker=signed uid=0"
    );
    shop.gated.push(REPOSITORY, "2", "unsigned").await?;
    shop.gated.refuses(&tagged(REPOSITORY, "2")).await?;
    shop.gated.push("shop/other", "1", "no statement").await?;
    shop.gated.refuses(&tagged("shop/other", "1")).await?;
    Ok(())
}
