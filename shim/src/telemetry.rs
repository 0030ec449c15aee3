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

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

pub use audit::{AuditLine, Verdict};
pub use metrics::Metrics;
pub use source::{Kind, Sample};
pub use writer::LogGuard;

use crate::config::LogFormat;

/// The environment variable with the log filter, such as `info` or `portcullis::policy=debug`.
pub const FILTER_VARIABLE: &str = "PORTCULLIS_LOG";

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
    let filter = EnvFilter::builder()
        .with_env_var(FILTER_VARIABLE)
        .with_default_directive(tracing::Level::INFO.into())
        .from_env_lossy();
    let registry = tracing_subscriber::registry().with(filter);
    match form {
        LogFormat::Human => registry
            .with(
                tracing_subscriber::fmt::layer()
                    .with_ansi(terminal && std::env::var_os("NO_COLOR").is_none())
                    .event_format(format::WithAudit::human())
                    .with_writer(queue),
            )
            .try_init()?,
        LogFormat::Json => registry
            .with(
                tracing_subscriber::fmt::layer()
                    .json()
                    .event_format(format::WithAudit::json())
                    .with_writer(queue),
            )
            .try_init()?,
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
    Twice(#[from] TryInitError),
}

/// A counter shared with whoever counts.
pub(crate) type Counter = Arc<AtomicU64>;
