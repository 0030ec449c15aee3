//! What is read only once a signature is good: statements that a trusted signer signed, whatever is in them, and conditions.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_policy::model::{
    AttestationRequirement, CelExpression, CosignRequirement, SigstoreSigner, TextMatch,
    VulnerabilityLimits, VulnerabilitySeverity,
};
use portcullis_policy::{Digest, ImageReference, Span};
use portcullis_trust::attestation::AttestationVerifier;
use portcullis_trust::evidence::{Artefact, ArtefactKind};
use portcullis_trust::sigstore::CosignVerifier;

use super::seeds::{list, material, read};
use super::sigstore::{attestations, now, offline};
use super::{Seed, Target};

const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
const KINDS: [&str; 6] = [
    "https://slsa.dev/provenance/v1",
    "https://slsa.dev/provenance/v0.2",
    "https://cosign.sigstore.dev/attestation/vuln/v1",
    "https://in-toto.io/attestation/vulns/v0.2",
    "https://cyclonedx.org/bom",
    "https://spdx.dev/Document",
];

struct Signer {
    pair: EcdsaKeyPair,
    statements: Vec<AttestationVerifier>,
    cosign: CosignVerifier,
}

fn public(pair: &EcdsaKeyPair) -> SigstoreSigner {
    // SubjectPublicKeyInfo of a P-256 key is a fixed prefix and the point.
    let prefix = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
        0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
    ];
    let der = [&prefix[..], pair.public_key().as_ref()].concat();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        STANDARD.encode(der)
    );
    SigstoreSigner::Key(material("key", pem.into_bytes()))
}

/// With every condition that looks at a statement.
fn conditions(kind: &str, signer: SigstoreSigner) -> AttestationRequirement {
    let any = || Some(TextMatch::Exact("https://example.com/builder".to_owned()));
    let mut requirement = attestations(offline(vec![signer]), kind);
    if kind.contains("provenance") {
        requirement.builder = any();
        requirement.source = any();
        requirement.reference = Some(TextMatch::Exact("refs/heads/main".to_owned()));
    }
    if kind.contains("vuln") {
        requirement.vulnerabilities = Some(VulnerabilityLimits {
            max_severity: VulnerabilitySeverity::Low,
            allow_cves: vec!["CVE-2024-0001".to_owned()],
            max_scan_age: Some(Duration::from_hours(1)),
        });
    }
    requirement.max_age = Some(Duration::from_hours(1));
    requirement
}

static SIGNER: LazyLock<Signer> = LazyLock::new(|| {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let plain = KINDS
        .iter()
        .map(|kind| attestations(offline(vec![public(&pair)]), kind));
    let strict = KINDS.iter().map(|kind| conditions(kind, public(&pair)));
    let with_cel = KINDS.iter().map(|kind| AttestationRequirement {
        cel: Some(expression(
            "predicate.buildDefinition.buildType == 'x' || size(statement.subject) > 1",
        )),
        ..attestations(offline(vec![public(&pair)]), kind)
    });
    let statements = plain
        .chain(strict)
        .chain(with_cel)
        // A condition that does not fit the type is refused when the policy is loaded.
        .filter_map(|requirement| AttestationVerifier::compile(&requirement).ok())
        .collect();
    let cosign = CosignVerifier::compile(&CosignRequirement {
        signers: offline(vec![public(&pair)]),
        annotations: BTreeMap::new(),
        identity: None,
        span: Span::nowhere(),
    })
    .unwrap();
    Signer {
        pair,
        statements,
        cosign,
    }
});

fn expression(text: &str) -> CelExpression {
    CelExpression {
        text: text.to_owned(),
        span: Span::nowhere(),
    }
}

fn sign(message: &[u8]) -> String {
    let signature = SIGNER.pair.sign(&SystemRandom::new(), message).unwrap();
    STANDARD.encode(signature.as_ref())
}

/// A DSSE envelope around `payload`.
fn envelope(payload: &[u8]) -> Artefact {
    let mut message = format!(
        "DSSEv1 {} {PAYLOAD_TYPE} {} ",
        PAYLOAD_TYPE.len(),
        payload.len()
    )
    .into_bytes();
    message.extend(payload);
    let json = serde_json::json!({
        "payloadType": PAYLOAD_TYPE,
        "payload": STANDARD.encode(payload),
        "signatures": [{"keyid": "", "sig": sign(&message)}],
    });
    Artefact {
        kind: ArtefactKind::CosignAttestation,
        bytes: serde_json::to_vec(&json).unwrap(),
        annotations: BTreeMap::new(),
    }
}

fn digest() -> Digest {
    String::from_utf8(read("attestation/digest"))
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}

/// The bytes are signed: as a statement, and as a simple-signing payload.
pub(super) const STATEMENT: Target = Target {
    name: "signed_statement",
    run: |bytes| {
        let statement = envelope(bytes);
        for verifier in &SIGNER.statements {
            let _ = verifier.verify(&digest(), &[&statement], now());
        }
        let signature = ("dev.cosignproject.cosign/signature".to_owned(), sign(bytes));
        let payload = Artefact {
            kind: ArtefactKind::CosignSignature,
            bytes: bytes.to_vec(),
            annotations: BTreeMap::from([signature]),
        };
        let image = ImageReference::parse("registry.example.com/shop/app:1").unwrap();
        let _ = SIGNER.cosign.verify(&image, &digest(), &[&payload], now());
        None
    },
    seeds: || {
        let mut seeds = Vec::new();
        for name in list("attestation/bundle", ".json") {
            let json: serde_json::Value = serde_json::from_slice(&read(&name)).unwrap();
            let payload = json["dsseEnvelope"]["payload"].as_str().unwrap();
            seeds.push(Seed::new(&name, STANDARD.decode(payload).unwrap()));
        }
        seeds.push(Seed::new(
            "simple",
            br#"{"critical":{"identity":{"docker-reference":"a"},"image":{"docker-manifest-digest":"sha256:00"},"type":"cosign container image signature"},"optional":null}"#.to_vec(),
        ));
        seeds
    },
};

/// The bytes are a condition.
pub(super) const CEL: Target = Target {
    name: "cel",
    run: |bytes| {
        static STATEMENT: LazyLock<Artefact> = LazyLock::new(|| {
            let json: serde_json::Value =
                serde_json::from_slice(&read("attestation/bundle/slsa1.json")).unwrap();
            let payload = json["dsseEnvelope"]["payload"].as_str().unwrap();
            envelope(&STANDARD.decode(payload).unwrap())
        });
        let text = std::str::from_utf8(bytes).ok()?;
        let requirement = AttestationRequirement {
            cel: Some(expression(text)),
            ..attestations(offline(vec![public(&SIGNER.pair)]), KINDS[0])
        };
        let verifier = AttestationVerifier::compile(&requirement).ok()?;
        let _ = verifier.verify(&digest(), &[&STATEMENT], now());
        None
    },
    seeds: || {
        [
            "predicate.runDetails.builder.id == 'https://example.com/builder'",
            "statement.subject.all(s, s.digest.sha256.matches('^[0-9a-f]{64}$'))",
            "[1,2,3].map(x, [1,2,3].map(y, x * y)).exists(l, l[0] > 2 && !(l[1] in [1]))",
            "size(predicate) > 0 ? true : duration('1h') < duration('2h')",
            "has(predicate.a.b) || timestamp('2026-01-01T00:00:00Z') < timestamp('2027-01-01T00:00:00Z')",
            "9223372036854775807 + 1 == 0 || 1 / 0 == 1 || -9223372036854775808 % -1 == 0",
        ]
        .map(|text| Seed::new(text, text.into()))
        .into()
    },
};
