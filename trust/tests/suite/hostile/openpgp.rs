//! OpenPGP messages and keyrings.

use std::sync::LazyLock;

use portcullis_policy::model::{SignatureStore, SignedIdentity, SimpleRequirement};
use portcullis_policy::{Digest, ImageReference, Span};
use portcullis_trust::Timestamp;
use portcullis_trust::openpgp::SimpleVerifier;

use super::seeds::{list, material, read};
use super::{Seed, Target, signers};

fn compile(rings: Vec<Vec<u8>>) -> Option<SimpleVerifier> {
    SimpleVerifier::compile(&SimpleRequirement {
        keys: rings
            .into_iter()
            .map(|ring| material("ring", ring))
            .collect(),
        identity: SignedIdentity::default(),
        store: SignatureStore::RegistryExtension,
        span: Span::nowhere(),
    })
    .ok()
}

static VERIFIER: LazyLock<SimpleVerifier> = LazyLock::new(|| {
    let rings = [
        "rsa", "ed", "p256", "p384", "p521", "dsa2048", "sub", "extended", "other",
    ];
    let rings = rings
        .iter()
        .map(|ring| read(&format!("openpgp/keys/{ring}.asc")))
        .collect();
    compile(rings).unwrap()
});

fn judge(verifier: &SimpleVerifier, message: &[u8]) -> Option<String> {
    let image = ImageReference::parse("registry.example.com/shop/app:v1.0").unwrap();
    let now = Timestamp::parse("2026-06-01T12:00:00Z").unwrap();
    let digest = Digest::of(b"v1.0");
    let verified = verifier.verify_one(&image, &digest, message, now).ok()?;
    Some(format!(
        "{} {:?}",
        signers(std::slice::from_ref(&verified)),
        verified.signed_at
    ))
}

pub(super) const MESSAGE: Target = Target {
    name: "openpgp_message",
    run: |bytes| judge(&VERIFIER, bytes),
    seeds: || {
        list("openpgp/signatures", "")
            .iter()
            .map(|name| Seed::file(name))
            .collect()
    },
};

pub(super) const KEYRING: Target = Target {
    name: "openpgp_keyring",
    run: |bytes| {
        let verifier = compile(vec![bytes.to_vec()])?;
        for message in ["rsa", "ed", "sub"] {
            judge(&verifier, &read(&format!("openpgp/signatures/{message}")));
        }
        None
    },
    seeds: || {
        list("openpgp/keys", "")
            .iter()
            .map(|name| Seed::file(name))
            .collect()
    },
};
