//! JSON objects in which no key can be read in two ways.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Refusal;

/// A value not yet read.
pub(super) type Raw<'a> = &'a RawValue;

/// A JSON object without ambiguous keys.
pub(super) struct Object<'a>(BTreeMap<String, Raw<'a>>);

/// A key as Go's decoder compares it: simple case folding, in which two letters outside ASCII fold into it.
fn folded(key: &str) -> String {
    key.chars()
        .map(|letter| match letter {
            '\u{17f}' => 's',
            '\u{212a}' => 'k',
            other => other.to_ascii_lowercase(),
        })
        .collect()
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Strict;

        impl<'de> Visitor<'de> for Strict {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut seen = BTreeMap::new();
                let mut fields = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<String, &'de RawValue>()? {
                    if seen.insert(folded(&key), ()).is_some() {
                        return Err(A::Error::custom("ambiguous key"));
                    }
                    fields.insert(key, value);
                }
                Ok(Object(fields))
            }
        }

        deserializer.deserialize_map(Strict)
    }
}

impl<'a> Object<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, Refusal> {
        serde_json::from_str(text).map_err(|_| "not a JSON object with unambiguous keys")
    }

    /// A field; `null` counts as absent, as in Go. A field whose name differs only in case is not that field here,
    /// but is to containerd, so it is refused.
    pub(super) fn get(&self, name: &str) -> Result<Option<Raw<'a>>, Refusal> {
        if let Some(value) = self.0.get(name) {
            return Ok(Some(*value).filter(|value| value.get() != "null"));
        }
        if self.0.keys().any(|key| folded(key) == folded(name)) {
            return Err("a key is misspelt in case");
        }
        Ok(None)
    }

    pub(super) fn typed<T: Deserialize<'a>>(&self, name: &str) -> Result<Option<T>, Refusal> {
        self.get(name)?
            .map(|value| {
                serde_json::from_str(value.get()).map_err(|_| "a field has the wrong type")
            })
            .transpose()
    }

    pub(super) fn object(&self, name: &str) -> Result<Option<Object<'a>>, Refusal> {
        self.get(name)?
            .map(|value| Object::parse(value.get()))
            .transpose()
    }
}
