//! JSON in which no key can be read in two ways.
//!
//! A key that stands twice in an object is refused: readers disagree on which one counts. So is, for the keys that are
//! looked at, another spelling in case: Go's decoder takes it for the same key.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Nesting allowed in a document; real statements need less than 20.
const MAX_DEPTH: usize = 64;

/// The text is not JSON as this module accepts it. Carries no text of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not JSON with unambiguous keys")]
pub(crate) struct Ambiguous;

/// An object whose fields are looked up without ambiguity.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Object<'a>(pub(crate) &'a Map<String, Value>);

/// Reads one document and nothing after it.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, Ambiguous> {
    let text = std::str::from_utf8(bytes).map_err(|_| Ambiguous)?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Strict(MAX_DEPTH)
        .deserialize(&mut reader)
        .map_err(|_| Ambiguous)?;
    reader.end().map_err(|_| Ambiguous)?;
    Ok(value)
}

impl<'a> Object<'a> {
    /// `value`, if it is an object.
    pub(crate) fn of(value: &'a Value) -> Option<Self> {
        value.as_object().map(Self)
    }

    /// A field; `null` counts as absent, as in Go.
    ///
    /// # Errors
    /// There is a key that differs from `name` only in case.
    pub(crate) fn get(self, name: &str) -> Result<Option<&'a Value>, Ambiguous> {
        let folded_name = folded(name);
        let misspelt = |key: &str| key != name && key.len() < 64 && folded(key) == folded_name;
        if self.0.keys().any(|key| misspelt(key)) {
            return Err(Ambiguous);
        }
        Ok(self.0.get(name).filter(|value| !value.is_null()))
    }

    /// A field that is a string if it is there.
    ///
    /// # Errors
    /// It is something else, or ambiguous.
    pub(crate) fn text(self, name: &str) -> Result<Option<&'a str>, Ambiguous> {
        self.get(name)?
            .map(|value| value.as_str().ok_or(Ambiguous))
            .transpose()
    }

    /// A field that is an object if it is there.
    ///
    /// # Errors
    /// It is something else, or ambiguous.
    pub(crate) fn object(self, name: &str) -> Result<Option<Self>, Ambiguous> {
        self.get(name)?
            .map(|value| Self::of(value).ok_or(Ambiguous))
            .transpose()
    }

    /// A field that is an array if it is there; empty if it is not.
    ///
    /// # Errors
    /// It is something else, or ambiguous.
    pub(crate) fn array(self, name: &str) -> Result<&'a [Value], Ambiguous> {
        match self.get(name)? {
            None => Ok(&[]),
            Some(value) => value.as_array().map(Vec::as_slice).ok_or(Ambiguous),
        }
    }

    /// The object at the end of a path of fields.
    ///
    /// # Errors
    /// A step is not an object, or ambiguous.
    pub(crate) fn path(self, names: &[&str]) -> Result<Option<Self>, Ambiguous> {
        let mut at = Some(self);
        for name in names {
            let Some(object) = at else { return Ok(None) };
            at = object.object(name)?;
        }
        Ok(at)
    }
}

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

/// Reads a value that nests at most this deep.
#[derive(Clone, Copy)]
struct Strict(usize);

impl Strict {
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        self.0
            .checked_sub(1)
            .map(Self)
            .ok_or_else(|| E::custom("nested too deeply"))
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut entries = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value_seed(inner)?;
            if entries.insert(key, value).is_some() {
                return Err(A::Error::custom("duplicate key"));
            }
        }
        Ok(Value::Object(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_stands_twice_is_refused_at_every_depth() {
        assert!(parse(br#"{"a":1,"b":[{"c":"x"}]}"#).is_ok());
        for bad in [
            r#"{"a":1,"a":1}"#,
            r#"{"b":[{"c":1,"c":2}]}"#,
            r#"{"a":1,"\u0061":2}"#,
            "{} {}",
            "",
            "\u{feff}{}",
        ] {
            assert_eq!(parse(bad.as_bytes()), Err(Ambiguous), "{bad}");
        }
        assert_eq!(parse(b"\"\xff\""), Err(Ambiguous));
    }

    #[test]
    fn nesting_ends() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert_eq!(parse(nested(MAX_DEPTH + 1).as_bytes()), Err(Ambiguous));
        assert_eq!(parse(nested(100_000).as_bytes()), Err(Ambiguous));
    }

    #[test]
    fn a_key_misspelt_in_case_is_not_ignored() {
        for bad in [
            r#"{"Subject":1}"#,
            r#"{"subject":1,"SUBJECT":2}"#,
            "{\"\u{17f}ubject\":1}",
        ] {
            let value = parse(bad.as_bytes()).unwrap();
            let object = Object::of(&value).unwrap();
            assert_eq!(object.get("subject"), Err(Ambiguous), "{bad}");
        }
    }
}
