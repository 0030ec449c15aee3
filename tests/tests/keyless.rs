//! Certificates instead of keys: whose name, by whose word, under whose root, and at which time.

use anyhow::{Context, Result};
use portcullis_tests::containerd::Generation;
use portcullis_tests::gated::Gated;
use portcullis_tests::kubelet::Pod;
use portcullis_tests::node::{HOST, tagged};
use portcullis_tests::policy::shop_policy;
use portcullis_tests::shop::REPOSITORY;
use portcullis_tests::signers::{Cosign, Keyless, Subject};
use portcullis_tests::skip;
use serde_json::{Value, json};

const IDENTITY: &str =
    "https://git.example.com/shop/app/.github/workflows/release.yml@refs/tags/v1";
const ISSUER: &str = "https://issuer.example.com";

struct Shop {
    gated: Gated,
    keyless: Keyless,
    /// Another authority: same names, another root.
    stranger: Keyless,
}

impl Shop {
    /// A gate that asks for this identity by the word of [`ISSUER`], under the root in `keys/`.
    async fn open(test: &str, identity: Value) -> Result<Option<Self>> {
        Self::asking(test, &policy(&identity, "keys/own.json")).await
    }

    async fn asking(test: &str, policy: &str) -> Result<Option<Self>> {
        let Some(program) = skip::signer(test, Cosign::find()) else {
            return Ok(None);
        };
        let gated = Gated::prepare(Generation::One).await?;
        let keyless = Keyless::new(program.clone(), &gated.node.subdir("keyless")?)?;
        let stranger = Keyless::new(program, &gated.node.subdir("stranger")?)?;
        for authority in [&keyless, &stranger] {
            authority.certify("release", IDENTITY, ISSUER)?;
        }
        let mut shop = Self {
            gated,
            keyless,
            stranger,
        };
        let keys = shop.gated.policy_dir().join("keys");
        std::fs::create_dir(&keys)?;
        std::fs::write(keys.join("own.json"), shop.keyless.trusted_root()?)?;
        std::fs::write(keys.join("other.json"), shop.stranger.trusted_root()?)?;
        shop.gated.start(policy)?;
        Ok(Some(shop))
    }

    /// Pushes an image and signs it with what `authority` certified under `name`.
    async fn push(&self, tag: &str, authority: &Keyless, name: &str) -> Result<String> {
        let image = self.gated.push(REPOSITORY, tag, tag).await?;
        authority.sign(name, self.subject(image.digest()))?;
        Ok(tagged(REPOSITORY, tag))
    }

    fn subject<'a>(&self, digest: &'a str) -> Subject<'a> {
        Subject {
            port: self.gated.node.registry.port(),
            repository: REPOSITORY,
            digest,
        }
    }
}

fn policy(identity: &Value, root: &str) -> String {
    let requirement = json!({"cosign": asked(identity, root)});
    shop_policy(&format!("{HOST}/shop/*"), &requirement)
}

fn asked(identity: &Value, root: &str) -> Value {
    json!({
        "identities": [{"identity": identity, "issuer": ISSUER}],
        "transparencyLog": "ignore",
        "signedCertificateTimestamp": "ignore",
        "trustedRoot": {"file": root},
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_identity_by_the_word_of_the_issuer_runs_and_no_other() -> Result<()> {
    let name = "keyless::the_identity_by_the_word_of_the_issuer_runs_and_no_other";
    let Some(shop) = Shop::open(name, json!(IDENTITY)).await? else {
        return Ok(());
    };
    let good = shop.push("good", &shop.keyless, "release").await?;
    assert_eq!(shop.gated.runs(&good).await?, "marker=good uid=0");
    assert_eq!(shop.keyless.stamped(), 1, "it was not stamped");

    let branch = IDENTITY.replace("tags/v1", "heads/feature");
    let longer = format!("{IDENTITY}0");
    for (tag, identity, issuer) in [
        ("branch", branch.as_str(), ISSUER),
        ("longer", longer.as_str(), ISSUER),
        (
            "issuer",
            IDENTITY,
            "https://issuer.example.com.mallory.example",
        ),
    ] {
        shop.keyless.certify(tag, identity, issuer)?;
        let other = shop.push(tag, &shop.keyless, tag).await?;
        let message = shop.gated.refuses(&other).await?;
        assert!(message.contains("who is not listed"), "{tag}: {message}");
        // What the policy's owner has to compare.
        assert!(message.contains(identity), "{tag}: {message}");
        assert!(message.contains(issuer), "{tag}: {message}");
    }
    shop.gated.assert_digest_only()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pattern_is_about_the_whole_identity() -> Result<()> {
    let name = "keyless::a_pattern_is_about_the_whole_identity";
    // Without anchors, as they are mostly written.
    let pattern = json!({"regex": r"https://git\.example\.com/shop/[a-z]+/.*@refs/tags/v[0-9]+"});
    let Some(shop) = Shop::open(name, pattern).await? else {
        return Ok(());
    };
    let good = shop.push("good", &shop.keyless, "release").await?;
    shop.gated.runs(&good).await?;
    let before = format!("https://mallory.example/?{IDENTITY}");
    let behind = format!("{IDENTITY}/../../../mallory");
    for (tag, identity) in [("before", before), ("behind", behind)] {
        shop.keyless.certify(tag, &identity, ISSUER)?;
        let other = shop.push(tag, &shop.keyless, tag).await?;
        let message = shop.gated.refuses(&other).await?;
        assert!(message.contains("who is not listed"), "{tag}: {message}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_name_under_another_root_is_somebody_else() -> Result<()> {
    let name = "keyless::the_same_name_under_another_root_is_somebody_else";
    let Some(shop) = Shop::open(name, json!(IDENTITY)).await? else {
        return Ok(());
    };
    let forged = shop.push("forged", &shop.stranger, "release").await?;
    let message = shop.gated.refuses(&forged).await?;
    assert!(message.contains("not by a trusted authority"), "{message}");

    // A root that is taken back counts no more, for what runs already too.
    let good = shop.push("good", &shop.keyless, "release").await?;
    let mut kubelet = shop.gated.kubelet().await?;
    let pod = Pod::new("shop", &good);
    let running = kubelet.run_pod(&pod).await?;
    let other = policy(&json!(IDENTITY), "keys/other.json");
    shop.gated.shim.reload_policy("policy.yaml", &other)?;
    let error = kubelet.restart_container(&pod, &running).await.err();
    error.context("it ran under a root that counts no more")?;
    // The stranger's signature is the one that counts now.
    shop.gated.runs(&forged).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_is_over_counts_by_its_timestamp_and_never_without() -> Result<()> {
    let name = "keyless::a_certificate_that_is_over_counts_by_its_timestamp_and_never_without";
    let Some(mut shop) = Shop::open(name, json!(IDENTITY)).await? else {
        return Ok(());
    };
    let image = shop
        .gated
        .push(REPOSITORY, "unstamped", "unstamped")
        .await?;
    let subject = shop.subject(image.digest());
    shop.keyless.sign_unstamped("release", subject)?;
    let unstamped = tagged(REPOSITORY, "unstamped");
    let message = shop.gated.refuses(&unstamped).await?;
    assert!(message.contains("when it was signed"), "{message}");

    let good = shop.push("good", &shop.keyless, "release").await?;
    let pod = Pod::new("shop", &good);
    let running = shop.gated.kubelet().await?.run_pod(&pod).await?;
    shop.gated.cut_network()?;
    shop.gated.shim.clock_ahead(60);
    shop.gated.shim.restart()?;
    let mut kubelet = shop.gated.kubelet().await?;
    let again = kubelet.restart_container(&pod, &running).await?;
    assert_eq!(kubelet.output(&again).await?, "marker=good uid=0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attestation_counts_by_the_identity_that_made_it() -> Result<()> {
    let name = "keyless::an_attestation_counts_by_the_identity_that_made_it";
    let kind = "https://example.com/review/v1";
    let mut attested = asked(&json!(IDENTITY), "keys/own.json");
    attested["predicateType"] = json!(kind);
    attested["cel"] = json!("predicate.approved");
    let policy = shop_policy(
        &format!("{HOST}/shop/*"),
        &json!({"attestations": attested}),
    );
    let Some(shop) = Shop::asking(name, &policy).await? else {
        return Ok(());
    };
    let other = IDENTITY.replace("release.yml", "test.yml");
    shop.keyless.certify("other", &other, ISSUER)?;
    for (tag, authority, signer, approved, why) in [
        ("good", &shop.keyless, "release", true, None),
        ("not", &shop.keyless, "release", false, Some("is false")),
        ("other", &shop.keyless, "other", true, Some("not listed")),
        (
            "forged",
            &shop.stranger,
            "release",
            true,
            Some("not by a trusted authority"),
        ),
    ] {
        let image = shop.gated.push(REPOSITORY, tag, tag).await?;
        let predicate = json!({"approved": approved});
        authority.attest(signer, shop.subject(image.digest()), kind, &predicate)?;
        let reference = tagged(REPOSITORY, tag);
        match why {
            None => {
                let output = shop.gated.runs(&reference).await?;
                assert_eq!(output, format!("marker={tag} uid=0"));
            }
            Some(why) => {
                let message = shop.gated.refuses(&reference).await?;
                assert!(message.contains(why), "{tag}: {message}");
            }
        }
    }
    Ok(())
}
