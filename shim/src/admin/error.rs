//! Why a question or a step was not answered with what was asked for.

use serde::{Deserialize, Serialize};

/// A refusal of the admin interface. Each variant has one HTTP status and one stable code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// The question itself is wrong.
    #[error("{0}")]
    Invalid(String),
    /// It names something that is not there.
    #[error("{0}")]
    NotFound(String),
    /// Nothing has that address.
    #[error("there is no {0}")]
    NoEndpoint(String),
    /// It may not be done as things are.
    #[error("{0}")]
    Conflict(String),
    /// The caller is not root.
    #[error("only root may use the admin socket; you are user {0}")]
    NotRoot(u32),
    /// The wrong method.
    #[error("{0} is the method to use here")]
    Method(&'static str),
    /// The body is larger than 1 MiB.
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// Documented, and not in this build.
    #[error("{0} is not in this build")]
    NotInThisBuild(String),
    /// Registry, containerd or store did not let it be answered.
    #[error("{0}")]
    Unavailable(String),
    /// It took too long.
    #[error("not answered in time")]
    Timeout,
}

/// The body that goes with an error's HTTP status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorReport {
    /// Stable word.
    pub code: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl AdminError {
    /// HTTP status.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Invalid(_) => 400,
            Self::NotRoot(_) => 403,
            Self::NotFound(_) | Self::NoEndpoint(_) => 404,
            Self::Method(_) => 405,
            Self::Conflict(_) => 409,
            Self::TooLarge(_) => 413,
            Self::NotInThisBuild(_) => 501,
            Self::Unavailable(_) => 503,
            Self::Timeout => 504,
        }
    }

    /// The body.
    pub fn report(&self) -> ErrorReport {
        let code = match self {
            Self::Invalid(_) => "invalid",
            Self::NotFound(_) => "notFound",
            Self::NoEndpoint(_) => "noEndpoint",
            Self::Conflict(_) => "conflict",
            Self::NotRoot(_) => "notRoot",
            Self::Method(_) => "method",
            Self::TooLarge(_) => "tooLarge",
            Self::NotInThisBuild(_) => "notInThisBuild",
            Self::Unavailable(_) => "unavailable",
            Self::Timeout => "timeout",
        };
        ErrorReport {
            code: code.to_owned(),
            message: self.to_string(),
        }
    }
}
