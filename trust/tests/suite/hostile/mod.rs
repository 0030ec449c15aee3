//! Every parser and verifier of bytes from outside as a function of bytes, with fixtures to begin from: for the test that
//! nothing panics, and for the fuzzer (`fuzz/`).

#![allow(unreachable_pub, reason = "the fuzz targets are another crate")]

mod description;
mod documents;
mod notary;
mod notation;
mod openpgp;
mod revocation;
mod seeds;
mod signed;
mod sigstore;

use portcullis_trust::finding::Verified;

pub use seeds::Seed;

/// A function of bytes from outside.
pub struct Target {
    /// The name of the fuzz target.
    pub name: &'static str,
    /// What the bytes prove: who signed what. `None`: nothing.
    pub run: fn(&[u8]) -> Option<String>,
    /// Bytes to begin from.
    pub seeds: fn() -> Vec<Seed>,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    description::DESCRIPTION,
    documents::REFERENCE,
    documents::POLICY,
    notary::METADATA,
    sigstore::BUNDLE,
    sigstore::LEGACY,
    sigstore::LEGACY_ANNOTATIONS,
    sigstore::ATTESTATION,
    sigstore::LEGACY_ATTESTATION,
    signed::STATEMENT,
    signed::CEL,
    notation::JWS,
    notation::COSE,
    revocation::TIMESTAMP,
    revocation::CRL,
    revocation::OCSP,
    revocation::CHAIN,
    openpgp::MESSAGE,
    openpgp::KEYRING,
];

/// Who signed, without what is not signed.
fn signers(verified: &[Verified]) -> String {
    let names: Vec<&str> = verified.iter().map(|one| one.signer.as_str()).collect();
    names.join(", ")
}
