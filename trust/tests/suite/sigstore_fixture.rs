//! What the sigstore tests share: fixtures of the real cosign, and requirements written by hand.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use portcullis_policy::model::{
    CertificateIdentity, CosignRequirement, Demand, KeyMaterial, SigstoreSigner, SigstoreSigners,
    TextMatch, TrustedRootSource,
};
use portcullis_policy::{Digest, ImageReference};
use portcullis_trust::Timestamp;
use portcullis_trust::evidence::Artefact;
use portcullis_trust::finding::{Refused, Verified};
use portcullis_trust::sigstore::CosignVerifier;

use crate::common::{span, time};

pub(crate) const IDENTITY: &str =
    "https://git.example.test/org/app/.github/workflows/release.yml@refs/tags/v1";
pub(crate) const ISSUER: &str = "https://issuer.example.test";

pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/sigstore")
        .join(name)
}

pub(crate) fn read(name: &str) -> Vec<u8> {
    fs::read(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// After everything was signed, and long after every keyless certificate was over.
pub(crate) fn now() -> Timestamp {
    time("2027-06-01T00:00:00Z")
}

pub(crate) fn app() -> Digest {
    image("app")
}

pub(crate) fn image(name: &str) -> Digest {
    let digests: BTreeMap<String, String> = serde_json::from_slice(&read("digests.json")).unwrap();
    digests[name].parse().unwrap()
}

/// What cosign left in the registry.
pub(crate) fn case(name: &str) -> Vec<Artefact> {
    serde_json::from_slice(&read(&format!("cases/{name}.json"))).unwrap()
}

pub(crate) fn material(name: &str, bytes: Vec<u8>) -> KeyMaterial {
    KeyMaterial {
        bytes,
        name: name.to_owned(),
        span: span(),
    }
}

pub(crate) fn key(name: &str) -> SigstoreSigner {
    let name = format!("keys/{name}");
    SigstoreSigner::Key(material(&name, read(&name)))
}

pub(crate) fn exact(identity: &str, issuer: &str) -> SigstoreSigner {
    by(
        TextMatch::Exact(identity.to_owned()),
        TextMatch::Exact(issuer.to_owned()),
    )
}

pub(crate) fn by(identity: TextMatch, issuer: TextMatch) -> SigstoreSigner {
    SigstoreSigner::Identity(CertificateIdentity {
        identity,
        issuer,
        span: span(),
    })
}

/// Any one of these, without logs, against the fixtures' own trusted root.
pub(crate) fn offline(of: Vec<SigstoreSigner>) -> SigstoreSigners {
    SigstoreSigners {
        of,
        threshold: 1,
        transparency_log: Demand::Ignore,
        signed_certificate_timestamp: Demand::Ignore,
        trusted_root: root("trusted_root.json"),
    }
}

pub(crate) fn root(name: &str) -> TrustedRootSource {
    let name = format!("pki/{name}");
    TrustedRootSource::Json(material(&name, read(&name)))
}

pub(crate) fn requirement(signers: SigstoreSigners) -> CosignRequirement {
    CosignRequirement {
        signers,
        annotations: BTreeMap::new(),
        identity: None,
        span: span(),
    }
}

pub(crate) fn verify_as(
    requirement: &CosignRequirement,
    reference: &str,
    artefacts: &[Artefact],
) -> Result<Vec<Verified>, Refused> {
    let verifier = CosignVerifier::compile(requirement).unwrap();
    let artefacts: Vec<&Artefact> = artefacts.iter().collect();
    let reference = ImageReference::parse(reference).unwrap();
    verifier.verify(&reference, &app(), &artefacts, now())
}

pub(crate) fn verify(
    signers: SigstoreSigners,
    artefacts: &[Artefact],
) -> Result<Vec<Verified>, Refused> {
    verify_as(
        &requirement(signers),
        "registry.example.com/shop/app:1",
        artefacts,
    )
}

/// Who signed, in the words of findings.
pub(crate) fn names(result: Result<Vec<Verified>, Refused>) -> Vec<String> {
    match result {
        Ok(found) => found.into_iter().map(|one| one.signer).collect(),
        Err(refused) => panic!("{}", refused.clause()),
    }
}

/// Why not.
pub(crate) fn clause(result: Result<Vec<Verified>, Refused>) -> String {
    result.unwrap_err().clause()
}
