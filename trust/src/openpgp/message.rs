//! The message: one signature with its literal data, perhaps compressed once. Nothing here is verified.
//!
//! gpg writes, for skopeo, podman and others, a compressed packet that holds a one-pass signature packet, the literal
//! data and the signature (RFC 9580, 10.3); older programs wrote the signature before the data. Everything else that is a
//! message by that grammar is refused, as is anything that is left over.

use std::io::Read as _;

use pgp::packet::{CompressedData, Packet, Signature, SignatureType};
use pgp::types::Tag;

use super::error::SimpleError;
use super::packets::{FrameError, frame, is_short};

/// Largest message, as it comes: what containers/image reads of one.
pub(super) const MAX_MESSAGE: usize = 4 << 20;
/// Largest message decompressed: a statement has some hundred bytes, and a small message can be made to grow a thousandfold.
const MAX_DECOMPRESSED: usize = 256 << 10;
/// Most packets on one level: a message has three.
const MAX_PACKETS: usize = 8;
/// Largest signature packet, in bytes: its many small parts take a hundred times that when they are read.
const MAX_SIGNATURE: usize = 64 << 10;
/// What containers/image writes before a Sigstore signature.
const SIGSTORE: &[u8] = b"\0sigstore-json\n";

/// A signature and what it is over.
#[derive(Debug)]
pub(super) struct SignedMessage {
    pub(super) content: Vec<u8>,
    pub(super) signature: Signature,
}

impl SignedMessage {
    /// Takes a message apart.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, SimpleError> {
        if bytes.len() > MAX_MESSAGE {
            return Err(SimpleError::TooLarge { limit: MAX_MESSAGE });
        }
        if bytes.starts_with(SIGSTORE) {
            return Err(SimpleError::Sigstore);
        }
        let text = bytes.trim_ascii_start();
        if text.starts_with(b"-----BEGIN PGP SIGNED MESSAGE-----") {
            return Err(SimpleError::Cleartext);
        }
        if text.starts_with(b"-----BEGIN PGP ") {
            return Err(SimpleError::Armoured);
        }
        let packets = packets(bytes)?;
        let [Packet::CompressedData(data)] = packets.as_slice() else {
            return signed(packets);
        };
        let packets = self::packets(&decompressed(data)?)?;
        if packets
            .iter()
            .any(|one| matches!(one, Packet::CompressedData(_)))
        {
            return Err(SimpleError::NestedCompression);
        }
        signed(packets)
    }
}

fn packets(bytes: &[u8]) -> Result<Vec<Packet>, SimpleError> {
    let framed = frame(bytes, MAX_PACKETS, |header| match header.tag() {
        Tag::LiteralData | Tag::CompressedData => true,
        Tag::Signature | Tag::OnePassSignature => is_short(header, MAX_SIGNATURE),
        _ => false,
    });
    framed
        .map_err(|error| match error {
            FrameError::Refused(
                Tag::PublicKeyEncryptedSessionKey
                | Tag::SymKeyEncryptedSessionKey
                | Tag::SymEncryptedData
                | Tag::SymEncryptedProtectedData
                | Tag::GnupgAeadData,
            ) => SimpleError::Encrypted,
            FrameError::Broken | FrameError::Refused(Tag::Signature | Tag::OnePassSignature) => {
                SimpleError::Malformed
            }
            FrameError::TooMany | FrameError::Refused(_) => SimpleError::Structure,
        })?
        .into_iter()
        .map(|one| one.packet.ok_or(SimpleError::Malformed))
        .collect()
}

/// At most [`MAX_DECOMPRESSED`] bytes, with nothing behind the compressed ones.
fn decompressed(data: &CompressedData) -> Result<Vec<u8>, SimpleError> {
    let mut reader = data.decompress().map_err(|_| SimpleError::Compression)?;
    let mut out = Vec::new();
    let limit = u64::try_from(MAX_DECOMPRESSED)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    reader
        .by_ref()
        .take(limit)
        .read_to_end(&mut out)
        .map_err(|_| SimpleError::Malformed)?;
    if out.len() > MAX_DECOMPRESSED {
        return Err(SimpleError::TooLarge {
            limit: MAX_DECOMPRESSED,
        });
    }
    if !reader.get_ref().is_empty() {
        return Err(SimpleError::Malformed);
    }
    Ok(out)
}

/// The one signature of `packets` and the literal data.
fn signed(packets: Vec<Packet>) -> Result<SignedMessage, SimpleError> {
    let signatures = packets
        .iter()
        .filter(|one| matches!(one, Packet::Signature(_) | Packet::OnePassSignature(_)))
        .count();
    let (signature, literal) = match <[Packet; 3]>::try_from(packets) {
        Ok(
            [
                Packet::OnePassSignature(announced),
                Packet::LiteralData(literal),
                Packet::Signature(signature),
            ],
        ) => {
            if !announced.matches(&signature) {
                return Err(SimpleError::Malformed);
            }
            (signature, literal)
        }
        Ok(_) if signatures > 2 => return Err(SimpleError::SeveralSignatures),
        Ok(_) => return Err(SimpleError::Structure),
        Err(packets) => match <[Packet; 2]>::try_from(packets) {
            Ok([Packet::Signature(signature), Packet::LiteralData(literal)]) => {
                (signature, literal)
            }
            Ok(_) => return Err(SimpleError::Structure),
            Err(packets) => {
                return Err(match packets.as_slice() {
                    [Packet::Signature(_)] => SimpleError::Detached,
                    _ if signatures > 1 => SimpleError::SeveralSignatures,
                    _ => SimpleError::Structure,
                });
            }
        },
    };
    if !literal.is_binary() || signature.typ() != Some(SignatureType::Binary) {
        return Err(SimpleError::Text);
    }
    Ok(SignedMessage {
        content: literal.into_bytes().to_vec(),
        signature,
    })
}
