//! The strict walker over the fields of one message. It allocates nothing and never looks inside a field.

use super::{Defect, MAX_FIELD_NUMBER};

/// Most bytes in a varint of 64 bits.
const MAX_VARINT: usize = 10;

/// One field as it stands in its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Item<'a> {
    pub(super) number: u32,
    pub(super) value: Value<'a>,
}

/// A field's value, by wire type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Varint(Varint),
    /// Fixed-size numbers: no field that the gate reads is one.
    Fixed,
    Delimited(Delimited<'a>),
}

/// A length-delimited value and what stands around it: `before`, length, `bytes`, `after` make up the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Delimited<'a> {
    /// The message up to and with the field's tag.
    pub(super) before: &'a [u8],
    /// The value.
    pub(super) bytes: &'a [u8],
    /// The message behind the field.
    pub(super) after: &'a [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Varint {
    pub(super) value: u64,
    /// No shorter encoding of the value exists.
    pub(super) minimal: bool,
}

/// The fields of a message in order. Ends after the first error.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    message: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self {
            message,
            rest: message,
        }
    }

    fn step(&mut self) -> Result<Item<'a>, Defect> {
        let (tag, rest) = minimal_varint(self.rest)?;
        let Ok(number @ 1..=MAX_FIELD_NUMBER) = u32::try_from(tag >> 3) else {
            return Err(Defect::FieldNumber(tag >> 3));
        };
        let (value, rest) = match tag & 7 {
            0 => varint(rest).map(|(varint, rest)| (Value::Varint(varint), rest))?,
            1 => (Value::Fixed, split(rest, 8)?.1),
            2 => {
                let (length, behind) = minimal_varint(rest)?;
                let before = self.message.len().saturating_sub(rest.len());
                let (before, _) = split(self.message, before)?;
                let length = usize::try_from(length).map_err(|_| Defect::Truncated)?;
                let (bytes, after) = split(behind, length)?;
                (
                    Value::Delimited(Delimited {
                        before,
                        bytes,
                        after,
                    }),
                    after,
                )
            }
            5 => (Value::Fixed, split(rest, 4)?.1),
            3 | 4 => return Err(Defect::Group(number)),
            reserved => {
                return Err(Defect::ReservedWireType(
                    number,
                    u8::try_from(reserved).unwrap_or(u8::MAX),
                ));
            }
        };
        self.rest = rest;
        Ok(Item { number, value })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Item<'a>, Defect>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let item = self.step();
        if item.is_err() {
            self.rest = &[];
        }
        Some(item)
    }
}

fn split(bytes: &[u8], at: usize) -> Result<(&[u8], &[u8]), Defect> {
    bytes.split_at_checked(at).ok_or(Defect::Truncated)
}

fn minimal_varint(bytes: &[u8]) -> Result<(u64, &[u8]), Defect> {
    match varint(bytes)? {
        (
            Varint {
                value,
                minimal: true,
            },
            rest,
        ) => Ok((value, rest)),
        _ => Err(Defect::VarintNotMinimal),
    }
}

/// The varint at the start of `bytes`, and the bytes behind it.
fn varint(bytes: &[u8]) -> Result<(Varint, &[u8]), Defect> {
    let mut value = 0_u64;
    let mut shift = 0_u32;
    let mut rest = bytes;
    while let Some((&byte, behind)) = rest.split_first() {
        // The tenth byte has room for one bit: gogo drops the others, prost refuses them.
        if shift > 63 || (shift == 63 && byte > 1) {
            return Err(Defect::VarintTooLong);
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok((
                Varint {
                    value,
                    minimal: byte != 0 || shift == 0,
                },
                behind,
            ));
        }
        shift += 7;
        rest = behind;
    }
    Err(Defect::Truncated)
}

/// The minimal varint of `value`, and how many of the bytes are it.
pub(super) fn encode_varint(value: usize) -> ([u8; MAX_VARINT], usize) {
    let mut bytes = [0; MAX_VARINT];
    let mut left = value;
    let mut used = 0;
    for byte in &mut bytes {
        used += 1;
        // Seven bits at a time: the cast cannot lose any.
        *byte = u8::try_from(left & 0x7f).unwrap_or_default();
        left >>= 7;
        if left == 0 {
            break;
        }
        *byte |= 0x80;
    }
    (bytes, used)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(message: &[u8]) -> Result<Vec<u32>, Defect> {
        Fields::new(message)
            .map(|item| item.map(|item| item.number))
            .collect()
    }

    #[test]
    fn every_wire_type_of_proto3_is_walked() {
        let message = [
            0x08, 0x96, 0x01, 0x11, 1, 2, 3, 4, 5, 6, 7, 8, 0x1a, 2, b'a', b'b', 0x25, 1, 2, 3, 4,
        ];
        assert_eq!(walk(&message), Ok(vec![1, 2, 3, 4]));
        assert_eq!(walk(&[]), Ok(vec![]));
    }

    #[test]
    fn every_proper_prefix_inside_a_field_is_truncated() {
        for field in [
            &[0x08, 0x96, 0x01][..],
            &[0x11, 1, 2, 3, 4, 5, 6, 7, 8],
            &[0x1a, 2, 1, 2],
            &[0x25, 1, 2, 3, 4],
        ] {
            for end in 1..field.len() {
                assert_eq!(
                    walk(&field[..end]),
                    Err(Defect::Truncated),
                    "{field:?} to {end}"
                );
            }
        }
    }

    #[test]
    fn length_near_the_end_of_the_address_space_is_truncated_not_an_overflow() {
        let message = [
            0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0,
        ];
        assert_eq!(walk(&message), Err(Defect::Truncated));
    }

    #[test]
    fn field_numbers_end_at_two_to_the_29_minus_one() {
        assert_eq!(
            walk(&[0xf8, 0xff, 0xff, 0xff, 0x0f, 0]),
            Ok(vec![MAX_FIELD_NUMBER])
        );
        assert_eq!(
            walk(&[0x80, 0x80, 0x80, 0x80, 0x10, 0]),
            Err(Defect::FieldNumber(1 << 29))
        );
    }

    #[test]
    fn varint_of_more_than_64_bits_is_refused() {
        let most = [
            0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
        ];
        assert_eq!(walk(&most), Ok(vec![1]));
        let mut more = most;
        more[10] = 0x02;
        assert_eq!(walk(&more), Err(Defect::VarintTooLong));
        more[10] = 0x81;
        assert_eq!(
            walk(&[&more[..], &[0]].concat()),
            Err(Defect::VarintTooLong)
        );
    }

    #[test]
    fn walk_ends_after_the_first_error() {
        let mut fields = Fields::new(&[0x00, 0x08, 0x01]);
        assert_eq!(fields.next(), Some(Err(Defect::FieldNumber(0))));
        assert_eq!(fields.next(), None);
    }

    #[test]
    fn encoded_lengths_are_read_back_and_minimal() {
        for value in [0, 1, 127, 128, 16_383, 16_384, 1 << 28, usize::MAX] {
            let (bytes, used) = encode_varint(value);
            assert_eq!(minimal_varint(&bytes[..used]), Ok((value as u64, &[][..])));
        }
    }
}
