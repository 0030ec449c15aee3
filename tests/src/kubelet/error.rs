//! Failures as kubelet shows them in a pod's status.

use std::fmt;

use tonic::{Code, Status};

/// `waiting.reason`, or the reason of the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The runtime refused the image by its policy.
    SignatureValidationFailed,
    /// The runtime could not reach the registry.
    RegistryUnavailable,
    /// Any other failure of a pull.
    ErrImagePull,
    /// The image is absent and may not be pulled.
    ErrImageNeverPull,
    /// `ImageStatus` failed.
    ImageInspect,
    /// `RunPodSandbox` failed.
    CreatePodSandbox,
    /// `CreateContainer` failed.
    CreateContainer,
    /// `StartContainer` failed.
    RunContainer,
    /// `StopContainer` failed.
    KillContainer,
}

impl Reason {
    /// The word that `kubectl` shows.
    pub const fn word(self) -> &'static str {
        match self {
            Self::SignatureValidationFailed => "SignatureValidationFailed",
            Self::RegistryUnavailable => "RegistryUnavailable",
            Self::ErrImagePull => "ErrImagePull",
            Self::ErrImageNeverPull => "ErrImageNeverPull",
            Self::ImageInspect => "ImageInspectError",
            Self::CreatePodSandbox => "CreatePodSandboxError",
            Self::CreateContainer => "CreateContainerError",
            Self::RunContainer => "RunContainerError",
            Self::KillContainer => "KillContainerError",
        }
    }
}

/// A failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeletError {
    /// What kind.
    pub reason: Reason,
    /// gRPC code of the (last) answer.
    pub code: Code,
    /// The text of the answer: what a person reads in `kubectl describe`.
    pub message: String,
}

impl KubeletError {
    pub(super) fn new(reason: Reason, status: &Status) -> Self {
        Self {
            reason,
            code: status.code(),
            message: error_text(status),
        }
    }

    pub(super) fn never(image: &str) -> Self {
        Self {
            reason: Reason::ErrImageNeverPull,
            code: Code::NotFound,
            message: format!(
                "Container image \"{image}\" is not present with pull policy of Never"
            ),
        }
    }

    /// kubelet tries each credential in turn and joins the errors, unless all have the same text.
    pub(super) fn pull(image: &str, refusals: &[Status]) -> Self {
        let mut texts: Vec<String> = Vec::new();
        for refusal in refusals {
            let text = error_text(refusal);
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        let joined = match texts.as_slice() {
            [one] => one.clone(),
            several => format!("[{}]", several.join(", ")),
        };
        let (reason, message) = if let Some(rest) = joined.strip_prefix("SignatureValidationFailed")
        {
            let why = rest.strip_prefix(": ").unwrap_or(rest);
            let text = format!(
                "image pull failed for {image} because the signature validation failed: {why}"
            );
            (Reason::SignatureValidationFailed, text)
        } else if let Some(rest) = joined.strip_prefix("RegistryUnavailable") {
            let why = rest.strip_prefix(": ").unwrap_or(rest);
            let text =
                format!("image pull failed for {image} because the registry is unavailable: {why}");
            (Reason::RegistryUnavailable, text)
        } else {
            (Reason::ErrImagePull, joined)
        };
        Self {
            reason,
            code: refusals.last().map_or(Code::Unknown, Status::code),
            message,
        }
    }
}

/// cri-client strips gRPC's prefix for the code UNKNOWN alone.
fn error_text(status: &Status) -> String {
    if status.code() == Code::Unknown {
        status.message().to_owned()
    } else {
        format!(
            "rpc error: code = {:?} desc = {}",
            status.code(),
            status.message()
        )
    }
}

impl fmt::Display for KubeletError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.word(), self.message)
    }
}

impl std::error::Error for KubeletError {}
