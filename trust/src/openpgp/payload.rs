//! The signed JSON, read as strictly as containers/image reads it (containers-signature(5)): every object has exactly the
//! fields it must have, each once; only `optional` may have more.

use std::collections::HashSet;
use std::fmt;

use portcullis_policy::Digest;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::error::PayloadError;

/// What `critical.type` must be.
const TYPE: &str = "atomic container signature";

/// What was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Payload {
    /// `critical.image.docker-manifest-digest`.
    pub(super) digest: Digest,
    /// `critical.identity.docker-reference`, as it was signed.
    pub(super) reference: String,
}

impl Payload {
    /// Reads what a verified signature covers.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, PayloadError> {
        let whole = Object::parse(bytes, "the content")?;
        let [critical, optional] = whole.exactly(["critical", "optional"])?;
        check_optional(&Object::of(optional, "optional")?)?;
        let critical = Object::of(critical, "critical")?;
        let [kind, image, identity] = critical.exactly(["type", "image", "identity"])?;
        if string(kind, "critical.type")? != TYPE {
            return Err(PayloadError::Type);
        }
        let image = Object::of(image, "critical.image")?;
        let [digest] = image.exactly(["docker-manifest-digest"])?;
        let identity = Object::of(identity, "critical.identity")?;
        let [reference] = identity.exactly(["docker-reference"])?;
        Ok(Self {
            digest: string(digest, "docker-manifest-digest")?
                .parse()
                .map_err(|_| PayloadError::Kind {
                    field: "docker-manifest-digest",
                    kind: "a sha256 digest",
                })?,
            reference: string(reference, "docker-reference")?,
        })
    }
}

/// Nothing is decided by it, but what containers/image refuses is refused.
fn check_optional(optional: &Object<'_>) -> Result<(), PayloadError> {
    for (name, value) in &optional.fields {
        match name.as_str() {
            "creator" => {
                string(value, "optional.creator")?;
            }
            "timestamp" => {
                let whole = serde_json::from_str::<f64>(value.get())
                    .is_ok_and(|seconds| seconds.fract() == 0.0 && seconds.abs() < 9.2e18);
                if !whole {
                    return Err(PayloadError::Kind {
                        field: "optional.timestamp",
                        kind: "a whole number",
                    });
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn string(value: &RawValue, field: &'static str) -> Result<String, PayloadError> {
    serde_json::from_str(value.get()).map_err(|_| PayloadError::Kind {
        field,
        kind: "a string",
    })
}

/// The fields of a JSON object, unread and in order.
struct Object<'a> {
    name: &'static str,
    fields: Vec<(String, &'a RawValue)>,
}

impl<'a> Object<'a> {
    fn parse(bytes: &'a [u8], name: &'static str) -> Result<Self, PayloadError> {
        let Fields(fields) =
            serde_json::from_slice(bytes).map_err(|_| PayloadError::NotObject(name))?;
        let mut seen = HashSet::new();
        if !fields.iter().all(|(field, _)| seen.insert(field)) {
            return Err(PayloadError::Duplicate(name));
        }
        drop(seen);
        Ok(Self { name, fields })
    }

    fn of(value: &'a RawValue, name: &'static str) -> Result<Self, PayloadError> {
        Self::parse(value.get().as_bytes(), name)
    }

    /// The values of `names`, if these are its fields and no others.
    fn exactly<const N: usize>(
        &self,
        names: [&'static str; N],
    ) -> Result<[&'a RawValue; N], PayloadError> {
        let unknown = |field: &str| !names.contains(&field);
        if self.fields.iter().any(|(field, _)| unknown(field)) {
            return Err(PayloadError::Unknown(self.name));
        }
        let mut missing = None;
        let values = names.map(|name| {
            let value = self.fields.iter().find(|(field, _)| field == name);
            missing = missing.or(value.is_none().then_some(name));
            value.map_or(RawValue::NULL, |(_, value)| value)
        });
        match missing {
            Some(name) => Err(PayloadError::Missing(name)),
            None => Ok(values),
        }
    }
}

struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(fields)
            }
        }
        from.deserialize_map(Object).map(Fields)
    }
}

#[cfg(test)]
mod tests;
