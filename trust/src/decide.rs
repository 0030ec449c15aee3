//! The decision: policy × evidence × clock, no I/O.

use portcullis_policy::model::Mode;
use portcullis_policy::{Digest, ImageReference, Span};

use crate::compile::CompiledPolicy;
use crate::evidence::Evidence;
use crate::time::Timestamp;

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Namespace of the pod; `None`: a call without a pod.
    pub namespace: Option<&'a str>,
    /// The reference the user named.
    pub reference: &'a ImageReference,
    /// The digest it is about to stand for.
    pub digest: &'a Digest,
}

/// Which rule spoke, for logs and messages.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RuleRef {
    /// `<kind>/<name>` of the document.
    pub document: String,
    /// The pattern.
    pub pattern: String,
    /// Where it stands.
    pub span: Span,
}

/// What satisfied a requirement.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// `notary`, `allow`, `bootstrap`.
    pub system: String,
    /// Who signed, with which key: `alice (key 3f…, targets/alice)`; for others, what was found.
    pub signer: String,
    /// When the evidence was gathered.
    pub gathered_at: Option<Timestamp>,
}

/// The kinds of refusal, stable for metrics and JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum DenialReason {
    /// No policy or no rule matches.
    NoRule,
    /// A rule says deny.
    Denied,
    /// Nothing gathered speaks for the image: gathering may heal it.
    LackOfEvidence,
    /// Evidence was gathered and does not satisfy the requirement.
    NotSatisfied,
    /// The requirement names a system this build does not verify.
    Unsupported,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Denial {
    /// Its kind.
    pub reason: DenialReason,
    /// One line for a person, without the gRPC prefix, byte-stable across retries: namespace, image, rule and file, the
    /// requirement that failed, and what to do.
    pub text: String,
}

/// The outcome.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Decision {
    /// `None`: allowed.
    pub denial: Option<Denial>,
    /// Mode under which a denial applies.
    pub mode: Mode,
    /// The rules that spoke; empty for "no rule" and for bootstrap images.
    pub rules: Vec<RuleRef>,
    /// What satisfied the requirements, for an allowed image.
    pub findings: Vec<Finding>,
}

impl Decision {
    /// Whether the requirement holds, whatever the mode.
    pub fn allowed(&self) -> bool {
        self.denial.is_none()
    }
}

impl CompiledPolicy {
    /// Decides. The same inputs give the same decision, byte for byte.
    pub fn decide(
        &self,
        _question: &Question<'_>,
        _evidence: &Evidence,
        _now: Timestamp,
    ) -> Decision {
        todo!()
    }
}
