//! Documents that must be read one way or not at all.

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
        let other = format!(r#"{inside},"{key}":{{"mediaType":"{OCI_CONFIG}","digest":"{E}"}}}}"#);
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
    let one =
        serde_json::json!({"schemaVersion": 1, "fsLayers": [], "history": [], "signatures": []});
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
