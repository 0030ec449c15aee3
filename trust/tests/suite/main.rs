//! The tests of this crate's public face: one attack each for the Notary verifier, and the decision.

mod common;
mod compile_keys;
mod decide_matching;
mod decide_requirements;
mod decide_texts;
mod laws;
mod notary_delegates;
mod notary_good;
mod notary_keys;
mod notary_limits;
mod notary_rollback;
mod notary_roots;
mod notary_tampering;
mod sigstore_attacks;
mod sigstore_damage;
mod sigstore_fixture;
mod sigstore_forged;
mod sigstore_keyless;
mod sigstore_keys;
mod sigstore_log;
mod sigstore_proof;
mod sigstore_public;
mod sigstore_rekor;
mod sigstore_threshold;
