//! gRPC message frames: one flag byte, a big-endian length, the message (grpc/grpc `doc/PROTOCOL-HTTP2.md`).

use bytes::Bytes;

/// Largest gated message in bytes: containerd's own limit (facts: 16 MiB both ways).
pub const MAX_MESSAGE: usize = 16 * 1024 * 1024;

/// Why a gated request body is refused. The text is what the client sees.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Compressed (flag 1): containerd answers UNIMPLEMENTED too.
    #[error("portcullis: compressed requests are not supported")]
    Compressed,
    /// Any other flag byte.
    #[error("portcullis: invalid gRPC frame flag {0}")]
    Flag(u8),
    /// Longer than [`MAX_MESSAGE`].
    #[error("portcullis: message of {0} bytes is larger than the limit of 16777216")]
    TooLarge(u64),
    /// Ends before the length it announces, or is empty.
    #[error("portcullis: truncated gRPC message")]
    Truncated,
    /// Bytes after the first message.
    #[error("portcullis: bytes after the request message")]
    Trailing,
}

/// The one message of a complete unary request body.
///
/// # Errors
/// [`FrameError`] for anything but exactly one uncompressed message.
pub fn single(_body: Bytes) -> Result<Bytes, FrameError> {
    todo!()
}

/// Frames one uncompressed message.
pub fn encode(_message: &[u8]) -> Bytes {
    todo!()
}
