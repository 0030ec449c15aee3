use portcullis_policy::Digest;

use super::*;

const RHEL: &str = "registry.access.redhat.com/rhel7/rhel:7.2.3";
const RHEL_UNTAGGED: &str = "registry.access.redhat.com/rhel7/rhel";

fn image(text: &str) -> ImageReference {
    ImageReference::parse(text).unwrap()
}

fn accepted(identity: &SignedIdentity, named: &str, signed: &str) -> bool {
    accepts(identity, &image(named), signed).is_ok()
}

fn at(name: &str, content: &str) -> String {
    format!("{name}@{}", Digest::of(content.as_bytes()))
}

/// Same name and tag, in every spelling.
const SAME: &[(&str, &str)] = &[
    ("busybox:latest", "busybox:latest"),
    (RHEL, RHEL),
    ("library/busybox:latest", "busybox:latest"),
    ("busybox:latest", "library/busybox:latest"),
    ("docker.io/library/busybox:latest", "busybox:latest"),
    ("busybox:latest", "docker.io/library/busybox:latest"),
    ("busybox:latest", "index.docker.io/library/busybox:latest"),
    ("busybox", "busybox:latest"),
];

/// Same name, other tag or none.
const SAME_REPOSITORY: &[(&str, &str)] = &[
    ("busybox:latest", "busybox:notlatest"),
    ("docker.io/library/busybox:1", "busybox:2"),
    ("registry.access.redhat.com/rhel7/rhel:7.2.3tagsuffix", RHEL),
    (RHEL, RHEL_UNTAGGED),
    ("busybox:latest", "busybox"),
    ("busybox", "library/busybox"),
];

const OTHER: &[(&str, &str)] = &[
    ("busybox:latest", "notbusybox:latest"),
    ("busybox:latest", "hostname/library/busybox:latest"),
    ("hostname.example/library/busybox:latest", "busybox:latest"),
    ("busybox:latest", RHEL),
    ("a.example:5000/x/y:1", "a.example/x/y:1"),
    ("a.example/x/y:1", "a.example/x/y/z:1"),
];

const MALFORMED: &[&str] = &[
    "",
    "UPPERCASE_IS_INVALID_IN_DOCKER_REFERENCES",
    "busybox:latest ",
    "busybox:latest\n",
    "busybox:",
    "busybox@sha256:abc",
    "https://docker.io/library/busybox:latest",
    "atomic:docker.io/library/busybox:latest:x",
];

#[test]
fn exactness_compares_name_and_tag_in_every_spelling() {
    for identity in [
        SignedIdentity::MatchExact,
        SignedIdentity::MatchRepoDigestOrExact,
    ] {
        for (named, signed) in SAME {
            assert!(accepted(&identity, named, signed), "{named} {signed}");
        }
        for (named, signed) in SAME_REPOSITORY.iter().chain(OTHER) {
            assert!(!accepted(&identity, named, signed), "{named} {signed}");
        }
    }
}

#[test]
fn a_repository_match_ignores_tags_and_nothing_else() {
    for (named, signed) in SAME.iter().chain(SAME_REPOSITORY) {
        assert!(accepted(&SignedIdentity::MatchRepository, named, signed));
    }
    for (named, signed) in OTHER {
        assert!(!accepted(&SignedIdentity::MatchRepository, named, signed));
    }
}

#[test]
fn nothing_accepts_what_is_not_a_reference() {
    let identities = [
        SignedIdentity::MatchExact,
        SignedIdentity::MatchRepoDigestOrExact,
        SignedIdentity::MatchRepository,
        SignedIdentity::ExactReference("busybox:latest".to_owned()),
        SignedIdentity::ExactRepository("busybox".to_owned()),
        remap("docker.io", "docker.io"),
    ];
    for identity in &identities {
        for signed in MALFORMED {
            assert_eq!(
                accepts(identity, &image("busybox:latest"), signed),
                Err(IdentityError::Malformed),
                "{identity:?} {signed}"
            );
        }
    }
}

#[test]
fn an_image_by_digest_needs_the_repository_alone_by_default_and_a_tag_or_digest_in_the_signature() {
    let named = at("r.example/shop/app", "one");
    let identity = SignedIdentity::MatchRepoDigestOrExact;
    assert!(accepted(&identity, &named, "r.example/shop/app:1"));
    assert!(accepted(&identity, &named, &named));
    assert!(!accepted(&identity, &named, "r.example/shop/app"));
    assert!(!accepted(&identity, &named, "r.example/shop/other:1"));
    assert!(!accepted(&identity, &named, "evil.example/shop/app:1"));
}

#[test]
fn a_tag_beside_a_digest_does_not_count_by_default() {
    let named = at("r.example/shop/app:1", "one");
    let identity = SignedIdentity::MatchRepoDigestOrExact;
    assert!(accepted(&identity, &named, "r.example/shop/app:1"));
    assert!(accepted(&identity, &named, "r.example/shop/app:2"));
    assert!(!accepted(&identity, &named, "r.example/shop/other:1"));
}

#[test]
fn an_image_by_digest_is_not_equal_to_a_signed_tag() {
    let named = at("r.example/shop/app", "one");
    let exact = SignedIdentity::MatchExact;
    assert!(!accepted(&exact, &named, "r.example/shop/app:1"));
    assert!(!accepted(&exact, &named, &at("r.example/shop/app", "two")));
    assert!(accepted(&exact, &named, &named));
}

#[test]
fn an_image_with_tag_and_digest_is_equal_to_nothing() {
    let named = at("r.example/shop/app:1", "one");
    for signed in [named.as_str(), "r.example/shop/app:1"] {
        assert_eq!(
            accepts(&SignedIdentity::MatchExact, &image(&named), signed),
            Err(IdentityError::TagAndDigest)
        );
    }
}

#[test]
fn a_signed_digest_is_not_a_signed_tag() {
    for identity in [
        SignedIdentity::MatchExact,
        SignedIdentity::MatchRepoDigestOrExact,
    ] {
        let signed = at("r.example/shop/app", "one");
        assert!(!accepted(&identity, "r.example/shop/app:latest", &signed));
        let signed = at("r.example/shop/app:1", "one");
        assert!(!accepted(&identity, "r.example/shop/app:1", &signed));
    }
}

#[test]
fn an_exact_reference_is_compared_with_the_signature_and_not_with_the_image() {
    let identity = |text: &str| SignedIdentity::ExactReference(text.to_owned());
    let here = "mirror.example/anything:9";
    for (expected, signed) in SAME {
        let name_only = !expected.ends_with(":latest") && *expected != RHEL;
        assert_eq!(accepted(&identity(expected), here, signed), !name_only);
    }
    for (expected, signed) in SAME_REPOSITORY.iter().chain(OTHER) {
        assert!(!accepted(&identity(expected), here, signed));
    }
}

#[test]
fn an_exact_repository_is_compared_with_the_signature_and_not_with_the_image() {
    let identity = |text: &str| SignedIdentity::ExactRepository(text.to_owned());
    let here = "mirror.example/anything:9";
    for (expected, signed) in SAME.iter().chain(SAME_REPOSITORY) {
        assert!(accepted(&identity(expected), here, signed));
    }
    for (expected, signed) in OTHER {
        assert!(!accepted(&identity(expected), here, signed));
    }
}

fn remap(prefix: &str, signed_prefix: &str) -> SignedIdentity {
    SignedIdentity::Remap {
        prefix: prefix.to_owned(),
        signed_prefix: signed_prefix.to_owned(),
    }
}

#[test]
fn a_remapped_prefix_ends_where_a_component_ends() {
    let vendor = "vendor.example/base";
    let yes = |prefix: &str, named: &str, signed: &str| {
        assert!(
            accepted(&remap(prefix, vendor), named, signed),
            "{prefix} {named} {signed}"
        );
    };
    let no = |prefix: &str, named: &str, signed: &str| {
        assert!(
            !accepted(&remap(prefix, vendor), named, signed),
            "{prefix} {named} {signed}"
        );
    };
    yes(
        "mirror.example",
        "mirror.example/app:1",
        "vendor.example/base/app:1",
    );
    yes(
        "mirror.example/ns",
        "mirror.example/ns/app:1",
        "vendor.example/base/app:1",
    );
    yes(
        "mirror.example/ns",
        "mirror.example/ns:1",
        "vendor.example/base:1",
    );
    yes(
        "mirror.example:5000",
        "mirror.example:5000/app:1",
        "vendor.example/base/app:1",
    );
    yes(
        "mirror.example/ns",
        &at("mirror.example/ns/app", "one"),
        "vendor.example/base/app:7",
    );
    // The unmapped name no longer counts.
    no(
        "mirror.example",
        "mirror.example/app:1",
        "mirror.example/app:1",
    );
    no(
        "mirror.example/ns",
        "mirror.example/nsx/app:1",
        "vendor.example/basex/app:1",
    );
    no(
        "mirror.example",
        "mirror.example:5000/app:1",
        "vendor.example/base:5000/app:1",
    );
    no(
        "mirror.example",
        "mirror.example.evil/app:1",
        "vendor.example/base.evil/app:1",
    );
    no(
        "mirror.example",
        "mirror.example/app:1",
        "vendor.example/base/app:2",
    );
    no(
        "mirror.example",
        "mirror.example/app:1",
        "vendor.example/base/app",
    );
}

#[test]
fn without_the_prefix_an_image_is_compared_as_it_is() {
    let identity = remap("mirror.example", "vendor.example");
    assert!(accepted(&identity, "busybox:1", "busybox:1"));
    assert!(!accepted(&identity, "busybox:1", "busybox:2"));
    assert!(!accepted(
        &identity,
        "busybox:1",
        "vendor.example/busybox:1"
    ));
}

#[test]
fn docker_hub_is_remapped_by_its_full_name() {
    let identity = remap("docker.io/library", "vendor.example/official");
    assert!(accepted(
        &identity,
        "nginx:1",
        "vendor.example/official/nginx:1"
    ));
    assert!(!accepted(&identity, "nginx:1", "nginx:1"));
}

#[test]
fn a_signed_prefix_without_a_host_does_not_become_docker_hub() {
    let identity = remap("mirror.example", "library");
    assert!(!accepted(
        &identity,
        "mirror.example/app:1",
        "library/app:1"
    ));
    assert!(!accepted(
        &identity,
        "mirror.example/app:1",
        "docker.io/library/app:1"
    ));
}

#[test]
fn an_identity_that_can_match_nothing_is_found_at_load() {
    let bad = [
        SignedIdentity::ExactReference("busybox".to_owned()),
        SignedIdentity::ExactReference("Busy Box:1".to_owned()),
        SignedIdentity::ExactRepository(String::new()),
        remap("", "vendor.example"),
        remap("mirror.example/", "vendor.example"),
        remap("nginx", "vendor.example"),
        remap("mirror.example", "vendor.example/App"),
        remap("mirror.example/app:1", "vendor.example"),
    ];
    for identity in bad {
        assert!(check(&identity).is_err(), "{identity:?}");
    }
    let good = [
        SignedIdentity::ExactReference("busybox:1".to_owned()),
        SignedIdentity::ExactReference(at("busybox", "one")),
        SignedIdentity::ExactRepository("busybox".to_owned()),
        remap("localhost", "127.0.0.1:5000/a/b"),
        remap("docker.io", "mirror.example:5000"),
    ];
    for identity in good {
        assert_eq!(check(&identity), Ok(()), "{identity:?}");
    }
}

#[test]
fn refusals_name_what_was_expected_and_not_what_was_found() {
    let why = |identity: &SignedIdentity, named: &str, signed: &str| {
        accepts(identity, &image(named), signed)
            .unwrap_err()
            .to_string()
    };
    let default = SignedIdentity::default();
    assert_eq!(
        why(&default, "busybox:1", "evil/busybox:1"),
        "it was signed for another repository than docker.io/library/busybox"
    );
    assert_eq!(
        why(&default, "busybox:1", "busybox:2"),
        "it was signed for another reference than docker.io/library/busybox:1"
    );
    assert_eq!(
        why(&default, "busybox:1", "busybox"),
        "the signed reference has neither a tag nor a digest"
    );
}
