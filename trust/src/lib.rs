//! Signature verification and the decision, pure: bytes, policy and a clock in, values out.
//!
//! No network, no disk, no global clock. [`compile`] turns a policy set into keys and identities, [`evidence`] is
//! what was gathered about an image, one module per signature system turns evidence into findings, and [`decide`]
//! puts them together.

pub mod annotations;
pub mod attestation;
pub mod cases;
pub mod compile;
pub mod decide;
pub mod evidence;
pub mod finding;
pub mod notary;
pub mod notation;
pub mod openpgp;
pub mod pattern;
pub mod sigstore;
mod strict_json;
pub mod time;

pub use compile::CompiledPolicy;
pub use decide::{Decision, Denial, DenialReason, Finding, Question};
pub use evidence::{Evidence, Origin, OriginSource};
pub use time::Timestamp;
