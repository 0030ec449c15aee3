//! Protobuf wire format: a strict walker and a splice that replaces one field and keeps every other byte.
//!
//! containerd is lenient where attackers are inventive: it merges a repeated message field, lets the last of a repeated
//! string win, cuts field numbers to 32 bits and takes non-minimal varints (measured on 1.6.20). A reader that is
//! lenient in another way sees another image in the same bytes. So a gated request is first *validated*
//! ([`validate`]): at every level that the gate reads
//!
//! - tags and lengths are minimal varints, field numbers lie in `1..=2^29-1`, there are no groups and no reserved
//!   wire types, and every field ends inside its message;
//! - a field that the gate knows has its own wire type, is given at most once unless it is a repeated one, is valid
//!   UTF-8 if it is a string and a minimal varint in range if it is a number.
//!
//! What passes is unambiguous: there is no second occurrence to merge or to prefer, no alternative spelling of a tag
//! and no boundary to disagree about, so any protobuf decoder reads the same values. Fields that the gate does not
//! know stay opaque and pass. Nothing here recurses except into message fields that a [`Schema`] names.
//!
//! ```
//! use portcullis_proto::cri::{PullImageRequest, path};
//! use portcullis_proto::wire;
//!
//! let message = b"\x0a\x0a\x0a\x08nginx:10";
//! let request = PullImageRequest::read(message)?;
//! assert_eq!(request.image.unwrap().image, "nginx:10");
//!
//! let pinned = wire::replace(message, path::PULL_IMAGE, b"nginx@sha256:00")?;
//! assert_eq!(pinned, &b"\x0a\x11\x0a\x0fnginx@sha256:00"[..]);
//! # Ok::<(), wire::WireError>(())
//! ```

mod schema;
mod splice;
mod walk;

pub use schema::{Field, Kind, Schema, strict, validate};
pub use splice::{Step, replace, replace_at};

/// Largest field number there is (protobuf encoding guide): 2^29 - 1.
pub const MAX_FIELD_NUMBER: u32 = (1 << 29) - 1;

/// Messages inside messages that [`validate`] follows. The deepest a gated request needs is 5
/// (`CreateContainerRequest.config.mounts.image.annotations`).
pub const MAX_DEPTH: usize = 8;

/// Elements of repeated fields and maps that [`validate`] lets one request have, all together. An element of two bytes
/// on the wire takes a hundred times that in memory; a pod's annotations, 256 KiB at most, stay far below this.
pub const MAX_ELEMENTS: usize = 1 << 18;

/// Why a request is refused, and where. The text is what the client sees; nothing of the request is quoted in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("portcullis: malformed request: {at}: {defect}")]
pub struct WireError {
    /// Message name and field names from the outside inwards, such as `PullImageRequest.image.image`.
    pub at: String,
    /// What is wrong there.
    pub defect: Defect,
}

impl WireError {
    /// The gRPC status the client gets with the text.
    pub fn code(&self) -> i32 {
        crate::code::INVALID_ARGUMENT
    }

    /// The same error, seen from one level further out.
    fn inside(mut self, outer: &str) -> Self {
        if !self.at.is_empty() {
            self.at.insert(0, '.');
        }
        self.at.insert_str(0, outer);
        self
    }
}

impl From<Defect> for WireError {
    /// An error of the message at hand: its place is added on the way out.
    fn from(defect: Defect) -> Self {
        Self {
            at: String::new(),
            defect,
        }
    }
}

/// What can be wrong with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Defect {
    /// A field goes on behind the end of its message.
    #[error("truncated field")]
    Truncated,
    /// A varint of more than 64 bits.
    #[error("varint of more than 64 bits")]
    VarintTooLong,
    /// A tag, a length or a value that the gate reads has trailing zero groups.
    #[error("varint with more bytes than it needs")]
    VarintNotMinimal,
    /// Field number 0 or above [`MAX_FIELD_NUMBER`]. Go's decoders cut it to 32 bits, so (1<<32)|1 is field 1 to them.
    #[error("field number {0} is not allowed")]
    FieldNumber(u64),
    /// Wire types 3 and 4, which proto3 does not have.
    #[error("field {0} is a group")]
    Group(u32),
    /// Wire types 6 and 7, which nothing has.
    #[error("field {0} has the reserved wire type {1}")]
    ReservedWireType(u32, u8),
    /// A field that the gate knows has a wire type that is not its own.
    #[error("wrong wire type")]
    WrongWireType,
    /// A field that may be given once is given twice: decoders merge, or take the last.
    #[error("given more than once")]
    Repeated,
    /// A string is not UTF-8: Go's gogo decoders take it, others do not.
    #[error("not valid UTF-8")]
    NotUtf8,
    /// A number outside the range of its type: decoders cut it.
    #[error("number out of range")]
    OutOfRange,
    /// More than [`MAX_DEPTH`] messages inside each other.
    #[error("messages nested too deeply")]
    TooDeep,
    /// More than [`MAX_ELEMENTS`] elements of repeated fields.
    #[error("too many elements")]
    TooMany,
    /// The decoder refuses what validation allowed. Not known to happen.
    #[error("cannot be decoded")]
    Undecodable,
    /// The field to be replaced is not there.
    #[error("not given")]
    Absent,
}
