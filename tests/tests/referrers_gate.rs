//! The whole gate before a registry with the referrers API: no tag beside the image is needed, and none is asked for.

use anyhow::Result;
use portcullis_tests::containerd::Generation;
use portcullis_tests::gated::Gated;
use portcullis_tests::image::{Image, Recipe};
use portcullis_tests::kubelet::{Pod, PullPolicy};
use portcullis_tests::liar::Liar;
use portcullis_tests::policy::shop_policy;
use portcullis_tests::referrers::Referrers;
use portcullis_tests::registry::{map_host, map_mirrors};
use portcullis_tests::signers::{Cosign, Envelope, Format, Notation, Subject};
use portcullis_tests::skip;
use serde_json::json;

const HOST: &str = "referrers.example.com";
const REPOSITORY: &str = "shop/app";

/// notation writes the tag even where there is an API, unless it is told not to.
const BY_API: [&str; 1] = ["--force-referrers-tag=false"];

/// HEAD of the tag, the older tag `.sig`, the list of referrers, one signature's manifest and its content.
const MOST_REQUESTS: usize = 5;

struct Shop {
    gated: Gated,
    registry: Referrers,
    /// The gate's way to the registry; containerd has its own.
    front: Liar,
    cosign: Cosign,
    notation: Notation,
}

impl Shop {
    async fn prepare(test: &str) -> Result<Option<Self>> {
        let cosign = skip::signer(test, Cosign::find());
        let (Some(cosign), Some(notation)) = (cosign, skip::signer(test, Notation::find())) else {
            return Ok(None);
        };
        let gated = Gated::prepare(Generation::One).await?;
        let registry = Referrers::start()?;
        let front = Liar::start(registry.port(), None)?;
        // No mirror beside the server: each would be asked for what is not there.
        map_mirrors(&gated.certs_dir(), HOST, &[], front.port())?;
        map_host(&gated.node.containerd.certs_dir(), HOST, registry.port())?;
        let cosign = Cosign::new(cosign, &gated.node.subdir("cosign")?)?;
        let notation = Notation::new(notation, &gated.node.subdir("notation")?);
        for key in ["shop.example", "mallory.example"] {
            cosign.key(key)?;
            notation.key(key)?;
        }
        Ok(Some(Self {
            gated,
            registry,
            front,
            cosign,
            notation,
        }))
    }

    /// A gate that asks for a signature of cosign.
    async fn with_cosign(test: &str) -> Result<Option<Self>> {
        let Some(mut shop) = Self::prepare(test).await? else {
            return Ok(None);
        };
        let key = shop.cosign.public_key("shop.example")?;
        let signed = json!({"cosign": {"keys": [{"pem": key}], "transparencyLog": "ignore"}});
        let policy = shop_policy(&format!("{HOST}/shop/*"), &signed);
        shop.gated.start(&policy)?;
        Ok(Some(shop))
    }

    /// A gate that asks for a signature of notation.
    async fn with_notation(test: &str) -> Result<Option<Self>> {
        let Some(mut shop) = Self::prepare(test).await? else {
            return Ok(None);
        };
        let certificate = shop.notation.certificate("shop.example")?;
        let store = json!({"ca": {"shop": [{"pem": certificate}]}});
        let signed = json!({"notation": {"trustStores": store, "trustedIdentities": ["*"]}});
        let policy = shop_policy(&format!("{HOST}/shop/*"), &signed);
        shop.gated.start(&policy)?;
        Ok(Some(shop))
    }

    fn push(&self, tag: &str) -> Result<Image> {
        let image = Recipe::new(tag).build()?;
        self.registry.push(REPOSITORY, tag, &image)?;
        Ok(image)
    }

    fn subject<'a>(&self, image: &'a Image) -> Subject<'a> {
        Subject {
            port: self.registry.port(),
            repository: REPOSITORY,
            digest: image.digest(),
        }
    }

    fn cosigns(&self, key: &str, image: &Image) -> Result<()> {
        let subject = self.subject(image);
        self.cosign.sign(key, Format::Bundle, subject, &[])
    }

    fn notates(&self, key: &str, envelope: Envelope, image: &Image) -> Result<()> {
        let subject = self.subject(image);
        self.notation.sign(key, envelope, subject, &BY_API)
    }

    /// Signatures of notation by somebody else.
    fn crowd(&self, numbers: std::ops::Range<i32>, image: &Image) -> Result<()> {
        for number in numbers {
            let metadata = format!("number={number}");
            let more = [BY_API[0], "--user-metadata", &metadata];
            let subject = self.subject(image);
            self.notation
                .sign("mallory.example", Envelope::Jws, subject, &more)?;
        }
        Ok(())
    }

    /// What the gate asked since the last look.
    fn asked(&self) -> Vec<String> {
        let asked = self.front.asked();
        self.front.clear();
        asked
            .iter()
            .map(|one| format!("{} {}", one.method, one.path))
            .collect()
    }
}

fn tagged(tag: &str) -> String {
    format!("{HOST}/{REPOSITORY}:{tag}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cosign_attached_by_the_api_runs_and_nothing_else() -> Result<()> {
    let name = "referrers_gate::what_cosign_attached_by_the_api_runs_and_nothing_else";
    let Some(shop) = Shop::with_cosign(name).await? else {
        return Ok(());
    };
    let image = shop.push("good")?;
    shop.cosigns("shop.example", &image)?;
    let image = shop.push("forged")?;
    shop.cosigns("mallory.example", &image)?;
    shop.push("unsigned")?;
    assert_eq!(
        shop.registry.tags(REPOSITORY),
        ["forged", "good", "unsigned"],
        "a tag was needed"
    );
    assert_eq!(shop.gated.runs(&tagged("good")).await?, "marker=good uid=0");
    let message = shop.gated.refuses(&tagged("forged")).await?;
    assert!(message.contains("not signed by a listed key"), "{message}");
    let message = shop.gated.refuses(&tagged("unsigned")).await?;
    assert!(message.contains("none was found"), "{message}");
    shop.gated.assert_digest_only()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_notation_attached_by_the_api_runs_and_nothing_else() -> Result<()> {
    let name = "referrers_gate::what_notation_attached_by_the_api_runs_and_nothing_else";
    let Some(shop) = Shop::with_notation(name).await? else {
        return Ok(());
    };
    for (envelope, word) in [(Envelope::Jws, "jws"), (Envelope::Cose, "cose")] {
        let (good, forged) = (format!("{word}-good"), format!("{word}-forged"));
        let image = shop.push(&good)?;
        shop.notates("shop.example", envelope, &image)?;
        let image = shop.push(&forged)?;
        shop.notates("mallory.example", envelope, &image)?;
        let output = shop.gated.runs(&tagged(&good)).await?;
        assert_eq!(output, format!("marker={good} uid=0"));
        shop.gated.refuses(&tagged(&forged)).await?;
    }
    let tags = shop.registry.tags(REPOSITORY);
    assert_eq!(tags.len(), 4, "a tag was needed: {tags:?}");
    shop.gated.assert_digest_only()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_hostile_referrers_cannot_hide_a_signature_of_cosign() -> Result<()> {
    let name = "referrers_gate::fifty_hostile_referrers_cannot_hide_a_signature_of_cosign";
    let Some(shop) = Shop::with_cosign(name).await? else {
        return Ok(());
    };
    let image = shop.push("crowded")?;
    for number in 0..50 {
        let number = number.to_string();
        let tagged = [("number", number.as_str())];
        let subject = shop.subject(&image);
        shop.cosign
            .sign("mallory.example", Format::Bundle, subject, &tagged)?;
    }
    // The last that is listed.
    shop.cosigns("shop.example", &image)?;
    shop.registry.paginate(10);
    let output = shop.gated.runs(&tagged("crowded")).await?;
    assert_eq!(output, "marker=crowded uid=0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_hostile_referrers_cannot_hide_a_signature_of_notation() -> Result<()> {
    let name = "referrers_gate::fifty_hostile_referrers_cannot_hide_a_signature_of_notation";
    let Some(shop) = Shop::with_notation(name).await? else {
        return Ok(());
    };
    let image = shop.push("crowded")?;
    shop.crowd(0..50, &image)?;
    shop.notates("shop.example", Envelope::Cose, &image)?;
    shop.registry.paginate(10);
    let output = shop.gated.runs(&tagged("crowded")).await?;
    assert_eq!(output, "marker=crowded uid=0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_is_looked_at_refuses_and_says_so() -> Result<()> {
    let name = "referrers_gate::more_than_is_looked_at_refuses_and_says_so";
    let Some(shop) = Shop::with_notation(name).await? else {
        return Ok(());
    };
    let image = shop.push("flooded")?;
    shop.crowd(0..80, &image)?;
    shop.notates("shop.example", Envelope::Cose, &image)?;
    let message = shop.gated.refuses(&tagged("flooded")).await?;
    assert!(message.contains("more than are looked at"), "{message}");
    assert!(shop.asked().len() < 200, "one image costs this much");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_signed_image_costs_a_handful_of_requests() -> Result<()> {
    let name = "referrers_gate::one_signed_image_costs_a_handful_of_requests";
    let Some(shop) = Shop::with_cosign(name).await? else {
        return Ok(());
    };
    for tag in ["first", "second"] {
        let image = shop.push(tag)?;
        shop.cosigns("shop.example", &image)?;
        shop.asked();
        shop.gated.runs(&tagged(tag)).await?;
        let asked = shop.asked();
        assert!(asked.len() <= MOST_REQUESTS, "{asked:#?}");
        let fallback = image.digest().replace(':', "-");
        let fallback = |one: &&String| one.contains(&fallback) && !one.contains(".sig");
        let fallback: Vec<_> = asked.iter().filter(fallback).collect();
        assert!(fallback.is_empty(), "a tag was asked for: {fallback:#?}");
        // Restarts ask for nothing.
        let pinned = format!("{HOST}/{REPOSITORY}@{}", image.digest());
        let pod = Pod::new("shop", &pinned).pulled(PullPolicy::Never);
        let mut kubelet = shop.gated.kubelet().await?;
        kubelet.run_pod(&pod).await?;
        assert_eq!(shop.asked(), [""; 0]);
    }
    Ok(())
}
