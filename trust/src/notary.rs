//! Notary v1 (TUF 0.9 as `notary` 0.7 serves it), read-only: verification and the sans-I/O update session.
//!
//! What notary's own client and Portieris get wrong, and this module does not: thresholds count keys, not key ids; a
//! pinned signer's key must have *signed* its role, not merely be listed in it; a digest reference is looked up by its
//! digest, not by `latest`; roots are pinned or, by opt-in, remembered; the digest comes from `targets/releases` or
//! `targets` alone.

mod canonical;
mod certificate;
mod error;
mod keys;
mod metadata;
mod query;
mod root;
mod session;
mod tuf_key;
mod verify;

use std::collections::BTreeMap;

use portcullis_policy::Digest;
use portcullis_policy::model::{NotaryRequirement, NotaryServer};

pub use error::NotaryError;
pub use keys::{KeyError, PublicKey};
pub use query::{Signatory, Signer, Subject, VerifiedCollection};
pub use session::{Session, Step, Want};

use crate::evidence::NotaryEvidence;
use crate::time::Timestamp;
use root::Anchor;
use verify::{Next, Walk};

/// The raw metadata of one collection, exactly as the server sent it and as it verified at `gathered_at`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NotaryCollection {
    /// Base URL of the server.
    pub server: String,
    /// Globally unique name: the normalised repository.
    pub gun: String,
    /// When it was accepted from the network; TUF expiries are judged at this time (docs/rules.md).
    pub gathered_at: Timestamp,
    /// root.json files from the first one believed to the newest, in order.
    pub roots: Vec<String>,
    /// timestamp.json.
    pub timestamp: String,
    /// snapshot.json.
    pub snapshot: String,
    /// targets.json.
    pub targets: String,
    /// Delegated roles by name (`targets/alice`).
    pub delegations: BTreeMap<String, String>,
}

/// What a node remembers about a collection, beyond any one copy of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NotaryMemory {
    /// Lowest version accepted per role: what was seen last.
    pub floors: BTreeMap<String, u64>,
    /// SHA-256 of the first root.json believed on first use; `None`: none was.
    pub first_root: Option<Digest>,
}

/// Verifies a stored collection as of the time it was gathered, under the trust configured *now*: a changed pin takes
/// effect on what is stored.
///
/// # Errors
/// [`NotaryError`], the first thing found wrong.
pub fn verify(
    trust: &NotaryServer,
    evidence: &NotaryEvidence,
) -> Result<VerifiedCollection, NotaryError> {
    let NotaryEvidence { collection, memory } = evidence;
    if collection.server != trust.server {
        return Err(NotaryError::OtherCollection);
    }
    let anchor = Anchor {
        gun: &collection.gun,
        trust,
        first_root: memory.first_root.as_ref(),
    };
    let (_, root) = root::chain(anchor, &collection.roots, collection.gathered_at)?;
    let root_text = collection
        .roots
        .last()
        .map(String::as_str)
        .unwrap_or_default();
    let mut walk = Walk::new(root, root_text, collection.gathered_at, &memory.floors)?;
    loop {
        match walk.next()? {
            Next::Complete => break,
            Next::Timestamp => walk.accept(&collection.timestamp)?,
            Next::File(role, _) => {
                let text = match role.as_str() {
                    "snapshot" => &collection.snapshot,
                    "targets" => &collection.targets,
                    _ => {
                        let Some(text) = collection.delegations.get(&role) else {
                            // The update could not read it, and went on without.
                            walk.give_up(NotaryError::Missing { role });
                            continue;
                        };
                        text
                    }
                };
                walk.accept(text)?;
            }
        }
    }
    Ok(VerifiedCollection {
        gun: collection.gun.clone(),
        gathered_at: collection.gathered_at,
        roles: walk.roles,
        unusable: walk.unusable,
    })
}

/// The digest that `collection`, verified under `requirement`, binds `tag` to, with every signer of the requirement
/// agreeing.
///
/// # Errors
/// [`NotaryError`] if the collection does not verify, does not name the tag, or a signer is missing.
pub fn bound_digest(
    requirement: &NotaryRequirement,
    collection: &NotaryCollection,
    memory: &NotaryMemory,
    tag: &str,
) -> Result<Digest, NotaryError> {
    let evidence = NotaryEvidence {
        collection: collection.clone(),
        memory: memory.clone(),
    };
    let verified = verify(&requirement.trust, &evidence)?;
    let digest = verified.target(tag)?;
    for signer in &requirement.signers {
        let key =
            PublicKey::from_pem(&signer.public_key).map_err(|source| NotaryError::SignerKey {
                signer: signer.name.clone(),
                source,
            })?;
        let signer = Signer {
            name: &signer.name,
            key: &key,
        };
        verified.signed(tag, &digest, signer)?;
    }
    Ok(digest)
}
