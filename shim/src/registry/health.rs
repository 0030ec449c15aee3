//! What the outcome of an exchange says about the health of its host, and telling the log when that changes.

use super::breaker::Pass;
use super::error::{RemoteError, cause};
use super::transport::Answer;

/// Notes an outcome with the breaker of the host. `fair`: the host had time enough for its silence to count against it.
pub(super) fn note(host: &str, pass: Pass<'_>, result: &Result<Answer, RemoteError>, fair: bool) {
    let failed = match result {
        Ok(answer) => answer.status.is_server_error(),
        Err(RemoteError::Unreachable { cause, .. }) => *cause != cause::NOT_TLS,
        Err(RemoteError::Timeout { .. }) if !fair => return,
        Err(RemoteError::Timeout { .. }) => true,
        Err(_) => false,
    };
    if failed {
        if pass.failed() {
            tracing::warn!(
                host,
                "circuit breaker opened: the host failed repeatedly and is not asked for a while"
            );
        }
    } else if pass.succeeded() {
        tracing::info!(host, "circuit breaker closed: the host answers again");
    }
}
