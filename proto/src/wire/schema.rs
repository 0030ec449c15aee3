//! What the gate knows of a message, and the validation that makes its bytes unambiguous.

use prost::Message;

use super::walk::{Fields, Value};
use super::{Defect, MAX_DEPTH, MAX_ELEMENTS, MAX_FIELD_NUMBER, WireError};

/// The fields of one message type that the gate reads. All others are opaque.
#[derive(Debug)]
pub struct Schema {
    name: &'static str,
    fields: &'static [Field],
}

impl Schema {
    /// A schema of a message called `name`. Fields in ascending order of their numbers.
    ///
    /// # Panics
    /// At compile time in a `static`: if the numbers are not ascending from 1 to [`MAX_FIELD_NUMBER`], or there are
    /// more than 64 fields.
    pub const fn new(name: &'static str, fields: &'static [Field]) -> Self {
        assert!(
            fields.len() <= 64,
            "validation counts occurrences in 64 bits"
        );
        let mut last = 0;
        let mut index = 0;
        while index < fields.len() {
            assert!(
                fields[index].number > last && fields[index].number <= MAX_FIELD_NUMBER,
                "field numbers ascend"
            );
            last = fields[index].number;
            index += 1;
        }
        Self { name, fields }
    }

    /// The message's name in the CRI.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The known fields, in ascending order of their numbers.
    pub fn fields(&self) -> &'static [Field] {
        self.fields
    }
}

/// A field that the gate reads.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Field number.
    pub number: u32,
    /// Field name in the CRI, for errors.
    pub name: &'static str,
    /// Type of the value.
    pub kind: Kind,
    /// It may be given any number of times (repeated fields and maps).
    pub repeated: bool,
}

/// The type of a field that the gate reads.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// UTF-8.
    String,
    /// Any bytes.
    Bytes,
    /// A message that is validated in turn.
    Message(&'static Schema),
    /// 0 or 1.
    Bool,
    /// At most 2^32 - 1.
    Uint32,
}

impl Field {
    /// A string field given at most once.
    pub const fn string(number: u32, name: &'static str) -> Self {
        Self {
            number,
            name,
            kind: Kind::String,
            repeated: false,
        }
    }

    /// A message field given at most once.
    pub const fn message(number: u32, name: &'static str, schema: &'static Schema) -> Self {
        Self {
            number,
            name,
            kind: Kind::Message(schema),
            repeated: false,
        }
    }

    /// A `bool` field given at most once.
    pub const fn bool(number: u32, name: &'static str) -> Self {
        Self {
            number,
            name,
            kind: Kind::Bool,
            repeated: false,
        }
    }

    /// A `uint32` field given at most once.
    pub const fn uint32(number: u32, name: &'static str) -> Self {
        Self {
            number,
            name,
            kind: Kind::Uint32,
            repeated: false,
        }
    }

    /// The same field, allowed any number of times.
    #[must_use]
    pub const fn repeated(self) -> Self {
        Self {
            repeated: true,
            ..self
        }
    }
}

/// Validates `message` and decodes it.
///
/// # Errors
/// [`WireError`] if anything that the gate reads is not strictly encoded.
pub fn strict<M: Message + Default>(
    schema: &'static Schema,
    message: &[u8],
) -> Result<M, WireError> {
    validate(schema, message)?;
    M::decode(message).map_err(|_| WireError::from(Defect::Undecodable).inside(schema.name))
}

/// Checks that every decoder reads the same values from the fields of `schema` in `message`.
///
/// # Errors
/// [`WireError`] naming the first field that breaks a rule (see [the module](super)).
pub fn validate(schema: &'static Schema, message: &[u8]) -> Result<(), WireError> {
    let mut room = Room {
        depth: MAX_DEPTH,
        elements: MAX_ELEMENTS,
    };
    level(schema, message, &mut room).map_err(|error| error.inside(schema.name))
}

/// What a request may still use up.
struct Room {
    depth: usize,
    elements: usize,
}

fn level(schema: &'static Schema, message: &[u8], room: &mut Room) -> Result<(), WireError> {
    let depth = room.depth;
    room.depth = depth.checked_sub(1).ok_or(Defect::TooDeep)?;
    let mut seen = 0_u64;
    for item in Fields::new(message) {
        let item = item?;
        let known = (0..64)
            .zip(schema.fields)
            .find(|(_, field)| field.number == item.number);
        let Some((index, field)) = known else {
            continue;
        };
        let bit = 1_u64 << index;
        if field.repeated {
            let left = room.elements.checked_sub(1);
            room.elements =
                left.ok_or_else(|| WireError::from(Defect::TooMany).inside(field.name))?;
        } else if seen & bit != 0 {
            return Err(WireError::from(Defect::Repeated).inside(field.name));
        }
        seen |= bit;
        value(field, &item.value, room).map_err(|error| error.inside(field.name))?;
    }
    room.depth = depth;
    Ok(())
}

fn value(field: &Field, value: &Value<'_>, room: &mut Room) -> Result<(), WireError> {
    match (field.kind, value) {
        (Kind::String, Value::Delimited(value)) => match std::str::from_utf8(value.bytes) {
            Ok(_) => Ok(()),
            Err(_) => Err(Defect::NotUtf8.into()),
        },
        (Kind::Bytes, Value::Delimited(_)) => Ok(()),
        (Kind::Message(schema), Value::Delimited(value)) => level(schema, value.bytes, room),
        (Kind::Bool | Kind::Uint32, Value::Varint(varint)) => {
            let most = if matches!(field.kind, Kind::Bool) {
                1
            } else {
                u32::MAX.into()
            };
            if !varint.minimal {
                Err(Defect::VarintNotMinimal.into())
            } else if varint.value > most {
                Err(Defect::OutOfRange.into())
            } else {
                Ok(())
            }
        }
        _ => Err(Defect::WrongWireType.into()),
    }
}
