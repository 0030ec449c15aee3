//! The Container Runtime Interface as the gate sees it.
//!
//! [`method`] lists every RPC, [`wire`] reads and edits protobuf messages without losing a byte, [`frame`] reads
//! gRPC message frames, [`cri`] has the few messages the gate reads or sends. No I/O. This crate must never decide
//! anything about an image.

pub mod cri;
pub mod frame;
pub mod method;
pub mod wire;

/// gRPC status codes that the gate answers with (grpc/grpc `doc/statuscodes.md`).
pub mod code {
    /// Success.
    pub const OK: i32 = 0;
    /// Client cancelled.
    pub const CANCELLED: i32 = 1;
    /// Policy says no: the code for which the kubelet reads the text (cri-client strips the prefix only for it).
    pub const UNKNOWN: i32 = 2;
    /// A malformed gated request.
    pub const INVALID_ARGUMENT: i32 = 3;
    /// The client's deadline passed.
    pub const DEADLINE_EXCEEDED: i32 = 4;
    /// A container that containerd does not know.
    pub const NOT_FOUND: i32 = 5;
    /// A gated request larger than 16 MiB.
    pub const RESOURCE_EXHAUSTED: i32 = 8;
    /// A method outside the table, or a compressed gated request.
    pub const UNIMPLEMENTED: i32 = 12;
    /// The proxy itself is broken.
    pub const INTERNAL: i32 = 13;
    /// containerd is away.
    pub const UNAVAILABLE: i32 = 14;
}
