use super::*;

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn parse(text: &str) -> Result<Bootstrap, Vec<String>> {
    let text = text.replace("HEX", HEX);
    let file = SourceFile {
        name: "bootstrap.yaml".into(),
        bytes: text.into_bytes(),
        mode: None,
    };
    Bootstrap::parse(&file)
        .map_err(|diagnostics| diagnostics.iter().map(ToString::to_string).collect())
}

#[test]
fn an_image_is_allowed_by_digest_in_its_namespaces_only() {
    let list = parse(
        "images:\n- {image: 'registry.k8s.io/pause:3.9@sha256:HEX', namespaces: ['*']}\n- {image: 'sync@sha256:HEX', namespaces: [kube-system]}\n",
    )
    .expect("loads");
    let digest = Digest::of(b"");
    assert_eq!(
        list.images.first().map(|image| image.repository.as_str()),
        Some("registry.k8s.io/pause")
    );
    assert!(list.allows(None, &digest).is_some());
    assert!(list.allows(Some("shop"), &digest).is_some());
    assert!(list.allows(Some("shop"), &Digest::of(b"other")).is_none());

    let narrow =
        parse("images: [{image: 'sync@sha256:HEX', namespaces: [kube-system]}]").expect("loads");
    assert!(narrow.allows(Some("kube-system"), &digest).is_some());
    assert!(narrow.allows(Some("shop"), &digest).is_none());
    assert!(
        narrow.allows(None, &digest).is_none(),
        "a call without a pod is in no namespace"
    );
}

#[test]
fn an_entry_without_digest_or_namespaces_is_refused_with_its_place() {
    for (text, expected) in [
        (
            "images:\n- {image: 'pause:3.9', namespaces: ['*']}\n",
            "bootstrap.yaml:2:11 (images[0].image): error: must name a digest",
        ),
        (
            "images:\n- image: 'pause@sha256:HEX'\n",
            "bootstrap.yaml:2:3 (images[0]): error: `namespaces` is missing",
        ),
        (
            "images: [{image: 'pause@sha256:HEX', namespaces: []}]",
            "no namespace is named",
        ),
        (
            "images: [{image: 'pause@sha256:HEX', namespaces: [Shop]}]",
            "neither `*` nor",
        ),
        (
            "images: [{image: 'pause@sha256:HEX', namespaces: '*'}]",
            "must be a list",
        ),
        (
            "images: [{image: 'sha256:HEX', namespaces: ['*']}]",
            "by ID",
        ),
        (
            "images: [{image: 'pause@sha256:HEX', namespaces: ['*'], tag: x}]",
            "unknown field",
        ),
        ("image: []\n", "`images` is missing"),
        (
            "images: []\n---\nimages: []\n",
            "more documents than the 1 allowed",
        ),
        ("images: []\nimages: []\n", "given twice"),
    ] {
        let errors = parse(text).expect_err("is refused");
        assert!(
            errors.iter().any(|error| error.contains(expected)),
            "{text}: {errors:?}"
        );
    }
}

#[test]
fn a_file_of_comments_is_an_empty_list() {
    assert_eq!(parse("# nothing yet\n"), Ok(Bootstrap::default()));
    assert_eq!(parse("images: []\n"), Ok(Bootstrap::default()));
}
