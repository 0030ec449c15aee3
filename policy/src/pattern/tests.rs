use proptest::prelude::*;

use super::*;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn ours(text: &str) -> Pattern {
    Pattern {
        text: text.to_owned(),
        dialect: Dialect::Portcullis,
    }
}

fn portieris(text: &str) -> Pattern {
    Pattern {
        text: text.to_owned(),
        dialect: Dialect::Portieris,
    }
}

fn quality(pattern: &Pattern, reference: &str) -> Option<Quality> {
    pattern.matches(&ImageReference::parse(reference).expect("test reference"))
}

#[test]
fn our_patterns_match_the_normalised_name() {
    for (pattern, reference, expected) in [
        ("nginx", "nginx", true),
        ("nginx", "docker.io/library/nginx:1.25", true),
        ("nginx", "index.docker.io/nginx@DIGEST", true),
        ("nginx", "nginxinc/nginx", false),
        ("nginx", "quay.io/library/nginx", false),
        ("org/app", "docker.io/org/app:1", true),
        ("docker.io/*", "nginx", true),
        ("*", "localhost:5000/a/b@DIGEST", true),
        ("*/app", "quay.io/app", true),
        ("*/app", "quay.io/team/app", false),
        ("*.example.com/shop/*", "r.example.com/shop/a/b", true),
        (
            "*.example.com/shop/*",
            "evil.com/r.example.com/shop/a",
            false,
        ),
        ("r.example.com/app", "R.EXAMPLE.com/app", true),
        ("r.example.com/app", "r.example.com:443/app", false),
        ("r.example.com/app:1.2", "r.example.com/app:1.2", true),
        ("r.example.com/app:1.2", "r.example.com/app:1.3", false),
        ("r.example.com/app:1.*", "r.example.com/app:1.3", true),
        ("r.example.com/app:latest", "r.example.com/app", true),
        (
            "r.example.com/app@DIGEST",
            "r.example.com/app:1@DIGEST",
            true,
        ),
        ("r.example.com/app@DIGEST", "r.example.com/app:1", false),
    ] {
        let (pattern, reference) = (
            pattern.replace("DIGEST", DIGEST),
            reference.replace("DIGEST", DIGEST),
        );
        assert_eq!(ours(&pattern).check(), Ok(()), "{pattern}");
        assert_eq!(
            quality(&ours(&pattern), &reference).is_some(),
            expected,
            "{pattern} on {reference}"
        );
    }
}

/// `app:stable@sha256:<anything>` must not borrow the rule of `app:stable`: containerd pulls the digest.
#[test]
fn a_tag_written_beside_a_digest_does_not_lend_the_rule_of_that_tag() {
    let reference = format!("r.example.com/app:stable@{DIGEST}");
    assert_eq!(quality(&ours("r.example.com/app:stable"), &reference), None);
    assert!(quality(&ours("r.example.com/app"), &reference).is_some());
}

#[test]
fn ambiguous_or_hopeless_patterns_are_refused() {
    for (pattern, expected) in [
        ("", PatternError::Empty),
        (
            "registry.example.com",
            PatternError::HostOnly("registry.example.com".into()),
        ),
        ("localhost", PatternError::HostOnly("localhost".into())),
        (
            "team-*/app",
            PatternError::AmbiguousHost("team-*/app".into()),
        ),
        ("nginx*", PatternError::AmbiguousHub("nginx*".into())),
        (
            "docker.io/nginx*",
            PatternError::AmbiguousHub("nginx*".into()),
        ),
        ("r.io/a?b", PatternError::Character('?')),
        ("r.io/a b", PatternError::Character(' ')),
        ("R.io/a", PatternError::Host("R.io".into())),
        ("r.io/App", PatternError::Path("App".into())),
        ("r.io/App*", PatternError::Path("App*".into())),
        ("r.io//a", PatternError::Path("/a".into())),
        ("r.io/a/", PatternError::Path("a/".into())),
        ("r.io/a:", PatternError::Tag(String::new())),
        ("r.io/a@sha256:12", PatternError::Digest("sha256:12".into())),
        ("r.io/a@*", PatternError::Digest("*".into())),
        ("r.io/a:1@sha256:12", PatternError::TagAndDigest),
    ] {
        assert_eq!(ours(pattern).check(), Err(expected), "{pattern}");
    }
}

#[test]
fn spellings_of_one_name_are_one_pattern() {
    for spelling in [
        "nginx",
        "library/nginx",
        "docker.io/nginx",
        "docker.io/library/nginx",
        "index.docker.io/nginx",
    ] {
        assert_eq!(
            ours(spelling).canonical(),
            "docker.io/library/nginx",
            "{spelling}"
        );
    }
    assert_eq!(ours("*").canonical(), "*");
    assert_eq!(ours("*/*").canonical(), "*");
}

#[test]
fn a_full_name_is_literal_and_a_repository_is_not() {
    let literal = |p: &str, r: &str| quality(&ours(p), r).map(|q| q.literal);
    assert_eq!(literal("r.io/app:1", "r.io/app:1"), Some(true));
    assert_eq!(literal("r.io/app", "r.io/app:1"), Some(false));
    assert_eq!(literal("r.io/app:*", "r.io/app:1"), Some(false));
}

#[test]
fn the_glob_given_for_covering_is_as_wide_as_the_pattern() {
    for (pattern, glob) in [
        ("nginx", "docker.io/library/nginx"),
        ("org/app:1", "docker.io/org/app"),
        ("docker.io/*", "docker.io/*"),
        ("docker.io/ngi*", "docker.io/*"),
        ("r.io/*1.2", "r.io/*"),
        ("r.io/a/b*c:2", "r.io/a/b*"),
        ("icr.io*", "*"),
        ("reg*/x", "*"),
        ("*.example.com/x", "*.example.com/*"),
        ("localhost:5000/x@sha256:*", "localhost:5000/x"),
    ] {
        assert_eq!(portieris(pattern).repositories(), glob, "{pattern}");
    }
}

fn reference_text() -> impl Strategy<Value = String> {
    "((a|b[.]c|docker[.]io)/)?[ab]{1,2}(/[ab]{1,2})?(:[ab]{1,2})?(@sha256:[0-9a-f]{64})?"
}

proptest! {
    #[test]
    fn no_pattern_matches_outside_the_glob_given_for_covering(
        pattern in "((a|b[.]c|[*]|a[*]|docker[.]io)/)?[ab*]{1,3}(/[ab*]{1,2})?(:[ab*]{1,2})?", reference in reference_text()
    ) {
        let parsed = ImageReference::parse(&reference).expect("strategy gives references");
        for dialect in [Dialect::Portieris, Dialect::Portcullis] {
            let pattern = Pattern { text: pattern.clone(), dialect };
            if pattern.check().is_ok() && pattern.matches(&parsed).is_some() {
                prop_assert!(
                    crate::glob::matches(&pattern.repositories(), &parsed.repository()),
                    "{:?} matches {} outside {}", pattern, reference, pattern.repositories()
                );
            }
        }
    }

    #[test]
    fn the_quick_look_never_dismisses_a_match(
        pattern in "((index[.]docker[.]io|docker[.]io|library|a|b[.]c|[*]|a[*]|A[.]b|b[.]c:5)/)?(library/)?[ab*]{1,3}(/[ab*]{1,2})?(:[ab*]{1,2})?",
        reference in "((index[.]docker[.]io|docker[.]io|DOCKER[.]IO|library|a|b[.]c|A[.]b|b[.]c:5)/)?(library/)?[ab]{1,2}(/[ab]{1,2})?(:[ab]{1,2})?(@sha256:[0-9a-f]{64})?"
    ) {
        let parsed = ImageReference::parse(&reference).expect("strategy gives references");
        let subject = Subject::new(&parsed);
        let slowly = portcullis::Parts::read(&pattern).ok().and_then(|parts| parts.matches(&subject));
        if ours(&pattern).check().is_ok() {
            prop_assert_eq!(ours(&pattern).matches(&parsed), slowly);
        }
        prop_assert_eq!(portieris(&pattern).matches(&parsed), super::portieris::matches(&pattern, &reference));
    }

    #[test]
    fn a_literal_match_outranks_every_other(pattern in "((a|b[.]c|[*])/)?[ab*]{1,3}(:[ab*]{1,2})?", reference in reference_text()) {
        let parsed = ImageReference::parse(&reference).expect("strategy gives references");
        let whole = ours(&match parsed.digest() {
            Some(digest) => parsed.at_digest(digest),
            None => parsed.normalised(),
        });
        let best = whole.matches(&parsed).expect("matches itself");
        prop_assert!(best.literal);
        let other = ours(&pattern);
        if other.check().is_ok() && other.canonical() != whole.canonical()
            && let Some(quality) = other.matches(&parsed) {
            prop_assert!(quality < best);
        }
    }

    #[test]
    fn the_weight_counted_is_that_of_the_canonical_text(pattern in "((a|b[.]c|[*])/)?[ab*]{1,3}(:[ab*]{1,2})?", reference in reference_text()) {
        let pattern = ours(&pattern);
        let parsed = ImageReference::parse(&reference).expect("strategy gives references");
        if let Some(quality) = pattern.matches(&parsed) {
            prop_assert_eq!(quality.weight, weight(&pattern.canonical()));
        }
    }
}
