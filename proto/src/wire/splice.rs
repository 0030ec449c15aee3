//! Replacing the value of one field, and nothing else.

use bytes::{BufMut, Bytes, BytesMut};

use super::walk::{Delimited, Fields, Value, encode_varint};
use super::{Defect, WireError};

/// One step of a path from a message to a field in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The field of this number, given exactly once.
    Only(u32),
    /// Of the occurrences of the repeated field of this number the one at this index, from 0.
    Nth(u32, usize),
}

impl Step {
    fn number(self) -> u32 {
        match self {
            Self::Only(number) | Self::Nth(number, _) => number,
        }
    }
}

/// Replaces the bytes of the string or message field at `path` (field numbers from the outermost message inwards,
/// each length-delimited and present exactly once) and fixes the lengths around it. Every other byte stays.
///
/// # Errors
/// [`WireError`] if the path is absent, repeated, or anything on the way is not strictly encoded.
pub fn replace(message: &[u8], path: &[u32], value: &[u8]) -> Result<Bytes, WireError> {
    let steps: Vec<_> = path.iter().copied().map(Step::Only).collect();
    replace_at(message, &steps, value)
}

/// [`replace`] along a path that may lead through one element of a repeated field.
///
/// # Errors
/// As [`replace`]; an index behind the last element is absent.
pub fn replace_at(message: &[u8], path: &[Step], value: &[u8]) -> Result<Bytes, WireError> {
    if path.is_empty() {
        return Err(WireError::from(Defect::Absent).inside("empty path"));
    }
    let mut around = Vec::with_capacity(path.len());
    let mut inner = message;
    for (index, &step) in path.iter().enumerate() {
        let found = find(inner, step).map_err(|defect| WireError {
            at: place(path, index),
            defect,
        })?;
        around.push(found);
        inner = found.bytes;
    }

    // From the inside outwards, because the size of a length depends on the length.
    let mut lengths = Vec::with_capacity(path.len());
    let mut size = value.len();
    for part in around.iter().rev() {
        let (bytes, used) = encode_varint(size);
        lengths.push((bytes, used));
        size = size
            .saturating_add(used)
            .saturating_add(part.before.len())
            .saturating_add(part.after.len());
    }

    let mut spliced = BytesMut::with_capacity(size);
    for (part, (bytes, used)) in around.iter().zip(lengths.iter().rev()) {
        spliced.put_slice(part.before);
        spliced.extend(bytes.iter().take(*used));
    }
    spliced.put_slice(value);
    for part in around.iter().rev() {
        spliced.put_slice(part.after);
    }
    Ok(spliced.freeze())
}

/// The field that `step` names. The whole message is walked: what follows the field may repeat it.
fn find(message: &[u8], step: Step) -> Result<Delimited<'_>, Defect> {
    let mut found = None;
    let mut count = 0_usize;
    for item in Fields::new(message) {
        let item = item?;
        if item.number != step.number() {
            continue;
        }
        let Value::Delimited(value) = item.value else {
            return Err(Defect::WrongWireType);
        };
        match step {
            Step::Only(_) if found.is_some() => return Err(Defect::Repeated),
            Step::Nth(_, index) if index != count => {}
            Step::Only(_) | Step::Nth(..) => found = Some(value),
        }
        count = count.saturating_add(1);
    }
    found.ok_or(Defect::Absent)
}

/// `field 2.7[3].9` for errors.
fn place(path: &[Step], last: usize) -> String {
    let steps: Vec<_> = path
        .iter()
        .take(last.saturating_add(1))
        .map(|step| match step {
            Step::Only(number) => number.to_string(),
            Step::Nth(number, index) => format!("{number}[{index}]"),
        })
        .collect();
    format!("field {}", steps.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `{1: "a", 2: {3: "b", 4: 5}, 2': …}` and friends are written by hand: no encoder is trusted here.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [
            &[number << 3 | 2, u8::try_from(bytes.len()).unwrap()][..],
            bytes,
        ]
        .concat()
    }

    fn defect(message: &[u8], path: &[u32]) -> (String, Defect) {
        let error = replace(message, path, b"x").unwrap_err();
        (error.at, error.defect)
    }

    #[test]
    fn only_the_value_and_the_lengths_around_it_change() {
        let message = [
            field(1, b"keep"),
            field(2, &[field(3, b"old"), field(4, b"keep")].concat()),
            vec![0x28, 9],
        ]
        .concat();
        let expected = [
            field(1, b"keep"),
            field(2, &[field(3, b"longer"), field(4, b"keep")].concat()),
            vec![0x28, 9],
        ]
        .concat();
        assert_eq!(replace(&message, &[2, 3], b"longer").unwrap(), expected);
    }

    #[test]
    fn lengths_that_grow_by_a_byte_push_the_outer_lengths() {
        let message = field(2, &field(2, &field(1, &[b'a'; 20])));
        let long = [b'b'; 300];
        let inner = [&[0x0a, 0xac, 0x02][..], &long].concat();
        let middle = [&[0x12, 0xaf, 0x02][..], &inner].concat();
        let outer = [&[0x12, 0xb2, 0x02][..], &middle].concat();
        assert_eq!(replace(&message, &[2, 2, 1], &long).unwrap(), outer);
        assert_eq!(replace(&outer, &[2, 2, 1], &[b'a'; 20]).unwrap(), message);
    }

    #[test]
    fn absent_field_is_refused() {
        let message = field(2, &field(3, b"x"));
        assert_eq!(defect(&message, &[1]), ("field 1".into(), Defect::Absent));
        assert_eq!(
            defect(&message, &[2, 1]),
            ("field 2.1".into(), Defect::Absent)
        );
        assert_eq!(defect(&message, &[]), ("empty path".into(), Defect::Absent));
        assert_eq!(defect(&[], &[1]), ("field 1".into(), Defect::Absent));
    }

    #[test]
    fn repeated_field_is_refused_at_any_level() {
        let outer = [field(2, &field(1, b"a")), field(2, &field(1, b"b"))].concat();
        assert_eq!(
            defect(&outer, &[2, 1]),
            ("field 2".into(), Defect::Repeated)
        );
        let inner = field(2, &[field(1, b"a"), field(1, b"b")].concat());
        assert_eq!(
            defect(&inner, &[2, 1]),
            ("field 2.1".into(), Defect::Repeated)
        );
    }

    #[test]
    fn path_through_a_number_is_refused() {
        assert_eq!(
            defect(&[0x10, 1], &[2]),
            ("field 2".into(), Defect::WrongWireType)
        );
        let mixed = [field(2, b""), vec![0x10, 1]].concat();
        assert_eq!(
            defect(&mixed, &[2]),
            ("field 2".into(), Defect::WrongWireType)
        );
    }

    #[test]
    fn loose_encoding_behind_the_field_is_refused() {
        let message = [field(1, b"a"), vec![0x8a, 0x00, 1, b'b']].concat();
        assert_eq!(
            defect(&message, &[1]),
            ("field 1".into(), Defect::VarintNotMinimal)
        );
    }

    #[test]
    fn one_element_of_a_repeated_field_is_replaced() {
        let element = |image: &[u8]| field(7, &field(9, &field(1, image)));
        let message = field(2, &[element(b"a"), element(b"b"), element(b"c")].concat());
        let expected = field(2, &[element(b"a"), element(b"new"), element(b"c")].concat());
        let path = [Step::Only(2), Step::Nth(7, 1), Step::Only(9), Step::Only(1)];
        assert_eq!(replace_at(&message, &path, b"new").unwrap(), expected);

        let behind = [Step::Only(2), Step::Nth(7, 3), Step::Only(9)];
        let error = replace_at(&message, &behind, b"new").unwrap_err();
        assert_eq!(
            (error.at.as_str(), error.defect),
            ("field 2.7[3]", Defect::Absent)
        );
    }
}
