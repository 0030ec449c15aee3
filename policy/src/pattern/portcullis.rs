//! Our own matching: over the normalised reference, host, path, tag and digest each on their own.

use super::{Quality, Subject, weight};
use crate::glob;
use crate::reference::grammar;

/// Why a pattern is refused, with what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// No text at all.
    #[error("a repository pattern cannot be empty; `*` stands for every image")]
    Empty,
    /// Longer than [`super::MAX_PATTERN_LENGTH`].
    #[error("a repository pattern is at most 1024 bytes long")]
    TooLong,
    /// A character that no reference contains.
    #[error("{0:?} never occurs in an image reference; `*` is the only wildcard")]
    Character(char),
    /// Looks like a registry host, and would be read as the name of an image on Docker Hub.
    #[error(
        "`{0}` has no path, so it would name an image on Docker Hub; write `{0}/*` for everything in that registry"
    )]
    HostOnly(String),
    /// A star in the first component of a name that does not look like a host.
    #[error(
        "`{0}` could be a registry host or a namespace on Docker Hub; write `docker.io/{0}`, or give the host a dot"
    )]
    AmbiguousHost(String),
    /// A star in a single component on Docker Hub.
    #[error(
        "`{0}` could be an official image or a namespace on Docker Hub; write `docker.io/library/{0}` or `docker.io/{0}/*`"
    )]
    AmbiguousHub(String),
    /// A host that is none.
    #[error(
        "`{0}` is not a registry host; hosts are written in lower case, with a port where there is one"
    )]
    Host(String),
    /// A path that is none.
    #[error("`{0}` is not a repository path: lower case, components between single slashes")]
    Path(String),
    /// A tag that is none.
    #[error("`{0}` is not a tag")]
    Tag(String),
    /// Something behind `@` that is no sha256 digest.
    #[error(
        "`{0}` is not `sha256:` and 64 lower-case hex digits; leave `@…` out to match every digest"
    )]
    Digest(String),
    /// Tag and digest together.
    #[error(
        "a pattern has a tag or a digest, not both: a tag beside a digest is checked by nobody"
    )]
    TagAndDigest,
    /// A star in a scope of `policy.json` that is no `*.domain`.
    #[error(
        "`{0}` would match nothing: a scope covers everything below it, so that no `*` is written; the one wildcard there is \
         stands for the beginning of a host, as in `*.example.com`"
    )]
    ScopeWildcard(String),
    /// A scope of `policy.json` that is not the beginning of a normalised name.
    #[error(
        "`{0}` would match nothing: scopes are compared with the name in full, such as `docker.io/library/nginx`, or \
         `registry.example.com/shop:1.0`, with the host in lower case"
    )]
    ScopeName(String),
    /// A scope of `trustpolicy.json` that names no repository.
    #[error(
        "`{0}` is not a repository: host and path in full, without scheme, tag, digest or wildcard; a single `*` stands for \
         every repository"
    )]
    NotationScope(String),
}

/// A pattern, taken apart and normalised.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts<'a> {
    host: &'a str,
    /// `library/` stands before the path.
    official: bool,
    path: &'a str,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

const ANY: &str = "*";

impl<'a> Parts<'a> {
    pub(super) fn read(text: &'a str) -> Result<Self, PatternError> {
        let (named, digest) = match text.split_once('@') {
            Some((named, digest)) => (named, Some(digest)),
            None => (text, None),
        };
        let (name, tag) = grammar::split_tag(named);
        if tag.is_some() && digest.is_some() {
            return Err(PatternError::TagAndDigest);
        }
        let (host, path) = Self::split_name(name)?;
        let official = host == grammar::DEFAULT_DOMAIN && path != ANY && !path.contains('/');
        if official && path.contains('*') {
            return Err(PatternError::AmbiguousHub(path.to_owned()));
        }
        Ok(Self {
            host,
            official,
            path,
            tag,
            digest,
        })
    }

    fn split_name(name: &'a str) -> Result<(&'a str, &'a str), PatternError> {
        let Some((first, path)) = name.split_once('/') else {
            return match name {
                ANY => Ok((ANY, ANY)),
                host if grammar::is_host_like(host) => Err(PatternError::HostOnly(host.to_owned())),
                other => Ok((grammar::DEFAULT_DOMAIN, other)),
            };
        };
        match first {
            grammar::LEGACY_DOMAIN => Ok((grammar::DEFAULT_DOMAIN, path)),
            ANY => Ok((ANY, path)),
            host if grammar::is_host_like(host) => Ok((host, path)),
            open if open.contains('*') => Err(PatternError::AmbiguousHost(name.to_owned())),
            _ => Ok((grammar::DEFAULT_DOMAIN, name)),
        }
    }

    pub(super) fn check(&self) -> Result<(), PatternError> {
        let plain = |text: &str| !text.contains('*');
        let host_ok = if plain(self.host) {
            grammar::is_domain(self.host)
        } else {
            !self.host.contains(['/', '@', '_'])
        };
        if !host_ok || self.host.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(PatternError::Host(self.host.to_owned()));
        }
        let path_ok = if plain(self.path) {
            grammar::is_path(self.path)
        } else {
            !self.path.split('/').any(str::is_empty)
                && !self
                    .path
                    .bytes()
                    .any(|b| b.is_ascii_uppercase() || b":[]".contains(&b))
        };
        if !path_ok {
            return Err(PatternError::Path(self.path.to_owned()));
        }
        if let Some(tag) = self.tag {
            let tag_ok = if plain(tag) {
                grammar::is_tag(tag)
            } else {
                !tag.contains([':', '[', ']', '@'])
            };
            if !tag_ok {
                return Err(PatternError::Tag(tag.to_owned()));
            }
        }
        match self.digest.map(grammar::digest_form) {
            None | Some(grammar::DigestForm::Sha256) => Ok(()),
            Some(_) => Err(PatternError::Digest(
                self.digest.unwrap_or_default().to_owned(),
            )),
        }
    }

    pub(super) fn matches(&self, subject: &Subject<'_>) -> Option<Quality> {
        let path = if self.official {
            subject.path.strip_prefix(grammar::OFFICIAL_PREFIX)?
        } else {
            subject.path
        };
        let tag_matches = self
            .tag
            .is_none_or(|pattern| subject.tag.is_some_and(|tag| glob::matches(pattern, tag)));
        let digest_matches = self.digest.is_none_or(|text| {
            subject
                .digest
                .is_some_and(|digest| text.parse() == Ok(*digest))
        });
        let matches = glob::matches(self.host, &subject.host)
            && glob::matches(self.path, path)
            && tag_matches
            && digest_matches;
        matches.then(|| Quality {
            literal: self.is_literal(),
            weight: self.weight(),
        })
    }

    /// Whether whatever the pattern matches is the pattern itself.
    fn is_literal(&self) -> bool {
        let stars = |text: &str| text.contains('*');
        !stars(self.host)
            && !stars(self.path)
            && (self.digest.is_some() || self.tag.is_some_and(|tag| !stars(tag)))
    }

    /// The weight of [`Self::canonical`], without writing it.
    fn weight(&self) -> usize {
        if self.is_everything() {
            return 0;
        }
        let behind = |part: Option<&str>| part.map_or(0, |text| weight(text).saturating_add(1));
        let official = if self.official {
            grammar::OFFICIAL_PREFIX.len()
        } else {
            0
        };
        [
            weight(self.host),
            1,
            official,
            weight(self.path),
            behind(self.tag),
            behind(self.digest),
        ]
        .into_iter()
        .fold(0, usize::saturating_add)
    }

    fn is_everything(&self) -> bool {
        self.host == ANY && self.path == ANY && self.tag.is_none() && self.digest.is_none()
    }

    /// `host/path`, normalised.
    pub(super) fn repositories(&self) -> String {
        let official = if self.official {
            grammar::OFFICIAL_PREFIX
        } else {
            ""
        };
        format!("{}/{official}{}", self.host, self.path)
    }

    pub(super) fn canonical(&self) -> String {
        if self.is_everything() {
            return ANY.to_owned();
        }
        let mut out = self.repositories();
        for (mark, part) in [(':', self.tag), ('@', self.digest)] {
            if let Some(part) = part {
                out.push(mark);
                out.push_str(part);
            }
        }
        out
    }
}
