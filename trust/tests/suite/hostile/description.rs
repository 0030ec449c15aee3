//! What an image says about itself: index, manifest and config by whoever made the image.

use std::collections::BTreeMap;
use std::time::Duration;

use portcullis_policy::model::{AnnotationsRequirement, TextMatch};
use portcullis_policy::{Digest, Span};
use portcullis_trust::annotations::AnnotationsVerifier;
use portcullis_trust::evidence::ImageDescription;

use super::sigstore::now;
use super::{Seed, Target};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

fn manifest_of(config: &[u8]) -> Vec<u8> {
    let digest = Digest::of(config).to_string();
    let config = serde_json::json!({"mediaType": CONFIG, "digest": digest, "size": config.len()});
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [],
    });
    serde_json::to_vec(&manifest).unwrap()
}

fn described(index: Option<&[u8]>, manifest: &[u8], config: &[u8]) -> ImageDescription {
    ImageDescription {
        subject: Digest::of(index.unwrap_or(manifest)),
        index: index.map(<[u8]>::to_vec),
        manifest: manifest.to_vec(),
        config: config.to_vec(),
        gathered_at: now(),
    }
}

/// The bytes hash to what names them: as a config, as a manifest, and as an index.
pub(super) const DESCRIPTION: Target = Target {
    name: "description",
    run: |bytes| {
        let source = TextMatch::Exact("https://git.example.com/app".to_owned());
        let verifier = AnnotationsVerifier::compile(&AnnotationsRequirement {
            values: BTreeMap::from([("org.opencontainers.image.source".to_owned(), source)]),
            max_age: Some(Duration::from_hours(1)),
            span: Span::nowhere(),
        })
        .unwrap();
        let plain = br#"{"architecture":"amd64","os":"linux"}"#;
        let manifest = manifest_of(plain);
        for description in [
            described(None, &manifest_of(bytes), bytes),
            described(None, bytes, plain),
            described(Some(bytes), &manifest, plain),
        ] {
            let _ = verifier.verify(&description.subject, &[&description], now());
        }
        None
    },
    seeds: || {
        let config = br#"{"created":"2026-11-20T00:00:00Z","config":{"Labels":{"org.opencontainers.image.source":"https://git.example.com/app"}}}"#;
        let manifest = manifest_of(config);
        let index = serde_json::json!({"schemaVersion": 2, "manifests": [{
            "mediaType": MANIFEST, "digest": Digest::of(&manifest).to_string(), "size": manifest.len(),
            "annotations": {"org.opencontainers.image.created": "2026-11-20T00:00:00Z"},
        }]});
        vec![
            Seed::new("config", config.to_vec()),
            Seed::new("manifest", manifest),
            Seed::new("index", serde_json::to_vec(&index).unwrap()),
        ]
    },
};
