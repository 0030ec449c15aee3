//! Tests that this machine cannot run: counted and named, never silent.

use std::fs::OpenOptions;
use std::io::Write as _;

use crate::containerd::Generation;

/// Where skipped tests are noted, if `make test` asks for it: one line each, `test: reason`.
const LIST: &str = "PORTCULLIS_SKIPPED";

/// Notes that `test` was skipped.
pub fn skipped(test: &str, reason: &str) {
    println!("SKIPPED {test}: {reason}");
    let Some(path) = std::env::var_os(LIST) else {
        return;
    };
    if let Ok(mut file) = OpenOptions::new().create(true).append(true).open(path) {
        let _ = writeln!(file, "{test}: {reason}");
    }
}

/// The generations that this machine can run; the others are noted as skipped for `test`. Debian's own must be there.
///
/// # Errors
/// When the machine lacks what every Debian 12 can install.
pub fn generations(test: &str) -> anyhow::Result<Vec<Generation>> {
    let mut able = Vec::new();
    for generation in Generation::ALL {
        match generation.binaries() {
            Ok(_) => able.push(generation),
            Err(reason) if generation == Generation::Two => skipped(test, &reason),
            Err(reason) => anyhow::bail!(reason),
        }
    }
    Ok(able)
}

/// A signer that this machine may lack: without it `test` is noted as skipped.
pub fn signer<S>(test: &str, found: Result<S, String>) -> Option<S> {
    found.map_err(|reason| skipped(test, &reason)).ok()
}
