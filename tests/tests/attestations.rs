//! Attestations of the real cosign: what they must say, by whom, and until when.

use anyhow::{Context, Result};
use portcullis_tests::kubelet::Pod;
use portcullis_tests::node::{pinned, tagged};
use portcullis_tests::shop::{REPOSITORY, Shop, hours_ago};
use portcullis_tests::signers::Format;
use portcullis_tests::transplant::transplant;
use serde_json::{Value, json};

const BUILDER: &str = "https://builder.example.com/v1";
const SOURCE: &str = "https://git.example.com/shop/app";

/// SLSA provenance 1.
fn provenance(builder: &str, source: &str) -> Value {
    json!({
        "buildDefinition": {
            "buildType": "https://builder.example.com/type/v1",
            "externalParameters": {"workflow": {"ref": "refs/heads/main", "repository": source}},
        },
        "runDetails": {"builder": {"id": builder}},
    })
}

/// What cosign calls `vuln`, with a report as Trivy writes it.
fn report(hours: i64, found: &[(&str, &str)]) -> Value {
    let found: Vec<Value> = found
        .iter()
        .map(|(id, severity)| json!({"VulnerabilityID": id, "PkgName": "libc6", "Severity": severity}))
        .collect();
    let result = json!({
        "SchemaVersion": 2, "ArtifactName": "app",
        "Results": [{"Target": "app", "Vulnerabilities": found}],
    });
    let time = hours_ago(hours);
    json!({
        "invocation": {"parameters": [], "uri": "", "event_id": "", "builder.id": ""},
        "scanner": {"uri": "pkg:github/aquasecurity/trivy@0.67.0", "version": "0.67.0", "db": {"uri": "", "version": ""},
            "result": result},
        "metadata": {"scanStartedOn": time, "scanFinishedOn": time},
    })
}

/// A gate that asks for an attestation by the key `builder`; `more` is asked of it beside the type.
async fn open(test: &str, kind: &str, more: &Value) -> Result<Option<Shop>> {
    let Some(mut shop) = Shop::prepare(test, &["builder", "mallory"]).await? else {
        return Ok(None);
    };
    let requirement = asked(&shop, kind, more)?;
    shop.require(&json!({"attestations": requirement}))?;
    Ok(Some(shop))
}

fn asked(shop: &Shop, kind: &str, more: &Value) -> Result<Value> {
    let keys = shop.keys("builder")?;
    let mut asked = json!({"predicateType": kind, "keys": keys, "transparencyLog": "ignore"});
    for (name, value) in more.as_object().context("no mapping")? {
        asked[name] = value.clone();
    }
    Ok(asked)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn provenance_of_the_right_builder_and_source_runs_and_of_others_is_refused() -> Result<()> {
    let name =
        "attestations::provenance_of_the_right_builder_and_source_runs_and_of_others_is_refused";
    let more = json!({"builder": BUILDER, "source": {"glob": "https://git.example.com/shop/*"}});
    let Some(shop) = open(name, "slsaprovenance1", &more).await? else {
        return Ok(());
    };
    for (format, word) in [(Format::Bundle, "bundle"), (Format::Legacy, "legacy")] {
        let attested = async |tag: &str, key, builder, source| -> Result<String> {
            let tag = format!("{word}-{tag}");
            let image = shop.push(&tag).await?;
            let predicate = provenance(builder, source);
            shop.attest(key, format, &image, "slsaprovenance1", &predicate)?;
            Ok(tagged(REPOSITORY, &tag))
        };
        let good = attested("good", "builder", BUILDER, SOURCE).await?;
        let output = shop.gated.runs(&good).await?;
        assert_eq!(output, format!("marker={word}-good uid=0"));

        let elsewhere = "https://mallory.example/builder";
        let other = attested("builder", "builder", elsewhere, SOURCE).await?;
        let message = shop.gated.refuses(&other).await?;
        let why = format!("its builder is {elsewhere}, not {BUILDER}");
        assert!(message.contains(&why), "{message}");

        let fork = "https://git.example.com/mallory/app";
        let other = attested("source", "builder", BUILDER, fork).await?;
        let message = shop.gated.refuses(&other).await?;
        assert!(
            message.contains(&format!("its source is {fork}")),
            "{message}"
        );

        let forged = attested("forged", "mallory", BUILDER, SOURCE).await?;
        let message = shop.gated.refuses(&forged).await?;
        assert!(message.contains("not signed by a listed key"), "{message}");
    }
    shop.push("none").await?;
    let message = shop.gated.refuses(&tagged(REPOSITORY, "none")).await?;
    assert!(message.contains("none was found"), "{message}");
    shop.gated.assert_digest_only()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn provenance_for_one_digest_is_none_for_another() -> Result<()> {
    let name = "attestations::provenance_for_one_digest_is_none_for_another";
    let Some(shop) = open(name, "slsaprovenance1", &json!({"builder": BUILDER})).await? else {
        return Ok(());
    };
    let image = shop.push("1").await?;
    let predicate = provenance(BUILDER, SOURCE);
    for format in Format::ALL {
        shop.attest("builder", format, &image, "slsaprovenance1", &predicate)?;
    }
    let moved = shop.push("2").await?;
    let registry = &shop.gated.node.registry;
    let transplanted = transplant(registry, REPOSITORY, &image, &moved).await?;
    assert_eq!(transplanted, Format::ALL.len());
    let message = shop.gated.refuses(&tagged(REPOSITORY, "2")).await?;
    assert!(message.contains("about another"), "{message}");
    shop.gated.runs(&tagged(REPOSITORY, "1")).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_of_another_type_does_not_count_whatever_it_says() -> Result<()> {
    let name = "attestations::a_statement_of_another_type_does_not_count_whatever_it_says";
    let Some(shop) = open(name, "slsaprovenance1", &json!({})).await? else {
        return Ok(());
    };
    for (format, tag) in [(Format::Bundle, "bundle"), (Format::Legacy, "legacy")] {
        let image = shop.push(tag).await?;
        let predicate = provenance(BUILDER, SOURCE);
        let other = "https://slsa.dev/provenance/v1.evil";
        shop.attest("builder", format, &image, other, &predicate)?;
        // A signature is a statement too, of yet another type.
        shop.sign("builder", format, &image)?;
        let message = shop.gated.refuses(&tagged(REPOSITORY, tag)).await?;
        assert!(message.contains("another type"), "{message}");
        shop.attest("builder", format, &image, "slsaprovenance1", &predicate)?;
        shop.gated.runs(&pinned(REPOSITORY, &image)).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vulnerabilities_over_the_limit_are_refused_by_name_unless_they_are_allowed() -> Result<()>
{
    let name =
        "attestations::vulnerabilities_over_the_limit_are_refused_by_name_unless_they_are_allowed";
    let more =
        json!({"vulnerabilities": {"maxSeverity": "medium", "allowCVEs": ["CVE-2026-0002"]}});
    let Some(shop) = open(name, "vuln", &more).await? else {
        return Ok(());
    };
    for (format, word) in [(Format::Bundle, "bundle"), (Format::Legacy, "legacy")] {
        let scanned = async |tag: &str, found: &[(&str, &str)]| -> Result<String> {
            let tag = format!("{word}-{tag}");
            let image = shop.push(&tag).await?;
            shop.attest("builder", format, &image, "vuln", &report(1, found))?;
            Ok(tagged(REPOSITORY, &tag))
        };
        let clean = scanned("clean", &[("CVE-2026-0001", "MEDIUM")]).await?;
        shop.gated.runs(&clean).await?;
        let allowed = scanned("allowed", &[("CVE-2026-0002", "CRITICAL")]).await?;
        shop.gated.runs(&allowed).await?;
        let both = [("CVE-2026-0002", "CRITICAL"), ("CVE-2026-0003", "HIGH")];
        let bad = scanned("bad", &both).await?;
        let message = shop.gated.refuses(&bad).await?;
        assert!(message.contains("CVE-2026-0003 (high)"), "{message}");
        assert!(!message.contains("CVE-2026-0002"), "{message}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_clean_report_does_not_overrule_a_newer_one_and_a_newer_one_does() -> Result<()> {
    let name =
        "attestations::an_older_clean_report_does_not_overrule_a_newer_one_and_a_newer_one_does";
    let more = json!({"vulnerabilities": {"maxSeverity": "medium"}});
    let Some(shop) = open(name, "vuln", &more).await? else {
        return Ok(());
    };
    let image = shop.push("1").await?;
    let scanned = |format, hours, found: &[(&str, &str)]| -> Result<()> {
        shop.attest("builder", format, &image, "vuln", &report(hours, found))
    };
    scanned(Format::Bundle, 3, &[])?;
    scanned(Format::Legacy, 3, &[])?;
    scanned(Format::Bundle, 2, &[("CVE-2026-0003", "HIGH")])?;
    // The same clean report once more, after it: what counts is when the scan was, not when it was pushed.
    scanned(Format::Bundle, 3, &[("CVE-2026-0001", "LOW")])?;
    let message = shop.gated.refuses(&tagged(REPOSITORY, "1")).await?;
    assert!(message.contains("CVE-2026-0003"), "{message}");
    assert!(message.contains("newer report"), "{message}");
    scanned(Format::Bundle, 1, &[])?;
    shop.gated.runs(&pinned(REPOSITORY, &image)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_nobody_scans_any_more_stops_starting() -> Result<()> {
    let name = "attestations::an_image_that_nobody_scans_any_more_stops_starting";
    let more = json!({"vulnerabilities": {"maxSeverity": "medium", "maxScanAge": "7d"}});
    let Some(mut shop) = open(name, "vuln", &more).await? else {
        return Ok(());
    };
    let image = shop.push("1").await?;
    shop.attest("builder", Format::Bundle, &image, "vuln", &report(1, &[]))?;
    let mut kubelet = shop.gated.kubelet().await?;
    let pod = Pod::new("shop", &tagged(REPOSITORY, "1"));
    let mut running = kubelet.run_pod(&pod).await?;
    shop.gated.cut_network()?;
    for (days, starts) in [(6, true), (8, false)] {
        shop.gated.shim.clock_ahead(days);
        shop.gated.shim.restart()?;
        let mut kubelet = shop.gated.kubelet().await?;
        let again = kubelet.restart_container(&pod, &running).await;
        if starts {
            running = again?;
            continue;
        }
        let error = again.err().context("it ran with a scan of 8 days ago")?;
        assert!(error.message.contains("more than 7d ago"), "{error}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expression_over_the_predicate_decides() -> Result<()> {
    let name = "attestations::an_expression_over_the_predicate_decides";
    let kind = "https://example.com/review/v1";
    let cel = "predicate.approved == true && size(predicate.reviewers) >= 2";
    let Some(shop) = open(name, kind, &json!({"cel": cel})).await? else {
        return Ok(());
    };
    for (format, word) in [(Format::Bundle, "bundle"), (Format::Legacy, "legacy")] {
        let reviewed = async |tag: &str, predicate: Value| -> Result<String> {
            let tag = format!("{word}-{tag}");
            let image = shop.push(&tag).await?;
            shop.attest("builder", format, &image, kind, &predicate)?;
            Ok(tagged(REPOSITORY, &tag))
        };
        let two = json!({"approved": true, "reviewers": ["alice", "bob"]});
        shop.gated.runs(&reviewed("two", two).await?).await?;
        let one = json!({"approved": true, "reviewers": ["alice"]});
        let message = shop.gated.refuses(&reviewed("one", one).await?).await?;
        assert!(message.contains("is false"), "{message}");
        let odd = json!({"approved": true});
        let message = shop.gated.refuses(&reviewed("odd", odd).await?).await?;
        assert!(message.contains("does not have"), "{message}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signature_and_provenance_are_both_needed_where_both_are_asked_for() -> Result<()> {
    let name = "attestations::signature_and_provenance_are_both_needed_where_both_are_asked_for";
    let Some(mut shop) = Shop::prepare(name, &["builder", "release"]).await? else {
        return Ok(());
    };
    let signed = json!({"keys": shop.keys("release")?, "transparencyLog": "ignore"});
    let attested = asked(&shop, "slsaprovenance1", &json!({"builder": BUILDER}))?;
    shop.require(&json!({"allOf": [{"cosign": signed}, {"attestations": attested}]}))?;
    let predicate = provenance(BUILDER, SOURCE);
    for (format, word) in [(Format::Bundle, "bundle"), (Format::Legacy, "legacy")] {
        let (signed, attested) = (format!("{word}-signed"), format!("{word}-attested"));
        let image = shop.push(&signed).await?;
        shop.sign("release", format, &image)?;
        shop.gated.refuses(&tagged(REPOSITORY, &signed)).await?;
        // The one who signs is not the one who builds.
        shop.attest("release", format, &image, "slsaprovenance1", &predicate)?;
        shop.gated.refuses(&pinned(REPOSITORY, &image)).await?;

        let image = shop.push(&attested).await?;
        shop.attest("builder", format, &image, "slsaprovenance1", &predicate)?;
        shop.gated.refuses(&tagged(REPOSITORY, &attested)).await?;
        shop.sign("release", format, &image)?;
        shop.gated.runs(&pinned(REPOSITORY, &image)).await?;
    }
    Ok(())
}
