//! The real signers: cosign, notation, GnuPG. Each has a home of its own and touches no other.

mod cosign;
mod keyless;
mod notation;
mod openpgp;

use std::path::PathBuf;

pub use cosign::{Cosign, Format};
pub use keyless::Keyless;
pub use notation::{Envelope, Notation};
pub use openpgp::OpenPgp;

/// What is signed: a digest in a repository of the registry at a loopback port.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The registry's port.
    pub port: u16,
    /// The repository, without a host.
    pub repository: &'a str,
    /// `sha256:<hex>`.
    pub digest: &'a str,
}

impl Subject<'_> {
    fn reference(&self) -> String {
        format!(
            "127.0.0.1:{}/{}@{}",
            self.port, self.repository, self.digest
        )
    }
}

/// A tool that tests/setup.sh unpacks; the reason, if it could not.
fn peer(tool: &str) -> Result<PathBuf, String> {
    let path = crate::containerd::peers().join("usr/bin").join(tool);
    if path.exists() {
        Ok(path)
    } else {
        Err(format!("no {tool}: tests/setup.sh could not get one"))
    }
}
