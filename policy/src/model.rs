//! The one model that every policy format compiles into. The gate knows only this.

mod annotations;
mod material;
mod notation;
mod sigstore;
mod simple;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use annotations::AnnotationsRequirement;
pub use material::{KeyMaterial, Password};
pub use notation::{
    NotationAction, NotationCheck, NotationLevel, NotationRequirement, TrustStore, TrustStoreKind,
    TrustedIdentity, VerifyTimestamp,
};
pub use sigstore::{
    AttestationRequirement, CelExpression, CertificateIdentity, CosignRequirement, Demand,
    SigstoreSigner, SigstoreSigners, TrustedRootSource, VulnerabilityLimits, VulnerabilitySeverity,
};
pub use simple::{
    Lookaside, LookasideUrl, RegistriesD, SignatureStore, SignedIdentity, SimpleRequirement,
};
pub use text::TextMatch;

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
    /// A scope of containers `policy.json`: only the most specific one applies. `""` is the transport's default, `default`
    /// the document's.
    Containers,
    /// A scope of notation's `trustpolicy.json`: a repository exactly, or `*`.
    Notation,
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
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// A cosign signature.
    Cosign(CosignRequirement),
    /// A signed statement.
    Attestation(AttestationRequirement),
    /// A notation signature.
    Notation(NotationRequirement),
    /// An OpenPGP simple-signing signature.
    Simple(SimpleRequirement),
    /// Annotations and labels of the image.
    Annotations(AnnotationsRequirement),
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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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

impl Requirement {
    /// The requirement with every place and every name of a key blanked: two that are equal then mean the same.
    #[must_use]
    pub fn without_places(mut self) -> Self {
        self.blank();
        self
    }

    fn blank(&mut self) {
        match self {
            Self::Allow | Self::Deny { .. } => {}
            Self::All(of) | Self::Any { of, .. } => of.iter_mut().for_each(Self::blank),
            Self::Notary(one) => one.blank(),
            Self::Cosign(one) => one.blank(),
            Self::Attestation(one) => one.blank(),
            Self::Notation(one) => one.blank(),
            Self::Simple(one) => one.blank(),
            Self::Annotations(one) => one.span = Span::nowhere(),
        }
    }
}

impl NotaryRequirement {
    fn blank(&mut self) {
        self.span = Span::nowhere();
        for signer in &mut self.signers {
            signer.span = Span::nowhere();
        }
        self.signers
            .sort_by(|a, b| (&a.name, &a.public_key).cmp(&(&b.name, &b.public_key)));
    }
}
