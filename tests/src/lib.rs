//! The end-to-end harness: real containerd, registry, notary and containers, all on loopback and in temporary
//! directories, with a kubelet that speaks CRI as the real one does.
//!
//! Everything started here is stopped by its own process id. Nothing here may be used by the daemon.

pub mod certified;
pub mod containerd;
pub mod daemon;
pub mod front;
pub mod gated;
pub mod http;
pub mod image;
pub mod kubelet;
pub mod liar;
pub mod lookaside;
pub mod narrate;
pub mod node;
pub mod notary;
pub mod pki;
pub mod policy;
pub mod raw;
pub mod referrers;
pub mod registry;
pub mod scratch;
pub mod shim;
pub mod shop;
pub mod signers;
pub mod skip;
pub mod tap;
pub mod tokens;
pub mod transplant;
pub mod tsa;
pub mod world;
