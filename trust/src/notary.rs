//! Notary v1 (TUF 0.9 as `notary` 0.7 serves it), read-only: verification and the sans-I/O update session.

use std::collections::BTreeMap;

use portcullis_policy::Digest;
use portcullis_policy::model::{NotaryRequirement, NotaryServer};

use crate::time::Timestamp;

/// The raw metadata of one collection, exactly as the server sent it and as it verified at `gathered_at`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NotaryCollection {
    /// Base URL of the server.
    pub server: String,
    /// Globally unique name: the normalised repository.
    pub gun: String,
    /// When it was accepted from the network; TUF expiries are judged at this time (CONTRACTS §3).
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

/// One file the session wants next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// File name below `{server}/v2/{gun}/_trust/tuf/`, such as `snapshot.<sha256>.json` or `targets/alice.<sha256>.json`.
    pub file: String,
    /// Largest body to read, in bytes.
    pub max_bytes: usize,
}

/// What the session says next.
#[derive(Debug)]
pub enum Step {
    /// Fetch this and call [`Session::supply`].
    Fetch(Want),
    /// Finished.
    Done(Result<Box<(NotaryCollection, NotaryMemory)>, NotaryError>),
}

/// An update of one collection: says which file to fetch, takes it, and ends in a verified collection. No I/O.
#[derive(Debug)]
pub struct Session {}

/// Why trust data is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotaryError {
    /// The server has no trust data for the collection: unsigned, which is not the same as unreachable.
    #[error("the trust server has no trust data for {gun}")]
    NoTrustData {
        /// The collection.
        gun: String,
    },
}

impl Session {
    /// Starts an update of `gun` at time `now`. `previous` is the stored copy, if any.
    pub fn new(
        _gun: &str,
        _trust: &NotaryServer,
        _memory: &NotaryMemory,
        _previous: Option<&NotaryCollection>,
        _now: Timestamp,
    ) -> Self {
        todo!()
    }

    /// What to do next. Calling it twice without `supply` gives the same answer.
    pub fn step(&mut self) -> Step {
        todo!()
    }

    /// The bytes of the file wanted, or `None` for 404. Other failures end the session by dropping it.
    pub fn supply(&mut self, _body: Option<Vec<u8>>) {
        todo!()
    }
}

/// The digest that `collection`, once verified under `requirement`, binds `tag` to.
///
/// # Errors
/// [`NotaryError`] if the collection does not verify or does not name the tag.
pub fn bound_digest(
    _requirement: &NotaryRequirement,
    _collection: &NotaryCollection,
    _memory: &NotaryMemory,
    _tag: &str,
) -> Result<Digest, NotaryError> {
    todo!()
}
