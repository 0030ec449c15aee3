//! Alternatives that one signature can satisfy at once, where several are asked for.

use std::collections::BTreeSet;

use crate::model::{Requirement, Rule, SigstoreSigner, SigstoreSigners, TextMatch};
use crate::report::Report;

/// What one signature can be by, with the system it is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Signer<'a> {
    system: &'static str,
    /// A key's bytes, or an identity.
    who: &'a [u8],
    /// An identity's issuer.
    issuer: &'a [u8],
}

pub(super) fn rule(rule: &Rule, report: &mut Report) {
    let mut shared = false;
    rule.requirement.walk(&mut |requirement| {
        if let Requirement::Any { threshold, of } = requirement
            && *threshold > 1
        {
            let mut seen = BTreeSet::new();
            for alternative in of {
                let signers = signers(alternative);
                shared |= signers.iter().any(|signer| seen.contains(signer));
                seen.extend(signers);
            }
        }
    });
    if shared {
        report.warning(
            rule.span.clone(),
            "two alternatives of an `anyOf` with a threshold have a signer in common, whose one signature counts for both; to \
             count signers, list their keys in one requirement with `threshold`",
        );
    }
}

fn signers(requirement: &Requirement) -> BTreeSet<Signer<'_>> {
    let mut found = BTreeSet::new();
    requirement.walk(&mut |one| match one {
        Requirement::Cosign(one) => sigstore("cosign", &one.signers, &mut found),
        // Statements of different types are different signatures, so that their signers are not compared.
        Requirement::Simple(one) => found.extend(one.keys.iter().map(|key| Signer {
            system: "simple",
            who: key.bytes.trim_ascii(),
            issuer: &[],
        })),
        Requirement::Notary(one) => found.extend(one.signers.iter().map(|signer| Signer {
            system: "trust",
            who: signer.public_key.trim_ascii(),
            issuer: &[],
        })),
        _ => {}
    });
    found
}

fn sigstore<'a>(
    system: &'static str,
    signers: &'a SigstoreSigners,
    found: &mut BTreeSet<Signer<'a>>,
) {
    found.extend(signers.of.iter().map(|signer| match signer {
        SigstoreSigner::Key(key) => Signer {
            system,
            who: key.bytes.trim_ascii(),
            issuer: &[],
        },
        SigstoreSigner::Identity(one) => Signer {
            system,
            who: text(&one.identity),
            issuer: text(&one.issuer),
        },
    }));
}

fn text(text: &TextMatch) -> &[u8] {
    let (TextMatch::Exact(text) | TextMatch::Glob(text) | TextMatch::Regex(text)) = text;
    text.as_bytes()
}
