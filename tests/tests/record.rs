//! `check --record` on a node, and `policy test` on what it wrote: the same answers, with the node and its network gone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context, Result};
use portcullis_tests::gated::Gated;
use portcullis_tests::image::Recipe;
use portcullis_tests::node::{pinned, tagged};
use portcullis_tests::shop::{REPOSITORY, Shop, hours_ago};
use portcullis_tests::signers::Format;
use serde_json::{Value, json};

/// `check --record` of these images, which says this about all of them together.
fn record(gated: &Gated, images: &[&str], exit: i32) -> Result<PathBuf> {
    let folder = gated.node.subdir("recorded")?;
    let evidence = folder.join("evidence").display().to_string();
    let mut arguments = vec!["check", "-n", "shop", "--record", &evidence];
    arguments.extend(images);
    let output = gated.shim.command(&arguments)?;
    assert_eq!(output.status.code(), Some(exit), "{output:?}");
    let files = fs::read_dir(&evidence)?.count();
    assert_eq!(files, images.len(), "one file for each image");
    Ok(folder)
}

/// `policy test` of these cases in namespace shop, each an image, what is expected, and more fields.
fn test(
    gated: &Gated,
    folder: &Path,
    policy: &Path,
    cases: &[(&str, &str, Value)],
) -> Result<Output> {
    let cases: Vec<Value> = cases
        .iter()
        .map(|(image, expected, more)| {
            let mut case = json!({"namespace": "shop", "image": image, "expect": expected});
            for (name, value) in more.as_object().into_iter().flatten() {
                case[name] = value.clone();
            }
            case
        })
        .collect();
    // JSON is YAML.
    let file = folder.join("cases.yaml");
    let document = json!({"evidence": ["evidence/*.json"], "cases": cases});
    fs::write(&file, document.to_string())?;
    let (file, policy) = (file.display().to_string(), policy.display().to_string());
    let arguments = [
        "policy", "test", "--output", "json", &file, "--policy", &policy,
    ];
    gated.shim.command(&arguments)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_check_recorded_is_judged_the_same_elsewhere() -> Result<()> {
    let name = "record::what_check_recorded_is_judged_the_same_elsewhere";
    let Some(mut shop) = Shop::prepare(name, &["shop", "scanner", "mallory"]).await? else {
        return Ok(());
    };
    let label = "com.example.team";
    let signed = json!({"keys": shop.keys("shop")?, "transparencyLog": "ignore"});
    let scanned = json!({
        "predicateType": "vuln", "keys": shop.keys("scanner")?, "transparencyLog": "ignore",
        "vulnerabilities": {"maxSeverity": "low", "maxScanAge": "7d"},
    });
    let described = json!({"match": {label: "shop"}});
    shop.require(&json!({"allOf": [
        {"cosign": signed}, {"attestations": scanned}, {"annotations": described},
    ]}))?;
    let scan = json!({
        "invocation": {"parameters": [], "uri": "", "event_id": "", "builder.id": ""},
        "scanner": {"uri": "", "version": "", "db": {"uri": "", "version": ""},
            "result": {"SchemaVersion": 2, "ArtifactName": "app", "Results": []}},
        "metadata": {"scanStartedOn": hours_ago(1), "scanFinishedOn": hours_ago(1)},
    });
    let mut references = Vec::new();
    for (tag, key, team, format) in [
        ("good", "shop", "shop", Format::Bundle),
        ("legacy", "shop", "shop", Format::Legacy),
        ("forged", "mallory", "shop", Format::Bundle),
        ("foreign", "shop", "search", Format::Bundle),
    ] {
        let recipe = Recipe::new(tag).label(label, team).multi_platform();
        let image = shop.push_as(tag, &recipe).await?;
        shop.sign(key, format, &image)?;
        shop.attest("scanner", format, &image, "vuln", &scan)?;
        references.push((tagged(REPOSITORY, tag), pinned(REPOSITORY, &image)));
    }
    let tags: Vec<&str> = references.iter().map(|(tag, _)| tag.as_str()).collect();
    let folder = record(&shop.gated, &tags, 1)?;
    shop.gated.cut_network()?;
    shop.gated.shim.stop()?;

    let [good, legacy, forged, foreign] = references.as_slice() else {
        anyhow::bail!("four images");
    };
    let none = json!({});
    let cases = [
        (good.0.as_str(), "allow", none.clone()),
        // Under its digest too.
        (&good.1, "allow", none.clone()),
        (&legacy.0, "allow", none.clone()),
        (
            &forged.0,
            "deny",
            json!({"denial": "not signed by a listed key"}),
        ),
        (&foreign.0, "deny", json!({"denial": label})),
        // Nothing was recorded for it.
        ("registry.example.com/shop/app:never", "deny", none.clone()),
        // Nobody has scanned it for a year.
        (
            &good.0,
            "deny",
            json!({"now": "2099-01-01T00:00:00Z", "denial": "more than 7d ago"}),
        ),
    ];
    let policy = shop.gated.policy_dir();
    let output = test(&shop.gated, &folder, &policy, &cases)?;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(report["cases"], cases.len(), "{report}");

    // The same cases by a policy that believes another key: whoever changes it hears what changes.
    let text = fs::read_to_string(policy.join("policy.yaml"))?;
    let key = |name| Ok::<_, anyhow::Error>(json!(shop.cosign.public_key(name)?).to_string());
    let other = folder.join("other.yaml");
    fs::write(&other, text.replace(&key("shop")?, &key("mallory")?))?;
    let output = test(&shop.gated, &folder, &other, &cases)?;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let results = report["results"].as_array().context("no results")?;
    let holds: Vec<bool> = results.iter().map(|one| one["ok"] == true).collect();
    assert_eq!(
        holds,
        [false, false, false, false, true, true, true],
        "{report}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recorded_evidence_that_was_changed_proves_nothing() -> Result<()> {
    let name = "record::recorded_evidence_that_was_changed_proves_nothing";
    let Some(mut shop) = Shop::prepare(name, &["shop"]).await? else {
        return Ok(());
    };
    let signed = json!({"keys": shop.keys("shop")?, "transparencyLog": "ignore"});
    shop.require(&json!({"cosign": signed}))?;
    let good = shop.push("good").await?;
    shop.sign("shop", Format::Bundle, &good)?;
    let evil = shop.push("evil").await?;
    let folder = record(&shop.gated, &[&tagged(REPOSITORY, "good")], 0)?;
    let evidence = fs::read_dir(folder.join("evidence"))?;
    let file = evidence.flatten().next().context("no evidence")?.path();
    let text = fs::read_to_string(&file)?;
    assert!(text.contains(good.digest()));
    // The same signature, said to be for another image.
    fs::write(&file, text.replace(good.digest(), evil.digest()))?;
    let cases = [(&*pinned(REPOSITORY, &evil), "deny", json!({}))];
    let policy = shop.gated.policy_dir();
    let output = test(&shop.gated, &folder, &policy, &cases)?;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    Ok(())
}
