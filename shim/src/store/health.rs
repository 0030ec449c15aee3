//! Numbers about the store for an operator.

/// How the store fares, for `status` and metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreHealth {
    /// Whether there is a file at all.
    pub durable: bool,
    /// Changes that are in memory and not yet on disk.
    pub pending: usize,
    /// Transactions that failed since start; they are tried again until they succeed.
    pub failed: u64,
    /// Kind of the last failure; `None` once a later write succeeded.
    pub last_error: Option<&'static str>,
    /// Records refused since start because their table was full of records in use.
    pub refused: u64,
    /// Records of the file that did not count when it was opened.
    pub damaged_records: usize,
    /// Where a damaged file was set aside when the store was opened.
    pub set_aside: Option<String>,
}
