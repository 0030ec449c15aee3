//! What images say about themselves, beside a signature that makes it worth something.

use anyhow::{Context, Result};
use portcullis_tests::image::Recipe;
use portcullis_tests::kubelet::Pod;
use portcullis_tests::node::tagged;
use portcullis_tests::shop::{REPOSITORY, Shop, hours_ago};
use portcullis_tests::signers::Format;
use serde_json::{Value, json};

const KEY: &str = "org.opencontainers.image.source";
const SOURCE: &str = "https://git.example.com/shop/app";

/// A gate that asks for a signature by `shop` and for this of the image's own description.
async fn open(test: &str, annotations: &Value) -> Result<Option<Shop>> {
    let Some(mut shop) = Shop::prepare(test, &["shop"]).await? else {
        return Ok(None);
    };
    let signed = json!({"keys": shop.keys("shop")?, "transparencyLog": "ignore"});
    shop.require(&json!({"allOf": [{"cosign": signed}, {"annotations": annotations}]}))?;
    Ok(Some(shop))
}

async fn push_signed(shop: &Shop, tag: &str, recipe: &Recipe) -> Result<String> {
    let image = shop.push_as(tag, recipe).await?;
    shop.sign("shop", Format::Bundle, &image)?;
    Ok(tagged(REPOSITORY, tag))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_source_is_that_of_the_policy_wherever_the_image_names_one() -> Result<()> {
    let name = "annotations::the_source_is_that_of_the_policy_wherever_the_image_names_one";
    let Some(shop) = open(name, &json!({"source": SOURCE})).await? else {
        return Ok(());
    };
    let other = "https://git.example.com/mallory/app";
    let recipe = Recipe::new;
    for (tag, recipe, why) in [
        ("label", recipe("label").label(KEY, SOURCE), None),
        (
            "annotation",
            recipe("annotation").annotation(KEY, SOURCE),
            None,
        ),
        (
            "both",
            recipe("both").label(KEY, SOURCE).annotation(KEY, SOURCE),
            None,
        ),
        (
            "other",
            recipe("other").label(KEY, other),
            Some("is not `https://git.example.com/shop/app`"),
        ),
        (
            "torn",
            recipe("torn").label(KEY, SOURCE).annotation(KEY, other),
            Some("is not `https://git.example.com/shop/app`"),
        ),
        (
            "silent",
            recipe("silent"),
            Some("has no annotation or label"),
        ),
    ] {
        let reference = push_signed(&shop, tag, &recipe).await?;
        match why {
            None => {
                let output = shop.gated.runs(&reference).await?;
                assert_eq!(output, format!("marker={tag} uid=0"));
            }
            Some(why) => {
                let message = shop.gated.refuses(&reference).await?;
                assert!(message.contains(why), "{tag}: {message}");
                assert!(!message.contains("mallory"), "{message}");
            }
        }
    }
    shop.gated.assert_digest_only()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_image_says_about_itself_is_no_signature() -> Result<()> {
    let name = "annotations::what_an_image_says_about_itself_is_no_signature";
    let Some(shop) = open(name, &json!({"source": SOURCE})).await? else {
        return Ok(());
    };
    let recipe = Recipe::new("unsigned").label(KEY, SOURCE);
    shop.push_as("unsigned", &recipe).await?;
    let message = shop.gated.refuses(&tagged(REPOSITORY, "unsigned")).await?;
    assert!(message.contains("cosign"), "{message}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_platforms_the_one_that_runs_here_is_looked_at() -> Result<()> {
    let name = "annotations::of_several_platforms_the_one_that_runs_here_is_looked_at";
    let Some(shop) = open(name, &json!({"source": SOURCE})).await? else {
        return Ok(());
    };
    let recipe = Recipe::new("good").label(KEY, SOURCE).multi_platform();
    let good = push_signed(&shop, "good", &recipe).await?;
    assert_eq!(shop.gated.runs(&good).await?, "marker=good uid=0");
    let bad = push_signed(&shop, "bad", &Recipe::new("bad").multi_platform()).await?;
    shop.gated.refuses(&bad).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_grows_too_old_on_a_node_that_is_cut_off_too() -> Result<()> {
    let name = "annotations::an_image_grows_too_old_on_a_node_that_is_cut_off_too";
    let Some(mut shop) = open(name, &json!({"createdWithin": "30d"})).await? else {
        return Ok(());
    };
    let old = Recipe::new("old").created(&hours_ago(31 * 24));
    let old = push_signed(&shop, "old", &old).await?;
    shop.gated.refuses(&old).await?;
    let timeless = push_signed(&shop, "timeless", &Recipe::new("timeless")).await?;
    let message = shop.gated.refuses(&timeless).await?;
    assert!(
        message.contains("does not say when it was created"),
        "{message}"
    );

    let young = Recipe::new("young").created(&hours_ago(24));
    let pod = Pod::new("shop", &push_signed(&shop, "young", &young).await?);
    let running = shop.gated.kubelet().await?.run_pod(&pod).await?;
    shop.gated.cut_network()?;
    shop.gated.shim.clock_ahead(28);
    shop.gated.shim.restart()?;
    let mut kubelet = shop.gated.kubelet().await?;
    let running = kubelet.restart_container(&pod, &running).await?;
    shop.gated.shim.clock_ahead(30);
    shop.gated.shim.restart()?;
    let mut kubelet = shop.gated.kubelet().await?;
    let error = kubelet.restart_container(&pod, &running).await.err();
    let error = error.context("it ran 31 days after it was made")?;
    assert!(error.message.contains("longer ago"), "{error}");
    Ok(())
}
