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
mod np_revocation;
mod np_timestamp;
mod sigstore_attacks;
mod sigstore_fixture;
mod sigstore_keyless;
mod sigstore_keys;
mod sigstore_threshold;
mod np_common;
mod np_verdicts;
mod openpgp_gpg;
mod openpgp_keys;
mod openpgp_messages;
