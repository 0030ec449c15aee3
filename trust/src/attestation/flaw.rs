//! Why a statement does not count. Clauses for refusals: fixed words, what the policy says, and short extracts of
//! statements whose signature was verified.

use std::fmt::{Display, Write as _};

use crate::finding::unseemly;
use crate::strict_json::Ambiguous;
use crate::time::Timestamp;

/// Longest extract from a statement, in characters.
const MAX_SAID: usize = 120;

/// Why a statement whose signature counts is not what the policy asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Flaw {
    #[error("it is larger than 16 MiB")]
    TooLarge,
    #[error("it is not an in-toto statement 0.1 or 1 with unambiguous keys")]
    NotAStatement,
    #[error("it is about another image")]
    OtherSubject,
    #[error("its predicate is of another type")]
    OtherPredicate,
    #[error("a field of its predicate has another form than its type allows, or ambiguous keys")]
    Malformed,
    #[error("its builder is {found}, not {wanted}")]
    OtherBuilder { found: String, wanted: String },
    #[error("it does not name its builder")]
    NoBuilder,
    #[error("its source is {found}, not {wanted}")]
    OtherSource { found: String, wanted: String },
    #[error("it does not name its source repository")]
    NoSource,
    #[error("it names more than one source repository")]
    ManySources,
    #[error("the source it names is not a plain URL of a repository")]
    OddSource,
    #[error("it was built from {found}, not {wanted}")]
    OtherReference { found: String, wanted: String },
    #[error("it does not name the branch or tag it was built from")]
    NoReference,
    #[error("it names more than one branch or tag it was built from")]
    ManyReferences,
    #[error("it does not say when it was made")]
    NoTime,
    #[error("it says it was made in the future, at {0}")]
    Future(Timestamp),
    #[error("it was made at {made}, more than {} ago", Age(*.allowed))]
    TooOld { made: Timestamp, allowed: u64 },
    #[error(
        "its scan result is in a form this version does not know (Trivy, Grype and in-toto vulns are known)"
    )]
    UnknownReport,
    #[error("it reports {0}")]
    Vulnerable(String),
    #[error("the CEL expression is false for it")]
    CelFalse,
    #[error("the CEL expression is not a truth value for it")]
    CelNotBool,
    #[error("the CEL expression asks for a field that it does not have")]
    CelNoField,
    #[error("the CEL expression cannot be computed for it")]
    CelFailed,
    #[error("it is too large for a CEL expression")]
    CelTooLarge,
    #[error("a newer report, or one of the same time, does not hold")]
    Outdated,
}

impl From<Ambiguous> for Flaw {
    fn from(_: Ambiguous) -> Self {
        Self::Malformed
    }
}

/// Text of a verified statement, on one line and bounded.
pub(super) fn said(text: &str) -> String {
    let mut line: String = text
        .chars()
        .take(MAX_SAID)
        .map(|c| if unseemly(c) { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(MAX_SAID).is_some() {
        line.push('…');
    }
    line
}

/// A length of time in seconds as policies write it: `30d`, `1d12h`.
struct Age(u64);

impl Display for Age {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut rest = self.0;
        for (unit, seconds) in [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)] {
            let count = rest / seconds;
            if count > 0 {
                write!(f, "{count}")?;
                f.write_char(unit)?;
            }
            rest %= seconds;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_as_in_a_policy() {
        assert_eq!(Age(86_400 * 30).to_string(), "30d");
        assert_eq!(Age(131_405).to_string(), "1d12h30m5s");
    }

    #[test]
    fn an_extract_is_one_short_line() {
        assert_eq!(said("a\nb"), "a\u{fffd}b");
        assert_eq!(said(&"x".repeat(500)).chars().count(), MAX_SAID + 1);
    }
}
