//! Requirements that are weaker than they look.

use crate::model::{
    AttestationRequirement, CertificateIdentity, Demand, NotationAction, NotationCheck,
    NotationLevel, NotationRequirement, Requirement, Rule, SigstoreSigner, SigstoreSigners,
    TextMatch, VulnerabilitySeverity,
};
use crate::report::Report;
use crate::span::Span;

use super::loose_text;

/// Builders that sign for every repository that calls them.
const SHARED_BUILDERS: [&str; 1] = ["slsa-framework/slsa-github-generator/"];

pub(super) fn rule(rule: &Rule, report: &mut Report) {
    let mut described = None;
    rule.requirement.walk(&mut |requirement| match requirement {
        Requirement::Cosign(one) => signers(&one.signers, &one.span, report),
        Requirement::Attestation(one) => {
            signers(&one.signers, &one.span, report);
            attestation(one, report);
        }
        Requirement::Notation(one) => notation(one, report),
        Requirement::Annotations(one) => {
            for (key, text) in &one.values {
                if matches!(loose_text::breadth(text), loose_text::Breadth::Everything) {
                    let message =
                        format!("every value of `{key}` satisfies this: only its presence counts");
                    report.warning(one.span.clone(), message);
                }
            }
            described.get_or_insert(&one.span);
        }
        _ => {}
    });
    if let (Some(span), false) = (described, needs_signature(&rule.requirement)) {
        report.warning(
            span.clone(),
            "nothing here needs a signature, and annotations are what an image says about itself: whoever can push can write \
             them. Put a signature beside them under `allOf`",
        );
    }
}

/// Whether nothing but a signature (or nothing at all) satisfies it.
fn needs_signature(requirement: &Requirement) -> bool {
    match requirement {
        Requirement::Allow | Requirement::Annotations(_) => false,
        Requirement::All(of) => of.iter().any(needs_signature),
        Requirement::Any { threshold, of } => {
            let unsigned = of.iter().filter(|one| !needs_signature(one)).count();
            unsigned < *threshold
        }
        _ => true,
    }
}

fn signers(signers: &SigstoreSigners, place: &Span, report: &mut Report) {
    let mut keyless = false;
    for signer in &signers.of {
        if let SigstoreSigner::Identity(one) = signer {
            keyless = true;
            identity(one, report);
        }
    }
    if keyless && signers.signed_certificate_timestamp == Demand::Ignore {
        report.warning(
            place.clone(),
            "certificates without a signed certificate timestamp count: one that the authority issued in secret would not be \
             noticed by the identity's owner",
        );
    }
}

fn identity(one: &CertificateIdentity, report: &mut Report) {
    let mut warn = |message: String| report.warning(one.span.clone(), message);
    match loose_text::breadth(&one.identity) {
        loose_text::Breadth::Everything => {
            warn(
                "everyone to whom the issuer gives a certificate satisfies this `identity`"
                    .to_owned(),
            );
        }
        loose_text::Breadth::Loose(why) => warn(format!("`identity`: {why}")),
        loose_text::Breadth::Sound => {}
    }
    match loose_text::breadth(&one.issuer) {
        loose_text::Breadth::Everything => {
            warn(
                "every issuer satisfies this: one that lets people choose their own name can give anyone this identity".to_owned(),
            );
        }
        loose_text::Breadth::Loose(why) => warn(format!("`issuer`: {why}")),
        loose_text::Breadth::Sound => {}
    }
}

fn attestation(one: &AttestationRequirement, report: &mut Report) {
    let mut warn = |message: &str| report.warning(one.span.clone(), message);
    for (name, text) in [
        ("builder", &one.builder),
        ("source", &one.source),
        ("ref", &one.reference),
    ] {
        match text.as_ref().map(loose_text::breadth) {
            Some(loose_text::Breadth::Everything) => {
                warn(&format!(
                    "every `{name}` satisfies this: only its presence counts"
                ));
            }
            Some(loose_text::Breadth::Loose(why)) => warn(&format!("`{name}`: {why}")),
            _ => {}
        }
    }
    let shared = one.signers.of.iter().any(|signer| match signer {
        SigstoreSigner::Identity(identity) => {
            let (TextMatch::Exact(text) | TextMatch::Glob(text) | TextMatch::Regex(text)) =
                &identity.identity;
            SHARED_BUILDERS.iter().any(|builder| text.contains(builder))
        }
        SigstoreSigner::Key(_) => false,
    });
    if shared && one.source.is_none() && one.cel.is_none() {
        warn(
            "this builder signs for every repository that calls it: name the repository under `source`",
        );
    }
    let unlimited = |limit: VulnerabilitySeverity| limit == VulnerabilitySeverity::Critical;
    if one
        .vulnerabilities
        .as_ref()
        .is_some_and(|limits| unlimited(limits.max_severity))
    {
        warn(
            "`maxSeverity: critical` allows every vulnerability: only the report's presence and age count",
        );
    }
}

fn notation(one: &NotationRequirement, report: &mut Report) {
    if one.level == NotationLevel::Audit
        && one.overrides.get(&NotationCheck::Authenticity) != Some(&NotationAction::Enforce)
    {
        report.warning(
            one.span.clone(),
            "with `level: audit` a signature by anyone counts, as authenticity is only logged. To try a rule out, write \
             `mode: audit` and `level: strict`",
        );
    } else if one.overrides.get(&NotationCheck::Authenticity) == Some(&NotationAction::Log) {
        report.warning(
            one.span.clone(),
            "with `authenticity: log` a signature by anyone counts",
        );
    }
    for identity in one.trusted_identities.iter().filter(|one| one.text == "*") {
        report.warning(
            identity.span.clone(),
            "everyone to whom the trust store's authorities give a certificate satisfies this; name whom you mean as \
             `x509.subject: …`",
        );
    }
}
