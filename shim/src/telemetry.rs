//! Logs, the audit line, metrics.
