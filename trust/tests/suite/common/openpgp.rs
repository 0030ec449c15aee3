//! Simple signatures and keyrings of the fixtures.

use std::fs;
use std::path::{Path, PathBuf};

use portcullis_policy::model::{KeyMaterial, SignatureStore, SignedIdentity, SimpleRequirement};
use portcullis_policy::{Diagnostic, Digest, ImageReference};
use portcullis_trust::Timestamp;
use portcullis_trust::evidence::{Artefact, ArtefactKind};
use portcullis_trust::finding::Verified;
use portcullis_trust::openpgp::{SimpleError, SimpleVerifier};

use super::{digest_of, span, time};

/// What the fixtures are signatures for, unless their name says otherwise.
pub(crate) const IMAGE: &str = "registry.example.com/shop/app:v1.0";

/// Four months after the signatures were made.
pub(crate) fn summer() -> Timestamp {
    time("2026-06-01T12:00:00Z")
}

pub(crate) fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/openpgp")
        .join(name)
}

pub(crate) fn keyring(name: &str) -> Vec<u8> {
    fs::read(file("keys").join(name)).unwrap()
}

pub(crate) fn signature(name: &str) -> Vec<u8> {
    fs::read(file("signatures").join(name)).unwrap()
}

pub(crate) fn digest() -> Digest {
    digest_of("v1.0")
}

pub(crate) fn material(bytes: Vec<u8>) -> KeyMaterial {
    KeyMaterial {
        bytes,
        name: "keys/shop.asc".to_owned(),
        span: span(),
    }
}

pub(crate) fn requirement(keyrings: Vec<Vec<u8>>) -> SimpleRequirement {
    SimpleRequirement {
        keys: keyrings.into_iter().map(material).collect(),
        identity: SignedIdentity::default(),
        store: SignatureStore::RegistryExtension,
        span: span(),
    }
}

pub(crate) fn compile(keyring: Vec<u8>) -> Result<SimpleVerifier, Vec<Diagnostic>> {
    SimpleVerifier::compile(&requirement(vec![keyring]))
}

pub(crate) fn verifier(keyring: Vec<u8>) -> SimpleVerifier {
    compile(keyring).unwrap()
}

/// The verdict about the image of the fixtures.
pub(crate) fn judge(
    verifier: &SimpleVerifier,
    message: &[u8],
    now: Timestamp,
) -> Result<Verified, SimpleError> {
    let image = ImageReference::parse(IMAGE).unwrap();
    verifier.verify_one(&image, &digest(), message, now)
}

/// The verdict about a fixture, by its name and its keyring's.
pub(crate) fn judged(name: &str, ring: &str) -> Result<Verified, SimpleError> {
    judge(&verifier(keyring(ring)), &signature(name), summer())
}

pub(crate) fn artefact(bytes: Vec<u8>) -> Artefact {
    Artefact {
        kind: ArtefactKind::SimpleSigning,
        bytes,
        annotations: std::collections::BTreeMap::new(),
    }
}
