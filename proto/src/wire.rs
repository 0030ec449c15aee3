//! Protobuf wire format: a strict walker and a splice that replaces one field and keeps every other byte.

use bytes::Bytes;

/// Why a message is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// See the text.
    #[error("portcullis: malformed request: {0}")]
    Malformed(String),
}

/// Replaces the bytes of the string or message field at `path` (field numbers from the outermost message inwards,
/// each length-delimited and present exactly once) and fixes the lengths around it. Every other byte stays.
///
/// # Errors
/// [`WireError`] if the path is absent, repeated, or anything on the way is not strictly encoded.
pub fn replace(_message: &[u8], _path: &[u32], _value: &[u8]) -> Result<Bytes, WireError> {
    todo!()
}
