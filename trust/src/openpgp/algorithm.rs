//! Which keys are strong enough to sign at all.

use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::ser::Serialize as _;
use pgp::types::{EcdsaPublicParams, EddsaLegacyPublicParams, KeyDetails, PublicParams};

use super::error::KeyProblem;

/// Shortest RSA or DSA modulus, in bits.
const MIN_BITS: u16 = 2048;

/// Why no signature by `key` counts; `None`: it may.
pub(super) fn weakness(key: &impl KeyDetails) -> Option<KeyProblem> {
    let params = key.public_params();
    match (key.algorithm(), params) {
        (PublicKeyAlgorithm::RSA | PublicKeyAlgorithm::RSASign, PublicParams::RSA(_))
        | (PublicKeyAlgorithm::DSA, PublicParams::DSA(_)) => {
            let long = first_number(params).is_some_and(|bits| bits >= MIN_BITS);
            (!long).then_some(KeyProblem::Short)
        }
        (
            PublicKeyAlgorithm::ECDSA,
            PublicParams::ECDSA(
                EcdsaPublicParams::P256 { .. }
                | EcdsaPublicParams::P384 { .. }
                | EcdsaPublicParams::P521 { .. },
            ),
        )
        | (
            PublicKeyAlgorithm::EdDSALegacy,
            PublicParams::EdDSALegacy(EddsaLegacyPublicParams::Ed25519 { .. }),
        )
        | (PublicKeyAlgorithm::Ed25519, PublicParams::Ed25519(_)) => None,
        _ => Some(KeyProblem::Algorithm),
    }
}

/// Bits of the first number of RSA and DSA parameters, the modulus: what its encoding begins with (RFC 9580, 3.2).
fn first_number(params: &PublicParams) -> Option<u16> {
    let bytes = params.to_bytes().ok()?;
    bytes.first_chunk().copied().map(u16::from_be_bytes)
}
