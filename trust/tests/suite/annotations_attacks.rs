//! What an image says about itself, and what it cannot be made to say.

use std::collections::BTreeMap;
use std::time::Duration;

use portcullis_policy::Digest;
use portcullis_policy::model::{AnnotationsRequirement, TextMatch};
use portcullis_trust::annotations::AnnotationsVerifier;
use portcullis_trust::evidence::ImageDescription;
use serde_json::{Value, json};

use super::common::{now, span};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const TEAM: &str = "com.example.team";
const CREATED: &str = "org.opencontainers.image.created";

/// Puts annotations into an image.
type Edit = fn(&mut Image, Value);

/// An image before it is written down.
struct Image {
    index: Value,
    entry: Value,
    manifest: Value,
    config: Value,
}

impl Image {
    fn new() -> Self {
        Self {
            index: json!({"schemaVersion": 2, "mediaType": INDEX}),
            entry: json!({"mediaType": MANIFEST, "size": 1}),
            manifest: json!({"schemaVersion": 2, "mediaType": MANIFEST, "layers": []}),
            config: json!({"os": "linux", "created": "2026-11-20T00:00:00Z", "config": {"Labels": {TEAM: "shop"}}}),
        }
    }

    /// With an index.
    fn listed(mut self) -> ImageDescription {
        let mut plain = self.plain_parts();
        self.entry["digest"] = Digest::of(&plain.manifest).to_string().into();
        self.index["manifests"] = json!([self.entry]);
        let index = self.index.to_string().into_bytes();
        plain.subject = Digest::of(&index);
        plain.index = Some(index);
        plain
    }

    fn plain(mut self) -> ImageDescription {
        self.plain_parts()
    }

    fn plain_parts(&mut self) -> ImageDescription {
        let config = self.config.to_string().into_bytes();
        self.manifest["config"] = json!({"digest": Digest::of(&config).to_string(), "size": 1});
        let manifest = self.manifest.to_string().into_bytes();
        ImageDescription {
            subject: Digest::of(&manifest),
            index: None,
            manifest,
            config,
            gathered_at: now(),
        }
    }
}

fn requirement(values: &[(&str, &str)], max_age: Option<Duration>) -> AnnotationsRequirement {
    let values = values
        .iter()
        .map(|(key, value)| ((*key).to_owned(), TextMatch::Exact((*value).to_owned())));
    AnnotationsRequirement {
        values: values.collect::<BTreeMap<_, _>>(),
        max_age,
        span: span(),
    }
}

fn verify(
    requirement: &AnnotationsRequirement,
    subject: &Digest,
    descriptions: &[&ImageDescription],
) -> Result<Vec<String>, String> {
    AnnotationsVerifier::compile(requirement)
        .unwrap()
        .verify(subject, descriptions, now())
        .map(|found| found.into_iter().flat_map(|one| one.notes).collect())
        .map_err(|refused| refused.clause())
}

fn team(description: &ImageDescription) -> Result<Vec<String>, String> {
    verify(
        &requirement(&[(TEAM, "shop")], None),
        &description.subject,
        &[description],
    )
}

fn young(description: &ImageDescription) -> Result<Vec<String>, String> {
    let requirement = requirement(&[], Some(Duration::from_hours(48)));
    verify(&requirement, &description.subject, &[description])
}

#[test]
fn a_value_counts_in_each_of_its_places() {
    assert_eq!(
        team(&Image::new().plain()).unwrap(),
        ["`com.example.team` is `shop`"]
    );
    let edits: [Edit; 3] = [
        |image, said| image.manifest["annotations"] = said,
        |image, said| image.index["annotations"] = said,
        |image, said| image.entry["annotations"] = said,
    ];
    for edit in edits {
        let mut image = Image::new();
        image.config = json!({});
        edit(&mut image, json!({TEAM: "shop"}));
        assert!(team(&image.listed()).is_ok());
    }
}

#[test]
fn a_value_that_is_right_in_one_place_and_wrong_in_another_does_not_count() {
    let edits: [(Edit, &str); 3] = [
        (
            |image, said| image.manifest["annotations"] = said,
            "the annotations of the manifest",
        ),
        (
            |image, said| image.index["annotations"] = said,
            "the annotations of the index",
        ),
        (
            |image, said| image.entry["annotations"] = said,
            "the annotations of the manifest's entry in the index",
        ),
    ];
    for (edit, place) in edits {
        for wrong in [
            json!("evil"),
            json!(""),
            json!(1),
            json!(["shop"]),
            json!("shop "),
        ] {
            let mut image = Image::new();
            edit(&mut image, json!({TEAM: wrong}));
            assert_eq!(
                team(&image.listed()).unwrap_err(),
                format!("1 was found and does not count: `{TEAM}` is not `shop` in {place}")
            );
        }
    }
    let mut image = Image::new();
    image.manifest["annotations"] = json!({TEAM: "shop"});
    image.config["config"]["Labels"] = json!({TEAM: "evil"});
    assert!(team(&image.plain()).is_err());
}

#[test]
fn a_key_that_is_nowhere_does_not_count() {
    let mut image = Image::new();
    image.config["config"]["Labels"] = json!({"com.example.Team": "shop"});
    assert_eq!(
        team(&image.plain()).unwrap_err(),
        "1 was found and does not count: it has no annotation or label `com.example.team`"
    );
    let none = requirement(&[(TEAM, "shop")], None);
    let subject = Digest::of(b"x");
    assert_eq!(verify(&none, &subject, &[]).unwrap_err(), "none was found");
}

#[test]
fn a_config_that_is_not_the_manifests_does_not_count() {
    let mut description = Image::new().plain();
    description.config = json!({"config": {"Labels": {TEAM: "shop"}}, "x": 1})
        .to_string()
        .into_bytes();
    assert!(
        team(&description)
            .unwrap_err()
            .ends_with("its config is not that of its manifest")
    );
}

#[test]
fn a_manifest_that_is_not_in_the_index_does_not_count() {
    let mut description = Image::new().listed();
    let other = Image::new();
    let mut other = Image {
        manifest: json!({"schemaVersion": 2, "annotations": {TEAM: "shop"}}),
        ..other
    };
    let other = other.plain_parts();
    description.manifest = other.manifest;
    description.config = other.config;
    assert!(
        team(&description)
            .unwrap_err()
            .ends_with("its manifest is not one of its index")
    );
}

#[test]
fn a_description_of_another_image_does_not_count() {
    for description in [Image::new().plain(), Image::new().listed()] {
        let other = Digest::of(b"another image");
        let found = verify(
            &requirement(&[(TEAM, "shop")], None),
            &other,
            &[&description],
        );
        assert!(
            found
                .unwrap_err()
                .ends_with("does not hash to the image's digest")
        );
        // A manifest of an image is not the image that its index names.
        let bare = ImageDescription {
            index: None,
            subject: other,
            ..description
        };
        assert!(team(&bare).is_err());
    }
}

#[test]
fn a_document_that_is_index_and_manifest_at_once_is_neither() {
    let edits: [fn(&mut Image); 9] = [
        |image| image.manifest["manifests"] = json!([]),
        |image| image.manifest["mediaType"] = INDEX.into(),
        |image| image.manifest["Manifests"] = json!([]),
        |image| image.manifest["fsLayers"] = json!([]),
        |image| image.manifest["schemaVersion"] = 1.into(),
        |image| image.index["config"] = json!({}),
        |image| image.index["layers"] = json!([]),
        |image| image.index["mediaType"] = MANIFEST.into(),
        |image| image.index["Annotations"] = json!({}),
    ];
    for (number, edit) in edits.into_iter().enumerate() {
        let mut image = Image::new();
        edit(&mut image);
        assert!(team(&image.listed()).is_err(), "{number}");
    }
}

#[test]
fn a_label_that_stands_twice_does_not_count() {
    let mut description = Image::new().plain();
    let config = String::from_utf8(description.config).unwrap().replace(
        "\"com.example.team\"",
        "\"com.example.team\":\"evil\",\"com.example.team\"",
    );
    description.config = config.into_bytes();
    let manifest = json!({
        "schemaVersion": 2, "layers": [],
        "config": {"digest": Digest::of(&description.config).to_string()},
    });
    description.manifest = manifest.to_string().into_bytes();
    description.subject = Digest::of(&description.manifest);
    assert!(
        team(&description)
            .unwrap_err()
            .ends_with("unambiguous keys")
    );
}

#[test]
fn every_platform_that_is_known_has_to_hold_and_junk_beside_them_does_not_matter() {
    let mut image = Image::new();
    let one = image.plain_parts();
    let mut other = Image::new();
    other.config["config"]["Labels"] = json!({TEAM: "evil"});
    let other = other.plain_parts();
    let entries =
        [&one, &other].map(|one| json!({"digest": Digest::of(&one.manifest).to_string()}));
    let index = json!({"schemaVersion": 2, "manifests": entries})
        .to_string()
        .into_bytes();
    let subject = Digest::of(&index);
    let [one, other] = [one, other].map(|one| ImageDescription {
        subject,
        index: Some(index.clone()),
        ..one
    });
    let requirement = requirement(&[(TEAM, "shop")], None);
    assert!(verify(&requirement, &subject, &[&one]).is_ok());
    assert!(verify(&requirement, &subject, &[&one, &other]).is_err());
    let junk = ImageDescription {
        config: b"{}".to_vec(),
        ..other
    };
    assert!(verify(&requirement, &subject, &[&junk, &one]).is_ok());
    assert!(verify(&requirement, &subject, &[&junk]).is_err());
}

#[test]
fn an_images_age_is_that_of_its_oldest_word_and_never_of_the_future() {
    assert_eq!(
        young(&Image::new().plain()).unwrap(),
        ["created 2026-11-20T00:00:00Z"]
    );
    let created = |config: Value, annotation: Value| {
        let mut image = Image::new();
        image.config["created"] = config;
        image.manifest["annotations"] = json!({CREATED: annotation, "x": "y"});
        if image.manifest["annotations"][CREATED].is_null() {
            image.manifest["annotations"] = json!({});
        }
        young(&image.plain())
    };
    let good = json!("2026-11-20T12:00:00Z");
    assert!(created(Value::Null, good.clone()).is_ok());
    assert!(created(good.clone(), good.clone()).is_ok());
    for bad in [
        json!("2026-11-18T23:00:00Z"),
        json!("1970-01-01T00:00:00Z"),
        json!("2026-11-21T00:06:00Z"),
        json!("9999-12-31T23:59:59Z"),
        json!("today"),
        json!(""),
        json!(0),
    ] {
        assert!(created(bad.clone(), Value::Null).is_err(), "{bad}");
        assert!(created(good.clone(), bad.clone()).is_err(), "{bad}");
        assert!(created(bad.clone(), good.clone()).is_err(), "{bad}");
    }
    assert!(
        created(Value::Null, Value::Null)
            .unwrap_err()
            .ends_with("it does not say when it was created")
    );
}

#[test]
fn a_requirement_without_content_or_with_a_bad_pattern_refuses_the_policy() {
    assert!(AnnotationsVerifier::compile(&requirement(&[], None)).is_err());
    let mut bad = requirement(&[("a", "b")], None);
    bad.values
        .insert("c".to_owned(), TextMatch::Regex("(".to_owned()));
    let found = AnnotationsVerifier::compile(&bad).unwrap_err();
    assert!(
        found[0]
            .message
            .starts_with("the pattern for `c` cannot be used")
    );
}
