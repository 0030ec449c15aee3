//! What an image's documents say, read strictly. Pure: bytes in, values or a refusal out.
//!
//! A document that two programs could read in two ways is refused (CVE-2021-41190): both index and manifest, a key
//! given twice, or keys that Go's JSON decoder, which ignores case, would take for one.

use std::collections::BTreeMap;
use std::fmt;

use portcullis_policy::Digest;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Most entries of an index.
const MAX_ENTRIES: usize = 512;

/// Most layers of an image; overlayfs itself takes no more than 500.
const MAX_LAYERS: usize = 512;

/// Marks an index or manifest as a container checkpoint, which restores memory and processes instead of starting a
/// program (containerd and CRI-O read it in CreateContainer; CVE-2026-50195).
const CHECKPOINT: &str = "org.criu.checkpoint.container.name";

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A list of manifests.
    Index,
    /// One image for one platform.
    Manifest,
}

impl Kind {
    fn of(media_type: &str) -> Option<Self> {
        match media_type {
            OCI_INDEX | DOCKER_LIST => Some(Self::Index),
            OCI_MANIFEST | DOCKER_MANIFEST => Some(Self::Manifest),
            _ => None,
        }
    }
}

/// An index or a manifest.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Document {
    /// Its entries that are indexes or manifests, in order.
    Index(Vec<(Kind, Digest)>),
    /// One image.
    Manifest {
        /// Digest of its config: the image ID.
        config: Digest,
        /// How many layers it has.
        layers: usize,
    },
}

/// What the gate needs of an image's config.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Config {
    /// Chain ID of all its diff IDs.
    pub(super) chain_id: Digest,
    /// `config.User`; empty: root.
    pub(super) user: String,
}

/// Why a document is refused, in fixed words.
pub(super) type Refusal = &'static str;

type Raw<'a> = &'a RawValue;

/// A JSON object without ambiguous keys.
struct Object<'a>(BTreeMap<String, Raw<'a>>);

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
    fn parse(text: &'a str) -> Result<Self, Refusal> {
        serde_json::from_str(text).map_err(|_| "not a JSON object with unambiguous keys")
    }

    /// A field; `null` counts as absent, as in Go. A field whose name differs only in case is not that field here,
    /// but is to containerd, so it is refused.
    fn get(&self, name: &str) -> Result<Option<Raw<'a>>, Refusal> {
        if let Some(value) = self.0.get(name) {
            return Ok(Some(*value).filter(|value| value.get() != "null"));
        }
        if self.0.keys().any(|key| folded(key) == folded(name)) {
            return Err("a key is misspelt in case");
        }
        Ok(None)
    }

    fn typed<T: Deserialize<'a>>(&self, name: &str) -> Result<Option<T>, Refusal> {
        self.get(name)?
            .map(|value| {
                serde_json::from_str(value.get()).map_err(|_| "a field has the wrong type")
            })
            .transpose()
    }

    fn object(&self, name: &str) -> Result<Option<Object<'a>>, Refusal> {
        self.get(name)?
            .map(|value| Object::parse(value.get()))
            .transpose()
    }

    fn refuse_checkpoint(&self) -> Result<(), Refusal> {
        // Annotation keys are not struct fields in Go: they are compared as they are.
        let annotations: Option<BTreeMap<String, Raw<'_>>> = self.typed("annotations")?;
        if annotations.is_some_and(|map| map.contains_key(CHECKPOINT)) {
            return Err("a container checkpoint, not an image");
        }
        Ok(())
    }

    fn digest(&self) -> Result<Digest, Refusal> {
        let text: Option<String> = self.typed("digest")?;
        text.and_then(|text| text.parse().ok())
            .ok_or("a descriptor without a sha256 digest")
    }
}

/// Reads an index or a manifest.
pub(super) fn document(bytes: &[u8]) -> Result<Document, Refusal> {
    let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8")?;
    let top = Object::parse(text)?;
    for name in ["fsLayers", "signatures"] {
        if top.get(name)?.is_some() {
            return Err("a schema 1 manifest");
        }
    }
    match top.typed::<u64>("schemaVersion")? {
        Some(2) => {}
        Some(1) => return Err("a schema 1 manifest"),
        _ => return Err("not of schema version 2"),
    }
    top.refuse_checkpoint()?;
    let is_index = top.get("manifests")?.is_some();
    let is_manifest = top.get("config")?.is_some() || top.get("layers")?.is_some();
    let kind = match (is_index, is_manifest) {
        (true, true) => return Err("both an index and a manifest"),
        (true, false) => Kind::Index,
        (false, true) => Kind::Manifest,
        (false, false) => return Err("neither an index nor a manifest"),
    };
    if let Some(said) = top.typed::<String>("mediaType")?
        && Kind::of(&said) != Some(kind)
    {
        return Err("its media type is not what it is");
    }
    match kind {
        Kind::Index => index(&top),
        Kind::Manifest => manifest(&top),
    }
}

fn index(top: &Object<'_>) -> Result<Document, Refusal> {
    let entries: Vec<Raw<'_>> = top.typed("manifests")?.unwrap_or_default();
    if entries.len() > MAX_ENTRIES {
        return Err("an index with too many entries");
    }
    let mut out = Vec::new();
    for entry in entries {
        let entry = Object::parse(entry.get())?;
        entry.refuse_checkpoint()?;
        let media_type: Option<String> = entry.typed("mediaType")?;
        // Artifacts of other kinds may be listed; no image comes of them.
        if let Some(kind) = media_type.as_deref().and_then(Kind::of) {
            out.push((kind, entry.digest()?));
        }
    }
    Ok(Document::Index(out))
}

fn manifest(top: &Object<'_>) -> Result<Document, Refusal> {
    let config = top.object("config")?.ok_or("a manifest without a config")?;
    let media_type: Option<String> = config.typed("mediaType")?;
    if !matches!(media_type.as_deref(), Some(OCI_CONFIG | DOCKER_CONFIG)) {
        return Err("a manifest of something other than an image");
    }
    let layers: Vec<Raw<'_>> = top.typed("layers")?.unwrap_or_default();
    if layers.len() > MAX_LAYERS {
        return Err("an image with too many layers");
    }
    Ok(Document::Manifest {
        config: config.digest()?,
        layers: layers.len(),
    })
}

/// Reads the config of a manifest with `layers` layers.
pub(super) fn config(bytes: &[u8], layers: usize) -> Result<Config, Refusal> {
    let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8")?;
    let top = Object::parse(text)?;
    let rootfs = top.object("rootfs")?.ok_or("a config without rootfs")?;
    let diff_ids: Vec<String> = rootfs.typed("diff_ids")?.unwrap_or_default();
    if diff_ids.len() != layers {
        return Err("a config whose diff IDs do not match the layers");
    }
    let diff_ids: Vec<Digest> = diff_ids
        .iter()
        .map(|text| text.parse().map_err(|_| "a diff ID other than sha256"))
        .collect::<Result<_, _>>()?;
    let user: Option<String> = match top.object("config")? {
        Some(run) => run.typed("User")?,
        None => None,
    };
    Ok(Config {
        chain_id: chain_id(&diff_ids).ok_or("an image without layers")?,
        user: user.unwrap_or_default(),
    })
}

/// Chain ID of diff IDs, lowest first (OCI image-spec, "Layer ChainID"). `None`: there are none.
fn chain_id(diff_ids: &[Digest]) -> Option<Digest> {
    let (first, rest) = diff_ids.split_first()?;
    Some(rest.iter().fold(*first, |below, layer| {
        Digest::of(format!("{below} {layer}").as_bytes())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const D: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
    const E: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";

    fn manifest_json() -> serde_json::Value {
        serde_json::json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": OCI_CONFIG, "digest": D, "size": 1},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": E, "size": 2}],
        })
    }

    fn index_json() -> serde_json::Value {
        serde_json::json!({
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [
                {"mediaType": OCI_MANIFEST, "digest": D, "size": 1, "platform": {"os": "linux"}},
                {"mediaType": "application/vnd.example+json", "digest": "whatever"},
                {"mediaType": OCI_INDEX, "digest": E, "size": 1},
            ],
        })
    }

    fn read(value: &serde_json::Value) -> Result<Document, Refusal> {
        document(value.to_string().as_bytes())
    }

    fn edited(
        mut value: serde_json::Value,
        pointer: &str,
        new: serde_json::Value,
    ) -> serde_json::Value {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        value.pointer_mut(parent).unwrap()[key] = new;
        value
    }

    #[test]
    fn an_index_and_a_manifest_are_read() {
        let (d, e) = (D.parse().unwrap(), E.parse().unwrap());
        let entries = vec![(Kind::Manifest, d), (Kind::Index, e)];
        assert_eq!(read(&index_json()), Ok(Document::Index(entries)));
        assert_eq!(
            read(&manifest_json()),
            Ok(Document::Manifest {
                config: d,
                layers: 1
            })
        );
        let mut without = manifest_json();
        without.as_object_mut().unwrap().remove("mediaType");
        assert!(
            read(&without).is_ok(),
            "OCI manifests need not say their media type"
        );
    }

    #[test]
    fn a_document_that_is_both_index_and_manifest_is_refused() {
        for field in ["layers", "config"] {
            let both = edited(
                index_json(),
                &format!("/{field}"),
                manifest_json()[field].clone(),
            );
            assert_eq!(read(&both), Err("both an index and a manifest"), "{field}");
        }
        let swapped = edited(index_json(), "/mediaType", OCI_MANIFEST.into());
        assert_eq!(read(&swapped), Err("its media type is not what it is"));
        let swapped = edited(manifest_json(), "/mediaType", DOCKER_LIST.into());
        assert_eq!(read(&swapped), Err("its media type is not what it is"));
    }

    #[test]
    fn keys_that_two_decoders_would_read_differently_are_refused() {
        let good = manifest_json().to_string();
        let inside = &good[..good.len() - 1];
        let twice = format!(r#"{inside},"config":{{"mediaType":"{OCI_CONFIG}","digest":"{E}"}}}}"#);
        assert!(document(twice.as_bytes()).is_err());
        for key in ["Config", "CONFIG", "layer\u{17f}", "config\\u0000"] {
            let other =
                format!(r#"{inside},"{key}":{{"mediaType":"{OCI_CONFIG}","digest":"{E}"}}}}"#);
            let refused = document(other.as_bytes()).is_err();
            assert_eq!(refused, !key.contains("u0000"), "{key}");
        }
        let renamed = good.replace("\"config\"", "\"Config\"");
        assert!(document(renamed.as_bytes()).is_err());
        let manifests = format!(r#"{inside},"manifest\u017f":[]}}"#);
        assert!(
            document(manifests.as_bytes()).is_err(),
            "folds to `manifests`"
        );
        let digests = good.replace(
            &format!(r#""digest":"{D}""#),
            &format!(r#""digest":"{D}","Digest":"{E}""#),
        );
        assert!(document(digests.as_bytes()).is_err());
        assert!(
            document(format!("{good}{good}").as_bytes()).is_err(),
            "two documents"
        );
    }

    #[test]
    fn schema_1_is_refused() {
        let one = serde_json::json!({"schemaVersion": 1, "fsLayers": [], "history": [], "signatures": []});
        assert_eq!(read(&one), Err("a schema 1 manifest"));
        let one = edited(manifest_json(), "/schemaVersion", 1.into());
        assert_eq!(read(&one), Err("a schema 1 manifest"));
        let both = edited(manifest_json(), "/fsLayers", serde_json::json!([]));
        assert_eq!(read(&both), Err("a schema 1 manifest"));
    }

    #[test]
    fn checkpoints_are_refused_wherever_they_say_so() {
        let marks = serde_json::json!({CHECKPOINT: "web"});
        for value in [
            edited(manifest_json(), "/annotations", marks.clone()),
            edited(index_json(), "/annotations", marks.clone()),
            edited(index_json(), "/manifests/0/annotations", marks),
        ] {
            let read = value
                .pointer("/manifests/0/annotations")
                .map_or_else(|| read(&value), |_| document(value.to_string().as_bytes()));
            assert_eq!(read, Err("a container checkpoint, not an image"));
        }
    }

    #[test]
    fn a_manifest_of_anything_but_an_image_makes_no_image() {
        for media_type in [
            "application/vnd.unknown.config.v1+json",
            "application/vnd.oci.empty.v1+json",
        ] {
            let artifact = edited(manifest_json(), "/config/mediaType", media_type.into());
            assert_eq!(
                read(&artifact),
                Err("a manifest of something other than an image")
            );
        }
        let other = edited(manifest_json(), "/config/digest", "sha512:00".into());
        assert_eq!(read(&other), Err("a descriptor without a sha256 digest"));
    }

    #[test]
    fn an_index_of_too_many_entries_is_refused() {
        let entry = index_json()["manifests"][0].clone();
        let many = edited(
            index_json(),
            "/manifests",
            vec![entry; MAX_ENTRIES + 1].into(),
        );
        assert_eq!(read(&many), Err("an index with too many entries"));
    }

    #[test]
    fn the_chain_id_is_that_of_the_specification() {
        let config_json = |diff_ids: &[&str], user: Option<&str>| {
            let mut value = serde_json::json!({"rootfs": {"type": "layers", "diff_ids": diff_ids}});
            if let Some(user) = user {
                value["config"] = serde_json::json!({"User": user});
            }
            value.to_string()
        };
        let one = config(config_json(&[D], None).as_bytes(), 1).unwrap();
        assert_eq!(one.chain_id.to_string(), D);
        assert_eq!(one.user, "");
        let two = config(config_json(&[D, E], Some("1000:1000")).as_bytes(), 2).unwrap();
        let expected = Digest::of(format!("{D} {E}").as_bytes());
        assert_eq!((two.chain_id, two.user.as_str()), (expected, "1000:1000"));
        let three = config(config_json(&[D, E, D], None).as_bytes(), 3).unwrap();
        assert_eq!(
            three.chain_id,
            Digest::of(format!("{expected} {D}").as_bytes())
        );

        let refusal = |text: String, layers| config(text.as_bytes(), layers).unwrap_err();
        assert_eq!(
            refusal(config_json(&[D], None), 2),
            "a config whose diff IDs do not match the layers"
        );
        assert_eq!(
            refusal(config_json(&[], None), 0),
            "an image without layers"
        );
        assert_eq!(
            refusal(config_json(&["sha512:1"], None), 1),
            "a diff ID other than sha256"
        );
        assert_eq!(refusal("{}".to_owned(), 1), "a config without rootfs");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_parsers_panic(bytes: Vec<u8>, text in r#"[\{\}\[\]":,a-z0-9]{0,60}"#) {
            let _ = (document(&bytes), config(&bytes, 1), document(text.as_bytes()));
        }
    }
}
