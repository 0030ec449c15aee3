//! Vulnerability reports by the real cosign: what a node notices, and when.

use anyhow::{Context, Result};
use portcullis_tests::containerd::Generation;
use portcullis_tests::gated::Gated;
use portcullis_tests::image::Image;
use portcullis_tests::kubelet::{Pod, PullPolicy, Reason};
use portcullis_tests::node::{HOST, tagged};
use portcullis_tests::signers::{Cosign, Format, Subject};
use portcullis_tests::skip;
use serde_json::json;

const REPOSITORY: &str = "shop/app";

fn report(cosign: &Cosign, gated: &Gated, image: &Image, day: &str, severity: &str) -> Result<()> {
    let subject = Subject {
        port: gated.node.registry.port(),
        repository: REPOSITORY,
        digest: image.digest(),
    };
    let found =
        json!([{"Vulnerabilities": [{"VulnerabilityID": "CVE-2024-0001", "Severity": severity}]}]);
    let predicate = json!({
        "scanner": {"uri": "pkg:github/aquasecurity/trivy@0.67.0", "result": {"Results": found}},
        "metadata": {"scanFinishedOn": format!("2026-01-{day}T00:00:00Z")},
    });
    cosign.attest("scanner", Format::Bundle, subject, "vuln", &predicate)
}

async fn runs(gated: &Gated) -> Result<Option<Reason>> {
    let mut kubelet = gated.kubelet().await?;
    let pod = Pod::new("shop", &tagged(REPOSITORY, "1")).pulled(PullPolicy::Always);
    Ok(kubelet.run_pod(&pod).await.err().map(|error| error.reason))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_report_is_noticed_when_the_evidence_is_older_than_the_rule_allows() -> Result<()> {
    let test = "reports::a_newer_report_is_noticed_when_the_evidence_is_older_than_the_rule_allows";
    let Some(program) = skip::signer(test, Cosign::find()) else {
        return Ok(());
    };
    let mut gated = Gated::prepare(Generation::One).await?;
    let cosign = Cosign::new(program, &gated.node.subdir("cosign")?)?;
    cosign.key("scanner")?;
    let key = json!({"pem": cosign.public_key("scanner")?});
    gated.start(&format!(
        "apiVersion: portcullis.dev/v1\nkind: ImagePolicy\nmetadata: {{name: apps, namespace: shop}}\nspec:\n  repositories:\n  \
         - name: \"{HOST}/shop/*\"\n    maxEvidenceAge: 3d\n    policy: {{attestations: {{predicateType: vuln, keys: [{key}], \
         transparencyLog: ignore, vulnerabilities: {{maxSeverity: medium}}}}}}\n"
    ))?;
    let image = gated.push(REPOSITORY, "1", "scanned").await?;
    report(&cosign, &gated, &image, "01", "LOW")?;
    assert_eq!(runs(&gated).await?, None);

    report(&cosign, &gated, &image, "02", "CRITICAL")?;
    // What is stored is enough: nobody is asked.
    assert_eq!(runs(&gated).await?, None);

    gated.shim.stop()?;
    gated.shim.clock_ahead(4);
    gated.shim.start()?;
    let refused = runs(&gated)
        .await?
        .context("the newer report was not noticed")?;
    assert_eq!(refused, Reason::SignatureValidationFailed);
    gated.assert_digest_only()
}
