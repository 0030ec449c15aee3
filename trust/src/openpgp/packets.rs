//! Packets in a row, with nothing between and nothing behind them.
//!
//! `pgp` stops silently at a header that is cut off, and parses whatever it is given; here the first is an error, and a
//! body is parsed only if its header is admitted.

use pgp::packet::{Packet, PacketHeader, PacketParser};
use pgp::types::Tag;

/// A packet, or the tag of one whose body is not understood.
#[derive(Debug)]
pub(super) struct Framed {
    pub(super) tag: Tag,
    pub(super) packet: Option<Packet>,
}

/// Why bytes are not packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FrameError {
    TooMany,
    Broken,
    /// The first packet that was not admitted.
    Refused(Tag),
}

/// All packets of `bytes`, at most `max`, each admitted by its header.
pub(super) fn frame(
    bytes: &[u8],
    max: usize,
    admits: impl Fn(&PacketHeader) -> bool,
) -> Result<Vec<Framed>, FrameError> {
    let mut rest = bytes;
    let mut framed = Vec::new();
    while !rest.is_empty() {
        if framed.len() == max {
            return Err(FrameError::TooMany);
        }
        let header = PacketHeader::try_from_reader(rest).map_err(|_| FrameError::Broken)?;
        let tag = header.tag();
        if !admits(&header) {
            return Err(FrameError::Refused(tag));
        }
        let before = rest.len();
        let parsed = PacketParser::new(&mut rest).next();
        if rest.len() >= before {
            return Err(FrameError::Broken);
        }
        framed.push(Framed {
            tag,
            packet: parsed.ok_or(FrameError::Broken)?.ok(),
        });
    }
    Ok(framed)
}

/// Whether a packet states its length, and one of at most `limit` bytes.
pub(super) fn is_short(header: &PacketHeader, limit: usize) -> bool {
    header
        .packet_length()
        .maybe_len()
        .and_then(|length| usize::try_from(length).ok())
        .is_some_and(|length| length <= limit)
}
