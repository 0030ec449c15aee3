//! What the fuzz targets share: the parsers and verifiers as functions of bytes, the same that `trust/tests/suite/no_panic.rs`
//! runs without a fuzzer, and those of crates it does not see.

#[path = "../../trust/tests/suite/hostile/mod.rs"]
pub mod hostile;

/// CRI messages and gRPC frames.
pub mod wire;

/// Runs the target `name` on `bytes`.
///
/// # Panics
/// If there is no such target; or the target panics: that is a finding.
pub fn run(name: &str, bytes: &[u8]) {
    let target = hostile::TARGETS.iter().find(|target| target.name == name);
    let _ = (target.expect("the target is in the list").run)(bytes);
}
