//! What the gate asks registries for signatures: how often, on whose behalf, and what it makes of answers that do not come.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use http::Method;
use portcullis_tests::containerd::Generation;
use portcullis_tests::daemon::{wait_for, wait_until};
use portcullis_tests::front::Weather;
use portcullis_tests::gated::{Gated, SIGNER};
use portcullis_tests::image::Image;
use portcullis_tests::kubelet::{KubeletError, Pod, PullPolicy, Reason};
use portcullis_tests::liar::{Asked, Liar, Reply, status};
use portcullis_tests::node::{HOST, pinned, tagged};
use portcullis_tests::policy::Demand;
use portcullis_tests::registry::map_host;
use portcullis_tests::signers::{Cosign, Format, Subject};
use portcullis_tests::skip;
use serde_json::json;

const REPOSITORY: &str = "shop/app";

/// A gate between two namespaces and a registry that may lie about signatures.
struct Shop {
    gated: Gated,
    cosign: Cosign,
    liar: Liar,
}

impl Shop {
    /// Both namespaces ask for a signature by the key `shop`.
    async fn open(test: &str, mode: &'static str) -> Result<Option<Self>> {
        let Some(mut shop) = Self::prepare(test).await? else {
            return Ok(None);
        };
        shop.gated.shim.configure(|settings| settings.mode = mode)?;
        let requirement = shop.requirement()?;
        shop.gated.start(&policies(&requirement))?;
        Ok(Some(shop))
    }

    async fn prepare(test: &str) -> Result<Option<Self>> {
        let Some(program) = skip::signer(test, Cosign::find()) else {
            return Ok(None);
        };
        let mut gated = Gated::prepare(Generation::One).await?;
        let cosign = Cosign::new(program, &gated.node.subdir("cosign")?)?;
        for key in ["shop", "mallory"] {
            cosign.key(key)?;
        }
        let liar = Liar::start(gated.node.registry.port(), None)?;
        map_host(&gated.node.subdir("shim-certs.d")?, HOST, liar.port())?;
        gated.shim.configure(|settings| settings.budget = "3s")?;
        Ok(Some(Self {
            gated,
            cosign,
            liar,
        }))
    }

    fn requirement(&self) -> Result<String> {
        let key = json!({"pem": self.cosign.public_key("shop")?});
        Ok(format!(
            "cosign: {{keys: [{key}], transparencyLog: ignore}}"
        ))
    }

    fn sign(&self, key: &str, image: &Image) -> Result<()> {
        let subject = Subject {
            port: self.gated.node.registry.port(),
            repository: REPOSITORY,
            digest: image.digest(),
        };
        self.cosign.sign(key, Format::Bundle, subject, &[])
    }

    async fn push_signed(&self, tag: &str) -> Result<Image> {
        let image = self.gated.push(REPOSITORY, tag, tag).await?;
        self.sign("shop", &image)?;
        Ok(image)
    }

    /// What a pull and a run ask the registry; how they ended.
    async fn run(&self, namespace: &str, reference: &str) -> Result<(Outcome, Vec<Asked>)> {
        let mut kubelet = self.gated.kubelet().await?;
        self.liar.clear();
        let pod = Pod::new(namespace, reference).pulled(PullPolicy::Always);
        let outcome = match kubelet.run_pod(&pod).await {
            Ok(running) => Ok(kubelet.output(&running).await?),
            Err(error) => Err(error),
        };
        Ok((outcome, self.liar.asked()))
    }

    async fn runs(&self, namespace: &str, reference: &str) -> Result<Vec<Asked>> {
        let (outcome, asked) = self.run(namespace, reference).await?;
        outcome?;
        Ok(asked)
    }

    async fn refused(&self, reference: &str) -> Result<(KubeletError, Vec<Asked>)> {
        let before = self.gated.tap.pulls()?.len();
        let (outcome, asked) = self.run("shop", reference).await?;
        let error = outcome.err().with_context(|| format!("{reference} ran"))?;
        assert_eq!(self.gated.tap.pulls()?.len(), before, "containerd pulled");
        Ok((error, asked))
    }

    /// From now on the registry has these paths no more for the moment.
    fn withholds(&self, withheld: impl Fn(&str) -> bool + Send + Sync + 'static, code: u16) {
        self.liar.says(move |asked| {
            if withheld(&asked.path) {
                Reply::Lie(status(code))
            } else {
                Reply::Truth
            }
        });
    }

    /// Waits until the audit log says this of a pull.
    fn logged(&self, words: &[&str]) -> Result<()> {
        wait_for("the audit line", || {
            let lines = self.gated.shim.json_lines();
            let mut lines = lines.iter().map(ToString::to_string);
            let found = lines.any(|line| words.iter().all(|word| line.contains(word)));
            Ok(found.then_some(()))
        })
    }
}

type Outcome = Result<String, KubeletError>;

/// One rule for both namespaces.
fn policies(requirement: &str) -> String {
    ["shop", "other"]
        .map(|namespace| {
            format!(
                "apiVersion: portcullis.dev/v1\nkind: ImagePolicy\nmetadata: {{name: apps, namespace: {namespace}}}\nspec:\n  \
                 repositories:\n  - name: \"{HOST}/shop/*\"\n    policy: {{{requirement}}}\n"
            )
        })
        .join("---\n")
}

/// Requests for what lies beside images.
fn beside(asked: &[Asked]) -> Vec<&str> {
    let paths = asked.iter().map(|one| one.path.as_str());
    paths
        .filter(|path| {
            path.contains("/referrers/") || path.contains("/sha256-") || path.contains("/blobs/")
        })
        .collect()
}

fn is_signature_list(path: &str) -> bool {
    path.contains("/referrers/") || path.contains("/sha256-")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_signature_that_cannot_be_fetched_now_is_no_verdict_on_the_image() -> Result<()> {
    let name = "gathering::a_good_signature_that_cannot_be_fetched_now_is_no_verdict_on_the_image";
    let Some(shop) = Shop::open(name, "enforce").await? else {
        return Ok(());
    };
    let image = shop.gated.push(REPOSITORY, "1", "app").await?;
    shop.sign("mallory", &image)?;
    let (error, asked) = shop.refused(&tagged(REPOSITORY, "1")).await?;
    assert_eq!(error.reason, Reason::SignatureValidationFailed, "{error}");
    let known: BTreeSet<String> = asked.into_iter().map(|one| one.path).collect();
    shop.sign("shop", &image)?;
    shop.withholds(
        move |path| path.contains("/blobs/") && !known.contains(path),
        503,
    );
    // Another name for the same image is another question.
    let reference = pinned(REPOSITORY, &image);
    let (error, _) = shop.refused(&reference).await?;
    assert_eq!(error.reason, Reason::RegistryUnavailable, "{error}");
    let metrics = shop.gated.shim.metrics()?;
    let partial = "portcullis_signature_lookups_total{source=\"bundles\",outcome=\"partial\"} 1";
    assert!(metrics.contains(partial), "{metrics}");
    shop.liar.tells_the_truth();
    wait_until("the signature to be fetched", async || {
        Ok(shop.run("shop", &reference).await?.0.ok())
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stored_signatures_cost_no_request_and_tags_cost_one() -> Result<()> {
    let name = "gathering::stored_signatures_cost_no_request_and_tags_cost_one";
    let Some(shop) = Shop::open(name, "enforce").await? else {
        return Ok(());
    };
    let image = shop.push_signed("1").await?;
    let first = shop.runs("shop", &tagged(REPOSITORY, "1")).await?;
    // The tag; referrers API, referrers tag, manifest and blob of the bundle; the legacy tag.
    assert!(first.len() <= 6, "{first:#?}");
    for namespace in ["shop", "other"] {
        let again = shop.runs(namespace, &pinned(REPOSITORY, &image)).await?;
        assert!(again.is_empty(), "{namespace}: {again:#?}");
        let again = shop.runs(namespace, &tagged(REPOSITORY, "1")).await?;
        let heads: Vec<&Method> = again.iter().map(|one| &one.method).collect();
        assert_eq!(heads, [Method::HEAD], "{namespace}: {again:#?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denied_image_that_is_asked_for_again_and_again_costs_one_look() -> Result<()> {
    let name = "gathering::a_denied_image_that_is_asked_for_again_and_again_costs_one_look";
    let Some(shop) = Shop::open(name, "enforce").await? else {
        return Ok(());
    };
    shop.gated.push(REPOSITORY, "1", "unsigned").await?;
    shop.liar.clear();
    let mut kubelet = shop.gated.kubelet().await?;
    let pod = Pod::new("shop", &tagged(REPOSITORY, "1"));
    let sandbox = kubelet.run_sandbox(&pod).await?;
    let mut pulls = Vec::new();
    for _ in 0..10 {
        let mut kubelet = shop.gated.kubelet().await?;
        let (pod, config) = (pod.clone(), sandbox.config.clone());
        pulls.push(tokio::spawn(async move {
            kubelet.ensure_image(&pod, &config).await.err()
        }));
    }
    for pull in pulls {
        let error = pull.await?.context("it was pulled")?;
        assert_eq!(error.reason, Reason::SignatureValidationFailed, "{error}");
    }
    let asked = shop.liar.asked();
    let heads = asked.iter().filter(|one| one.method == Method::HEAD);
    // A second one only if this machine is so slow that the first was forgotten.
    assert!(heads.count() <= 2, "{asked:#?}");
    assert!(beside(&asked).len() <= 2 * 3, "{asked:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_says_nothing_about_signatures_uses_one_budget_and_is_not_policy()
-> Result<()> {
    let name = "gathering::a_registry_that_says_nothing_about_signatures_uses_one_budget";
    let Some(shop) = Shop::open(name, "enforce").await? else {
        return Ok(());
    };
    shop.push_signed("1").await?;
    shop.liar.says(|asked| {
        if is_signature_list(&asked.path) {
            Reply::Silence
        } else {
            Reply::Truth
        }
    });
    let (error, asked) = shop.refused(&tagged(REPOSITORY, "1")).await?;
    assert_eq!(error.reason, Reason::RegistryUnavailable, "{error}");
    // Bundles and legacy signatures side by side: nothing is asked again when the budget is used up.
    assert_eq!(beside(&asked).len(), 2, "{asked:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_limits_requests_is_left_alone_for_as_long_as_it_says() -> Result<()> {
    let name = "gathering::a_registry_that_limits_requests_is_left_alone_for_as_long_as_it_says";
    let Some(shop) = Shop::open(name, "enforce").await? else {
        return Ok(());
    };
    shop.push_signed("1").await?;
    shop.liar.says(|asked| {
        if !is_signature_list(&asked.path) {
            return Reply::Truth;
        }
        let mut limited = status(429);
        let after = http::HeaderValue::from_static("3600");
        limited
            .headers_mut()
            .insert(http::header::RETRY_AFTER, after);
        Reply::Lie(limited)
    });
    let (error, asked) = shop.refused(&tagged(REPOSITORY, "1")).await?;
    assert_eq!(error.reason, Reason::RegistryUnavailable, "{error}");
    assert!(!beside(&asked).is_empty());
    for _ in 0..3 {
        let (error, asked) = shop.refused(&tagged(REPOSITORY, "1")).await?;
        assert_eq!(error.reason, Reason::RegistryUnavailable, "{error}");
        assert!(asked.is_empty(), "{asked:#?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audit_pulls_by_the_digest_it_knows_while_signatures_cannot_be_had() -> Result<()> {
    let name = "gathering::audit_pulls_by_the_digest_it_knows_while_signatures_cannot_be_had";
    let Some(shop) = Shop::open(name, "audit").await? else {
        return Ok(());
    };
    let image = shop.push_signed("1").await?;
    shop.liar.says(|asked| {
        if is_signature_list(&asked.path) {
            Reply::Silence
        } else {
            Reply::Truth
        }
    });
    shop.runs("shop", &tagged(REPOSITORY, "1")).await?;
    let pulls = shop.gated.tap.pulls()?;
    let names: Vec<_> = pulls
        .into_iter()
        .filter_map(|pull| Some(pull.image?.image))
        .collect();
    assert_eq!(names, [pinned(REPOSITORY, &image)]);
    shop.logged(&[
        "\"pull\"",
        "would-deny",
        "undecided",
        "policy.yaml",
        image.digest(),
    ])
}

/// Credentials and failures of one namespace are not those of another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_registry_denies_one_namespace_is_not_held_against_another() -> Result<()> {
    let name = "gathering::what_a_registry_denies_one_namespace_is_not_held_against_another";
    let Some(shop) = Shop::open(name, "enforce").await? else {
        return Ok(());
    };
    shop.push_signed("1").await?;
    shop.withholds(is_signature_list, 403);
    let (error, _) = shop.refused(&tagged(REPOSITORY, "1")).await?;
    assert_eq!(error.reason, Reason::RegistryUnavailable, "{error}");
    shop.liar.tells_the_truth();
    // At once, while the failure of the other one is still remembered.
    let asked = shop.runs("other", &tagged(REPOSITORY, "1")).await?;
    assert!(!beside(&asked).is_empty());
    Ok(())
}

/// Rules of namespace shop that tie: one that is enforced and wants a Notary signature, and one that is audited.
fn tied(shop: &Shop, audited: &str) -> Result<String> {
    let Demand::Signed { server, key, .. } = shop.gated.signed()? else {
        anyhow::bail!("no demand for a signature");
    };
    let key = key.replace('\n', "\n    ");
    Ok(format!(
        "apiVersion: portcullis.dev/v1\nkind: ImagePolicy\nmetadata: {{name: apps, namespace: shop}}\nspec:\n  repositories:\n  - \
         name: \"{HOST}/shop/a*\"\n    policy: {{trust: {{trustServer: \"{server}\", signerSecrets: [{{name: {SIGNER}}}]}}}}\n  - \
         name: \"{HOST}/shop/*p\"\n    mode: audit\n    policy: {{{audited}}}\n---\napiVersion: v1\nkind: Secret\nmetadata: \
         {{name: {SIGNER}, namespace: shop}}\nstringData:\n  name: {SIGNER}\n  publicKey: |\n    {key}\n"
    ))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_rule_audits_opens_no_way_around_another_that_is_enforced() -> Result<()> {
    let name = "gathering::what_one_rule_audits_opens_no_way_around_another_that_is_enforced";
    for audited in ["deny: {reason: not today}", "cosign"] {
        let Some(mut shop) = Shop::prepare(name).await? else {
            return Ok(());
        };
        shop.gated.collection(REPOSITORY)?;
        let audited = match audited {
            "cosign" => shop.requirement()?,
            other => other.to_owned(),
        };
        let policy = tied(&shop, &audited)?;
        shop.gated.start(&policy)?;
        let signed = shop.gated.push_signed(REPOSITORY, "1", "signed").await?;
        // Whoever may push moves the tag; the signed one still names the other image.
        shop.gated.push(REPOSITORY, "1", "evil").await?;
        let (outcome, _) = shop.run("shop", &tagged(REPOSITORY, "1")).await?;
        let pulls = shop.gated.tap.pulls()?;
        for pull in &pulls {
            let asked = pull.image.as_ref().map(|spec| spec.image.as_str());
            assert_eq!(
                asked,
                Some(pinned(REPOSITORY, &signed).as_str()),
                "{audited}"
            );
        }
        if let Ok(output) = outcome {
            assert_eq!(output, "marker=signed uid=0", "{audited}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trust_server_that_is_down_does_not_keep_another_signature_from_counting() -> Result<()> {
    let name =
        "gathering::a_trust_server_that_is_down_does_not_keep_another_signature_from_counting";
    let Some(mut shop) = Shop::prepare(name).await? else {
        return Ok(());
    };
    shop.gated.collection(REPOSITORY)?;
    let Demand::Signed { server, key, .. } = shop.gated.signed()? else {
        anyhow::bail!("no demand for a signature");
    };
    let key = key.replace('\n', "\n    ");
    let cosign = shop.requirement()?;
    shop.gated.start(&format!(
        "apiVersion: portcullis.dev/v1\nkind: ImagePolicy\nmetadata: {{name: apps, namespace: shop}}\nspec:\n  repositories:\n  - \
         name: \"{HOST}/shop/*\"\n    policy:\n      anyOf:\n      - trust: {{trustServer: \"{server}\", signerSecrets: [{{name: \
         {SIGNER}}}]}}\n      - {cosign}\n---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {SIGNER}, namespace: \
         shop}}\nstringData:\n  name: {SIGNER}\n  publicKey: |\n    {key}\n"
    ))?;
    shop.push_signed("1").await?;
    shop.gated.notary_front.set(Weather::Down);
    shop.runs("shop", &tagged(REPOSITORY, "1")).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_known_to_be_unsigned_is_looked_for_again_at_creates_alone_and_not_at_each()
-> Result<()> {
    let name = "gathering::what_is_known_to_be_unsigned_is_looked_for_again_at_creates_alone";
    let Some(mut shop) = Shop::prepare(name).await? else {
        return Ok(());
    };
    for tag in ["1", "2", "3"] {
        shop.gated.smuggle(REPOSITORY, tag, tag).await?;
    }
    let policy = policies(&shop.requirement()?);
    shop.gated.start(&policy)?;
    let round = |of: usize| {
        wait_for("evidence to be gathered for all images", || {
            let log = shop.gated.shim.log();
            let rounds = log.matches("evidence gathered for images present").count();
            Ok((rounds >= of).then_some(()))
        })
    };
    round(1)?;
    // Three images, for two namespaces: API, referrers tag and legacy tag, and nothing twice.
    let asked = shop.liar.asked();
    assert!(beside(&asked).len() <= 3 * 2 * 3, "{asked:#?}");
    shop.liar.clear();
    let again = format!("# The same again.\n{policy}");
    shop.gated.shim.reload_policy("policy.yaml", &again)?;
    round(2)?;
    let asked = shop.liar.asked();
    assert!(asked.is_empty(), "{asked:#?}");
    // As the kubelet tries again and again.
    let mut kubelet = shop.gated.kubelet().await?;
    let pod = Pod::new("shop", &tagged(REPOSITORY, "1")).pulled(PullPolicy::Never);
    let sandbox = kubelet.run_sandbox(&pod).await?;
    let mut creates = Vec::new();
    for _ in 0..10 {
        let mut kubelet = shop.gated.kubelet().await?;
        let (pod, sandbox) = (pod.clone(), sandbox.clone());
        creates.push(tokio::spawn(async move {
            kubelet.start_container(&pod, &sandbox).await.err()
        }));
    }
    for create in creates {
        let error = create.await?.context("it was created")?;
        assert_eq!(error.reason, Reason::CreateContainer, "{error}");
    }
    let asked = shop.liar.asked();
    assert!((3..=2 * 3).contains(&beside(&asked).len()), "{asked:#?}");
    Ok(())
}
