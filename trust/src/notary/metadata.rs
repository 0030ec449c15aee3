//! The four kinds of Notary v1 metadata, read from strict JSON into values. Nothing here is believed yet: signatures,
//! checksums, versions and expiries are judged by `root` and `verify`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_policy::Digest;

use super::canonical::Json;
use super::error::NotaryError;
use super::keys::TufKey;
use crate::time::Timestamp;

/// Signatures looked at per file; real files have one per key, and a rotated root one more per rotation.
const MAX_SIGNATURES: usize = 64;
/// Keys per file.
const MAX_KEYS: usize = 1024;
/// Distinct keys per role: each is tried against signatures, and copied for each role.
const MAX_ROLE_KEYS: usize = 64;
/// Delegated roles per file, and per collection.
pub(super) const MAX_ROLES: usize = 128;
/// Paths per delegation: every target, and every path handed on, is compared with each of them.
const MAX_PATHS: usize = 256;

/// Largest file of `role` that is read, in bytes.
pub(super) fn max_bytes(role: &str) -> usize {
    match role {
        "timestamp" => 64 << 10,
        "root" | "snapshot" => 1 << 20,
        _ => 8 << 20,
    }
}

/// A metadata file: what is signed, and by whom it claims to be.
#[derive(Debug)]
pub(super) struct Envelope {
    /// The bytes that signatures cover.
    pub(super) message: Vec<u8>,
    /// The signatures.
    pub(super) signatures: Vec<Signature>,
    /// Version of the metadata, at least 1.
    pub(super) version: u64,
    /// When it expires.
    pub(super) expires: Timestamp,
    signed: Json,
    role: String,
}

/// One signature.
#[derive(Debug)]
pub(super) struct Signature {
    /// Id of the key that is said to have made it.
    pub(super) key_id: String,
    /// Notary's name of the algorithm.
    pub(super) method: String,
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
}

/// How a file is listed by another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileMeta {
    pub(super) sha256: Digest,
    pub(super) sha512: Option<Vec<u8>>,
    pub(super) length: u64,
}

/// The keys of a role.
#[derive(Debug, Clone)]
pub(super) struct RoleKeys {
    /// How many distinct keys must sign; at least 1.
    pub(super) threshold: u64,
    /// The keys, each once. Shared: a file may name one key with megabytes of certificates for every role in it.
    pub(super) keys: Vec<Arc<TufKey>>,
}

/// A role that another delegates to.
#[derive(Debug, Clone)]
pub(super) struct Delegation {
    /// Full name, such as `targets/alice`.
    pub(super) name: String,
    /// Its keys.
    pub(super) keys: RoleKeys,
    /// Prefixes of the target names it may sign; `""` stands for all.
    pub(super) paths: Vec<String>,
}

/// What a targets file says.
#[derive(Debug)]
pub(super) struct Targets {
    /// SHA-256 by target name; `None`: listed without one.
    pub(super) targets: BTreeMap<String, Option<Digest>>,
    /// Roles delegated to.
    pub(super) delegations: Vec<Delegation>,
}

impl Envelope {
    /// Reads a file of `role` whose `_type` must be `kind`: one kind must never pass for another.
    pub(super) fn read(role: &str, kind: &str, text: &str) -> Result<Self, NotaryError> {
        let malformed = |problem| NotaryError::Malformed {
            role: role.to_owned(),
            problem,
        };
        if text.len() > max_bytes(role) {
            return Err(NotaryError::TooLarge {
                role: role.to_owned(),
                limit: max_bytes(role),
            });
        }
        let Ok(Json::Object(mut file)) = Json::parse(text) else {
            return Err(malformed(
                "not a JSON object without fractions and duplicate keys",
            ));
        };
        let signed = file
            .remove("signed")
            .ok_or_else(|| malformed("no `signed`"))?;
        if signed.get("_type").and_then(Json::string) != Some(kind) {
            return Err(malformed("`_type` is not that of its role"));
        }
        let version = signed
            .get("version")
            .and_then(Json::unsigned)
            .filter(|version| *version > 0);
        let expires = signed
            .get("expires")
            .and_then(Json::string)
            .and_then(Timestamp::parse);
        let signatures = file
            .get("signatures")
            .and_then(Json::array)
            .ok_or_else(|| malformed("no list of signatures"))?;
        if signatures.len() > MAX_SIGNATURES {
            return Err(NotaryError::TooMany {
                what: "signatures in a file",
                limit: MAX_SIGNATURES,
            });
        }
        Ok(Self {
            message: signed.canonical(),
            signatures: signatures
                .iter()
                .map(|signature| {
                    Some(Signature {
                        key_id: signature.get("keyid")?.string()?.to_owned(),
                        method: signature.get("method")?.string()?.to_owned(),
                        bytes: STANDARD.decode(signature.get("sig")?.string()?).ok()?,
                    })
                })
                .collect::<Option<_>>()
                .ok_or_else(|| malformed("a signature is not of the form of one"))?,
            version: version.ok_or_else(|| malformed("no version above 0"))?,
            expires: expires.ok_or_else(|| malformed("no expiry time"))?,
            signed,
            role: role.to_owned(),
        })
    }

    fn malformed(&self, problem: &'static str) -> NotaryError {
        NotaryError::Malformed {
            role: self.role.clone(),
            problem,
        }
    }

    /// The four roles of a root file.
    pub(super) fn root_roles(&self) -> Result<BTreeMap<&'static str, RoleKeys>, NotaryError> {
        let keys = self.keys(self.signed.get("keys"))?;
        let mut out = BTreeMap::new();
        for name in ["root", "timestamp", "snapshot", "targets"] {
            let role = self
                .signed
                .get("roles")
                .and_then(|roles| roles.get(name))
                .ok_or_else(|| self.malformed("a role is missing"))?;
            out.insert(name, self.role_keys(role, &keys)?);
        }
        Ok(out)
    }

    /// The files that a timestamp or snapshot lists.
    pub(super) fn meta(&self) -> Result<BTreeMap<String, FileMeta>, NotaryError> {
        self.signed
            .get("meta")
            .and_then(Json::object)
            .ok_or_else(|| self.malformed("no `meta`"))?
            .iter()
            .map(|(name, entry)| Some((name.clone(), file_meta(entry)?)))
            .collect::<Option<_>>()
            .ok_or_else(|| self.malformed("a file is listed without length or sha256"))
    }

    /// What a targets file says.
    pub(super) fn targets(&self) -> Result<Targets, NotaryError> {
        let targets = match self.signed.get("targets") {
            None | Some(Json::Null) => BTreeMap::new(),
            Some(targets) => targets
                .object()
                .ok_or_else(|| self.malformed("`targets` is not an object"))?
                .iter()
                .map(|(name, target)| {
                    let hashes = target.get("hashes")?;
                    let sha256 = match hashes.get("sha256") {
                        None => None,
                        Some(hash) => Some(sha256(hash)?),
                    };
                    Some((name.clone(), sha256))
                })
                .collect::<Option<_>>()
                .ok_or_else(|| self.malformed("a target is not of the form of one"))?,
        };
        let Some(delegations) = self.signed.get("delegations").filter(|d| **d != Json::Null) else {
            return Ok(Targets {
                targets,
                delegations: Vec::new(),
            });
        };
        let keys = self.keys(delegations.get("keys"))?;
        let roles = delegations
            .get("roles")
            .and_then(Json::array)
            .unwrap_or_default();
        bounded(roles, MAX_ROLES, "delegated roles")?;
        let mut out: Vec<Delegation> = Vec::new();
        for role in roles {
            let name = role
                .get("name")
                .and_then(Json::string)
                .filter(|name| is_delegation(name))
                .ok_or_else(|| self.malformed("a delegation has no valid name"))?;
            if out.iter().any(|other| other.name == name) {
                return Err(self.malformed("two delegations have the same name"));
            }
            let paths = role.get("paths").and_then(Json::array).unwrap_or_default();
            bounded(paths, MAX_PATHS, "paths in a delegation")?;
            let paths = paths
                .iter()
                .map(|path| path.string().map(str::to_owned))
                .collect::<Option<_>>()
                .ok_or_else(|| self.malformed("a delegation's path is not a string"))?;
            out.push(Delegation {
                name: name.to_owned(),
                keys: self.role_keys(role, &keys)?,
                paths,
            });
        }
        Ok(Targets {
            targets,
            delegations: out,
        })
    }

    fn keys(&self, keys: Option<&Json>) -> Result<BTreeMap<String, Arc<TufKey>>, NotaryError> {
        let none = BTreeMap::new();
        let keys = match keys {
            None | Some(Json::Null) => &none,
            Some(keys) => keys
                .object()
                .ok_or_else(|| self.malformed("`keys` is not an object"))?,
        };
        if keys.len() > MAX_KEYS {
            return Err(NotaryError::TooMany {
                what: "keys in a file",
                limit: MAX_KEYS,
            });
        }
        let mut out = BTreeMap::new();
        for (id, entry) in keys {
            let key = TufKey::read(entry)
                .ok_or_else(|| self.malformed("a key is not of the form of one"))?;
            if key.id != *id {
                return Err(NotaryError::KeyId {
                    role: self.role.clone(),
                });
            }
            out.insert(id.clone(), Arc::new(key));
        }
        Ok(out)
    }

    fn role_keys(
        &self,
        role: &Json,
        keys: &BTreeMap<String, Arc<TufKey>>,
    ) -> Result<RoleKeys, NotaryError> {
        let threshold = role
            .get("threshold")
            .and_then(Json::unsigned)
            .filter(|threshold| *threshold > 0)
            .ok_or_else(|| self.malformed("a role has no threshold above 0"))?;
        let ids = role
            .get("keyids")
            .and_then(Json::array)
            .ok_or_else(|| self.malformed("a role has no key ids"))?
            .iter()
            .map(Json::string)
            .collect::<Option<BTreeSet<_>>>()
            .ok_or_else(|| self.malformed("a key id is not a string"))?;
        if ids.len() > MAX_ROLE_KEYS {
            return Err(NotaryError::TooMany {
                what: "keys in a role",
                limit: MAX_ROLE_KEYS,
            });
        }
        let keys = ids
            .into_iter()
            .map(|id| keys.get(id).cloned())
            .collect::<Option<_>>()
            .ok_or_else(|| self.malformed("a role names a key that is not listed"))?;
        Ok(RoleKeys { threshold, keys })
    }
}

impl FileMeta {
    /// Whether `bytes` is the file listed.
    pub(super) fn check(&self, role: &str, bytes: &[u8]) -> Result<(), NotaryError> {
        let differs = |what| {
            Err(NotaryError::Checksum {
                role: role.to_owned(),
                what,
            })
        };
        if u64::try_from(bytes.len()) != Ok(self.length) {
            return differs("length");
        }
        if Digest::of(bytes) != self.sha256 {
            return differs("sha256");
        }
        match &self.sha512 {
            Some(sha512) if digest::digest(&digest::SHA512, bytes).as_ref() != sha512 => {
                differs("sha512")
            }
            _ => Ok(()),
        }
    }
}

fn bounded(items: &[Json], limit: usize, what: &'static str) -> Result<(), NotaryError> {
    if items.len() > limit {
        return Err(NotaryError::TooMany { what, limit });
    }
    Ok(())
}

fn file_meta(entry: &Json) -> Option<FileMeta> {
    let hashes = entry.get("hashes")?;
    Some(FileMeta {
        sha256: sha256(hashes.get("sha256")?)?,
        sha512: match hashes.get("sha512") {
            None => None,
            Some(hash) => Some(STANDARD.decode(hash.string()?).ok()?),
        },
        length: entry.get("length")?.unsigned()?,
    })
}

fn sha256(hash: &Json) -> Option<Digest> {
    let bytes = STANDARD.decode(hash.string()?).ok()?;
    Some(Digest::from_bytes(bytes.try_into().ok()?))
}

/// Whether `name` is a delegated role's: it becomes part of file names and messages.
pub(super) fn is_delegation(name: &str) -> bool {
    name.len() < 256
        && name.strip_prefix("targets/").is_some_and(|rest| {
            rest.split('/').all(|part| {
                !part.is_empty()
                    && part
                        .bytes()
                        .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
            })
        })
}
