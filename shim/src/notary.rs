//! The Notary v1 client: fetches what a [`portcullis_trust::notary::Session`] wants.

use portcullis_policy::model::NotaryServer;
use portcullis_trust::Timestamp;
use portcullis_trust::notary::{NotaryCollection, NotaryError, NotaryMemory};
use tokio::time::Instant;

use crate::registry::{Auth, RemoteError};

/// Why no new trust data was gathered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GatherError {
    /// The server could not be asked: says nothing about the image.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The server answered, and what it said is refused.
    #[error(transparent)]
    Notary(#[from] NotaryError),
}

/// The client. Cheap to clone.
#[derive(Debug, Clone)]
pub struct NotaryClient {}

impl NotaryClient {
    /// Updates one collection.
    pub async fn gather(
        &self,
        _trust: &NotaryServer,
        _gun: &str,
        _auth: &Auth,
        _memory: &NotaryMemory,
        _previous: Option<&NotaryCollection>,
        _now: Timestamp,
        _deadline: Instant,
    ) -> Result<(NotaryCollection, NotaryMemory), GatherError> {
        todo!()
    }
}
