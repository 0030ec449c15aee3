//! The one model that every policy format compiles into. The gate knows only this.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::span::Span;

/// Which workloads a rule governs.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub enum Scope {
    /// An `ImagePolicy`: the named namespace only.
    Namespace(String),
    /// A `ClusterImagePolicy`: every namespace without an `ImagePolicy`, and calls without a pod.
    Cluster,
}

/// What happens to a request that the requirement refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It is refused.
    Enforce,
    /// It goes forward and is logged as "would deny" (docs/rules.md).
    Audit,
}

/// How a rule treats tags.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum TagRule {
    /// The registry decides what a tag means.
    #[default]
    Floating,
    /// Only a signed tag binding or a digest reference is accepted.
    Signed,
    /// The first digest this node accepted for a tag stays the answer.
    Immutable,
}

/// Whose matching a rule follows (docs/policy.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Dialect {
    /// The string as sent, with the `:*` retry and the split at the first `/` (as Portieris 0.14.2 has it).
    Portieris,
    /// The normalised name, host and path separately, digest references by their repository.
    Portcullis,
}

/// A repository pattern: text in which `*` stands for zero or more characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Pattern {
    /// The pattern as the document has it.
    pub text: String,
    /// Whose matching applies to it.
    pub dialect: Dialect,
}

/// One entry of `spec.repositories`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Rule {
    /// Which workloads it governs.
    pub scope: Scope,
    /// `<kind>/<metadata.name>` of its document, for messages.
    pub document: String,
    /// Which images it is for.
    pub pattern: Pattern,
    /// `None`: the node's mode.
    pub mode: Option<Mode>,
    /// How tags are treated.
    pub tags: TagRule,
    /// What must hold.
    pub requirement: Requirement,
    /// Evidence older than this at the time of a create no longer counts; `None`: no limit.
    pub max_evidence_age: Option<Duration>,
    /// Where the rule stands (its `name` field).
    pub span: Span,
}

/// What must hold for an image.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Requirement {
    /// Nothing.
    Allow,
    /// Nothing can: refused, before any network.
    Deny {
        /// Text for the refusal, from the policy's author.
        reason: Option<String>,
    },
    /// Every one of these. Never empty.
    All(Vec<Requirement>),
    /// At least `threshold` of these. Never empty; `1 <= threshold <= of.len()`.
    Any {
        /// How many must hold.
        threshold: usize,
        /// The alternatives.
        of: Vec<Requirement>,
    },
    /// A Notary v1 signature (Portieris `trust`).
    Notary(NotaryRequirement),
    /// A signature system this build cannot verify: it compiles and always denies, saying so.
    Unsupported {
        /// The word of the document: `cosign`, `notation`, `simple`, `attestations`, `annotations`.
        system: String,
        /// Where it stands.
        span: Span,
    },
}

/// What a `trust` policy asks of Notary v1.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NotaryRequirement {
    /// How the trust server is reached and its root is trusted.
    pub trust: NotaryServer,
    /// Every one of these must have signed `targets/<name>` for the tag with the given key. May be empty.
    pub signers: Vec<NotarySigner>,
    /// Where the `trust` field stands.
    pub span: Span,
}

/// A trust server and what roots are believed from it (config.yaml `notary:`, or `trust:` of portcullis.dev/v1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct NotaryServer {
    /// Base URL without a trailing slash, such as `https://notary.example.com:4443`. `https` only.
    pub server: String,
    /// PEM file with the CA that signs the server's certificate; `None`: the system's store.
    pub ca: Option<String>,
    /// GUN (exact, or a prefix followed by `*`) to TUF key id (64 hex digits) of a root key that must have
    /// signed the first root believed.
    pub pins: BTreeMap<String, String>,
    /// Whether the first root seen for a GUN without a pin is believed, and then kept.
    pub trust_on_first_use: bool,
}

/// A signer pinned by name and key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct NotarySigner {
    /// Delegation name without the `targets/` prefix.
    pub name: String,
    /// PEM: `PUBLIC KEY` or `CERTIFICATE`. Raw here; parsed by `portcullis-trust`.
    pub public_key: Vec<u8>,
    /// Where the key was read from.
    pub span: Span,
}

/// A loaded set of documents: immutable, replaced as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PolicySet {
    /// Every rule, in file, document and list order. The order decides nothing.
    pub rules: Vec<Rule>,
    /// Namespaces that have at least one `ImagePolicy`, with or without rules in it (`repositories: []` denies all).
    pub governed_namespaces: BTreeSet<String>,
    /// Whether at least one `ClusterImagePolicy` exists.
    pub has_cluster_policy: bool,
}

impl Requirement {
    /// Calls `visit` for this requirement and every one nested in it.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Requirement)) {
        visit(self);
        if let Self::All(of) | Self::Any { of, .. } = self {
            for inner in of {
                inner.walk(visit);
            }
        }
    }
}
