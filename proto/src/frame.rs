//! gRPC message frames: one flag byte, a big-endian length, the message (grpc/grpc `doc/PROTOCOL-HTTP2.md`).

use bytes::{BufMut, Bytes, BytesMut};

/// Largest gated message in bytes: containerd's own limit (16 MiB both ways).
pub const MAX_MESSAGE: usize = 16 * 1024 * 1024;

/// Bytes before the message: the flag and the length.
pub const HEADER: usize = 5;

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

impl FrameError {
    /// The gRPC status the client gets with the text: one of [`crate::code`].
    pub fn code(&self) -> i32 {
        match self {
            Self::Compressed => crate::code::UNIMPLEMENTED,
            Self::TooLarge(_) => crate::code::RESOURCE_EXHAUSTED,
            Self::Flag(_) | Self::Truncated | Self::Trailing => crate::code::INVALID_ARGUMENT,
        }
    }
}

/// The one message of a complete unary request body, without copying it.
///
/// The flag is judged before the length and the length before what follows, so that a body which is still arriving
/// can be refused from its first five bytes with the same error.
///
/// containerd ignores a second message and trailing bytes; here they are refused, because another reader of the same
/// body may not ignore them.
///
/// # Errors
/// [`FrameError`] for anything but exactly one uncompressed message.
pub fn single(body: Bytes) -> Result<Bytes, FrameError> {
    match body.first() {
        None => return Err(FrameError::Truncated),
        Some(0) => {}
        Some(1) => return Err(FrameError::Compressed),
        Some(&flag) => return Err(FrameError::Flag(flag)),
    }
    let Some(&[_, a, b, c, d]) = body.first_chunk::<HEADER>() else {
        return Err(FrameError::Truncated);
    };
    let announced = u32::from_be_bytes([a, b, c, d]);
    let length = match usize::try_from(announced) {
        Ok(length) if length <= MAX_MESSAGE => length,
        _ => return Err(FrameError::TooLarge(announced.into())),
    };
    let mut message = body;
    let _header = message.split_to(HEADER);
    match message.len().cmp(&length) {
        std::cmp::Ordering::Less => Err(FrameError::Truncated),
        std::cmp::Ordering::Equal => Ok(message),
        std::cmp::Ordering::Greater => Err(FrameError::Trailing),
    }
}

/// Frames one uncompressed message.
///
/// A message of 4 GiB or more cannot be framed: it gets the largest length there is, which every receiver refuses.
pub fn encode(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(message.len().saturating_add(HEADER));
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(message);
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code;

    fn refused(body: &[u8]) -> FrameError {
        single(Bytes::copy_from_slice(body)).unwrap_err()
    }

    /// A header that announces `length` bytes.
    fn header(flag: u8, length: u32) -> Vec<u8> {
        [&[flag][..], &length.to_be_bytes()].concat()
    }

    #[test]
    fn one_message_is_returned_whole() {
        for message in [&b""[..], b"x", b"\x0a\x03abc"] {
            assert_eq!(single(encode(message)).unwrap(), message);
        }
    }

    #[test]
    fn message_is_not_copied() {
        let body = encode(b"message");
        let start = body.as_ptr().addr();
        assert_eq!(single(body).unwrap().as_ptr().addr(), start + HEADER);
    }

    #[test]
    fn frame_is_flag_zero_and_big_endian_length() {
        assert_eq!(encode(&[7; 258])[..6], [0, 0, 0, 1, 2, 7]);
    }

    #[test]
    fn second_message_is_refused() {
        let body = [encode(b"first"), encode(b"second")].concat();
        assert_eq!(refused(&body), FrameError::Trailing);
    }

    #[test]
    fn trailing_bytes_are_refused() {
        for tail in [&[0][..], &[0, 0, 0], &[1, 2, 3]] {
            assert_eq!(
                refused(&[&encode(b"message")[..], tail].concat()),
                FrameError::Trailing
            );
        }
    }

    #[test]
    fn truncated_message_is_refused_at_every_length() {
        let body = encode(b"message");
        for length in 0..body.len() {
            assert_eq!(refused(&body[..length]), FrameError::Truncated, "{length}");
        }
    }

    #[test]
    fn gzip_flag_is_refused_before_anything_else_is_looked_at() {
        for body in [
            vec![1],
            header(1, 0),
            header(1, u32::MAX),
            [header(1, 1), vec![0; 9]].concat(),
        ] {
            assert_eq!(refused(&body), FrameError::Compressed);
        }
        assert_eq!(FrameError::Compressed.code(), code::UNIMPLEMENTED);
    }

    #[test]
    fn unknown_flag_is_refused() {
        for flag in 2..=u8::MAX {
            assert_eq!(refused(&header(flag, 0)), FrameError::Flag(flag));
        }
        assert_eq!(FrameError::Flag(2).code(), code::INVALID_ARGUMENT);
    }

    #[test]
    fn oversize_message_is_refused_from_its_header_alone() {
        assert_eq!(
            refused(&header(0, 16 * 1024 * 1024 + 1)),
            FrameError::TooLarge(16_777_217)
        );
        assert_eq!(
            refused(&header(0, u32::MAX)),
            FrameError::TooLarge(4_294_967_295)
        );
        assert_eq!(FrameError::TooLarge(0).code(), code::RESOURCE_EXHAUSTED);
    }

    #[test]
    fn message_of_exactly_the_limit_passes() {
        let message = vec![0; MAX_MESSAGE];
        assert_eq!(single(encode(&message)).unwrap().len(), MAX_MESSAGE);
    }

    #[test]
    fn limit_in_the_error_text_is_the_limit() {
        assert!(
            FrameError::TooLarge(0)
                .to_string()
                .ends_with(&MAX_MESSAGE.to_string())
        );
    }
}
