//! What was found so far, and what kept the rest away.

use portcullis_trust::evidence::Artefact;

use crate::registry::RemoteError;
use crate::registry::turns::note;

/// What one source had.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Without repetition.
    pub artefacts: Vec<Artefact>,
    /// There was more than the caps allow.
    pub truncated: bool,
    /// The most telling of the errors that kept something away that was there.
    pub failure: Option<RemoteError>,
}

impl Found {
    /// More than was looked at.
    pub(super) fn truncated() -> Self {
        Self {
            truncated: true,
            ..Self::default()
        }
    }

    /// Something was found, and nothing kept away.
    pub(super) fn is_whole(&self) -> bool {
        !self.artefacts.is_empty() && self.failure.is_none()
    }

    pub(super) fn add(&mut self, artefact: Artefact) {
        if !self.artefacts.contains(&artefact) {
            self.artefacts.push(artefact);
        }
    }

    /// Notes why something that a list names did not come. What is not there, or larger than it was said to be, is nobody's
    /// signature: whoever may push can make such entries, and they must not hide the others.
    pub(super) fn missed(&mut self, error: RemoteError) {
        match error {
            RemoteError::NotFound { .. } => {}
            RemoteError::TooLarge { .. } => self.truncated = true,
            error => note(&mut self.failure, error),
        }
    }

    /// Takes in what another host had.
    pub(super) fn join(&mut self, other: Self) {
        for artefact in other.artefacts {
            self.add(artefact);
        }
        self.truncated |= other.truncated;
        if let Some(failure) = other.failure {
            note(&mut self.failure, failure);
        }
    }
}
