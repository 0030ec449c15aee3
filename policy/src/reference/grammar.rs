//! The grammar of `distribution/reference`, one predicate per production. ASCII only, linear time, no panics.

/// What a name without a host means.
pub(crate) const DEFAULT_DOMAIN: &str = "docker.io";
/// The other name of [`DEFAULT_DOMAIN`] (`legacyDefaultDomain`).
pub(crate) const LEGACY_DOMAIN: &str = "index.docker.io";
/// What stands before a single-component path on [`DEFAULT_DOMAIN`].
pub(crate) const OFFICIAL_PREFIX: &str = "library/";

/// What the text behind `@` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DigestForm {
    /// `sha256:` and 64 lower-case hex digits.
    Sha256,
    /// A well-formed digest of an algorithm that is not accepted.
    OtherAlgorithm,
    /// Not a digest.
    Malformed,
}

/// Whether containerd would take `text` for an image ID before it takes it for a name: 64 hex digits
/// (`anchoredIdentifierRegexp`), or a repository called exactly `sha256` (kubelet reads `sha256:<hex prefix>` as a name
/// with a tag, containerd as an ID or a unique prefix of one).
pub(crate) fn is_image_id(text: &str) -> bool {
    let name = text.split([':', '@']).next().unwrap_or_default();
    name == "sha256" || (text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// `algorithm ":" hex`, with the algorithm's own grammar; 32 hex digits is the least the specification allows.
pub(crate) fn digest_form(text: &str) -> DigestForm {
    let Some((algorithm, hex)) = text.split_once(':') else {
        return DigestForm::Malformed;
    };
    let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if algorithm == "sha256" {
        return if hex.len() == 64 && hex.bytes().all(lower_hex) {
            DigestForm::Sha256
        } else {
            DigestForm::Malformed
        };
    }
    let component = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    let well_formed = algorithm.split(['-', '_', '+', '.']).all(component)
        && hex.len() >= 32
        && hex.bytes().all(|b| b.is_ascii_hexdigit());
    if well_formed {
        DigestForm::OtherAlgorithm
    } else {
        DigestForm::Malformed
    }
}

/// `name[:tag]`: a colon behind the last `/` begins the tag, any other belongs to a port.
pub(crate) fn split_tag(named: &str) -> (&str, Option<&str>) {
    let component = named.rfind('/').map_or(0, |at| at.saturating_add(1));
    let colon = named
        .get(component..)
        .and_then(|last| last.find(':'))
        .and_then(|at| at.checked_add(component));
    match colon.and_then(|at| Some((named.get(..at)?, named.get(at.checked_add(1)?..)?))) {
        Some((name, tag)) => (name, Some(tag)),
        None => (named, None),
    }
}

/// `splitDockerDomain`, without the `library/` that a single component gets.
pub(crate) fn split_domain(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some((LEGACY_DOMAIN, path)) => (DEFAULT_DOMAIN, path),
        Some((first, path)) if is_host_like(first) => (first, path),
        _ => (DEFAULT_DOMAIN, name),
    }
}

/// Whether the first component of a name is a registry host rather than a namespace on Docker Hub.
pub(crate) fn is_host_like(component: &str) -> bool {
    component == "localhost"
        || component.contains(['.', ':'])
        || component.bytes().any(|b| b.is_ascii_uppercase())
}

/// `host [":" port]`.
pub(crate) fn is_domain(domain: &str) -> bool {
    if let Some(rest) = domain.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else {
            return false;
        };
        let address_ok =
            !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
        return address_ok && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    let (host, port) = match domain.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (domain, None),
    };
    host.split('.').all(is_domain_component) && port.is_none_or(is_port)
}

fn is_port(port: &str) -> bool {
    !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())
}

fn is_domain_component(component: &str) -> bool {
    !component.is_empty()
        && !component.starts_with('-')
        && !component.ends_with('-')
        && component
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// `path-component ["/" path-component]*`.
pub(crate) fn is_path(path: &str) -> bool {
    path.split('/').all(is_path_component)
}

/// `alpha-numeric [separator alpha-numeric]*` with separators `.`, `_`, `__` and any number of `-`.
fn is_path_component(component: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_digit() || b.is_ascii_lowercase();
    let ends_well = component.bytes().next().is_some_and(alphanumeric)
        && component.bytes().next_back().is_some_and(alphanumeric);
    let separator =
        |run: &str| matches!(run, "" | "." | "_" | "__") || run.bytes().all(|b| b == b'-');
    ends_well
        && component
            .split(|c: char| c.is_ascii_digit() || c.is_ascii_lowercase())
            .all(separator)
}

/// `[\w][\w.-]{0,127}`.
pub(crate) fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= 128
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}
