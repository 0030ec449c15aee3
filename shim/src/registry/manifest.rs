//! What counts as a manifest: four media types, and a body that is what its type says.

use http::{HeaderMap, header};
use portcullis_policy::Digest;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Largest manifest, in bytes (containerd: `MaxManifestSize`, the distribution specification's recommendation).
pub(crate) const MAX_MANIFEST: usize = 4 * 1024 * 1024;

/// `Accept` of every manifest request.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.docker.distribution.manifest.v2+json";

const INDEXES: [&str; 2] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];
const MANIFESTS: [&str; 2] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// The cause for schema 1 manifests, which hash differently from what is stored and are denied (docs/architecture.md).
pub(crate) const SCHEMA_1: &str = "schema 1 manifest";

/// The media type an answer declares.
pub(crate) fn media_type(headers: &HeaderMap) -> Result<&'static str, &'static str> {
    let text = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let text = text.split(';').next().unwrap_or_default().trim();
    let known = INDEXES.iter().chain(&MANIFESTS);
    if let Some(known) = known
        .into_iter()
        .find(|known| text.eq_ignore_ascii_case(known))
    {
        return Ok(known);
    }
    // registry.access.redhat.com has served schema 1 as text/plain (containerd: getManifestMediaType).
    let schema_1 = text.starts_with("application/vnd.docker.distribution.manifest.v1+")
        || text == "text/plain";
    Err(if schema_1 {
        SCHEMA_1
    } else {
        "not the media type of an image manifest or index"
    })
}

/// Whether a media type is that of an index.
pub(crate) fn is_index(media_type: &str) -> bool {
    INDEXES.contains(&media_type)
}

/// `Docker-Content-Digest`, if there is one.
pub(crate) fn digest(headers: &HeaderMap) -> Result<Option<Digest>, &'static str> {
    let mut values = headers.get_all("docker-content-digest").iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.any(|other| other != value) {
        return Err("two different digests");
    }
    value
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .map(Some)
        .ok_or("a digest that is no sha256 digest")
}

#[derive(Deserialize)]
struct Body {
    #[serde(rename = "schemaVersion")]
    schema_version: u32,
    #[serde(rename = "mediaType")]
    media_type: Option<String>,
    manifests: Option<Vec<IgnoredAny>>,
    config: Option<IgnoredAny>,
    layers: Option<Vec<IgnoredAny>>,
    #[serde(rename = "fsLayers")]
    fs_layers: Option<IgnoredAny>,
}

/// Checks that a body is of the type its answer declares. A document that could be read as both an index and a
/// manifest is refused (CVE-2021-41190, GHSA-77vh-xpmg-72qh), as are duplicate keys.
pub(crate) fn check_body(media_type: &str, bytes: &[u8]) -> Result<(), &'static str> {
    let body: Body = serde_json::from_slice(bytes).map_err(|_| "not the JSON of a manifest")?;
    if body.schema_version == 1 || body.fs_layers.is_some() {
        return Err(SCHEMA_1);
    }
    if body.schema_version != 2 {
        return Err("an unknown schemaVersion");
    }
    if body
        .media_type
        .is_some_and(|declared| declared != media_type)
    {
        return Err("a mediaType other than its Content-Type");
    }
    let fits = if INDEXES.contains(&media_type) {
        body.manifests.is_some() && body.config.is_none() && body.layers.is_none()
    } else {
        body.manifests.is_none() && body.config.is_some() && body.layers.is_some()
    };
    if fits {
        Ok(())
    } else {
        Err("a body that is not what its media type says")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OCI_INDEX: &str = INDEXES[0];
    const OCI_MANIFEST: &str = MANIFESTS[0];

    #[test]
    fn only_images_and_indexes_are_accepted() {
        let typed = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, text.parse().unwrap());
            media_type(&headers)
        };
        assert_eq!(typed(OCI_INDEX), Ok(OCI_INDEX));
        assert_eq!(
            typed("application/vnd.oci.image.manifest.v1+json; charset=utf-8"),
            Ok(OCI_MANIFEST)
        );
        for schema_1 in [
            "application/vnd.docker.distribution.manifest.v1+json",
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            "text/plain; charset=utf-8",
        ] {
            assert_eq!(typed(schema_1), Err(SCHEMA_1), "{schema_1}");
        }
        assert!(typed("text/html").is_err());
        assert!(media_type(&HeaderMap::new()).is_err());
    }

    #[test]
    fn a_document_that_is_both_index_and_manifest_is_refused() {
        let index = r#"{"schemaVersion":2,"manifests":[]}"#;
        let manifest = r#"{"schemaVersion":2,"config":{},"layers":[]}"#;
        let both = r#"{"schemaVersion":2,"manifests":[],"config":{},"layers":[]}"#;
        assert_eq!(check_body(OCI_INDEX, index.as_bytes()), Ok(()));
        assert_eq!(check_body(OCI_MANIFEST, manifest.as_bytes()), Ok(()));
        for (media_type, body) in [
            (OCI_INDEX, manifest),
            (OCI_MANIFEST, index),
            (OCI_INDEX, both),
            (OCI_MANIFEST, both),
        ] {
            assert!(
                check_body(media_type, body.as_bytes()).is_err(),
                "{media_type} {body}"
            );
        }
    }

    #[test]
    fn bodies_that_lie_about_themselves_are_refused() {
        for body in [
            r#"{"schemaVersion":1,"fsLayers":[]}"#,
            r#"{"schemaVersion":2,"config":{},"layers":[],"fsLayers":[]}"#,
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","config":{},"layers":[]}"#,
            r#"{"schemaVersion":2,"config":{},"layers":[],"layers":[{}]}"#,
            r#"{"schemaVersion":3,"config":{},"layers":[]}"#,
            "[]",
            "",
        ] {
            assert!(check_body(OCI_MANIFEST, body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn the_digest_header_must_be_one_sha256_digest() {
        let one = Digest::of(b"a").to_string();
        let two = Digest::of(b"b").to_string();
        let parse = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("docker-content-digest", value.parse().unwrap());
            }
            digest(&headers)
        };
        assert_eq!(parse(&[]), Ok(None));
        assert_eq!(parse(&[&one]), Ok(Some(Digest::of(b"a"))));
        assert!(parse(&[&one, &two]).is_err());
        assert!(parse(&["sha512:00"]).is_err());
        assert!(parse(&["latest"]).is_err());
    }
}
