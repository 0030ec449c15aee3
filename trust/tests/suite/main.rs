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
mod np_attributes;
mod np_chain;
mod np_common;
mod np_envelopes;
mod np_identity;
mod np_levels;
mod np_stores;
mod np_verdicts;
