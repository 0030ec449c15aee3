//! Certificates that were taken back: who is asked, whose word counts, and for how long.

use anyhow::Result;
use portcullis_tests::certified::{CRL, Certified};
use portcullis_tests::kubelet::Pod;
use portcullis_tests::liar::Liar;
use portcullis_tests::pki::{Pki, Profile};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_signed_with_a_revoked_certificate_is_refused() -> Result<()> {
    let name = "revocation::what_was_signed_with_a_revoked_certificate_is_refused";
    let Some(mut shop) = Certified::prepare(name).await? else {
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
    let name = "revocation::an_authority_that_does_not_answer_stops_strict_and_not_permissive";
    let Some(mut shop) = Certified::prepare(name).await? else {
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
    let name = "revocation::a_list_once_read_counts_on_with_its_server_gone";
    let Some(mut shop) = Certified::prepare(name).await? else {
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
        "revocation::a_later_revocation_reaches_what_runs_and_an_older_list_does_not_undo_it";
    let Some(mut shop) = Certified::prepare(name).await? else {
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
async fn recorded_evidence_holds_what_the_authority_said() -> Result<()> {
    let name = "revocation::recorded_evidence_holds_what_the_authority_said";
    let Some(mut shop) = Certified::prepare(name).await? else {
        return Ok(());
    };
    for key in ["release", "lost"] {
        shop.certify(key, "shop", Profile::CodeWithCrl(CRL), 365)?;
    }
    shop.publish(Some(shop.pki.crl("shop", &["lost"])?));
    shop.start(&json!({}))?;
    let good = shop.push("good", "release").await?;
    let bad = shop.push("bad", "lost").await?;
    let folder = shop.gated.node.subdir("recorded")?;
    let evidence = folder.join("evidence").display().to_string();
    let arguments = ["check", "-n", "shop", "--record", &evidence, &good, &bad];
    let output = shop.gated.shim.command(&arguments)?;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    // Nobody is left to ask.
    shop.publish(None);
    shop.gated.cut_network()?;
    shop.gated.shim.stop()?;
    let asked = shop.proxy.asked().len();
    let cases = json!({"evidence": ["evidence/*.json"], "cases": [
        {"namespace": "shop", "image": good, "expect": "allow"},
        {"namespace": "shop", "image": bad, "expect": "deny", "denial": "revoked"},
    ]});
    let file = folder.join("cases.yaml");
    std::fs::write(&file, cases.to_string())?;
    let (file, policy) = (file.display().to_string(), shop.gated.policy_dir());
    let policy = policy.display().to_string();
    let arguments = ["policy", "test", &file, "--policy", &policy];
    let output = shop.gated.shim.command(&arguments)?;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(shop.proxy.asked().len(), asked);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_of_the_node_itself_is_not_asked_whatever_a_certificate_names() -> Result<()> {
    let name =
        "revocation::an_address_of_the_node_itself_is_not_asked_whatever_a_certificate_names";
    let Some(mut shop) = Certified::prepare(name).await? else {
        return Ok(());
    };
    let inner = Liar::start(0, None)?;
    shop.start(&json!({}))?;
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"] {
        let url = format!("http://{host}:{}/shop.crl", inner.port());
        let tag: String = host.chars().filter(char::is_ascii_alphanumeric).collect();
        shop.certify(&tag, "shop", Profile::CodeWithCrl(&url), 365)?;
        let reference = shop.push(&tag, &tag).await?;
        let message = shop.gated.refuses(&reference).await?;
        assert!(message.contains("has not answered"), "{host}: {message}");
    }
    assert!(inner.asked().is_empty(), "{:?}", inner.asked());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_cannot_make_the_gate_ask_anyone() -> Result<()> {
    let name = "revocation::a_stranger_cannot_make_the_gate_ask_anyone";
    let Some(mut shop) = Certified::prepare(name).await? else {
        return Ok(());
    };
    let elsewhere = Pki::new(&shop.gated.node.subdir("elsewhere")?);
    elsewhere.root("root")?;
    elsewhere.issue("release", "root", Profile::CodeWithCrl(CRL), 365)?;
    let (key, chain) = (
        elsewhere.file("release", "key"),
        elsewhere.file("release", "chain"),
    );
    shop.notation.import("stranger", &key, &chain)?;
    shop.start(&json!({}))?;
    let reference = shop.push("1", "stranger").await?;
    shop.gated.refuses(&reference).await?;
    let asked = shop.proxy.asked();
    assert!(asked.is_empty(), "{asked:?}");
    Ok(())
}
