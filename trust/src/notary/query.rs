//! What a verified collection says about tags, digests and signers.

use std::collections::BTreeMap;

use portcullis_policy::{Digest, ImageReference};

use super::error::NotaryError;
use super::keys::PublicKey;
use super::verify::TargetsRole;
use crate::time::Timestamp;

const RELEASES: &str = "targets/releases";

/// A collection that verified: questions to it cost no signature check.
#[derive(Debug, Clone)]
pub struct VerifiedCollection {
    pub(super) gun: String,
    pub(super) gathered_at: Timestamp,
    pub(super) roles: BTreeMap<String, TargetsRole>,
    /// Delegations that do not count, and why.
    pub(super) unusable: BTreeMap<String, NotaryError>,
}

/// What is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'a> {
    /// A tag, and the digest it is about to stand for.
    Tag(&'a str, &'a Digest),
    /// A digest that the user named without a tag: any tag released for it will do.
    Digest(&'a Digest),
}

/// A pinned signer with its key parsed.
#[derive(Debug, Clone, Copy)]
pub struct Signer<'a> {
    /// Name of the delegation, without `targets/`.
    pub name: &'a str,
    /// The one key that counts.
    pub key: &'a PublicKey,
}

/// Who signed: a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signatory {
    /// The role, such as `targets/alice`.
    pub role: String,
    /// TUF ids of the keys that signed it; for a pinned signer, of that key alone.
    pub key_ids: Vec<String>,
}

impl VerifiedCollection {
    /// One with so many tags in `targets`.
    #[cfg(test)]
    pub(crate) fn with_tags(count: usize) -> Self {
        let targets = (0..count).map(|tag| (tag.to_string(), None)).collect();
        let role = TargetsRole {
            targets,
            listed: Vec::new(),
            signed: Vec::new(),
        };
        Self {
            gun: String::new(),
            gathered_at: Timestamp(0),
            roles: [("targets".to_owned(), role)].into(),
            unusable: BTreeMap::new(),
        }
    }

    /// The collection's name.
    pub fn gun(&self) -> &str {
        &self.gun
    }

    /// When it was gathered.
    pub fn gathered_at(&self) -> Timestamp {
        self.gathered_at
    }

    /// Roughly how many bytes of memory this takes.
    pub(crate) fn weight(&self) -> usize {
        self.roles
            .values()
            .map(|role| {
                let names: usize = role.targets.keys().map(String::len).sum();
                // A digest, a string and its share of a tree node.
                names
                    .saturating_add(role.targets.len().saturating_mul(80))
                    .saturating_add(role.listed.len().saturating_mul(600))
            })
            .sum::<usize>()
            .saturating_add(self.unusable.len().saturating_mul(200))
            .saturating_add(4096)
    }

    /// The digest released for `tag`: that of `targets/releases`, else that of `targets`. Other delegations never
    /// supply it.
    ///
    /// # Errors
    /// [`NotaryError::TagNotSigned`]; [`NotaryError::Releases`] if `targets/releases` was published but does not count,
    /// because falling back to `targets` could bring back what a release replaced.
    pub fn target(&self, tag: &str) -> Result<Digest, NotaryError> {
        self.released(tag).map(|(_, digest)| digest)
    }

    fn released(&self, tag: &str) -> Result<(&'static str, Digest), NotaryError> {
        self.releases_readable()?;
        for role in [RELEASES, "targets"] {
            let listed = self.roles.get(role).and_then(|role| role.targets.get(tag));
            if let Some(digest) = listed {
                // Listed without a SHA-256: says nothing that an older entry may stand in for.
                return digest.map(|digest| (role, digest)).ok_or_else(|| {
                    NotaryError::TagNotSigned {
                        tag: tag.to_owned(),
                    }
                });
            }
        }
        Err(NotaryError::TagNotSigned {
            tag: tag.to_owned(),
        })
    }

    fn releases_readable(&self) -> Result<(), NotaryError> {
        match self.unusable.get(RELEASES) {
            None => Ok(()),
            Some(problem) => Err(NotaryError::Releases {
                problem: Box::new(problem.clone()),
            }),
        }
    }

    /// Whether `signer` has signed `tag` for `digest` with its pinned key: the delegation counts, lists the key, and
    /// carries a valid signature by it. (Portieris is content with a key that is listed.)
    ///
    /// # Errors
    /// [`NotaryError`] saying what is missing.
    pub fn signed(
        &self,
        tag: &str,
        digest: &Digest,
        signer: Signer<'_>,
    ) -> Result<Signatory, NotaryError> {
        let name = || signer.name.to_owned();
        let role_name = format!("targets/{}", signer.name);
        if let Some(problem) = self.unusable.get(&role_name) {
            return Err(NotaryError::SignerRole {
                signer: name(),
                problem: Box::new(problem.clone()),
            });
        }
        let role = self
            .roles
            .get(&role_name)
            .ok_or_else(|| NotaryError::NoDelegation { signer: name() })?;
        if !role.listed.contains(signer.key) {
            return Err(NotaryError::WrongKey { signer: name() });
        }
        let (key_id, _) = role
            .signed
            .iter()
            .find(|(_, by)| by == signer.key)
            .ok_or_else(|| NotaryError::DidNotSign { signer: name() })?;
        match role.targets.get(tag) {
            Some(Some(content)) if content == digest => Ok(Signatory {
                role: role_name,
                key_ids: vec![key_id.clone()],
            }),
            Some(Some(_)) => Err(NotaryError::SignerDigest {
                signer: name(),
                tag: tag.to_owned(),
            }),
            _ => Err(NotaryError::SignerTag {
                signer: name(),
                tag: tag.to_owned(),
            }),
        }
    }

    /// Whether the subject is released and every signer has signed it, and who did: the pinned signers, or where none is
    /// pinned the role that released it.
    ///
    /// # Errors
    /// [`NotaryError`] saying what is missing. For a digest with several tags: about the first of them, in byte order.
    pub fn satisfied(
        &self,
        subject: Subject<'_>,
        signers: &[Signer<'_>],
    ) -> Result<Vec<Signatory>, NotaryError> {
        match subject {
            Subject::Tag(tag, digest) => self.satisfied_by(tag, digest, signers),
            Subject::Digest(digest) => {
                self.releases_readable()?;
                let mut refused = None;
                for tag in self.tags() {
                    if !matches!(self.target(tag), Ok(released) if released == *digest) {
                        continue;
                    }
                    match self.satisfied_by(tag, digest, signers) {
                        Ok(found) => return Ok(found),
                        Err(error) => refused = refused.or(Some(error)),
                    }
                }
                Err(refused.unwrap_or(NotaryError::DigestNotSigned { digest: *digest }))
            }
        }
    }

    fn satisfied_by(
        &self,
        tag: &str,
        digest: &Digest,
        signers: &[Signer<'_>],
    ) -> Result<Vec<Signatory>, NotaryError> {
        let (role, released) = self.released(tag)?;
        if released != *digest {
            return Err(NotaryError::OtherDigest {
                tag: tag.to_owned(),
                signed: released,
                digest: *digest,
            });
        }
        if signers.is_empty() {
            let key_ids = self.roles.get(role).map_or_else(Vec::new, |role| {
                role.signed.iter().map(|(id, _)| id.clone()).collect()
            });
            return Ok(vec![Signatory {
                role: role.to_owned(),
                key_ids,
            }]);
        }
        signers
            .iter()
            .map(|signer| self.signed(tag, digest, *signer))
            .collect()
    }

    /// Every tag released, in byte order. A target may have any name at all; one that no reference can say is no tag, and
    /// must not find its way into a message.
    fn tags(&self) -> impl Iterator<Item = &str> {
        let names = |role: &str| {
            self.roles
                .get(role)
                .into_iter()
                .flat_map(|role| role.targets.keys())
        };
        let mut tags: Vec<&str> = names(RELEASES)
            .chain(names("targets"))
            .map(String::as_str)
            .filter(|name| ImageReference::is_tag(name))
            .collect();
        tags.sort_unstable();
        tags.dedup();
        tags.into_iter()
    }
}
