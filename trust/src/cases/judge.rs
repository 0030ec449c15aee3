//! A case against a policy.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use portcullis_policy::model::Mode;
use portcullis_policy::{Digest, ImageReference};
use serde::Serialize;

use super::case::{Case, Expected, Moment};
use crate::compile::{CompiledPolicy, Needs, Prematch};
use crate::decide::{Decision, Question, RuleRef};
use crate::evidence::{Evidence, Origin, OriginSource, Recorded, SignatureSet};
use crate::time::Timestamp;

/// Content whose digest stands for an image that nothing is known about.
const NOBODY: &[u8] = b"portcullis: an image without recorded evidence";

/// What a case came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CaseResult {
    /// As in the case.
    pub name: Option<String>,
    /// As in the case.
    pub namespace: Option<String>,
    /// As in the case.
    pub image: String,
    /// The digest it was judged for; `None`: none is known.
    pub digest: Option<Digest>,
    /// When it was judged; `None`: at no particular time, because there is no evidence for it.
    pub now: Option<Timestamp>,
    /// What was expected.
    pub expected: Expected,
    /// What the policy says; `None`: it could not be told.
    pub found: Option<Expected>,
    /// The rules that spoke.
    pub rules: Vec<JudgedRule>,
    /// Why it is denied, in a sentence.
    pub denial: Option<String>,
    /// What is not as expected. Empty: the case holds.
    pub failures: Vec<String>,
}

/// A rule that spoke.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JudgedRule {
    /// File it stands in.
    pub file: String,
    /// `<kind>/<name>` of its document.
    pub document: String,
    /// Its pattern.
    pub pattern: String,
}

impl CaseResult {
    /// Whether everything is as expected.
    pub fn holds(&self) -> bool {
        self.failures.is_empty()
    }
}

/// Judges a case. `recorded` is the evidence the case may use, `now` the time for a case that names none.
///
/// Evidence counts that was recorded for the digest that the case or its reference names, in the same repository; for a tag
/// alone, what was recorded for the same reference. Of several recordings of one digest the newest counts.
pub fn judge(
    policy: &CompiledPolicy,
    case: &Case,
    recorded: &[Recorded],
    now: Option<Moment>,
) -> CaseResult {
    let mut result = CaseResult {
        name: case.name.clone(),
        namespace: case.namespace.clone(),
        image: case.image.clone(),
        digest: case.digest,
        now: None,
        expected: case.expect,
        found: None,
        rules: Vec::new(),
        denial: None,
        failures: Vec::new(),
    };
    let reference = match ImageReference::parse(&case.image) {
        Ok(reference) => reference,
        Err(error) => {
            result.failures.push(format!("not an image: {error}"));
            return result;
        }
    };
    let record = match choose(case, &reference, recorded) {
        Ok(record) => record,
        Err(problem) => {
            result.failures.push(problem);
            return result;
        }
    };
    if record.is_none() && !case.evidence.is_empty() {
        let problem = "none of its evidence is about this image";
        result.failures.push(problem.to_owned());
        return result;
    }
    let time = case.now.or(now).map(|moment| moment.0);
    let time = time.or(record.map(|record| record.recorded_at));
    let known = (reference.digest().copied())
        .or(case.digest)
        .or(record.map(|record| record.digest));
    result.digest = known;
    result.now = time;
    let decision = decide(policy, case, &reference, known, record, time);
    result.found = Some(match (&decision.denial, decision.mode) {
        (None, _) => Expected::Allow,
        (Some(_), Mode::Enforce) => Expected::Deny,
        (Some(_), Mode::Audit) => Expected::WouldDeny,
    });
    result.rules = decision.rules.iter().map(JudgedRule::of).collect();
    result.denial = decision.denial.map(|denial| denial.text);
    compare(case, &mut result);
    result
}

/// The recording that is about the case; `None`: none is.
fn choose<'a>(
    case: &Case,
    reference: &ImageReference,
    recorded: &'a [Recorded],
) -> Result<Option<&'a Recorded>, String> {
    if let (Some(named), Some(said)) = (reference.digest(), &case.digest)
        && named != said
    {
        return Err("the digest of the case is not the one in its image".to_owned());
    }
    let wanted = reference.digest().or(case.digest.as_ref());
    let about: Vec<&Recorded> = recorded
        .iter()
        .filter(|one| match ImageReference::parse(&one.image) {
            Ok(other) => match wanted {
                Some(digest) => {
                    one.digest == *digest && other.repository() == reference.repository()
                }
                None => other.normalised() == reference.normalised(),
            },
            Err(_) => false,
        })
        .collect();
    let digests: BTreeSet<&Digest> = about.iter().map(|one| &one.digest).collect();
    if digests.len() > 1 {
        return Err(
            "its evidence was recorded for different digests: name one with `digest`".to_owned(),
        );
    }
    Ok(about.into_iter().max_by_key(|one| one.recorded_at))
}

fn decide(
    policy: &CompiledPolicy,
    case: &Case,
    reference: &ImageReference,
    known: Option<Digest>,
    record: Option<&Recorded>,
    time: Option<Timestamp>,
) -> Decision {
    let namespace = case.namespace.as_deref();
    let digest = known.unwrap_or_else(|| Digest::of(NOBODY));
    // Without evidence there is nothing whose age could matter.
    let time = time.unwrap_or(Timestamp(0));
    let evidence = match record {
        Some(record) => Cow::Borrowed(&record.evidence),
        None => match policy.prematch(namespace, reference) {
            Prematch::Refused(decision) => return decision,
            Prematch::Governed(needs) => Cow::Owned(unsigned(&needs, reference, digest, time)),
        },
    };
    let question = Question {
        namespace,
        reference,
        digest: &digest,
    };
    policy.decide(&question, &evidence, time)
}

/// What is gathered about an image that its registry holds and nobody signed.
fn unsigned(
    needs: &Needs<'_>,
    reference: &ImageReference,
    digest: Digest,
    at: Timestamp,
) -> Evidence {
    let repository = reference.repository();
    let nothing = |source: &crate::evidence::SignatureSource| SignatureSet {
        source: source.clone(),
        repository: repository.clone(),
        subject: digest,
        artefacts: Vec::new(),
        earlier: Vec::new(),
        truncated: false,
        gathered_at: at,
    };
    Evidence {
        origins: vec![Origin {
            repository: repository.clone(),
            digest,
            source: OriginSource::Registry,
            at,
            reason: None,
        }],
        signatures: needs.sources.iter().map(nothing).map(Arc::new).collect(),
        ..Evidence::default()
    }
}

fn compare(case: &Case, result: &mut CaseResult) {
    let mut failures = Vec::new();
    if let Some(found) = result.found.filter(|found| *found != case.expect) {
        failures.push(format!(
            "expected {}, got {}",
            case.expect.word(),
            found.word()
        ));
    }
    if let Some(rule) = &case.rule
        && !result.rules.iter().any(|one| one.is(rule))
    {
        failures.push(match result.rules.first() {
            Some(spoke) => format!("expected the rule `{rule}`, `{spoke}` spoke"),
            None => format!("expected the rule `{rule}`, none spoke"),
        });
    }
    if let Some(text) = &case.denial {
        match &result.denial {
            Some(denial) if denial.contains(text.as_str()) => {}
            Some(_) => failures.push(format!("the denial does not contain `{text}`")),
            None => failures.push(format!("expected a denial with `{text}`, it is allowed")),
        }
    }
    result.failures = failures;
}

impl JudgedRule {
    fn of(rule: &RuleRef) -> Self {
        Self {
            file: rule.span.file.to_string(),
            document: rule.document.clone(),
            pattern: rule.pattern.clone(),
        }
    }

    fn is(&self, text: &str) -> bool {
        let Self {
            file,
            document,
            pattern,
        } = self;
        text == pattern
            || text == format!("{file}: {pattern}")
            || text == format!("{document}: {pattern}")
            || text == format!("{document}/{pattern}")
    }
}

impl std::fmt::Display for JudgedRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.file, self.pattern)
    }
}
