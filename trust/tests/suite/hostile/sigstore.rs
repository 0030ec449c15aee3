//! Bundles and legacy signatures of cosign, and attestations in both formats.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use portcullis_policy::model::{
    AttestationRequirement, CertificateIdentity, CosignRequirement, Demand, SigstoreSigner,
    SigstoreSigners, TextMatch, TrustedRootSource,
};
use portcullis_policy::{Digest, ImageReference, Span};
use portcullis_trust::Timestamp;
use portcullis_trust::attestation::AttestationVerifier;
use portcullis_trust::evidence::{Artefact, ArtefactKind};
use portcullis_trust::sigstore::CosignVerifier;
use serde_json::Value;

use super::seeds::{list, material, read};
use super::{Seed, Target, signers};

pub(super) fn key(file: &str) -> SigstoreSigner {
    SigstoreSigner::Key(material(file, read(file)))
}

pub(super) fn offline(of: Vec<SigstoreSigner>) -> SigstoreSigners {
    let root = "sigstore/pki/trusted_root.json";
    SigstoreSigners {
        of,
        threshold: 1,
        transparency_log: Demand::Ignore,
        signed_certificate_timestamp: Demand::Ignore,
        trusted_root: TrustedRootSource::Json(material(root, read(root))),
    }
}

pub(super) fn now() -> Timestamp {
    Timestamp::parse("2027-06-01T00:00:00Z").unwrap()
}

pub(super) fn attestations(signers: SigstoreSigners, kind: &str) -> AttestationRequirement {
    AttestationRequirement {
        predicate_type: kind.to_owned(),
        signers,
        builder: None,
        source: None,
        reference: None,
        max_age: None,
        vulnerabilities: None,
        cel: None,
        span: Span::nowhere(),
    }
}

static COSIGN: LazyLock<CosignVerifier> = LazyLock::new(|| {
    let anyone = SigstoreSigner::Identity(CertificateIdentity {
        identity: TextMatch::Exact(
            "https://git.example.test/org/app/.github/workflows/release.yml@refs/tags/v1"
                .to_owned(),
        ),
        issuer: TextMatch::Exact("https://issuer.example.test".to_owned()),
        span: Span::nowhere(),
    });
    let keys = ["p256", "p384", "p521", "ed25519", "rsa2048"];
    let mut of: Vec<SigstoreSigner> = keys
        .iter()
        .map(|name| key(&format!("sigstore/keys/{name}.pub")))
        .collect();
    of.push(anyone);
    CosignVerifier::compile(&CosignRequirement {
        signers: offline(of),
        annotations: BTreeMap::new(),
        identity: None,
        span: Span::nowhere(),
    })
    .unwrap()
});

static APP: LazyLock<Digest> = LazyLock::new(|| {
    let digests: BTreeMap<String, String> =
        serde_json::from_slice(&read("sigstore/digests.json")).unwrap();
    digests["app"].parse().unwrap()
});

fn judge(artefact: &Artefact) -> Option<String> {
    let image = ImageReference::parse("registry.example.com/shop/app:1").unwrap();
    let verified = COSIGN.verify(&image, &APP, &[artefact], now()).ok()?;
    Some(signers(&verified))
}

/// The artefacts of `kind` that cosign left in the registry, by case.
fn artefacts(kind: ArtefactKind) -> Vec<(String, Artefact)> {
    let mut out = Vec::new();
    for name in list("sigstore/cases", ".json") {
        let found: Vec<Artefact> = serde_json::from_slice(&read(&name)).unwrap();
        let found = found.into_iter().filter(|artefact| artefact.kind == kind);
        out.extend(found.map(|artefact| (name.clone(), artefact)));
    }
    out
}

/// The field of a JSON document, as it stands there.
fn field(bytes: &[u8], path: &[&str]) -> Option<Vec<u8>> {
    let json: Value = serde_json::from_slice(bytes).ok()?;
    let found = path.iter().try_fold(&json, |json, key| json.get(*key))?;
    Some(found.as_str()?.as_bytes().to_vec())
}

fn with_payload(seed: Seed, path: &[&str]) -> Seed {
    let signed = field(&seed.bytes, path).into_iter().collect();
    seed.with_signed(signed)
}

pub(super) const BUNDLE: Target = Target {
    name: "cosign_bundle",
    run: |bytes| {
        judge(&Artefact {
            kind: ArtefactKind::SigstoreBundle,
            bytes: bytes.to_vec(),
            annotations: BTreeMap::new(),
        })
    },
    seeds: || {
        artefacts(ArtefactKind::SigstoreBundle)
            .into_iter()
            .map(|(name, artefact)| {
                with_payload(
                    Seed::new(&name, artefact.bytes),
                    &["dsseEnvelope", "payload"],
                )
            })
            .collect()
    },
};

static LEGACY_ARTEFACTS: LazyLock<Vec<(String, Artefact)>> =
    LazyLock::new(|| artefacts(ArtefactKind::CosignSignature));

/// Under the annotations of each signature there is.
pub(super) const LEGACY: Target = Target {
    name: "cosign_legacy",
    run: |bytes| {
        let mut found = Vec::new();
        for (_, artefact) in LEGACY_ARTEFACTS.iter() {
            let mut artefact = artefact.clone();
            artefact.bytes = bytes.to_vec();
            found.extend(judge(&artefact));
        }
        (!found.is_empty()).then(|| found.join("; "))
    },
    seeds: || {
        LEGACY_ARTEFACTS
            .iter()
            .map(|(name, artefact)| {
                let whole = artefact.bytes.clone();
                Seed::new(name, whole.clone()).with_signed(vec![whole])
            })
            .collect()
    },
};

/// As each annotation in turn.
pub(super) const LEGACY_ANNOTATIONS: Target = Target {
    name: "cosign_legacy_annotations",
    run: |bytes| {
        let text = String::from_utf8_lossy(bytes);
        for (_, artefact) in LEGACY_ARTEFACTS.iter() {
            for name in artefact.annotations.keys() {
                let mut artefact = artefact.clone();
                artefact
                    .annotations
                    .insert(name.clone(), text.clone().into_owned());
                let _ = judge(&artefact);
            }
        }
        None
    },
    seeds: || {
        let mut seeds: Vec<Seed> = LEGACY_ARTEFACTS
            .iter()
            .flat_map(|(name, artefact)| {
                let value = |value: &String| Seed::new(name, value.clone().into_bytes());
                artefact.annotations.values().map(value)
            })
            .collect();
        seeds.sort_by(|a, b| a.bytes.cmp(&b.bytes));
        seeds.dedup_by(|a, b| a.bytes == b.bytes);
        seeds
    },
};

const PREDICATES: [&str; 4] = [
    "https://slsa.dev/provenance/v1",
    "https://slsa.dev/provenance/v0.2",
    "https://cosign.sigstore.dev/attestation/vuln/v1",
    "https://cyclonedx.org/bom",
];

static ATTESTATIONS: LazyLock<Vec<AttestationVerifier>> = LazyLock::new(|| {
    let verifier = |kind: &&str| {
        let keys = ["builder", "scanner"];
        let of = keys.map(|name| key(&format!("attestation/keys/{name}.pub")));
        AttestationVerifier::compile(&attestations(offline(of.into()), kind)).unwrap()
    };
    PREDICATES.iter().map(verifier).collect()
});

fn attested(kind: ArtefactKind, bytes: &[u8]) -> Option<String> {
    let digest: Digest = String::from_utf8(read("attestation/digest"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let artefact = Artefact {
        kind,
        bytes: bytes.to_vec(),
        annotations: BTreeMap::new(),
    };
    let found: Vec<String> = ATTESTATIONS
        .iter()
        .zip(PREDICATES)
        .filter_map(|(verifier, kind)| {
            let verified = verifier.verify(&digest, &[&artefact], now()).ok()?;
            Some(format!("{kind} by {}", signers(&verified)))
        })
        .collect();
    (!found.is_empty()).then(|| found.join("; "))
}

pub(super) const ATTESTATION: Target = Target {
    name: "attestation_bundle",
    run: |bytes| attested(ArtefactKind::SigstoreBundle, bytes),
    seeds: || {
        list("attestation/bundle", ".json")
            .iter()
            .map(|name| with_payload(Seed::file(name), &["dsseEnvelope", "payload"]))
            .collect()
    },
};

pub(super) const LEGACY_ATTESTATION: Target = Target {
    name: "attestation_legacy",
    run: |bytes| attested(ArtefactKind::CosignAttestation, bytes),
    seeds: || {
        list("attestation/legacy", ".json")
            .iter()
            .filter(|name| !name.ends_with(".annotations.json"))
            .map(|name| with_payload(Seed::file(name), &["payload"]))
            .collect()
    },
};
