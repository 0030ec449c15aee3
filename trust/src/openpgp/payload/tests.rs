use super::*;

const GOOD: &str = r#"{"critical":{"identity":{"docker-reference":"r.example/app:1"},"image":{"docker-manifest-digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},"type":"atomic container signature"},"optional":{"creator":"atomic 5.23.1","timestamp":1769904000}}"#;

fn parse(text: &str) -> Result<Payload, PayloadError> {
    Payload::parse(text.as_bytes())
}

fn edited(from: &str, to: &str) -> Result<Payload, PayloadError> {
    assert!(GOOD.contains(from), "{from}");
    parse(&GOOD.replacen(from, to, 1))
}

#[test]
fn what_skopeo_signs_is_read() {
    let payload = parse(GOOD).unwrap();
    assert_eq!(payload.reference, "r.example/app:1");
    assert_eq!(payload.digest, Digest::of(b""));
}

#[test]
fn more_in_optional_is_ignored() {
    assert!(edited(r#""creator":"#, r#""x":{"a":[1,{}]},"creator":"#).is_ok());
    assert!(
        edited(
            r#"{"creator":"atomic 5.23.1","timestamp":1769904000}"#,
            "{}"
        )
        .is_ok()
    );
    assert!(edited("1769904000", "1769904000.0").is_ok());
}

#[test]
fn every_field_counts_once_and_no_other_is_accepted() {
    use PayloadError::{Duplicate, Missing, Unknown};
    let twice = [
        (
            r#""optional":{"#,
            r#""critical":{},"optional":{"#,
            "the content",
        ),
        (r#""type":"#, r#""type":"x","type":"#, "critical"),
        (r#""type":"#, r#""typ\u0065":"x","type":"#, "critical"),
        (
            r#""docker-reference":"#,
            r#""docker-reference":"evil/app:1","docker-reference":"#,
            "critical.identity",
        ),
        (
            r#""docker-manifest-digest":"#,
            r#""docker-manifest-digest":"","docker-manifest-digest":"#,
            "critical.image",
        ),
        (r#""creator":"#, r#""creator":"x","creator":"#, "optional"),
        (r#""creator":"#, r#""x":1,"x":2,"creator":"#, "optional"),
    ];
    for (from, to, object) in twice {
        assert_eq!(edited(from, to), Err(Duplicate(object)), "{to}");
    }
    let unknown = [
        (
            r#""optional":{"#,
            r#""extra":1,"optional":{"#,
            "the content",
        ),
        (r#""type":"#, r#""extra":1,"type":"#, "critical"),
        (
            r#""type":"#,
            r#""Type":"atomic container signature","type":"#,
            "critical",
        ),
        (
            r#""docker-reference":"#,
            r#""extra":1,"docker-reference":"#,
            "critical.identity",
        ),
        (
            r#""docker-manifest-digest":"#,
            r#""extra":1,"docker-manifest-digest":"#,
            "critical.image",
        ),
    ];
    for (from, to, object) in unknown {
        assert_eq!(edited(from, to), Err(Unknown(object)), "{to}");
    }
    assert_eq!(parse("{}"), Err(Missing("critical")));
    assert_eq!(
        edited(
            r#","optional":{"creator":"atomic 5.23.1","timestamp":1769904000}"#,
            ""
        ),
        Err(Missing("optional"))
    );
    assert_eq!(
        edited(r#","type":"atomic container signature""#, ""),
        Err(Missing("type"))
    );
    assert_eq!(
        edited(r#""docker-reference":"r.example/app:1""#, ""),
        Err(Missing("docker-reference"))
    );
}

#[test]
fn values_have_their_kind() {
    assert_eq!(
        edited(
            "atomic container signature",
            "cosign container image signature"
        ),
        Err(PayloadError::Type)
    );
    for (from, to) in [
        (r#""atomic container signature""#, "null"),
        (r#""r.example/app:1""#, "null"),
        (r#""r.example/app:1""#, r#"["r.example/app:1"]"#),
        ("sha256:e3b0", "sha256:E3b0"),
        ("sha256:e3b0", "sha512:e3b0"),
        ("sha256:e3b0", " sha256:e3b0"),
        (r#""atomic 5.23.1""#, "5"),
        ("1769904000", r#""1769904000""#),
        ("1769904000", "1769904000.5"),
        ("1769904000", "1e300"),
        ("1769904000", "null"),
    ] {
        assert!(
            matches!(edited(from, to), Err(PayloadError::Kind { .. })),
            "{to}"
        );
    }
}

#[test]
fn arrays_are_not_taken_for_objects_and_nothing_may_follow() {
    let not_object = [
        (
            GOOD.replacen(
                r#"{"docker-reference":"r.example/app:1"}"#,
                r#"["r.example/app:1"]"#,
                1,
            ),
            "critical.identity",
        ),
        (
            GOOD.replacen(
                r#"{"creator":"atomic 5.23.1","timestamp":1769904000}"#,
                "null",
                1,
            ),
            "optional",
        ),
        (format!("{GOOD}{GOOD}"), "the content"),
        (format!("{GOOD}x"), "the content"),
        (format!("[{GOOD}]"), "the content"),
        (GOOD.replace('}', ""), "the content"),
        (String::new(), "the content"),
        ("[".repeat(100_000), "the content"),
    ];
    for (text, object) in not_object {
        assert_eq!(parse(&text), Err(PayloadError::NotObject(object)));
    }
    assert!(Payload::parse(b"{\"critical\xff\":1}").is_err());
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let _ = edited(r#""creator":"#, &format!(r#""x":{deep},"creator":"#));
}
