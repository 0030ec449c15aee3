//! The gate between the kubelet and containerd: proxy, registry and notary clients, containerd client, evidence
//! store, policy loading, telemetry, command line. Everything that performs I/O lives here.

pub mod admin;
pub mod cli;
pub mod clock;
pub mod config;
pub mod containerd;
pub mod gate;
pub mod intercept;
pub mod notary;
pub mod policy;
pub mod proxy;
pub mod registry;
pub mod signatures;
pub mod store;
pub mod telemetry;
