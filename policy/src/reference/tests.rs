use proptest::prelude::*;

use super::*;

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn normalised(text: &str) -> String {
    ImageReference::parse(text).map_or_else(|e| format!("error: {e}"), |r| r.normalised())
}

fn is_malformed(text: &str) -> bool {
    matches!(
        ImageReference::parse(text),
        Err(ReferenceError::Malformed(_))
    )
}

#[test]
fn names_are_normalised_as_docker_does() {
    for (text, expected) in [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.25", "docker.io/library/nginx:1.25"),
        ("org/app", "docker.io/org/app:latest"),
        ("docker.io/nginx", "docker.io/library/nginx:latest"),
        ("index.docker.io/nginx", "docker.io/library/nginx:latest"),
        ("index.docker.io/org/app:2", "docker.io/org/app:2"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/app:1", "localhost:5000/app:1"),
        ("Registry/app", "Registry/app:latest"),
        ("127.0.0.1:5000/a/b/c", "127.0.0.1:5000/a/b/c:latest"),
        ("[::1]:5000/app", "[::1]:5000/app:latest"),
        ("localhost:5000", "docker.io/library/localhost:5000"),
        ("a--b/c__d/e.f_g", "docker.io/a--b/c__d/e.f_g:latest"),
    ] {
        assert_eq!(normalised(text), expected, "{text}");
    }
}

#[test]
fn tag_and_digest_are_both_kept_and_a_digest_alone_gets_no_tag() {
    let both = ImageReference::parse(&format!("quay.io/a/b:v1@sha256:{HEX}")).expect("parses");
    assert_eq!(both.tag(), Some("v1"));
    assert_eq!(both.digest().map(Digest::hex).as_deref(), Some(HEX));
    assert_eq!(both.tag_record_name(), None);
    let digest = ImageReference::parse(&format!("nginx@sha256:{HEX}")).expect("parses");
    assert_eq!(digest.tag(), None);
    assert_eq!(
        digest.normalised(),
        format!("docker.io/library/nginx@sha256:{HEX}")
    );
}

#[test]
fn an_image_id_cannot_pass_as_a_name() {
    for text in [
        format!("sha256:{HEX}"),
        format!("sha256:{}", &HEX[..7]),
        "sha256:latest".to_owned(),
        "sha256".to_owned(),
        format!("sha256@sha256:{HEX}"),
        HEX.to_owned(),
        HEX.to_uppercase(),
    ] {
        assert!(
            matches!(
                ImageReference::parse(&text),
                Err(ReferenceError::ImageId(_))
            ),
            "{text}"
        );
    }
}

#[test]
fn other_digest_algorithms_are_told_apart_from_nonsense() {
    let sha512 = format!("nginx@sha512:{HEX}{HEX}");
    assert!(matches!(
        ImageReference::parse(&sha512),
        Err(ReferenceError::Algorithm(_))
    ));
    for text in [
        format!("nginx@sha256:{}", &HEX[..63]),
        format!("nginx@sha256:{}", HEX.to_uppercase()),
        format!("nginx@{HEX}"),
        format!("nginx@sha256:{HEX}@sha256:{HEX}"),
        "nginx@".to_owned(),
        "nginx@md5:zz".to_owned(),
    ] {
        assert!(is_malformed(&text), "{text}");
    }
}

#[test]
fn file_paths_and_broken_names_are_refused() {
    for text in [
        "",
        "/var/lib/image.tar",
        "./image",
        "../image",
        ".",
        "a//b",
        "a/",
        ":tag",
        "nginx:",
        "Nginx",
        "org/App",
        " nginx",
        "nginx ",
        "nginx\n",
        "a/b/c:",
        "a_.b/c",
        "-a/b",
        "a-/b",
        "registry.example.com.",
        "host:port/x",
        "registry.example.com./x",
        "-host.example/x",
        "[::1/x",
        "nginx:-1",
        "nginx:a:b",
        "nginx\u{0430}",
        "a..b",
    ] {
        assert!(is_malformed(text), "{text:?}");
    }
}

#[test]
fn lengths_are_bounded() {
    let name = |path: usize| format!("r.io/{}", "a".repeat(path));
    assert!(!is_malformed(&name(250)));
    assert!(is_malformed(&name(251)));
    assert!(!is_malformed(&format!("nginx:{}", "a".repeat(128))));
    assert!(is_malformed(&format!("nginx:{}", "a".repeat(129))));
}

#[test]
fn errors_never_carry_control_characters_or_endless_text() {
    let text = ImageReference::parse(&format!("\u{1b}[31m\n{}", "x".repeat(5000)))
        .expect_err("is refused")
        .to_string();
    assert!(
        text.chars().count() < 200 && !text.contains(['\n', '\u{1b}']),
        "{text}"
    );
}

proptest! {
    #[test]
    fn parsing_never_panics(text in "\\PC{0,80}") {
        let _ = ImageReference::parse(&text);
    }

    #[test]
    fn parsing_punctuation_never_panics(text in "[a-f0-9A-Z:/@._\\[\\]-]{0,80}") {
        let _ = ImageReference::parse(&text);
    }

    #[test]
    fn a_normalised_reference_parses_to_itself(
        text in "(([a-z0-9]{1,5}|[a-zA-Z0-9]{1,5}[.][a-z]{2}|localhost)(:[0-9]{2})?/)?[a-z0-9]{1,4}([._-][a-z0-9]{1,3}){0,2}(/[a-z]{1,4}){0,2}(:[A-Za-z0-9_.]{1,6})?(@sha256:[0-9a-f]{64})?"
    ) {
        if let Ok(first) = ImageReference::parse(&text) {
            let second = ImageReference::parse(&first.normalised()).expect("normalised form parses");
            prop_assert_eq!(second.normalised(), first.normalised());
            prop_assert_eq!(
                (second.domain(), second.path(), second.tag(), second.digest()),
                (first.domain(), first.path(), first.tag(), first.digest())
            );
        }
    }
}
