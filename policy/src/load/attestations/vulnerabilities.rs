//! `vulnerabilities`: what a report may contain.

use crate::fields::{Field, optional};
use crate::load::repository::{choice, length_of_time};
use crate::model::{VulnerabilityLimits, VulnerabilitySeverity};
use crate::report::Report;

const SEVERITIES: [(&str, VulnerabilitySeverity); 6] = [
    ("none", VulnerabilitySeverity::None),
    ("negligible", VulnerabilitySeverity::Negligible),
    ("low", VulnerabilitySeverity::Low),
    ("medium", VulnerabilitySeverity::Medium),
    ("high", VulnerabilitySeverity::High),
    ("critical", VulnerabilitySeverity::Critical),
];

pub(super) fn limits(field: &Field<'_>, report: &mut Report) -> Option<VulnerabilityLimits> {
    let mut fields = field.fields(report)?;
    let max_severity = fields.require("maxSeverity", report);
    let allowed = fields.take("allowCVEs");
    let max_scan_age = fields.take("maxScanAge");
    fields.finish(report);
    let max_severity = max_severity.and_then(|field| choice(&field, &SEVERITIES, report));
    let allowed = optional(allowed, |field| names(field, report));
    let max_scan_age = optional(max_scan_age, |field| length_of_time(field, report));
    Some(VulnerabilityLimits {
        max_severity: max_severity?,
        allow_cves: allowed?.unwrap_or_default(),
        max_scan_age: max_scan_age?,
    })
}

/// Names such as `CVE-2024-3094` or `GHSA-…`, compared exactly.
fn names(field: &Field<'_>, report: &mut Report) -> Option<Vec<String>> {
    let items = field.non_empty_list("name a vulnerability, or leave it out", report)?;
    let mut kept: Vec<String> = Vec::new();
    let mut sound = true;
    for item in items {
        let Some(name) = item.non_empty_text(report) else {
            sound = false;
            continue;
        };
        let shaped = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
        let problem = if !name.bytes().all(shaped) {
            "not the name of a vulnerability, such as `CVE-2024-3094`"
        } else if kept.iter().any(|other| other == name) {
            "given twice"
        } else {
            kept.push(name.to_owned());
            continue;
        };
        sound = false;
        report.error(item.span(), problem);
    }
    sound.then_some(kept)
}
