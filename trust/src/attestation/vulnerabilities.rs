//! Vulnerability reports, and what a policy lets them contain.

mod report;
mod severity;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use portcullis_policy::model::{VulnerabilityLimits, VulnerabilitySeverity};

use super::flaw::{Flaw, said};
use crate::strict_json::Object;
use report::Vulnerability;

/// cosign's type (`cosign attest --type vuln`): the scanner's own report in `scanner.result`.
const COSIGN: &str = "https://cosign.sigstore.dev/attestation/vuln/v1";
/// in-toto's types: a list of ids with severities in `scanner.result`.
const IN_TOTO: [&str; 2] = [
    "https://in-toto.io/attestation/vulns/v0.1",
    "https://in-toto.io/attestation/vulns/v0.2",
];
/// Most vulnerabilities that a refusal names.
const MAX_NAMED: usize = 3;

/// Whether statements of the type are vulnerability reports.
pub(super) fn is_report(predicate_type: &str) -> bool {
    predicate_type == COSIGN || IN_TOTO.contains(&predicate_type)
}

/// Whether the report contains no more than the limits allow. Gives a note about it.
pub(super) fn check(
    predicate_type: &str,
    predicate: Object<'_>,
    limits: &VulnerabilityLimits,
) -> Result<String, Flaw> {
    let found = if predicate_type == COSIGN {
        report::of_scanner(predicate)?
    } else {
        report::in_toto(predicate)?
    };
    let allowed: BTreeSet<&str> = limits.allow_cves.iter().map(String::as_str).collect();
    let mut over: Vec<&Vulnerability> = found
        .iter()
        .filter(|one| exceeds(one.severity, limits.max_severity))
        .filter(|one| !one.names().any(|name| allowed.contains(name)))
        .collect();
    if over.is_empty() {
        return Ok(match found.len() {
            0 => "no vulnerability".to_owned(),
            1 => "1 vulnerability, which is allowed".to_owned(),
            many => format!("{many} vulnerabilities, all of which are allowed"),
        });
    }
    // The worst first; a vulnerability in many packages is one.
    over.sort_by(|a, b| {
        let rank = |one: &Vulnerability| one.severity.map_or(i8::MAX, severity::rank);
        rank(b).cmp(&rank(a)).then_with(|| a.id.cmp(&b.id))
    });
    over.dedup_by(|a, b| a.id == b.id);
    let mut text = over
        .iter()
        .take(MAX_NAMED)
        .map(|one| format!("{} ({})", said(&one.id), severity::word(one.severity)))
        .collect::<Vec<_>>()
        .join(", ");
    if let Some(more) = over.len().checked_sub(MAX_NAMED).filter(|more| *more > 0) {
        let _ = write!(text, " and {more} more");
    }
    let limit = severity::word(Some(limits.max_severity));
    let _ = write!(text, ", above maxSeverity {limit}");
    Err(Flaw::Vulnerable(text))
}

/// A severity that the scanner does not know may be any: only where all are allowed is it.
fn exceeds(severity: Option<VulnerabilitySeverity>, max: VulnerabilitySeverity) -> bool {
    match severity {
        Some(severity) => severity > max,
        None => max < VulnerabilitySeverity::Critical,
    }
}

#[cfg(test)]
mod tests;
