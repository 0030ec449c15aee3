//! Policy documents, compiled into one model; image references, parsed and matched.
//!
//! Nothing here performs I/O: the loader takes file names and bytes and returns a [`PolicySet`] or the
//! diagnostics that refuse it. This crate must never decide about a signature: keys and identities stay raw
//! bytes here and are parsed by `portcullis-trust`.

pub mod bootstrap;
pub mod convert;
pub mod digest;
mod fields;
mod glob;
pub mod load;
pub mod model;
pub mod pattern;
pub mod reference;
mod report;
pub mod select;
pub mod span;
mod yaml;

pub use digest::Digest;
pub use model::PolicySet;
pub use reference::ImageReference;
pub use span::{Diagnostic, Severity, Span};
