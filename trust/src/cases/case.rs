//! A case as its author writes it.

use portcullis_policy::Digest;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::time::Timestamp;

/// A file of cases.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CaseFile {
    /// The time at which cases are judged that do not name one; without it, the time at which their evidence was recorded.
    #[serde(default)]
    pub now: Option<Moment>,
    /// Files with recorded evidence for every case that names none, relative to this file. The last part of a path may
    /// contain `*`.
    #[serde(default)]
    pub evidence: Vec<String>,
    /// The cases.
    pub cases: Vec<Case>,
}

/// One case.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Case {
    /// What it is about, for the result.
    #[serde(default)]
    pub name: Option<String>,
    /// Namespace of the pod; without it, a call without a pod.
    #[serde(default)]
    pub namespace: Option<String>,
    /// The image as a pod would name it.
    pub image: String,
    /// The digest a tag stands for. Without it, the one in the recorded evidence for the same reference.
    #[serde(default)]
    pub digest: Option<Digest>,
    /// What the policy is expected to say.
    pub expect: Expected,
    /// The rule that is expected to speak: `file: pattern`, `kind/name: pattern`, or the pattern alone.
    #[serde(default)]
    pub rule: Option<String>,
    /// A text that the denial is expected to contain.
    #[serde(default)]
    pub denial: Option<String>,
    /// The time at which it is judged.
    #[serde(default)]
    pub now: Option<Moment>,
    /// As [`CaseFile::evidence`], for this case alone.
    #[serde(default)]
    pub evidence: Vec<String>,
}

/// What a policy says about an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Expected {
    /// It may be pulled and run.
    Allow,
    /// It may not.
    Deny,
    /// It would not be allowed, and goes forward: audit mode.
    WouldDeny,
}

impl Expected {
    /// As cases write it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::WouldDeny => "wouldDeny",
        }
    }
}

/// A time in a file of cases: RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(pub Timestamp);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Timestamp::parse(&text).map(Self).ok_or_else(|| {
            D::Error::custom("not a time: write it as `2026-01-31T12:00:00Z` (RFC 3339)")
        })
    }
}
