//! notation with certificates of an authority: whose they are, whether they were taken back, and when they signed.
//!
//! The gate asks no address of its own node for revocations. The list is therefore where real ones are, behind a name that
//! only the node's proxy knows.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use portcullis_tests::containerd::Generation;
use portcullis_tests::gated::Gated;
use portcullis_tests::image::Image;
use portcullis_tests::kubelet::{Kubelet, Pod, Running};
use portcullis_tests::liar::{Liar, Reply, json as body, status};
use portcullis_tests::node::{HOST, tagged};
use portcullis_tests::pki::{Pki, Profile};
use portcullis_tests::policy::shop_policy;
use portcullis_tests::shop::REPOSITORY;
use portcullis_tests::signers::{Envelope, Notation, Subject};
use portcullis_tests::skip;
use portcullis_tests::tsa::Tsa;
use serde_json::{Value, json};

const CRL: &str = "http://crl.example.com/shop.crl";

struct Shop {
    gated: Gated,
    notation: Notation,
    pki: Pki,
    /// What the authority publishes; `None`: its server is down.
    list: Arc<Mutex<Option<Vec<u8>>>>,
    proxy: Liar,
}

impl Shop {
    /// A gate that is not started yet, and an authority `shop` that `root` vouches for.
    async fn prepare(test: &str) -> Result<Option<Self>> {
        let Some(program) = skip::signer(test, Notation::find()) else {
            return Ok(None);
        };
        let mut gated = Gated::prepare(Generation::One).await?;
        let notation = Notation::new(program, &gated.node.subdir("notation")?);
        let pki = Pki::new(&gated.node.subdir("pki")?);
        pki.root("root")?;
        pki.issue("shop", "root", Profile::Authority, 3000)?;
        let list = Arc::new(Mutex::new(Some(pki.crl("shop", &[])?)));
        let proxy = Liar::start(0, None)?;
        let published = Arc::clone(&list);
        proxy.says(move |asked| {
            let list = published.lock().unwrap_or_else(PoisonError::into_inner);
            Reply::Lie(match list.as_ref() {
                Some(bytes) if asked.path == CRL => body(bytes.clone()),
                _ => status(503),
            })
        });
        gated.shim.proxy(proxy.port());
        Ok(Some(Self {
            gated,
            notation,
            pki,
            list,
            proxy,
        }))
    }

    fn start(&mut self, more: &Value) -> Result<()> {
        let policy = self.policy(more)?;
        self.gated.start(&policy)
    }

    /// What is signed under `root`; `more` is asked beside that.
    fn policy(&self, more: &Value) -> Result<String> {
        let mut asked = json!({
            "trustStores": {"ca": {"root": [{"pem": self.pki.pem("root", "crt")?}]}},
            "trustedIdentities": ["*"],
            "level": "strict",
        });
        for (name, value) in more.as_object().context("no mapping")? {
            asked[name] = value.clone();
        }
        let requirement = json!({"notation": asked});
        Ok(shop_policy(&format!("{HOST}/shop/*"), &requirement))
    }

    /// Certifies `name` by `issuer`.
    fn certify(&self, name: &str, issuer: &str, profile: Profile<'_>, days: u32) -> Result<()> {
        self.pki.issue(name, issuer, profile, days)?;
        let (key, chain) = (self.pki.file(name, "key"), self.pki.file(name, "chain"));
        self.notation.import(name, &key, &chain)
    }

    fn publish(&self, list: Option<Vec<u8>>) {
        *self.list.lock().unwrap_or_else(PoisonError::into_inner) = list;
    }

    fn sign(&self, key: &str, envelope: Envelope, image: &Image, more: &[&str]) -> Result<()> {
        let subject = Subject {
            port: self.gated.node.registry.port(),
            repository: REPOSITORY,
            digest: image.digest(),
        };
        self.notation.sign(key, envelope, subject, more)
    }

    /// Pushes an image and signs it with `key`.
    async fn push(&self, tag: &str, key: &str) -> Result<String> {
        let image = self.gated.push(REPOSITORY, tag, tag).await?;
        self.sign(key, Envelope::Jws, &image, &[])?;
        Ok(tagged(REPOSITORY, tag))
    }

    /// Restarts the daemon and then the container.
    async fn restart(&mut self, pod: &Pod, running: &Running) -> Result<Result<Running, String>> {
        self.gated.shim.restart()?;
        let mut kubelet: Kubelet = self.gated.kubelet().await?;
        let again = kubelet.restart_container(pod, running).await;
        Ok(again.map_err(|error| error.message))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_counts_under_its_root_and_for_its_subject() -> Result<()> {
    let name = "notation_pki::a_certificate_counts_under_its_root_and_for_its_subject";
    let Some(mut shop) = Shop::prepare(name).await? else {
        return Ok(());
    };
    shop.certify("release", "shop", Profile::Code, 365)?;
    shop.certify("intern", "shop", Profile::Code, 365)?;
    // The same subject, by an authority of the same name.
    let elsewhere = Pki::new(&shop.gated.node.subdir("elsewhere")?);
    elsewhere.root("root")?;
    elsewhere.issue("release", "root", Profile::Code, 365)?;
    let (key, chain) = (
        elsewhere.file("release", "key"),
        elsewhere.file("release", "chain"),
    );
    shop.notation.import("forged", &key, &chain)?;

    let identity = "x509.subject: C=US, ST=WA, O=Example, CN=release";
    shop.start(&json!({"trustedIdentities": [identity]}))?;
    for (envelope, word) in [(Envelope::Jws, "jws"), (Envelope::Cose, "cose")] {
        for (key, counts) in [("release", true), ("intern", false), ("forged", false)] {
            let tag = format!("{word}-{key}");
            let image = shop.gated.push(REPOSITORY, &tag, &tag).await?;
            shop.sign(key, envelope, &image, &[])?;
            let reference = tagged(REPOSITORY, &tag);
            if counts {
                let output = shop.gated.runs(&reference).await?;
                assert_eq!(output, format!("marker={tag} uid=0"));
            } else {
                shop.gated.refuses(&reference).await?;
            }
        }
    }
    shop.gated.assert_digest_only()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_signed_with_a_revoked_certificate_is_refused() -> Result<()> {
    let name = "notation_pki::what_was_signed_with_a_revoked_certificate_is_refused";
    let Some(mut shop) = Shop::prepare(name).await? else {
        return Ok(());
    };
    for key in ["release", "lost"] {
        shop.certify(key, "shop", Profile::CodeWithCrl(CRL), 365)?;
    }
    shop.publish(Some(shop.pki.crl("shop", &["lost"])?));
    shop.start(&json!({}))?;
    let good = shop.push("good", "release").await?;
    shop.gated.runs(&good).await?;
    assert!(!shop.proxy.asked().is_empty(), "no list was asked for");
    let bad = shop.push("bad", "lost").await?;
    let message = shop.gated.refuses(&bad).await?;
    assert!(message.contains("revoked"), "{message}");
    shop.gated.assert_digest_only()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_that_does_not_answer_stops_strict_and_not_permissive() -> Result<()> {
    let name = "notation_pki::an_authority_that_does_not_answer_stops_strict_and_not_permissive";
    let Some(mut shop) = Shop::prepare(name).await? else {
        return Ok(());
    };
    shop.certify("release", "shop", Profile::CodeWithCrl(CRL), 365)?;
    shop.publish(None);
    shop.start(&json!({}))?;
    let reference = shop.push("1", "release").await?;
    let message = shop.gated.refuses(&reference).await?;
    assert!(message.contains("revo"), "{message}");
    assert!(message.contains("has not answered"), "{message}");
    let permissive = shop.policy(&json!({"level": "permissive"}))?;
    shop.gated.shim.reload_policy("policy.yaml", &permissive)?;
    assert_eq!(shop.gated.runs(&reference).await?, "marker=1 uid=0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_once_read_counts_on_with_its_server_gone() -> Result<()> {
    let name = "notation_pki::a_list_once_read_counts_on_with_its_server_gone";
    let Some(mut shop) = Shop::prepare(name).await? else {
        return Ok(());
    };
    for key in ["release", "lost"] {
        shop.certify(key, "shop", Profile::CodeWithCrl(CRL), 365)?;
    }
    shop.publish(Some(shop.pki.crl("shop", &["lost"])?));
    shop.start(&json!({}))?;
    let reference = shop.push("1", "release").await?;
    let pod = Pod::new("shop", &reference);
    let running = shop.gated.kubelet().await?.run_pod(&pod).await?;
    shop.publish(None);
    let restarted = shop.restart(&pod, &running).await?;
    restarted.map_err(|error| anyhow::anyhow!(error))?;
    // It is the authority's, and counts for every other image too: either way.
    let other = shop.push("other", "release").await?;
    shop.gated.runs(&other).await?;
    let bad = shop.push("bad", "lost").await?;
    let message = shop.gated.refuses(&bad).await?;
    assert!(message.contains("revoked"), "{message}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_revocation_reaches_what_runs_and_an_older_list_does_not_undo_it() -> Result<()> {
    let name =
        "notation_pki::a_later_revocation_reaches_what_runs_and_an_older_list_does_not_undo_it";
    let Some(mut shop) = Shop::prepare(name).await? else {
        return Ok(());
    };
    shop.certify("release", "shop", Profile::CodeWithCrl(CRL), 365)?;
    let older = shop.pki.crl("shop", &[])?;
    shop.publish(Some(older.clone()));
    shop.start(&json!({}))?;
    let pod = Pod::new("shop", &shop.push("1", "release").await?);
    let running = shop.gated.kubelet().await?.run_pod(&pod).await?;
    // Lists say when they were made to the second: two of one second are of the same age.
    let newer = portcullis_tests::daemon::wait_for("the next second", || {
        let newer = shop.pki.crl("shop", &["release"])?;
        let made = |list: &[u8]| shop.pki.made(list);
        Ok((made(&newer)? != made(&older)?).then_some(newer))
    })?;
    shop.publish(Some(newer));
    let next = shop.push("2", "release").await?;
    let message = shop.gated.refuses(&next).await?;
    assert!(message.contains("revoked"), "{message}");
    // Replayed by whoever sits on the way; it is still fresh.
    shop.publish(Some(older));
    let another = shop.push("3", "release").await?;
    let message = shop.gated.refuses(&another).await?;
    assert!(message.contains("revoked"), "{message}");
    let Err(message) = shop.restart(&pod, &running).await? else {
        anyhow::bail!("it ran with a certificate that is known to be revoked");
    };
    assert!(message.contains("revoked"), "{message}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timestamp_outlives_the_certificate_and_its_lack_does_not() -> Result<()> {
    let name = "notation_pki::a_timestamp_outlives_the_certificate_and_its_lack_does_not";
    let Some(mut shop) = Shop::prepare(name).await? else {
        return Ok(());
    };
    let stamps = Tsa::start(&shop.gated.node.subdir("stamps")?)?;
    let (url, root) = (stamps.url(), stamps.root());
    let root_pem = std::fs::read_to_string(&root)?;
    shop.certify("release", "shop", Profile::Code, 1)?;
    let authority = shop.pki.pem("root", "crt")?;
    let stores =
        json!({"ca": {"root": [{"pem": authority}]}, "tsa": {"stamps": [{"pem": root_pem}]}});
    shop.start(&json!({"trustStores": stores, "verifyTimestamp": "afterCertExpiry"}))?;
    let root = root.display().to_string();
    let stamped = ["--timestamp-url", &url, "--timestamp-root-cert", &root];
    let mut pods = Vec::new();
    for (tag, envelope, more) in [
        ("jws", Envelope::Jws, stamped.as_slice()),
        ("cose", Envelope::Cose, stamped.as_slice()),
        ("unstamped", Envelope::Jws, &[]),
    ] {
        let image = shop.gated.push(REPOSITORY, tag, tag).await?;
        shop.sign("release", envelope, &image, more)?;
        let pod = Pod::new("shop", &tagged(REPOSITORY, tag));
        let running = shop.gated.kubelet().await?.run_pod(&pod).await?;
        pods.push((pod, running, !more.is_empty()));
    }
    assert_eq!(stamps.asked(), 2);
    shop.gated.cut_network()?;
    shop.gated.shim.clock_ahead(60);
    for (pod, running, counts) in pods {
        match shop.restart(&pod, &running).await? {
            Ok(_) => assert!(counts, "{} ran without a timestamp", pod.image),
            Err(message) => {
                assert!(!counts, "{}: {message}", pod.image);
                assert!(message.contains("notation"), "{message}");
            }
        }
    }
    Ok(())
}
