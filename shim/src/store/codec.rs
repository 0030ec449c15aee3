//! How a record becomes bytes: a versioned JSON envelope with a checksum.
//!
//! redb verifies its page checksums only when it repairs a file, so a flipped bit in a cleanly closed file would
//! otherwise be read as data. The sum covers the table's name too: a value never counts in another table.

use portcullis_policy::Digest;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::table::Table;

/// Version of the values this build writes and the only one it reads.
const VERSION: u32 = 1;

/// Why a stored value does not count.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Damage {
    /// Not the envelope, or its body is not the record.
    #[error("it cannot be decoded")]
    Undecodable,
    /// Written by another version.
    #[error("its version {0} is unknown")]
    Version(u32),
    /// The bytes changed since they were written.
    #[error("its checksum does not match")]
    Checksum,
    /// It stands under a key that is not its own.
    #[error("it stands under another record's key")]
    Misplaced,
    /// The value it points at is gone.
    #[error("the artefact it names is missing or damaged")]
    Dangling,
}

#[derive(Serialize)]
struct Written<'a> {
    v: u32,
    sum: String,
    body: &'a RawValue,
}

#[derive(Deserialize)]
struct Read<'a> {
    sum: &'a str,
    #[serde(borrow)]
    body: &'a RawValue,
}

#[derive(Deserialize)]
struct VersionOnly {
    v: u32,
}

fn sum(table: Table, body: &str) -> String {
    let mut bytes = Vec::with_capacity(table.name().len() + 1 + body.len());
    bytes.extend_from_slice(table.name().as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(body.as_bytes());
    Digest::of(&bytes).hex()
}

/// The bytes of a record.
pub(super) fn encode<T: Serialize>(table: Table, record: &T) -> Result<Vec<u8>, serde_json::Error> {
    let body = serde_json::value::to_raw_value(record)?;
    serde_json::to_vec(&Written {
        v: VERSION,
        sum: sum(table, body.get()),
        body: &body,
    })
}

/// The record in `bytes`, if every byte of it is as it was written.
pub(super) fn decode<T: DeserializeOwned>(table: Table, bytes: &[u8]) -> Result<T, Damage> {
    let VersionOnly { v } = serde_json::from_slice(bytes).map_err(|_| Damage::Undecodable)?;
    if v != VERSION {
        return Err(Damage::Version(v));
    }
    let read: Read<'_> = serde_json::from_slice(bytes).map_err(|_| Damage::Undecodable)?;
    if read.sum != sum(table, read.body.get()) {
        return Err(Damage::Checksum);
    }
    serde_json::from_str(read.body.get()).map_err(|_| Damage::Undecodable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_with_any_byte_changed_does_not_count() {
        let good = encode(Table::Links, &vec!["a".to_owned(), "b".to_owned()]).unwrap();
        assert_eq!(
            decode::<Vec<String>>(Table::Links, &good),
            Ok(vec!["a".to_owned(), "b".to_owned()])
        );
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(decode::<Vec<String>>(Table::Links, &bad).is_err(), "{at}");
        }
    }

    #[test]
    fn a_value_of_another_table_does_not_count() {
        let bytes = encode(Table::Links, &1_u8).unwrap();
        assert_eq!(decode::<u8>(Table::Origins, &bytes), Err(Damage::Checksum));
    }

    #[test]
    fn a_value_of_another_version_does_not_count() {
        let bytes = br#"{"v":2,"anything":"else"}"#;
        assert_eq!(decode::<u8>(Table::Links, bytes), Err(Damage::Version(2)));
    }
}
