//! Questions and answers, as JSON on the admin socket and with `--output json`. Their fields are stable.

use std::collections::BTreeMap;

use portcullis_policy::model::{Mode, Scope, TagRule};
use portcullis_policy::select::Standing;
use portcullis_policy::{Diagnostic, Digest, Span};
use portcullis_trust::decide::{Decision, Finding, RuleRef, Unmet};
use portcullis_trust::evidence::Recorded;
use portcullis_trust::{Denial, DenialReason, Timestamp};
use serde::{Deserialize, Serialize};

use crate::policy::{ActivePolicy, PolicyHandle};
use crate::telemetry::Verdict;
use crate::telemetry::audit::reason_word;

/// Which image, for whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ImageQuestion {
    /// Namespace of the pod; absent: a call without a pod, such as `crictl pull`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The reference as a pod would name it.
    pub image: String,
    /// Whether the evidence itself is wanted too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub record: bool,
}

/// A rule that spoke.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleReport {
    /// `<kind>/<name>` of its document.
    pub document: String,
    /// Its pattern.
    pub pattern: String,
    /// `file:line:column`.
    pub place: String,
}

/// What satisfied a requirement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FindingReport {
    /// `notary`, `cosign`, `attestations`, `notation`, `simple`, `annotations`, `allow`, `bootstrap`.
    pub system: String,
    /// `file:line:column` of the requirement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// Who, with which key.
    pub signer: String,
    /// When it was signed, RFC 3339, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_at: Option<String>,
    /// When the evidence was gathered, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gathered_at: Option<String>,
    /// What else a person should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A requirement that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnmetReport {
    /// As in [`FindingReport`].
    pub system: String,
    /// `file:line:column` of the requirement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// What was found instead.
    pub found: String,
}

/// What the gate would say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckReport {
    /// The reference as asked.
    pub image: String,
    /// The namespace as asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The answer; `error`: it could not be told.
    pub verdict: Verdict,
    /// The mode that governs a refusal.
    pub mode: Mode,
    /// The digest it stands for, where that was needed and could be had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Stable word for why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What the kubelet would be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denial: Option<String>,
    /// The rules that spoke.
    pub rules: Vec<RuleReport>,
    /// The requirements that hold, each with what satisfied it.
    pub findings: Vec<FindingReport>,
    /// The requirements that do not hold; for an allowed image, alternatives that were not needed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmet: Vec<UnmetReport>,
    /// What the answer was computed from, if that was asked for and a digest is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Box<Recorded>>,
}

/// Which rule applies, and why not the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainReport {
    /// The reference as asked.
    pub image: String,
    /// The reference with everything filled in.
    pub normalised: String,
    /// The namespace as asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Whose policies are read; absent: there are none for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// The mode that rules without one of their own follow.
    pub node_mode: Mode,
    /// Every rule, chosen ones first, then by how near they came.
    pub rules: Vec<ExplainedRule>,
    /// Places in bootstrap.yaml that allow a digest of this repository, whatever the rules say.
    pub bootstrap: Vec<String>,
    /// Generation of the policy.
    pub policy_generation: u64,
    /// Hash of the policy.
    pub policy_hash: String,
}

/// One rule in an explanation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedRule {
    /// The rule.
    #[serde(flatten)]
    pub rule: RuleReport,
    /// `chosen`, `lessSpecific`, `noMatch`, `outOfScope`.
    pub standing: String,
    /// The same in words.
    pub because: String,
    /// Its effective mode.
    pub mode: Mode,
    /// How it treats tags.
    pub tags: TagRule,
    /// What it asks, in words.
    pub requirement: String,
}

/// An operator vouches for an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AdoptRequest {
    /// The image, by a name with tag or digest under which the node has it.
    pub image: String,
    /// Why. Logged and kept.
    pub reason: String,
}

/// An image that was vouched for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdoptReport {
    /// The image as asked.
    pub image: String,
    /// The repository it now counts as coming from.
    pub repository: String,
    /// The digests vouched for.
    pub digests: Vec<Digest>,
}

/// What is in force after `policy reset`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResetReport {
    /// The policy.
    pub policy: PolicyStatus,
}

/// The policy in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyStatus {
    /// Its generation.
    pub generation: u64,
    /// Its hash.
    pub hash: String,
    /// When it took force, RFC 3339.
    pub since: String,
    /// How many rules it has.
    pub rules: usize,
    /// How many images bootstrap.yaml allows.
    pub bootstrap: usize,
    /// Warnings about it.
    pub warnings: Vec<String>,
    /// Why a newer set on disk is not in force; empty: the directory is what is in force.
    pub refused: Vec<String>,
    /// It would not survive a reboot, because it could not be written down.
    pub unsaved: bool,
}

/// containerd.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpstreamStatus {
    /// Whether it answers.
    pub connected: bool,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// What the gate knows of the node's health.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    /// containerd.
    pub upstream: UpstreamStatus,
    /// Records of the evidence store by table.
    pub store: BTreeMap<String, u64>,
    /// Counters by name.
    pub counters: BTreeMap<String, u64>,
    /// What an operator should look at.
    pub alarms: Vec<String>,
}

/// The daemon's health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusReport {
    /// Version of this build.
    pub version: String,
    /// Seconds since the start.
    pub uptime_seconds: u64,
    /// The node's mode.
    pub mode: Mode,
    /// The policy in force.
    pub policy: PolicyStatus,
    /// The rest.
    #[serde(flatten)]
    pub node: NodeStatus,
}

impl CheckReport {
    /// The report of a decision.
    pub fn of(question: &ImageQuestion, digest: Option<Digest>, decision: &Decision) -> Self {
        let Denial { reason, text } = decision.denial.clone().unwrap_or(Denial {
            reason: DenialReason::Denied,
            text: String::new(),
        });
        let denied = decision.denial.is_some();
        Self {
            image: question.image.clone(),
            namespace: question.namespace.clone(),
            verdict: Verdict::of(decision),
            mode: decision.mode,
            digest,
            reason: denied.then(|| reason_word(reason).to_owned()),
            denial: denied.then_some(text),
            rules: decision.rules.iter().map(RuleReport::from).collect(),
            findings: decision.findings.iter().map(FindingReport::from).collect(),
            unmet: decision.unmet.iter().map(UnmetReport::from).collect(),
            evidence: None,
        }
    }

    /// The report of a question that could not be decided; `why` is what the kubelet would be told.
    pub fn undecided(question: &ImageQuestion, mode: Mode, reason: &str, why: String) -> Self {
        Self {
            image: question.image.clone(),
            namespace: question.namespace.clone(),
            verdict: Verdict::Error,
            mode,
            digest: None,
            reason: Some(reason.to_owned()),
            denial: Some(why),
            rules: Vec::new(),
            findings: Vec::new(),
            unmet: Vec::new(),
            evidence: None,
        }
    }
}

impl RuleReport {
    pub(super) fn new(document: &str, pattern: &str, span: &Span) -> Self {
        Self {
            document: document.to_owned(),
            pattern: pattern.to_owned(),
            place: place(span),
        }
    }
}

impl From<&RuleRef> for RuleReport {
    fn from(rule: &RuleRef) -> Self {
        Self::new(&rule.document, &rule.pattern, &rule.span)
    }
}

impl From<&Finding> for FindingReport {
    fn from(finding: &Finding) -> Self {
        Self {
            system: finding.system.clone(),
            place: finding.place.as_ref().map(place),
            signer: finding.signer.clone(),
            signed_at: finding.signed_at.as_ref().map(Timestamp::to_string),
            gathered_at: finding.gathered_at.as_ref().map(Timestamp::to_string),
            notes: finding.notes.clone(),
        }
    }
}

impl From<&Unmet> for UnmetReport {
    fn from(unmet: &Unmet) -> Self {
        Self {
            system: unmet.system.clone(),
            place: unmet.place.as_ref().map(place),
            found: unmet.found.clone(),
        }
    }
}

impl From<&PolicyHandle> for PolicyStatus {
    fn from(handle: &PolicyHandle) -> Self {
        let active: &ActivePolicy = &handle.current();
        Self {
            generation: active.generation,
            hash: active.hash.clone(),
            since: active.since.to_string(),
            rules: active.policy.set.rules.len(),
            bootstrap: active.policy.bootstrap.images.len(),
            warnings: active.warnings.iter().map(Diagnostic::to_string).collect(),
            refused: active.refused.iter().map(Diagnostic::to_string).collect(),
            unsaved: handle.unsaved(),
        }
    }
}

/// The stable word for a standing.
pub(super) const fn standing_word(standing: &Standing) -> &'static str {
    match standing {
        Standing::Chosen => "chosen",
        Standing::LessSpecific => "lessSpecific",
        Standing::NoMatch => "noMatch",
        Standing::OutOfScope => "outOfScope",
    }
}

/// `file:line:column`, without the path of the field.
pub(super) fn place(span: &Span) -> String {
    if span.line == 0 {
        span.file.to_string()
    } else {
        format!("{}:{}:{}", span.file, span.line, span.column)
    }
}
