//! Attestations by the real cosign, in both of its formats (tests/fixtures/attestation/make.sh).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use portcullis_policy::Digest;
use portcullis_policy::model::{
    AttestationRequirement, CelExpression, Demand, KeyMaterial, SigstoreSigner, SigstoreSigners,
    TextMatch, TrustedRootSource, VulnerabilityLimits, VulnerabilitySeverity,
};
use portcullis_trust::attestation::AttestationVerifier;
use portcullis_trust::evidence::{Artefact, ArtefactKind};

use super::common::{now, span};

const SLSA1: &str = "https://slsa.dev/provenance/v1";
const SLSA02: &str = "https://slsa.dev/provenance/v0.2";
const VULN: &str = "https://cosign.sigstore.dev/attestation/vuln/v1";
const IN_TOTO: &str = "https://in-toto.io/attestation/vulns/v0.2";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/attestation")
        .join(name)
}

fn image() -> Digest {
    let text = fs::read_to_string(fixture("digest")).unwrap();
    text.trim().parse().unwrap()
}

fn bundle(name: &str) -> Artefact {
    Artefact {
        kind: ArtefactKind::SigstoreBundle,
        bytes: fs::read(fixture(&format!("bundle/{name}.json"))).unwrap(),
        annotations: BTreeMap::new(),
    }
}

fn legacy(name: &str) -> Artefact {
    let annotations = fs::read(fixture(&format!("legacy/{name}.annotations.json"))).unwrap();
    Artefact {
        kind: ArtefactKind::CosignAttestation,
        bytes: fs::read(fixture(&format!("legacy/{name}.json"))).unwrap(),
        annotations: serde_json::from_slice(&annotations).unwrap(),
    }
}

fn requirement(predicate_type: &str, keys: &[&str], threshold: usize) -> AttestationRequirement {
    let key = |name: &&str| {
        SigstoreSigner::Key(KeyMaterial {
            bytes: fs::read(fixture(&format!("keys/{name}.pub"))).unwrap(),
            name: format!("keys/{name}.pub"),
            span: span(),
        })
    };
    AttestationRequirement {
        predicate_type: predicate_type.to_owned(),
        signers: SigstoreSigners {
            of: keys.iter().map(key).collect(),
            threshold,
            transparency_log: Demand::Ignore,
            signed_certificate_timestamp: Demand::Ignore,
            trusted_root: TrustedRootSource::PublicGood,
        },
        builder: None,
        source: None,
        reference: None,
        max_age: None,
        vulnerabilities: None,
        cel: None,
        span: span(),
    }
}

fn verify(
    requirement: &AttestationRequirement,
    artefacts: &[&Artefact],
) -> Result<Vec<Vec<String>>, String> {
    AttestationVerifier::compile(requirement)
        .unwrap()
        .verify(&image(), artefacts, now())
        .map(|found| found.into_iter().map(|one| one.notes).collect())
        .map_err(|refused| refused.clause())
}

fn exact(text: &str) -> TextMatch {
    TextMatch::Exact(text.to_owned())
}

fn cel(text: &str) -> CelExpression {
    CelExpression {
        text: text.to_owned(),
        span: span(),
    }
}

fn limited(predicate_type: &str, max_severity: VulnerabilitySeverity) -> AttestationRequirement {
    AttestationRequirement {
        vulnerabilities: Some(VulnerabilityLimits {
            max_severity,
            allow_cves: Vec::new(),
            max_scan_age: Some(Duration::from_hours(48)),
        }),
        ..requirement(predicate_type, &["scanner"], 1)
    }
}

#[test]
fn provenance_of_the_real_cosign_counts_in_both_formats() {
    let v1 = AttestationRequirement {
        builder: Some(exact("https://builder.example.com/trusted@v1")),
        source: Some(exact("https://git.example.com/shop/app")),
        reference: Some(exact("refs/heads/main")),
        max_age: Some(Duration::from_hours(48)),
        cel: Some(cel(
            "predicate.buildDefinition.internalParameters.github.runner_environment == 'github-hosted'",
        )),
        ..requirement(SLSA1, &["builder"], 1)
    };
    let v02 = AttestationRequirement {
        builder: Some(exact("https://builder.example.com/trusted@v0")),
        source: Some(exact("https://git.example.com/shop/app")),
        reference: Some(TextMatch::Glob("refs/tags/v*".to_owned())),
        max_age: Some(Duration::from_hours(48)),
        cel: Some(cel(
            "predicate.materials.exists(m, m.uri.startsWith('pkg:docker/'))",
        )),
        ..requirement(SLSA02, &["builder"], 1)
    };
    for form in [bundle, legacy] {
        let found = verify(&v1, &[&form("slsa1")]).unwrap();
        let said = |text: &str| found[0].iter().any(|note| note == text);
        assert!(
            said("builder https://builder.example.com/trusted@v1"),
            "{found:?}"
        );
        assert!(said(
            "source https://git.example.com/shop/app at refs/heads/main"
        ));
        assert!(verify(&v02, &[&form("slsa02")]).is_ok());
        // Each is of its own type.
        assert!(verify(&v1, &[&form("slsa02")]).is_err());
        assert!(verify(&v02, &[&form("slsa1")]).is_err());
    }
}

#[test]
fn the_same_statement_by_a_stranger_does_not_count_and_does_not_hide_the_good_one() {
    let slsa1 = requirement(SLSA1, &["builder"], 1);
    let cel_true = AttestationRequirement {
        cel: Some(cel("true")),
        ..requirement(SLSA1, &["builder"], 1)
    };
    for form in [bundle, legacy] {
        let stranger = form("slsa1-stranger");
        assert!(verify(&slsa1, &[&stranger]).is_err());
        assert!(verify(&cel_true, &[&stranger]).is_err());
        assert!(verify(&slsa1, &[&stranger, &form("slsa1")]).is_ok());
    }
}

#[test]
fn a_threshold_counts_signers_and_not_formats() {
    let two = requirement(SLSA1, &["builder", "stranger"], 2);
    let (one, again) = (bundle("slsa1"), legacy("slsa1"));
    assert!(verify(&two, &[&one, &again]).is_err());
    let other = legacy("slsa1-stranger");
    assert_eq!(verify(&two, &[&one, &other]).unwrap().len(), 2);
}

#[test]
fn a_tampered_statement_does_not_count() {
    let slsa1 = requirement(SLSA1, &["builder"], 1);
    for form in [bundle, legacy] {
        let mut artefact = form("slsa1");
        let mut other = form("slsa02");
        for (name, from) in [("signatures", "slsa02"), ("payload", "slsa02")] {
            let mut document: serde_json::Value = serde_json::from_slice(&artefact.bytes).unwrap();
            let foreign: serde_json::Value = serde_json::from_slice(&form(from).bytes).unwrap();
            let path = if document.get("dsseEnvelope").is_some() {
                format!("/dsseEnvelope/{name}")
            } else {
                format!("/{name}")
            };
            *document.pointer_mut(&path).unwrap() = foreign.pointer(&path).unwrap().clone();
            other.bytes = document.to_string().into_bytes();
            assert!(verify(&slsa1, &[&other]).is_err(), "{name}");
        }
        artefact.bytes.truncate(artefact.bytes.len() / 2);
        assert!(verify(&slsa1, &[&artefact]).is_err());
    }
}

#[test]
fn reports_of_the_real_formats_are_judged() {
    use VulnerabilitySeverity::{High, Low, Medium};

    for form in [bundle, legacy] {
        for (name, kind, max, holds) in [
            ("trivy-clean", VULN, Low, true),
            ("trivy-critical", VULN, High, false),
            ("grype", VULN, Medium, true),
            ("grype", VULN, Low, false),
            ("in-toto-vulns", IN_TOTO, Medium, true),
            ("in-toto-vulns", IN_TOTO, Low, false),
        ] {
            let judged = verify(&limited(kind, max), &[&form(name)]);
            assert_eq!(judged.is_ok(), holds, "{name} {max:?}: {judged:?}");
        }
    }
}

#[test]
fn the_newest_report_decides_whatever_format_it_came_in() {
    let high = limited(VULN, VulnerabilitySeverity::High);
    let (clean, newer) = (bundle("trivy-clean"), legacy("trivy-critical"));
    assert!(verify(&high, &[&clean]).is_ok());
    for artefacts in [[&clean, &newer], [&newer, &clean]] {
        let found = verify(&high, &artefacts).unwrap_err();
        assert!(
            found.contains("CVE-2026-0002 (critical), above maxSeverity high"),
            "{found}"
        );
    }
    let mut allowing = high;
    if let Some(limits) = &mut allowing.vulnerabilities {
        limits.allow_cves.push("CVE-2026-0002".to_owned());
    }
    assert!(verify(&allowing, &[&clean, &newer]).is_ok());
}

#[test]
fn bills_of_materials_count_by_their_presence_and_age() {
    for (name, kind) in [
        ("spdx", "https://spdx.dev/Document"),
        ("cyclonedx", "https://cyclonedx.org/bom"),
    ] {
        for form in [bundle, legacy] {
            let aged = |hours| AttestationRequirement {
                max_age: Some(Duration::from_hours(hours)),
                ..requirement(kind, &["builder"], 1)
            };
            let artefact = form(name);
            assert!(verify(&requirement(kind, &["builder"], 1), &[&artefact]).is_ok());
            assert!(verify(&aged(25), &[&artefact]).is_ok());
            assert!(
                verify(&aged(23), &[&artefact])
                    .unwrap_err()
                    .contains("more than 23h ago")
            );
        }
    }
}

#[test]
fn an_spdx_document_that_is_text_counts_by_its_presence_alone() {
    let spdx = requirement("https://spdx.dev/Document", &["builder"], 1);
    let aged = AttestationRequirement {
        max_age: Some(Duration::from_hours(10_000)),
        ..requirement("https://spdx.dev/Document", &["builder"], 1)
    };
    for form in [bundle, legacy] {
        let artefact = form("spdx-tag-value");
        assert!(verify(&spdx, &[&artefact]).is_ok());
        let found = verify(&aged, &[&artefact]).unwrap_err();
        assert!(
            found.ends_with("it does not say when it was made"),
            "{found}"
        );
    }
}

#[test]
fn a_statement_about_another_image_does_not_count() {
    let verifier = AttestationVerifier::compile(&requirement(SLSA1, &["builder"], 1)).unwrap();
    let other = Digest::of(b"another image");
    for form in [bundle, legacy] {
        assert!(verifier.verify(&other, &[&form("slsa1")], now()).is_err());
    }
}
