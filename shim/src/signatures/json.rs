//! The JSON of indexes and manifests beside an image: only the fields that are used, and bounded while it is read.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use portcullis_policy::Digest;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};

use super::limits::{MAX_ANNOTATION, MAX_ANNOTATIONS, MAX_DESCRIPTORS, MAX_SIGNATURES};

/// The first `N` elements of an array; the others are skipped as they are read.
#[derive(Debug)]
pub(super) struct First<T, const N: usize> {
    pub of: Vec<T>,
    /// There were more.
    pub more: bool,
}

impl<T, const N: usize> Default for First<T, N> {
    fn default() -> Self {
        Self {
            of: Vec::new(),
            more: false,
        }
    }
}

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for First<T, N> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader<T, const N: usize>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for Reader<T, N> {
            type Value = First<T, N>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array or null")
            }

            // What Go makes of an empty list that was never filled.
            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(First::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut first = First::default();
                while first.of.len() < N {
                    match seq.next_element()? {
                        Some(element) => first.of.push(element),
                        None => return Ok(first),
                    }
                }
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    first.more = true;
                }
                Ok(first)
            }
        }
        from.deserialize_any(Reader(PhantomData))
    }
}

/// Annotations, if they are within bounds.
#[derive(Debug)]
pub(super) enum Annotations {
    Within(BTreeMap<String, String>),
    /// Too many or too large: the layer they belong to is not looked at.
    Beyond,
}

impl Default for Annotations {
    fn default() -> Self {
        Self::Within(BTreeMap::new())
    }
}

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Annotations;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of strings or null")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(Annotations::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut within = BTreeMap::new();
                let mut beyond = false;
                while let Some(name) = map.next_key::<String>()? {
                    if beyond {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                    let value = map.next_value::<String>()?;
                    beyond = within.len() >= MAX_ANNOTATIONS
                        || name.len().saturating_add(value.len()) > MAX_ANNOTATION;
                    if within.insert(name, value).is_some() {
                        return Err(de::Error::custom("an annotation twice"));
                    }
                }
                Ok(if beyond {
                    Annotations::Beyond
                } else {
                    Annotations::Within(within)
                })
            }
        }
        from.deserialize_any(Reader)
    }
}

/// What an index or a manifest says about a document or blob.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    #[serde(default)]
    pub media_type: String,
    pub artifact_type: Option<String>,
    digest: String,
    pub size: u64,
    #[serde(default)]
    pub annotations: Annotations,
    pub platform: Option<Platform>,
}

impl Descriptor {
    /// Its digest, if that is a sha256 digest.
    pub(super) fn digest(&self) -> Option<Digest> {
        self.digest.parse().ok()
    }
}

/// The platform a manifest is for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Platform {
    #[serde(default)]
    pub os: String,
    #[serde(default)]
    pub architecture: String,
    #[serde(default)]
    pub variant: String,
}

/// An index.
#[derive(Debug, Deserialize)]
pub(super) struct Index {
    #[serde(rename = "schemaVersion")]
    schema_version: u32,
    pub manifests: First<Descriptor, MAX_DESCRIPTORS>,
    config: Option<IgnoredAny>,
    layers: Option<IgnoredAny>,
}

impl Index {
    /// Reads one. `None`: it is none, or could be read as something else too (CVE-2021-41190).
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let index: Self = serde_json::from_slice(bytes).ok()?;
        let only = index.config.is_none() && index.layers.is_none();
        (index.schema_version == 2 && only).then_some(index)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Typed {
    #[serde(default)]
    media_type: String,
}

#[derive(Debug, Deserialize)]
struct Subject {
    digest: String,
}

/// A manifest.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    schema_version: u32,
    media_type: Option<String>,
    pub artifact_type: Option<String>,
    config: Typed,
    pub layers: First<Descriptor, MAX_SIGNATURES>,
    subject: Option<Subject>,
    manifests: Option<IgnoredAny>,
    fs_layers: Option<IgnoredAny>,
}

impl Manifest {
    /// Reads one. `None`: it is none, or could be read as something else too (CVE-2021-41190).
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let manifest: Self = serde_json::from_slice(bytes).ok()?;
        let typed = manifest
            .media_type
            .as_deref()
            .is_none_or(super::media::is_manifest);
        let only = manifest.manifests.is_none() && manifest.fs_layers.is_none();
        (manifest.schema_version == 2 && typed && only).then_some(manifest)
    }

    /// Media type of its config.
    pub(super) fn config_type(&self) -> &str {
        &self.config.media_type
    }

    /// Whether it says that it belongs to another image than `subject`.
    pub(super) fn is_of_another(&self, subject: &Digest) -> bool {
        self.subject
            .as_ref()
            .is_some_and(|named| named.digest.parse() != Ok(*subject))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_array_is_read_to_its_end_and_kept_only_as_far_as_the_cap() {
        let text = format!("[{}7]", "7,".repeat(100_000));
        let first: First<u8, 4> = serde_json::from_str(&text).unwrap();
        assert_eq!((first.of, first.more), (vec![7; 4], true));
        let first: First<u8, 4> = serde_json::from_str("[1,2,3,4]").unwrap();
        assert!(!first.more);
        let first: First<u8, 4> = serde_json::from_str("null").unwrap();
        assert!(first.of.is_empty());
    }

    #[test]
    fn annotations_beyond_their_bounds_are_not_kept() {
        let many: Vec<String> = (0..=MAX_ANNOTATIONS)
            .map(|at| format!("\"{at}\":\"\""))
            .collect();
        let many = many.join(",");
        let large = "x".repeat(MAX_ANNOTATION);
        for text in [format!("{{{many}}}"), format!("{{\"a\":\"{large}\"}}")] {
            let read: Annotations = serde_json::from_str(&text).unwrap();
            assert!(matches!(read, Annotations::Beyond));
        }
        assert!(serde_json::from_str::<Annotations>(r#"{"a":"1","a":"2"}"#).is_err());
    }

    #[test]
    fn a_document_that_is_both_index_and_manifest_is_neither() {
        let both = br#"{"schemaVersion":2,"manifests":[],"config":{},"layers":[]}"#;
        assert!(Index::parse(both).is_none());
        assert!(Manifest::parse(both).is_none());
        assert!(Index::parse(br#"{"schemaVersion":2,"manifests":null}"#).is_some());
        assert!(Index::parse(br#"{"schemaVersion":2}"#).is_none());
        assert!(Manifest::parse(br#"{"schemaVersion":2,"config":{},"layers":[]}"#).is_some());
    }

    #[test]
    fn a_manifest_with_a_strange_subject_is_of_another_image() {
        let ours = Digest::of(b"ours");
        let of = |subject: &str| {
            let text =
                format!(r#"{{"schemaVersion":2,"config":{{}},"layers":[],"subject":{subject}}}"#);
            Manifest::parse(text.as_bytes())
                .unwrap()
                .is_of_another(&ours)
        };
        assert!(!of(&format!("{{\"digest\":\"{ours}\"}}")));
        assert!(!of("null"));
        assert!(of(&format!("{{\"digest\":\"{}\"}}", Digest::of(b"theirs"))));
        assert!(of(r#"{"digest":"sha512:00"}"#));
    }
}
