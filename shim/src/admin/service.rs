//! What the admin interface knows: the gate, the policy, the numbers. Used over the socket and in process.

use std::sync::Arc;
use std::time::Instant;

use super::AdminApi;
use super::error::AdminError;
use super::explain;
use super::types::{
    AdoptReport, AdoptRequest, CheckReport, ExplainReport, ImageQuestion, PolicyStatus,
    ResetReport, StatusReport,
};
use crate::policy::{PolicyHandle, ResetError};
use crate::telemetry::Metrics;

/// Longest reason kept with an adopted image, in bytes.
const MAX_REASON: usize = 1024;

/// The admin interface.
pub struct Admin {
    api: Arc<dyn AdminApi>,
    policy: PolicyHandle,
    metrics: Arc<Metrics>,
    started: Instant,
}

impl Admin {
    /// An interface to a gate that starts now.
    pub fn new(api: Arc<dyn AdminApi>, policy: PolicyHandle, metrics: Arc<Metrics>) -> Self {
        Self {
            api,
            policy,
            metrics,
            started: Instant::now(),
        }
    }

    /// What the gate would say.
    pub async fn check(&self, question: ImageQuestion) -> Result<CheckReport, AdminError> {
        check_question(&question)?;
        self.api.check(question).await
    }

    /// Which rule applies.
    pub fn explain(&self, question: &ImageQuestion) -> Result<ExplainReport, AdminError> {
        check_question(question)?;
        explain(&self.policy.current(), question)
    }

    /// Vouches for an image. The reason is asked for, because somebody will ask later.
    pub async fn adopt(&self, request: AdoptRequest) -> Result<AdoptReport, AdminError> {
        let reason = request.reason.trim();
        if reason.is_empty() || reason.len() > MAX_REASON || reason.contains(char::is_control) {
            return Err(AdminError::Invalid(format!(
                "the reason must be one line of at most {MAX_REASON} bytes"
            )));
        }
        let report = self.api.adopt(request.clone()).await?;
        tracing::warn!(
            image = request.image,
            repository = report.repository,
            reason,
            "an image's origin was adopted"
        );
        Ok(report)
    }

    /// Health.
    pub async fn status(&self) -> StatusReport {
        StatusReport {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_seconds: self.started.elapsed().as_secs(),
            mode: self.policy.current().policy.node_mode,
            policy: PolicyStatus::from(&self.policy),
            node: self.api.status().await,
        }
    }

    /// Drops the last good policy set.
    pub async fn reset_policy(&self) -> Result<ResetReport, AdminError> {
        match self.policy.reset().await {
            Ok(()) => Ok(ResetReport {
                policy: PolicyStatus::from(&self.policy),
            }),
            Err(ResetError::Refused(diagnostics)) => {
                let mut text = ResetError::Refused(Vec::new()).to_string();
                for diagnostic in diagnostics {
                    text.push('\n');
                    text.push_str(&diagnostic.to_string());
                }
                Err(AdminError::Conflict(text))
            }
            Err(error) => Err(AdminError::Unavailable(error.to_string())),
        }
    }

    /// Metrics as text.
    pub fn metrics(&self) -> String {
        self.metrics.encode()
    }
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Admin")
    }
}

/// An empty namespace would be taken for "no pod": it is refused, so that a script with an unset variable notices.
fn check_question(question: &ImageQuestion) -> Result<(), AdminError> {
    let usable = |name: &str| {
        (1..=63).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    match &question.namespace {
        Some(namespace) if !usable(namespace) => Err(AdminError::Invalid(format!(
            "`{}` is not the name of a namespace",
            namespace.escape_debug()
        ))),
        _ => Ok(()),
    }
}
