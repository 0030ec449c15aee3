//! JSON as Notary v1 signs it: read strictly, written canonically.
//!
//! The canonical form is that of `github.com/docker/go/canonical/json`: no white space, object keys in byte order,
//! integers only, and in strings only `"` and `\` escaped (control characters stay raw). It differs from OLPC canonical
//! JSON as `olpc-cjson` writes it, which normalises strings to NFC and sorts keys with their closing quote.
//!
//! Duplicate keys are refused: Go keeps the last of them, and what a reader believes must not depend on the reader.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};

/// Nesting allowed in a document; real metadata needs 7.
const MAX_DEPTH: usize = 32;

/// A JSON value without fractions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number in the range of both `i64` and `u64`.
    Number(i128),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object, in byte order of its keys.
    Object(BTreeMap<String, Json>),
}

/// The text is not JSON as this module accepts it. Carries no text of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotCanonical;

impl Json {
    /// Reads one document and nothing after it.
    pub(super) fn parse(text: &str) -> Result<Self, NotCanonical> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let value = Strict(MAX_DEPTH)
            .deserialize(&mut reader)
            .map_err(|_| NotCanonical)?;
        reader.end().map_err(|_| NotCanonical)?;
        Ok(value)
    }

    /// The canonical bytes: what signatures and key ids are computed over.
    pub(super) fn canonical(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Bool(true) => out.extend_from_slice(b"true"),
            Self::Bool(false) => out.extend_from_slice(b"false"),
            Self::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
            Self::String(text) => write_string(text, out),
            Self::Array(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    item.write(out);
                }
                out.push(b']');
            }
            Self::Object(entries) => {
                out.push(b'{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    write_string(key, out);
                    out.push(b':');
                    value.write(out);
                }
                out.push(b'}');
            }
        }
    }

    /// The value under `key`, if this is an object that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.object()?.get(key)
    }

    /// The entries, if this is an object.
    pub(super) fn object(&self) -> Option<&BTreeMap<String, Self>> {
        match self {
            Self::Object(entries) => Some(entries),
            _ => None,
        }
    }

    /// The items, if this is an array. `null` is an empty array: Go writes it for a nil slice.
    pub(super) fn array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(items) => Some(items),
            Self::Null => Some(&[]),
            _ => None,
        }
    }

    /// The text, if this is a string.
    pub(super) fn string(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if this is one that is not negative.
    pub(super) fn unsigned(&self) -> Option<u64> {
        match self {
            Self::Number(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// Reads a value with at most this many levels below it.
#[derive(Clone, Copy)]
struct Strict(usize);

impl Strict {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.0.checked_sub(1) {
            Some(left) => Ok(Self(left)),
            None => Err(E::custom("nested too deeply")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Json;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Json, D::Error> {
        reader.deserialize_any(self)
    }
}

// No `visit_f64`: fractions, exponents and numbers beyond 64 bits arrive there and are refused.
impl<'de> Visitor<'de> for Strict {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without fractions or duplicate keys")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let below = self.deeper()?;
        let mut out = Vec::new();
        while let Some(item) = items.next_element_seed(below)? {
            out.push(item);
        }
        Ok(Json::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let below = self.deeper()?;
        let mut out = BTreeMap::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(below)?;
            if out.insert(key, value).is_some() {
                return Err(A::Error::custom("duplicate key"));
            }
        }
        Ok(Json::Object(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> String {
        String::from_utf8(Json::parse(text).unwrap().canonical()).unwrap()
    }

    #[test]
    fn canonical_form_is_that_of_docker_go() {
        assert_eq!(
            canonical(" {\"b\" : [1, -2, true, null],\n\"a\":{\"x\":\"\\u0041\\n\\\"\\\\/<é\"}} "),
            "{\"a\":{\"x\":\"A\n\\\"\\\\/<é\"},\"b\":[1,-2,true,null]}"
        );
    }

    #[test]
    fn keys_are_sorted_as_bytes_without_their_quotes() {
        assert_eq!(
            canonical(r#"{"a!":1,"a":2,"B":3,"é":4,"z":5}"#),
            r#"{"B":3,"a":2,"a!":1,"z":5,"é":4}"#
        );
    }

    #[test]
    fn strings_are_not_normalised() {
        let decomposed = "\"e\u{301}\"";
        assert_eq!(canonical(decomposed), decomposed);
    }

    #[test]
    fn duplicate_keys_are_refused_at_every_level_and_spelling() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"x":[{"a":1,"b":2,"a":3}]}"#,
            r#"{"a":1,"\u0061":2}"#,
        ] {
            assert_eq!(Json::parse(text), Err(NotCanonical), "{text}");
        }
    }

    #[test]
    fn numbers_that_readers_disagree_about_are_refused() {
        for text in ["1.0", "1e3", "-0", "18446744073709551616", "0.1"] {
            assert_eq!(Json::parse(text), Err(NotCanonical), "{text}");
        }
        assert_eq!(
            Json::parse("18446744073709551615"),
            Ok(Json::Number(u64::MAX.into()))
        );
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(Json::parse(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(Json::parse(&nested(MAX_DEPTH + 1)), Err(NotCanonical));
    }

    #[test]
    fn text_after_the_document_is_refused() {
        assert_eq!(Json::parse("{} {}"), Err(NotCanonical));
        assert_eq!(Json::parse(r#""\ud800""#), Err(NotCanonical));
    }
}
