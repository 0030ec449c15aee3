//! Which rule applies to an image, and why not the others. No network, no evidence.

use portcullis_policy::ImageReference;
use portcullis_policy::select::Standing;

use super::error::AdminError;
use super::types::{ExplainReport, ExplainedRule, ImageQuestion, RuleReport, place, standing_word};
use super::words;
use crate::policy::ActivePolicy;

/// Explains matching under `policy`.
///
/// # Errors
/// [`AdminError::Invalid`] if the image is no reference.
pub fn explain(
    policy: &ActivePolicy,
    question: &ImageQuestion,
) -> Result<ExplainReport, AdminError> {
    let reference = ImageReference::parse(&question.image)
        .map_err(|error| AdminError::Invalid(error.to_string()))?;
    let namespace = question.namespace.as_deref();
    let compiled = &policy.policy;
    let scope = compiled.scope_of(namespace);
    let mut candidates = compiled.set.candidates(namespace, &reference);
    candidates.sort_by_key(|candidate| match candidate.standing {
        Standing::Chosen => 0,
        Standing::LessSpecific => 1,
        Standing::NoMatch => 2,
        Standing::OutOfScope => 3,
    });
    let several = candidates
        .iter()
        .filter(|candidate| candidate.standing == Standing::Chosen)
        .count()
        > 1;
    let rules = candidates
        .iter()
        .map(|candidate| {
            let rule = candidate.rule;
            ExplainedRule {
                rule: RuleReport::new(&rule.document, &rule.pattern.text, &rule.span),
                standing: standing_word(&candidate.standing).to_owned(),
                because: words::standing(&candidate.standing, &rule.scope, scope.as_ref(), several),
                mode: rule.mode.unwrap_or(compiled.node_mode),
                tags: rule.tags,
                requirement: words::requirement(&rule.requirement),
            }
        })
        .collect();
    let repository = reference.repository();
    let bootstrap = compiled
        .bootstrap
        .images
        .iter()
        .filter(|image| match reference.digest() {
            Some(digest) => compiled
                .bootstrap
                .allows(namespace, digest)
                .is_some_and(|allowed| allowed == *image),
            None => image.repository == repository,
        })
        .map(|image| {
            format!(
                "{} ({}@{})",
                place(&image.span),
                image.repository,
                image.digest
            )
        })
        .collect();
    Ok(ExplainReport {
        image: question.image.clone(),
        normalised: reference.normalised(),
        namespace: question.namespace.clone(),
        scope,
        node_mode: compiled.node_mode,
        rules,
        bootstrap,
        policy_generation: policy.generation,
        policy_hash: policy.hash.clone(),
    })
}
