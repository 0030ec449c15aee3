//! Logs, the audit line, metrics.
//!
//! Nothing here may hold up a decision: log lines go through a bounded queue that drops and counts, metrics are
//! atomics (docs/rules.md rule 15). Nothing here may print a secret (rule 14): credentials have no `Display`.

pub mod audit;
mod format;
mod labels;
pub mod metrics;
mod parts;
mod source;
mod writer;

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tracing::subscriber::{SetGlobalDefaultError, set_global_default};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;

pub use audit::{AuditLine, Verdict};
pub use metrics::Metrics;
pub use source::{Kind, Sample};
pub use writer::LogGuard;

use crate::config::LogFormat;

/// The environment variable with the log filter, such as `info` or `portcullis::policy=debug`.
pub const FILTER_VARIABLE: &str = "PORTCULLIS_LOG";

/// What is logged unless that says otherwise. Libraries are silent: some put what they parsed into their messages, and that
/// may be bytes from anywhere (docs/rules.md rule 13). For the same reason messages of the `log` crate are not taken in.
const DEFAULT_FILTER: &str = "portcullis=info,audit=info";

/// Starts logging to standard error. `None` for the form: human on a terminal, else JSON. Keep the guard until the end:
/// dropping it writes what is queued, for at most one second.
///
/// # Errors
/// If a subscriber is set already, or the writer's thread cannot be started.
pub fn init(form: Option<LogFormat>) -> Result<LogGuard, InitError> {
    let terminal = std::io::stderr().is_terminal();
    let form = form.unwrap_or(if terminal {
        LogFormat::Human
    } else {
        LogFormat::Json
    });
    let (queue, guard) = writer::start(std::io::stderr)?;
    let filter = match std::env::var(FILTER_VARIABLE) {
        Ok(text) if !text.is_empty() => EnvFilter::new(text),
        _ => EnvFilter::new(DEFAULT_FILTER),
    };
    let registry = tracing_subscriber::registry().with(filter);
    match form {
        LogFormat::Human => set_global_default(
            registry.with(
                tracing_subscriber::fmt::layer()
                    .with_ansi(terminal && std::env::var_os("NO_COLOR").is_none())
                    .event_format(format::WithAudit::human())
                    .with_writer(queue),
            ),
        )?,
        LogFormat::Json => set_global_default(
            registry.with(
                tracing_subscriber::fmt::layer()
                    .json()
                    .event_format(format::WithAudit::json())
                    .with_writer(queue),
            ),
        )?,
    }
    Ok(guard)
}

/// Why logging could not be started.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// No thread for the writer.
    #[error("the log writer cannot be started: {0}")]
    Thread(#[from] std::io::Error),
    /// Logging was started before.
    #[error("logging is set up already: {0}")]
    Twice(#[from] SetGlobalDefaultError),
}

/// A counter shared with whoever counts.
pub(crate) type Counter = Arc<AtomicU64>;
