//! Signatures of the real cosign: whose count, for what, and for how long.

use anyhow::{Context, Result};
use portcullis_tests::containerd::Generation;
use portcullis_tests::gated::Gated;
use portcullis_tests::image::{Image, Recipe};
use portcullis_tests::kubelet::{Pod, PullPolicy, Reason};
use portcullis_tests::node::{HOST, pinned, tagged};
use portcullis_tests::signers::{Cosign, Format, Subject};
use portcullis_tests::skip;
use portcullis_tests::transplant::transplant;
use serde_json::{Value, json};

const REPOSITORY: &str = "shop/app";

struct Shop {
    gated: Gated,
    cosign: Cosign,
}

impl Shop {
    /// A gate that asks namespace shop for a signature by the key `shop`.
    async fn open(test: &str) -> Result<Option<Self>> {
        Self::with(test, |shop| {
            Ok(policy(&format!(
                "cosign: {{keys: [{}], transparencyLog: ignore}}",
                shop.key("shop")?
            )))
        })
        .await
    }

    async fn with(
        test: &str,
        policy: impl FnOnce(&Self) -> Result<String>,
    ) -> Result<Option<Self>> {
        let Some(program) = skip::signer(test, Cosign::find()) else {
            return Ok(None);
        };
        let gated = Gated::prepare(Generation::One).await?;
        let cosign = Cosign::new(program, &gated.node.subdir("cosign")?)?;
        for key in ["shop", "second", "mallory"] {
            cosign.key(key)?;
        }
        let mut shop = Self { gated, cosign };
        let text = policy(&shop)?;
        shop.gated.start(&text)?;
        Ok(Some(shop))
    }

    /// A key as an item of `keys:`.
    fn key(&self, name: &str) -> Result<String> {
        Ok(json!({"pem": self.cosign.public_key(name)?}).to_string())
    }

    fn subject<'a>(&self, image: &'a Image) -> Subject<'a> {
        Subject {
            port: self.gated.node.registry.port(),
            repository: REPOSITORY,
            digest: image.digest(),
        }
    }

    fn sign(&self, key: &str, format: Format, image: &Image) -> Result<()> {
        self.cosign.sign(key, format, self.subject(image), &[])
    }

    async fn push_signed(&self, tag: &str, key: &str, format: Format) -> Result<Image> {
        let image = self.gated.push(REPOSITORY, tag, tag).await?;
        self.sign(key, format, &image)?;
        Ok(image)
    }
}

/// An `ImagePolicy` of namespace shop with one rule.
fn policy(requirement: &str) -> String {
    format!(
        "apiVersion: portcullis.dev/v1\nkind: ImagePolicy\nmetadata: {{name: apps, namespace: shop}}\nspec:\n  repositories:\n  \
         - name: \"{HOST}/shop/*\"\n    policy: {{{requirement}}}\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_key_signed_runs_and_nothing_else() -> Result<()> {
    let Some(shop) = Shop::open("cosign::what_the_key_signed_runs_and_nothing_else").await? else {
        return Ok(());
    };
    for (format, tag) in [(Format::Bundle, "bundle"), (Format::Legacy, "legacy")] {
        let image = shop.push_signed(tag, "shop", format).await?;
        let output = shop.gated.runs(&tagged(REPOSITORY, tag)).await?;
        assert_eq!(output, format!("marker={tag} uid=0"));
        assert_eq!(shop.gated.runs(&pinned(REPOSITORY, &image)).await?, output);

        let other = format!("{tag}-mallory");
        shop.push_signed(&other, "mallory", format).await?;
        let message = shop.gated.refuses(&tagged(REPOSITORY, &other)).await?;
        assert!(message.contains("cosign"), "{message}");
        assert!(message.contains("policy.yaml:7:"), "{message}");
    }
    shop.gated.push(REPOSITORY, "unsigned", "unsigned").await?;
    let message = shop.gated.refuses(&tagged(REPOSITORY, "unsigned")).await?;
    assert!(message.contains("none was found"), "{message}");
    shop.gated.assert_digest_only()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_counts_for_its_digest_alone() -> Result<()> {
    let Some(shop) = Shop::open("cosign::a_signature_counts_for_its_digest_alone").await? else {
        return Ok(());
    };
    let image = shop.push_signed("1", "shop", Format::Bundle).await?;
    shop.sign("shop", Format::Legacy, &image)?;
    let moved = shop.gated.push(REPOSITORY, "1", "moved").await?;
    let registry = &shop.gated.node.registry;
    let transplanted = transplant(registry, REPOSITORY, &image, &moved).await?;
    assert_eq!(transplanted, Format::ALL.len());
    let message = shop.gated.refuses(&tagged(REPOSITORY, "1")).await?;
    assert!(message.contains("another digest"), "{message}");
    shop.gated.runs(&pinned(REPOSITORY, &image)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_foreign_signatures_cannot_hide_a_good_one() -> Result<()> {
    let Some(shop) = Shop::open("cosign::fifty_foreign_signatures_cannot_hide_a_good_one").await?
    else {
        return Ok(());
    };
    let image = shop.gated.push(REPOSITORY, "1", "crowded").await?;
    let crowd = |from: i32, to: i32| -> Result<()> {
        for number in from..to {
            let number = number.to_string();
            let tagged = [("number", number.as_str())];
            let subject = shop.subject(&image);
            shop.cosign
                .sign("mallory", Format::Bundle, subject, &tagged)?;
        }
        Ok(())
    };
    crowd(0, 25)?;
    shop.sign("shop", Format::Bundle, &image)?;
    crowd(25, 50)?;
    shop.sign("mallory", Format::Legacy, &image)?;
    let output = shop.gated.runs(&tagged(REPOSITORY, "1")).await?;
    assert_eq!(output, "marker=crowded uid=0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_bundle_does_not_hide_a_legacy_signature() -> Result<()> {
    let Some(shop) =
        Shop::open("cosign::a_foreign_bundle_does_not_hide_a_legacy_signature").await?
    else {
        return Ok(());
    };
    let image = shop.push_signed("1", "shop", Format::Legacy).await?;
    shop.sign("mallory", Format::Bundle, &image)?;
    shop.gated.runs(&tagged(REPOSITORY, "1")).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attestation_is_no_signature() -> Result<()> {
    let Some(shop) = Shop::open("cosign::an_attestation_is_no_signature").await? else {
        return Ok(());
    };
    let image = shop.gated.push(REPOSITORY, "1", "attested").await?;
    for format in Format::ALL {
        let subject = shop.subject(&image);
        let predicate = json!({"builder": {"id": "https://builder.example.com"}});
        shop.cosign
            .attest("shop", format, subject, "custom", &predicate)?;
    }
    shop.gated.refuses(&tagged(REPOSITORY, "1")).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_two_needs_two_signers_and_not_two_signatures() -> Result<()> {
    let name = "cosign::two_of_two_needs_two_signers_and_not_two_signatures";
    let shop = Shop::with(name, |shop| {
        Ok(policy(&format!(
            "cosign: {{keys: [{}, {}], threshold: 2, transparencyLog: ignore}}",
            shop.key("shop")?,
            shop.key("second")?
        )))
    });
    let Some(shop) = shop.await? else {
        return Ok(());
    };
    let image = shop.push_signed("1", "shop", Format::Bundle).await?;
    shop.sign("shop", Format::Legacy, &image)?;
    let message = shop.gated.refuses(&tagged(REPOSITORY, "1")).await?;
    assert!(message.contains("1 of 2 required signers"), "{message}");
    shop.sign("second", Format::Legacy, &image)?;
    // The denial is kept for a moment: another name for the same image is another question.
    shop.gated.runs(&pinned(REPOSITORY, &image)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signed_annotations_must_be_those_of_the_policy() -> Result<()> {
    let name = "cosign::signed_annotations_must_be_those_of_the_policy";
    let shop = Shop::with(name, |shop| {
        Ok(policy(&format!(
            "cosign: {{keys: [{}], transparencyLog: ignore, annotations: {{env: prod}}}}",
            shop.key("shop")?
        )))
    });
    let Some(shop) = shop.await? else {
        return Ok(());
    };
    for (format, tag) in [(Format::Bundle, "bundle"), (Format::Legacy, "legacy")] {
        let image = shop.gated.push(REPOSITORY, tag, tag).await?;
        let subject = shop.subject(&image);
        shop.cosign
            .sign("shop", format, subject, &[("env", "test")])?;
        shop.gated.refuses(&tagged(REPOSITORY, tag)).await?;
        shop.cosign
            .sign("shop", format, subject, &[("env", "prod")])?;
        shop.gated.runs(&pinned(REPOSITORY, &image)).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_counts_on_with_the_network_gone_until_the_policy_drops_its_key() -> Result<()>
{
    let name = "cosign::a_signature_counts_on_with_the_network_gone";
    let Some(mut shop) = Shop::open(name).await? else {
        return Ok(());
    };
    shop.push_signed("1", "shop", Format::Bundle).await?;
    let mut kubelet = shop.gated.kubelet().await?;
    let pod = Pod::new("shop", &tagged(REPOSITORY, "1"));
    let running = kubelet.run_pod(&pod).await?;
    shop.gated.cut_network()?;
    shop.gated.shim.restart()?;
    let mut kubelet = shop.gated.kubelet().await?;
    let again = kubelet.restart_container(&pod, &running).await?;
    assert_eq!(kubelet.output(&again).await?, "marker=1 uid=0");
    let other = policy(&format!(
        "cosign: {{keys: [{}], transparencyLog: ignore}}",
        shop.key("second")?
    ));
    shop.gated.shim.reload_policy("policy.yaml", &other)?;
    let error = kubelet.restart_container(&pod, &again).await.err();
    let error = error.context("it ran without a key that counts")?;
    assert!(error.message.contains("cosign"), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_on_the_node_that_is_signed_later_runs_without_a_pull() -> Result<()> {
    let name = "cosign::an_image_on_the_node_that_is_signed_later_runs_without_a_pull";
    let Some(shop) = Shop::open(name).await? else {
        return Ok(());
    };
    let image = shop.gated.smuggle(REPOSITORY, "1", "late").await?;
    let mut kubelet = shop.gated.kubelet().await?;
    let pod = Pod::new("shop", &tagged(REPOSITORY, "1")).pulled(PullPolicy::Never);
    let error = kubelet.run_pod(&pod).await.err();
    error.context("it ran unsigned")?;
    shop.sign("shop", Format::Bundle, &image)?;
    // What was found missing is looked for again, but not at once.
    portcullis_tests::daemon::wait_until("the signature to be found", async || {
        Ok(kubelet.run_pod(&pod).await.ok())
    })
    .await?;
    assert!(shop.gated.tap.pulls()?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_says_who_signed_what_was_asked_for_and_where() -> Result<()> {
    let name = "cosign::check_says_who_signed_what_was_asked_for_and_where";
    let shop = Shop::with(name, |shop| {
        Ok(policy(&format!(
            "anyOf: [{{cosign: {{keys: [{}], transparencyLog: ignore}}}}, {{cosign: {{keys: [{}], transparencyLog: ignore}}}}]",
            shop.key("shop")?,
            shop.key("second")?
        )))
    });
    let Some(shop) = shop.await? else {
        return Ok(());
    };
    shop.push_signed("1", "shop", Format::Bundle).await?;
    let reference = tagged(REPOSITORY, "1");
    let arguments = ["check", "-n", "shop", "--output", "json", &reference];
    let output = shop.gated.shim.command(&arguments)?;
    let reports: Value = serde_json::from_slice(&output.stdout)?;
    let report = reports.get(0).context("no report")?;
    assert_eq!(report["verdict"], "allow", "{report}");
    let text = |pointer: &str| report.pointer(pointer).and_then(Value::as_str);
    assert_eq!(text("/findings/0/system"), Some("cosign"), "{report}");
    assert!(
        text("/findings/0/signer").is_some_and(|who| who.contains("key")),
        "{report}"
    );
    for place in ["/findings/0/place", "/unmet/0/place"] {
        let place = text(place).context("no place")?;
        assert!(place.starts_with("policy.yaml:7:"), "{report}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_digest_is_one_image_for_all_its_platforms() -> Result<()> {
    let Some(shop) = Shop::open("cosign::one_digest_is_one_image_for_all_its_platforms").await?
    else {
        return Ok(());
    };
    let image = Recipe::new("multi").multi_platform().build()?;
    shop.gated
        .node
        .registry
        .push(REPOSITORY, "1", &image)
        .await?;
    shop.sign("shop", Format::Bundle, &image)?;
    assert_eq!(
        shop.gated.runs(&tagged(REPOSITORY, "1")).await?,
        "marker=multi uid=0"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn index_and_platform_manifest_are_each_judged_by_their_own_signatures() -> Result<()> {
    let name = "cosign::index_and_platform_manifest_are_each_judged_by_their_own_signatures";
    let Some(shop) = Shop::open(name).await? else {
        return Ok(());
    };
    for (marker, signs_index) in [("index", true), ("platform", false)] {
        let image = Recipe::new(marker).multi_platform().build()?;
        let registry = &shop.gated.node.registry;
        registry.push(REPOSITORY, marker, &image).await?;
        let platform = image.child_manifests();
        let platform = &platform.first().context("no platform")?.digest;
        let signed = if signs_index {
            image.digest()
        } else {
            platform
        };
        let subject = Subject {
            digest: signed,
            ..shop.subject(&image)
        };
        shop.cosign.sign("shop", Format::Bundle, subject, &[])?;
        for digest in [image.digest(), platform] {
            // The tag beside a digest says nothing.
            for reference in [
                format!("{HOST}/{REPOSITORY}@{digest}"),
                format!("{HOST}/{REPOSITORY}:{marker}@{digest}"),
            ] {
                if digest == signed {
                    let output = shop.gated.runs(&reference).await?;
                    assert_eq!(output, format!("marker={marker} uid=0"));
                } else {
                    shop.gated.refuses(&reference).await?;
                }
            }
        }
    }
    shop.gated.assert_digest_only()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_days_off_the_network_a_signed_pod_still_restarts_until_its_evidence_is_gone()
-> Result<()> {
    let name = "cosign::sixty_days_off_the_network_a_signed_pod_still_restarts";
    let Some(mut shop) = Shop::open(name).await? else {
        return Ok(());
    };
    shop.push_signed("1", "shop", Format::Bundle).await?;
    let mut kubelet = shop.gated.kubelet().await?;
    let pod = Pod::new("shop", &tagged(REPOSITORY, "1"));
    let running = kubelet.run_pod(&pod).await?;
    shop.gated.cut_network()?;
    shop.gated.shim.stop()?;
    shop.gated.shim.clock_ahead(60);
    shop.gated.shim.start()?;
    let mut kubelet = shop.gated.kubelet().await?;
    let running = kubelet.restart_container(&pod, &running).await?;
    assert_eq!(kubelet.output(&running).await?, "marker=1 uid=0");

    shop.gated.shim.stop()?;
    shop.gated.shim.forget()?;
    shop.gated.shim.start()?;
    let mut kubelet = shop.gated.kubelet().await?;
    let error = kubelet.restart_container(&pod, &running).await.err();
    let error = error.context("it ran without evidence")?;
    assert_eq!(error.reason, Reason::CreateContainer, "{error}");
    shop.gated.mend_network()?;
    portcullis_tests::daemon::wait_until("the evidence to be gathered", async || {
        Ok(kubelet.start_container(&pod, &running.sandbox).await.ok())
    })
    .await?;
    Ok(())
}
