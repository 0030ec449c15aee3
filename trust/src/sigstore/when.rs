//! Times in signatures against the time that was handed in.

use super::reason::Reason;
use crate::time::Timestamp;

/// How far the clocks of logs and timestamp authorities may be ahead of this node's, in seconds.
const SKEW: i64 = 60;

/// Refuses what happened after `now`.
pub(super) fn not_after(time: Timestamp, now: Timestamp) -> Result<(), Reason> {
    if time.0 > now.0.saturating_add(SKEW) {
        return Err(Reason::Future);
    }
    Ok(())
}

pub(super) fn earliest(one: Option<Timestamp>, other: Timestamp) -> Timestamp {
    one.map_or(other, |one| one.min(other))
}

pub(super) fn from_jiff(time: jiff::Timestamp) -> Timestamp {
    Timestamp(time.as_second())
}

pub(super) fn to_jiff(time: Timestamp) -> Result<jiff::Timestamp, Reason> {
    jiff::Timestamp::from_second(time.0).map_err(|_| Reason::NoTime)
}
