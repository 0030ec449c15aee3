//! The answers a client gets (docs/rules.md). Every text is fixed by its inputs, byte for byte: the kubelet tries each
//! credential in turn and prints one message only if all are equal.

use portcullis_proto::code;
use portcullis_trust::Denial;

use portcullis_proto::wire::WireError;

use super::heal::HealFailure;
use crate::containerd::ContainerdError;
use crate::intercept::Refusal;
use crate::registry::RemoteError;

/// Prefix the kubelet knows (cri-api `pkg/errors`, 1.28): shown as waiting reason `SignatureValidationFailed`.
pub(super) const DENIED: &str = "SignatureValidationFailed: ";
/// Prefix the kubelet knows (cri-api `pkg/errors`): shown as waiting reason `RegistryUnavailable`.
pub(super) const UNDECIDED: &str = "RegistryUnavailable: ";
/// Prefix of everything that is wrong with the request itself.
pub(super) const OURS: &str = "portcullis: ";

/// Policy says no. Code UNKNOWN: only for it does cri-client strip the gRPC prefix.
pub(super) fn denied(denial: &Denial) -> Refusal {
    policy_says_no(&denial.text)
}

/// Policy says no, in these words.
pub(super) fn policy_says_no(text: &str) -> Refusal {
    Refusal {
        code: code::UNKNOWN,
        message: format!("{DENIED}{text}"),
    }
}

/// No decision was possible.
pub(super) fn undecided(namespace: Option<&str>, image: &str, error: &RemoteError) -> Refusal {
    Refusal {
        code: code::UNKNOWN,
        message: format!(
            "{UNDECIDED}{image} in {} could not be verified: {error}; nothing was pulled",
            namespace_words(namespace)
        ),
    }
}

/// The request contradicts itself or lacks what the gate must know.
pub(super) fn invalid(text: &str) -> Refusal {
    Refusal {
        code: code::INVALID_ARGUMENT,
        message: format!("{OURS}{text}"),
    }
}

/// Something the answer depends on failed here.
pub(super) fn failed(text: &str) -> Refusal {
    Refusal {
        code: code::UNKNOWN,
        message: format!("{OURS}{text}"),
    }
}

/// Not now: the client is expected to try again.
pub(super) fn unavailable(text: &str) -> Refusal {
    Refusal {
        code: code::UNAVAILABLE,
        message: format!("{OURS}{text}"),
    }
}

/// containerd did not answer a question of the gate's own.
pub(super) fn containerd(error: &ContainerdError) -> Refusal {
    match error {
        ContainerdError::Unavailable | ContainerdError::Timeout { .. } => {
            unavailable(&error.to_string())
        }
        ContainerdError::Status { .. } | ContainerdError::Content { .. } => {
            failed(&error.to_string())
        }
    }
}

/// `namespace shop`, or words for a call without a pod.
pub(super) fn namespace_words(namespace: Option<&str>) -> String {
    namespace.map_or_else(
        || "a call without a pod".to_owned(),
        |name| format!("namespace {name}"),
    )
}

/// The request is not strictly encoded.
pub(super) fn wire(error: &WireError) -> Refusal {
    Refusal {
        code: error.code(),
        message: error.to_string(),
    }
}

/// An image on the node has no stored evidence, and none could be gathered.
pub(super) fn unhealed(namespace: &str, image: &str, failure: &HealFailure) -> Refusal {
    match failure {
        HealFailure::Remote(error) => Refusal {
            code: code::UNKNOWN,
            message: format!(
                "{UNDECIDED}{image} in namespace {namespace} is on this node, but nothing stored here speaks for it, and none \
                 could be gathered: {error}. It will be tried again; where a rule asks for no signature, root on this node can \
                 vouch for it with `portcullis adopt {image} --reason …`"
            ),
        },
        HealFailure::Refused(text) => policy_says_no(text),
    }
}

/// A container that containerd does not know. A prefix of an ID, which containerd would take, could mean another container
/// by the time it is started.
pub(super) fn not_found(container: &str) -> Refusal {
    Refusal {
        code: code::NOT_FOUND,
        message: format!(
            "{OURS}there is no container with the full ID {}",
            super::names::shown(container)
        ),
    }
}
