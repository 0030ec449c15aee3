use proptest::prelude::*;

use crate::model::{Dialect, LookasideUrl, Pattern, RegistriesD};
use crate::pattern::Quality;
use crate::reference::ImageReference;

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn quality(scope: &str, image: &str) -> Option<Quality> {
    let image = ImageReference::parse(&image.replace("HEX", HEX)).unwrap();
    pattern(scope).matches(&image)
}

fn pattern(scope: &str) -> Pattern {
    Pattern {
        text: scope.replace("HEX", HEX),
        dialect: Dialect::Containers,
    }
}

/// The lookup of containers/image in the order that containers-policy.json(5) gives: the reference to compare with.
fn lookup_order(image: &ImageReference) -> Vec<String> {
    let mut name = image.repository();
    let mut out = vec![match (image.digest(), image.tag()) {
        (Some(digest), _) => format!("{name}@{digest}"),
        (None, tag) => format!("{name}:{}", tag.unwrap()),
    }];
    loop {
        out.push(name.clone());
        match name.rsplit_once('/') {
            Some((parent, _)) => name = parent.to_owned(),
            None => break,
        }
    }
    let mut host = name.split(':').next().unwrap().to_owned();
    while let Some((_, parent)) = host.clone().split_once('.') {
        out.push(format!("*.{parent}"));
        host = parent.to_owned();
    }
    out.extend([String::new(), "default".to_owned()]);
    out
}

#[test]
fn every_scope_of_the_lookup_matches_and_the_earlier_one_is_the_more_specific() {
    for image in [
        "nginx",
        "registry.eu.example.com:5000/a/b/c:1",
        "registry.example.com/a@sha256:HEX",
        "registry.example.com/a:1@sha256:HEX",
        "localhost/a",
    ] {
        let image = ImageReference::parse(&image.replace("HEX", HEX)).unwrap();
        let qualities: Vec<_> = lookup_order(&image)
            .iter()
            .map(|scope| {
                let pattern = pattern(scope);
                pattern.check().unwrap_or_else(|error| panic!("{error}"));
                pattern.matches(&image).unwrap_or_else(|| panic!("{scope}"))
            })
            .collect();
        assert!(
            qualities.windows(2).all(|pair| pair[0] > pair[1]),
            "{image}"
        );
    }
}

#[test]
fn a_neighbour_with_a_longer_or_shorter_name_is_not_covered() {
    for (scope, image) in [
        ("r.example.com/a", "r.example.com/ab"),
        ("r.example.com/ab", "r.example.com/a"),
        ("r.example.com", "r.example.com.evil.net/a"),
        ("r.example.com", "r.example.com:5000/a"),
        ("r.example.com:5000", "r.example.com/a"),
        ("*.example.com", "example.com/a"),
        ("*.example.com", "evilexample.com/a"),
        ("*.example.com", "a.example.com.evil.net/a"),
        ("r.example.com/a:1", "r.example.com/a:12"),
        ("r.example.com/a:1", "r.example.com/a/b:1"),
        ("r.example.com/a:1", "r.example.com/a:1@sha256:HEX"),
        ("docker.io/nginx", "nginx"),
    ] {
        assert_eq!(quality(scope, image), None, "{scope} {image}");
    }
}

#[test]
fn a_domain_covers_hosts_below_it_with_and_without_a_port() {
    assert!(quality("*.example.com", "a.b.example.com/x").is_some());
    assert!(quality("*.example.com", "a.example.com:5000/x").is_some());
    assert!(quality("*.example.com", "A.EXAMPLE.com/x").is_some());
}

#[test]
fn scopes_that_match_nothing_are_refused() {
    for scope in [
        "nginx",
        "library/nginx",
        "nginx:latest",
        "index.docker.io/library/nginx",
        "docker.io/nginx:1",
        "registry.example.com/*",
        "*",
        "*.example.com/a",
        "*.example.com:5000",
        "Registry.example.com",
        "registry.example.com/",
        "registry.example.com/a@sha256:00",
        "registry.example.com/a:1@sha256:HEX",
        "https://registry.example.com",
    ] {
        assert!(pattern(scope).check().is_err(), "{scope}");
    }
}

#[test]
fn signatures_are_looked_for_at_the_most_specific_scope_with_a_store() {
    let url = |text: &str| LookasideUrl(text.to_owned());
    let stores = RegistriesD {
        default: Some(url("https://default.example.com")),
        docker: ["r.example.com", "r.example.com/a", "*.example.com"]
            .map(|scope| (scope.to_owned(), url(scope)))
            .into(),
    };
    for (image, expected) in [
        ("r.example.com/a/b", "r.example.com/a"),
        ("r.example.com/ab", "r.example.com"),
        ("s.example.com/a", "*.example.com"),
        ("nginx", "https://default.example.com"),
    ] {
        let image = ImageReference::parse(image).unwrap();
        assert_eq!(stores.lookaside(&image), Some(&url(expected)), "{image}");
    }
    assert_eq!(
        RegistriesD::default().lookaside(&ImageReference::parse("nginx").unwrap()),
        None
    );
}

proptest! {
    #[test]
    fn a_scope_matches_exactly_when_the_lookup_names_it(
        scope in "([*][.])?(a|b)([.](a|b)){0,2}(:1)?(/(a|b)){0,2}(:(a|b))?", image in "(a|b)[.](a|b)(:1)?(/(a|b)){1,2}(:(a|b))?",
    ) {
        let image = ImageReference::parse(&image).unwrap();
        prop_assert_eq!(pattern(&scope).matches(&image).is_some(), lookup_order(&image).contains(&scope));
    }
}
