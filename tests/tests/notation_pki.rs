//! notation with certificates of an authority: whose they are, and when they signed.

use anyhow::Result;
use portcullis_tests::certified::Certified;
use portcullis_tests::kubelet::Pod;
use portcullis_tests::node::tagged;
use portcullis_tests::pki::{Pki, Profile};
use portcullis_tests::shop::REPOSITORY;
use portcullis_tests::signers::Envelope;
use portcullis_tests::tsa::Tsa;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_counts_under_its_root_and_for_its_subject() -> Result<()> {
    let name = "notation_pki::a_certificate_counts_under_its_root_and_for_its_subject";
    let Some(mut shop) = Certified::prepare(name).await? else {
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
async fn a_timestamp_outlives_the_certificate_and_its_lack_does_not() -> Result<()> {
    let name = "notation_pki::a_timestamp_outlives_the_certificate_and_its_lack_does_not";
    let Some(mut shop) = Certified::prepare(name).await? else {
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
