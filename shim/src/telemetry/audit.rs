//! One line per decision: who asked for what, what was answered, and why. Its fields are stable.

use std::fmt::{self, Write as _};
use std::time::Duration;

use portcullis_policy::Digest;
use portcullis_trust::decide::{Decision, DenialReason, RuleRef};
use serde::Serialize;

/// Target of audit lines in the log.
pub const TARGET: &str = "audit";

/// What asked for the decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Event {
    /// `PullImage`.
    Pull,
    /// `CreateContainer`, the container's image.
    Create,
    /// `CreateContainer`, an image volume.
    Volume,
    /// `StartContainer`.
    Start,
    /// `RunPodSandbox`: the pause image.
    Sandbox,
    /// `portcullis adopt`.
    Adopt,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It went forward.
    Allow,
    /// It was refused by policy.
    Deny,
    /// It went forward although policy says no: audit mode.
    WouldDeny,
    /// It was refused because nothing could be decided.
    Error,
}

impl Verdict {
    /// The verdict that a decision means.
    pub fn of(decision: &Decision) -> Self {
        use portcullis_policy::model::Mode;

        match (&decision.denial, decision.mode) {
            (None, _) => Self::Allow,
            (Some(_), Mode::Enforce) => Self::Deny,
            (Some(_), Mode::Audit) => Self::WouldDeny,
        }
    }

    /// The word in logs, metrics and JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::WouldDeny => "would-deny",
            Self::Error => "error",
        }
    }
}

impl Event {
    /// The word in logs, metrics and JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Create => "create",
            Self::Volume => "volume",
            Self::Start => "start",
            Self::Sandbox => "sandbox",
            Self::Adopt => "adopt",
        }
    }
}

/// The stable word for a reason in logs and metrics.
pub const fn reason_word(reason: DenialReason) -> &'static str {
    match reason {
        DenialReason::NoRule => "noRule",
        DenialReason::Denied => "denied",
        DenialReason::LackOfEvidence => "lackOfEvidence",
        DenialReason::Unsigned => "unsigned",
        DenialReason::NotSatisfied => "notSatisfied",
        DenialReason::Unsupported => "unsupported",
    }
}

/// The audit line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditLine {
    /// What asked.
    pub event: Event,
    /// Namespace of the pod; absent: a call without a pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name of the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// UID of the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Name or ID of the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// The reference as the user named it.
    pub reference: String,
    /// The digest it stood for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// The image ID, at create.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_id: Option<Digest>,
    /// How it ended.
    pub verdict: Verdict,
    /// The stable word for why not: see [`reason_word`]; for [`Verdict::Error`] the gate's own word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// What the caller was told, without the gRPC prefix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The rules that spoke.
    pub rules: Vec<RuleRef>,
    /// Who satisfied them: `system: signer`.
    pub signers: Vec<String>,
    /// Generation of the policy.
    pub policy_generation: u64,
    /// Hash of the policy.
    pub policy_hash: String,
    /// How long the decision took.
    #[serde(rename = "durationMs", serialize_with = "milliseconds")]
    pub duration: Duration,
}

impl AuditLine {
    /// A line for `decision`; what else is known is filled in by the caller.
    pub fn of(event: Event, reference: &str, decision: &Decision) -> Self {
        Self {
            event,
            namespace: None,
            pod: None,
            uid: None,
            container: None,
            reference: reference.to_owned(),
            digest: None,
            image_id: None,
            verdict: Verdict::of(decision),
            reason: decision
                .denial
                .as_ref()
                .map(|denial| reason_word(denial.reason)),
            message: decision.denial.as_ref().map(|denial| denial.text.clone()),
            rules: decision.rules.clone(),
            signers: decision.signers(),
            policy_generation: 0,
            policy_hash: String::new(),
            duration: Duration::ZERO,
        }
    }

    /// Puts the line into the log. Never waits (docs/rules.md rule 15).
    pub fn log(&self) {
        // Levels follow what an operator must see; the filter can still silence them.
        let line = serde_json::to_string(self).unwrap_or_default();
        match self.verdict {
            Verdict::Allow => {
                tracing::info!(target: TARGET, line = line.as_str(), text = %self);
            }
            Verdict::Deny | Verdict::WouldDeny | Verdict::Error => {
                tracing::warn!(target: TARGET, line = line.as_str(), text = %self);
            }
        }
    }
}

/// The line for a person. Names come from pods and users: control characters are escaped, so that none can forge a
/// line.
impl fmt::Display for AuditLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verdict.word(), self.event.word())?;
        write!(f, " {}", Plain(&self.reference))?;
        for (word, value) in [
            ("namespace", &self.namespace),
            ("pod", &self.pod),
            ("container", &self.container),
        ] {
            if let Some(value) = value {
                write!(f, " {word}={}", Plain(value))?;
            }
        }
        for (word, value) in [("digest", &self.digest), ("image", &self.image_id)] {
            if let Some(value) = value {
                write!(f, " {word}={value}")?;
            }
        }
        if let Some(reason) = self.reason {
            write!(f, " reason={reason}")?;
        }
        for rule in &self.rules {
            write!(f, " rule={}", Plain(&rule.span.to_string()))?;
        }
        for signer in &self.signers {
            write!(f, " signer={}", Plain(signer))?;
        }
        write!(f, " generation={}", self.policy_generation)?;
        write!(f, " duration={}ms", self.duration.as_millis())
    }
}

/// Text without control characters, in one word.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = self.0.is_empty() || self.0.contains(|c: char| c.is_whitespace() || c == '"');
        if quoted || self.0.contains(|c: char| c.is_control()) {
            return write!(f, "{:?}", self.0);
        }
        for c in self.0.chars() {
            f.write_char(c)?;
        }
        Ok(())
    }
}

fn milliseconds<S: serde::Serializer>(duration: &Duration, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use portcullis_policy::Span;
    use portcullis_policy::model::Mode;
    use portcullis_trust::{Denial, Finding};

    use super::*;

    fn decision(denied: bool, mode: Mode) -> Decision {
        Decision {
            denial: denied.then(|| Denial {
                reason: DenialReason::NotSatisfied,
                text: "nobody signed it".to_owned(),
            }),
            mode,
            rules: vec![RuleRef {
                document: "ImagePolicy/apps".to_owned(),
                pattern: "docker.io/*".to_owned(),
                span: Span {
                    file: "a.yaml".into(),
                    line: 7,
                    column: 3,
                    path: "spec.repositories[0].name".to_owned(),
                },
            }],
            findings: vec![Finding {
                system: "notary".to_owned(),
                place: None,
                signer: "alice".to_owned(),
                signed_at: None,
                gathered_at: None,
                notes: Vec::new(),
            }],
            unmet: Vec::new(),
        }
    }

    #[test]
    fn audit_mode_is_never_called_a_denial() {
        for (denied, mode, verdict) in [
            (false, Mode::Enforce, "allow"),
            (false, Mode::Audit, "allow"),
            (true, Mode::Enforce, "deny"),
            (true, Mode::Audit, "would-deny"),
        ] {
            assert_eq!(Verdict::of(&decision(denied, mode)).word(), verdict);
        }
    }

    #[test]
    fn the_json_form_is_stable() {
        let mut line = AuditLine::of(Event::Pull, "nginx:1", &decision(true, Mode::Enforce));
        line.namespace = Some("shop".to_owned());
        line.policy_generation = 3;
        line.duration = Duration::from_millis(12);
        assert_eq!(
            serde_json::to_value(&line).unwrap(),
            serde_json::json!({
                "event": "pull",
                "namespace": "shop",
                "reference": "nginx:1",
                "verdict": "deny",
                "reason": "notSatisfied",
                "message": "nobody signed it",
                "rules": [{
                    "document": "ImagePolicy/apps",
                    "pattern": "docker.io/*",
                    "span": {"file": "a.yaml", "line": 7, "column": 3, "path": "spec.repositories[0].name"},
                }],
                "signers": ["notary: alice"],
                "policyGeneration": 3,
                "policyHash": "",
                "durationMs": 12,
            })
        );
    }

    #[test]
    fn names_cannot_forge_a_second_line_or_a_field() {
        let mut line = AuditLine::of(
            Event::Create,
            "evil\nallow pull nginx",
            &decision(true, Mode::Enforce),
        );
        line.pod = Some("a verdict=allow\u{1b}[2K".to_owned());
        let text = line.to_string();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(
            text.starts_with("deny create \"evil\\nallow pull nginx\""),
            "{text}"
        );
        assert!(text.contains("pod=\"a verdict=allow\\u{1b}[2K\""), "{text}");
    }
}
