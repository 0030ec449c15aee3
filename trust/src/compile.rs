//! A policy set with its keys and identities parsed, so that a bad key is found when the policy is loaded; and what
//! matching alone tells about an image.

mod memo;
mod needs;
mod verifiers;

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_policy::bootstrap::Bootstrap;
use portcullis_policy::model::{
    Mode, NotaryRequirement, NotationRequirement, Requirement, Rule, Scope,
};
use portcullis_policy::select::Selection;
use portcullis_policy::{Diagnostic, ImageReference, PolicySet, Severity};

use crate::decide::{Asked, Decision};
use crate::notary::PublicKey;
use crate::notation::NotationVerifier;
use memo::Memo;
use needs::needs;
pub(crate) use needs::{reachable, store};
use verifiers::Verifiers;

pub use needs::Needs;

/// A policy that decisions can be computed from.
#[derive(Debug, Clone)]
pub struct CompiledPolicy {
    /// The documents.
    pub set: Arc<PolicySet>,
    /// The bootstrap list.
    pub bootstrap: Arc<Bootstrap>,
    /// What `mode` means for rules that do not say, and for "no rule".
    pub node_mode: Mode,
    /// Signers' keys, by the bytes the documents have for them.
    keys: Arc<BTreeMap<Vec<u8>, PublicKey>>,
    pub(crate) verifiers: Arc<Verifiers>,
    pub(crate) memo: Arc<Memo>,
}

/// What matching alone tells, before any network.
#[derive(Debug, Clone)]
pub enum Prematch<'a> {
    /// Refused already (no rule, explicit deny, `tags: immutable`): no request may be made for it.
    Refused(Decision),
    /// These rules govern it.
    Governed(Needs<'a>),
}

impl CompiledPolicy {
    /// Parses every key of `set`.
    ///
    /// # Errors
    /// One diagnostic per key that does not parse, with the place it stands.
    pub fn compile(
        set: PolicySet,
        bootstrap: Bootstrap,
        node_mode: Mode,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut keys = BTreeMap::new();
        let mut verifiers = Verifiers::default();
        let mut diagnostics: Vec<Diagnostic> = Vec::new();
        for rule in &set.rules {
            rule.requirement.walk(&mut |requirement| match requirement {
                Requirement::Notary(notary) => {
                    compile_notary(notary, &mut keys, &mut diagnostics);
                }
                // The loader refuses these; a set from elsewhere must not be read as "nothing is required".
                Requirement::All(of) if of.is_empty() => diagnostics.push(vacuous(rule)),
                Requirement::Any { threshold, of } if !(1..=of.len()).contains(threshold) => {
                    diagnostics.push(vacuous(rule));
                }
                other => verifiers.add(other, &mut diagnostics),
            });
        }
        if !diagnostics.is_empty() {
            return Err(diagnostics);
        }
        Ok(Self {
            set: Arc::new(set),
            bootstrap: Arc::new(bootstrap),
            node_mode,
            keys: Arc::new(keys),
            verifiers: Arc::new(verifiers),
            memo: Arc::default(),
        })
    }

    /// Matching alone. A digest reference that the bootstrap list allows is governed and needs nothing; for a tag the list
    /// cannot be consulted before the digest is known, so that a tag without a rule is refused here, and
    /// [`CompiledPolicy::decide`] allows it once a caller has its digest from elsewhere.
    pub fn prematch(&self, namespace: Option<&str>, reference: &ImageReference) -> Prematch<'_> {
        let selection = self.set.select(namespace, reference);
        let asked = Asked {
            namespace,
            reference,
            digest: reference.digest(),
        };
        if self.bootstrapped(&asked, &selection).is_some() {
            return Prematch::Governed(Needs::nothing(self.node_mode));
        }
        let rules = match selection {
            Selection::Rules(rules) => rules,
            Selection::NoRule { scope } => {
                return Prematch::Refused(self.no_rule(&asked, scope.as_ref()));
            }
        };
        // A rule in audit that cannot hold must not hide one that is enforced and still can fail.
        let (open, hopeless): (Vec<&Rule>, Vec<&Rule>) = rules
            .iter()
            .partition(|rule| self.satisfiable(rule, &asked));
        let enforced = |rules: &[&Rule]| rules.iter().any(|rule| self.mode(rule) == Mode::Enforce);
        if !hopeless.is_empty() && (enforced(&hopeless) || !enforced(&open)) {
            return Prematch::Refused(self.judge_without_evidence(&hopeless, &rules, &asked));
        }
        let mode = if enforced(&rules) {
            Mode::Enforce
        } else {
            Mode::Audit
        };
        let mut wanted = Needs::nothing(mode);
        for rule in open {
            needs(&rule.requirement, reference, &mut wanted);
        }
        wanted.rules = rules;
        Prematch::Governed(wanted)
    }

    /// The verifier of a `notation` requirement in the set, for what has to be asked about revocation.
    pub fn notation(&self, requirement: &NotationRequirement) -> Option<&NotationVerifier> {
        self.verifiers.notation.get(requirement)
    }

    /// Who governs `namespace`: for messages.
    pub fn scope_of(&self, namespace: Option<&str>) -> Option<Scope> {
        self.set.governing_scope(namespace)
    }

    /// The mode in force for a rule: audit if the rule says so or the node does (docs/rules.md).
    pub fn mode(&self, rule: &Rule) -> Mode {
        match (self.node_mode, rule.mode) {
            (Mode::Audit, _) | (_, Some(Mode::Audit)) => Mode::Audit,
            _ => Mode::Enforce,
        }
    }

    /// The parsed key of a signer in the set.
    pub(crate) fn key(&self, public_key: &[u8]) -> Option<&PublicKey> {
        self.keys.get(public_key)
    }
}

fn vacuous(rule: &Rule) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        span: rule.span.clone(),
        message:
            "a list of requirements is empty, or its threshold is not between 1 and their number"
                .to_owned(),
    }
}

fn compile_notary(
    notary: &NotaryRequirement,
    keys: &mut BTreeMap<Vec<u8>, PublicKey>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut refuse = |span: &portcullis_policy::Span, message: String| {
        let diagnostic = Diagnostic {
            severity: Severity::Error,
            span: span.clone(),
            message,
        };
        // One Secret may be named by many rules.
        if !diagnostics.contains(&diagnostic) {
            diagnostics.push(diagnostic);
        }
    };
    for signer in &notary.signers {
        match PublicKey::from_pem(&signer.public_key) {
            Ok(key) => {
                keys.insert(signer.public_key.clone(), key);
            }
            Err(error) => refuse(
                &signer.span,
                format!(
                    "the public key of signer {} cannot be used: {error}",
                    signer.name
                ),
            ),
        }
    }
    for (gun, pin) in &notary.trust.pins {
        if pin.len() != 64 || !pin.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            refuse(
                &notary.span,
                format!("the pin for {gun} is not a TUF key id: expected 64 hex digits"),
            );
        }
        if !is_repository(gun) {
            refuse(
                &notary.span,
                format!(
                    "the pin for {gun} would never be used: write the repository in full, such as `docker.io/library/nginx`, \
                     or a prefix of one that includes `/`, and `*`"
                ),
            );
        }
    }
}

/// Whether a pin of this name can be one for a normalised repository. One that silently never matched would leave its
/// repository to trust on first use.
fn is_repository(name: &str) -> bool {
    let example = match name.strip_suffix('*') {
        Some("") => return true,
        Some(prefix) => format!("{prefix}x/x"),
        None => name.to_owned(),
    };
    ImageReference::parse(&example).is_ok_and(|reference| reference.repository() == example)
}
