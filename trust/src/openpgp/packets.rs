//! Packets in a row, with nothing between and nothing behind them.
//!
//! `pgp` stops silently at a header that is cut off; here that is an error.

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
}

/// All packets of `bytes`, at most `max`.
pub(super) fn frame(bytes: &[u8], max: usize) -> Result<Vec<Framed>, FrameError> {
    let mut rest = bytes;
    let mut framed = Vec::new();
    while !rest.is_empty() {
        if framed.len() == max {
            return Err(FrameError::TooMany);
        }
        let header = PacketHeader::try_from_reader(rest).map_err(|_| FrameError::Broken)?;
        let before = rest.len();
        let parsed = PacketParser::new(&mut rest).next();
        if rest.len() >= before {
            return Err(FrameError::Broken);
        }
        framed.push(Framed {
            tag: header.tag(),
            packet: parsed.ok_or(FrameError::Broken)?.ok(),
        });
    }
    Ok(framed)
}
