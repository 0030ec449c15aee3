//! When a statement says it was made.

use std::time::Duration;

use super::flaw::Flaw;
use super::provenance;
use super::vulnerabilities;
use crate::strict_json::Object;
use crate::time::Timestamp;

/// How far the clock of whoever made a statement may be ahead of the node's.
const SKEW: Duration = Duration::from_mins(5);

/// Where the statements of a type say when they were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimeField {
    /// SLSA 0.2: `metadata.buildFinishedOn`.
    BuildFinishedOn,
    /// SLSA 1: `runDetails.metadata.finishedOn`.
    FinishedOn,
    /// Vulnerability reports: `metadata.scanFinishedOn`.
    ScanFinishedOn,
    /// SPDX 2: `creationInfo.created`.
    Created,
    /// CycloneDX: `metadata.timestamp`.
    Timestamp,
}

impl TimeField {
    /// `None`: nothing is known about the type.
    pub(super) fn of(predicate_type: &str) -> Option<Self> {
        let is_or_version_of = |base: &str| {
            predicate_type
                .strip_prefix(base)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with("/v"))
        };
        match predicate_type {
            provenance::V02 => Some(Self::BuildFinishedOn),
            provenance::V1 => Some(Self::FinishedOn),
            _ if vulnerabilities::is_report(predicate_type) => Some(Self::ScanFinishedOn),
            _ if is_or_version_of("https://spdx.dev/Document") => Some(Self::Created),
            _ if is_or_version_of("https://cyclonedx.org/bom") => Some(Self::Timestamp),
            _ => None,
        }
    }

    /// What the statement says; `None`: nothing.
    pub(super) fn read(self, predicate: Object<'_>) -> Result<Option<Timestamp>, Flaw> {
        let (path, name): (&[&str], &str) = match self {
            Self::BuildFinishedOn => (&["metadata"], "buildFinishedOn"),
            Self::FinishedOn => (&["runDetails", "metadata"], "finishedOn"),
            Self::ScanFinishedOn => (&["metadata"], "scanFinishedOn"),
            Self::Created => (&["creationInfo"], "created"),
            Self::Timestamp => (&["metadata"], "timestamp"),
        };
        let Some(object) = predicate.path(path)? else {
            return Ok(None);
        };
        object
            .text(name)?
            .map(|text| Timestamp::parse(text).ok_or(Flaw::Malformed))
            .transpose()
    }
}

/// Whether what was made then is neither older than `allowed` nor made in the future.
pub(super) fn check_age(
    made: Option<Timestamp>,
    allowed: Option<Duration>,
    now: Timestamp,
) -> Result<(), Flaw> {
    let Some(made) = made else {
        return Err(Flaw::NoTime);
    };
    if made.since(now) > SKEW {
        return Err(Flaw::Future(made));
    }
    match allowed {
        Some(allowed) if now.since(made) > allowed => Err(Flaw::TooOld {
            made,
            allowed: allowed.as_secs(),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn age(made: Option<i64>, allowed: u64) -> Result<(), Flaw> {
        let allowed = Some(Duration::from_secs(allowed));
        check_age(made.map(Timestamp), allowed, Timestamp(10_000))
    }

    #[test]
    fn what_has_no_time_or_a_future_one_is_not_young() {
        assert_eq!(age(None, 10_000), Err(Flaw::NoTime));
        assert_eq!(age(Some(9_000), 1_000), Ok(()));
        assert!(matches!(age(Some(8_999), 1_000), Err(Flaw::TooOld { .. })));
        assert_eq!(age(Some(10_300), 1_000), Ok(()));
        assert_eq!(
            age(Some(10_301), 1_000),
            Err(Flaw::Future(Timestamp(10_301)))
        );
        assert_eq!(
            check_age(Some(Timestamp(i64::MAX)), None, Timestamp(0)),
            Err(Flaw::Future(Timestamp(i64::MAX)))
        );
        assert!(matches!(
            age(Some(i64::MIN), 1_000),
            Err(Flaw::TooOld { .. })
        ));
    }

    #[test]
    fn only_versions_of_a_type_share_its_field() {
        let of = TimeField::of;
        assert_eq!(
            of("https://spdx.dev/Document/v2.3"),
            Some(TimeField::Created)
        );
        assert_eq!(of("https://spdx.dev/Documents"), None);
        assert_eq!(of("https://slsa.dev/provenance/v1.0"), None);
        assert_eq!(of("https://example.com/p"), None);
    }
}
