//! Severities as scanners write them.

use portcullis_policy::model::VulnerabilitySeverity as Severity;
use serde_json::Value;

use super::super::flaw::Flaw;
use crate::strict_json::Object;

/// A word of Trivy, Grype or NVD, in any case. `None`: the scanner does not know. Another word is no severity.
pub(super) fn of_word(word: &str) -> Result<Option<Severity>, Flaw> {
    Ok(Some(match word.to_ascii_lowercase().as_str() {
        "negligible" => Severity::Negligible,
        "low" => Severity::Low,
        "medium" | "moderate" => Severity::Medium,
        "high" | "important" => Severity::High,
        "critical" => Severity::Critical,
        "unknown" | "" => return Ok(None),
        _ => return Err(Flaw::UnknownReport),
    }))
}

/// The highest of an in-toto `severity` list, each with a word or a CVSS score (CVSS 3.1, section 5) in `score`. If one of
/// them is unknown, or there is none, so is the whole.
pub(super) fn of_list(list: &[Value]) -> Result<Option<Severity>, Flaw> {
    let mut highest = None;
    for one in list {
        let score = Object::of(one).ok_or(Flaw::UnknownReport)?.get("score")?;
        let severity = match score {
            Some(Value::String(text)) => match text.parse::<f64>() {
                Ok(number) => Some(of_score(number)?),
                Err(_) => of_word(text)?,
            },
            Some(Value::Number(number)) => {
                Some(of_score(number.as_f64().ok_or(Flaw::UnknownReport)?)?)
            }
            _ => return Err(Flaw::UnknownReport),
        };
        let Some(severity) = severity else {
            return Ok(None);
        };
        highest = highest.max(Some(severity));
    }
    Ok(highest)
}

fn of_score(score: f64) -> Result<Severity, Flaw> {
    // Whatever is listed is a vulnerability: a score of zero does not make it none.
    Ok(match score {
        0.0 => Severity::Negligible,
        score if score > 0.0 && score < 4.0 => Severity::Low,
        score if (4.0..7.0).contains(&score) => Severity::Medium,
        score if (7.0..9.0).contains(&score) => Severity::High,
        score if (9.0..=10.0).contains(&score) => Severity::Critical,
        _ => return Err(Flaw::UnknownReport),
    })
}

/// For sorting.
pub(super) fn rank(severity: Severity) -> i8 {
    match severity {
        Severity::None => 0,
        Severity::Negligible => 1,
        Severity::Low => 2,
        Severity::Medium => 3,
        Severity::High => 4,
        Severity::Critical => 5,
    }
}

/// How policies write it.
pub(super) fn word(severity: Option<Severity>) -> &'static str {
    match severity {
        None => "of unknown severity",
        Some(Severity::None) => "none",
        Some(Severity::Negligible) => "negligible",
        Some(Severity::Low) => "low",
        Some(Severity::Medium) => "medium",
        Some(Severity::High) => "high",
        Some(Severity::Critical) => "critical",
    }
}
