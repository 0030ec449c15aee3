//! Cases: what a policy is expected to say about images, judged on evidence that was recorded, for CI of policies.
//!
//! Nothing here asks a network. An image without recorded evidence is judged as one that its registry holds and nobody
//! signed.

mod case;
mod judge;

pub use case::{Case, CaseFile, Expected, Moment};
pub use judge::{CaseResult, JudgedRule, judge};
