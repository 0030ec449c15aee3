//! What the fuzz targets share: the parsers and verifiers as functions of bytes, the same that `trust/tests/suite/no_panic.rs`
//! runs without a fuzzer, and those of crates it does not see.

#[path = "../../trust/tests/suite/hostile/mod.rs"]
pub mod hostile;

/// CRI messages and gRPC frames.
pub mod wire;

pub use hostile::run;
