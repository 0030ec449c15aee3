//! The policy model in words, for people.

use portcullis_policy::model::{Requirement, Scope};
use portcullis_policy::select::Standing;

/// What a requirement asks.
pub(super) fn requirement(requirement: &Requirement) -> String {
    match requirement {
        Requirement::Allow => "allowed without a signature, from this repository".to_owned(),
        Requirement::Deny { reason: None } => "denied".to_owned(),
        Requirement::Deny {
            reason: Some(reason),
        } => format!("denied: {reason}"),
        Requirement::All(of) => nested("all of", of),
        Requirement::Any { threshold, of } => nested(&format!("{threshold} of"), of),
        Requirement::Notary(notary) => {
            let server = &notary.trust.server;
            let signers: Vec<&str> = notary
                .signers
                .iter()
                .map(|signer| signer.name.as_str())
                .collect();
            if signers.is_empty() {
                format!("a tag signed in Notary at {server}")
            } else {
                format!(
                    "a tag signed in Notary at {server} by {}",
                    signers.join(" and ")
                )
            }
        }
        Requirement::Cosign(_) => "a cosign signature".to_owned(),
        Requirement::Attestation(one) => format!("an attestation of type {}", one.predicate_type),
        Requirement::Notation(_) => "a notation signature".to_owned(),
        Requirement::Simple(_) => "an OpenPGP simple signature".to_owned(),
        Requirement::Annotations(_) => "what the image says about itself".to_owned(),
        Requirement::Unsupported { system, .. } => {
            format!("`{system}`, which this build does not verify: always denied")
        }
    }
}

fn nested(how_many: &str, of: &[Requirement]) -> String {
    let parts: Vec<String> = of.iter().map(requirement).collect();
    format!("{how_many} ({})", parts.join("; "))
}

/// Why a rule stands where it stands.
pub(super) fn standing(
    standing: &Standing,
    rule: &Scope,
    read: Option<&Scope>,
    several: bool,
) -> String {
    match (standing, rule, read) {
        (Standing::Chosen, ..) if several => {
            "one of several equally specific matches, all of which must hold".to_owned()
        }
        (Standing::Chosen, ..) => "the most specific match".to_owned(),
        (Standing::LessSpecific, ..) => "matches, but a more specific rule does too".to_owned(),
        (Standing::NoMatch, ..) => "its pattern does not match".to_owned(),
        (Standing::OutOfScope, Scope::Namespace(name), _) => {
            format!("governs the namespace {name} only")
        }
        (Standing::OutOfScope, Scope::Cluster, Some(Scope::Namespace(name))) => {
            format!(
                "cluster rules are not read: the namespace {name} has an ImagePolicy of its own"
            )
        }
        (Standing::OutOfScope, Scope::Cluster, _) => "cluster rules are not read here".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_requirements_are_read_out() {
        let asked = Requirement::Any {
            threshold: 2,
            of: vec![
                Requirement::Allow,
                Requirement::All(vec![Requirement::Deny {
                    reason: Some("old".to_owned()),
                }]),
            ],
        };
        assert_eq!(
            requirement(&asked),
            "2 of (allowed without a signature, from this repository; all of (denied: old))"
        );
    }
}
