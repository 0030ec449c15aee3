//! The reports themselves: Trivy's and Grype's own JSON inside cosign's predicate, and in-toto's list.

use portcullis_policy::model::VulnerabilitySeverity;
use serde_json::Value;

use super::super::flaw::Flaw;
use super::severity;
use crate::strict_json::Object;

/// Most vulnerabilities in a report.
const MAX_FOUND: usize = 100_000;

/// One that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Vulnerability {
    /// As the scanner calls it.
    pub(super) id: String,
    /// Other names that the scanner has for it.
    pub(super) aliases: Vec<String>,
    /// `None`: the scanner does not know.
    pub(super) severity: Option<VulnerabilitySeverity>,
}

impl Vulnerability {
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.id)
            .chain(&self.aliases)
            .map(String::as_str)
    }
}

/// `scanner.result` of cosign's predicate. Which scanner it was is told by the form alone; two forms at once are none.
pub(super) fn of_scanner(predicate: Object<'_>) -> Result<Vec<Vulnerability>, Flaw> {
    let result = predicate
        .path(&["scanner", "result"])?
        .ok_or(Flaw::UnknownReport)?;
    let has_results = result.get("Results")?.is_some();
    let has_matches = result.get("matches")?.is_some();
    // SARIF, and reports of other tools that wrap one of the known ones.
    let foreign = result.get("runs")?.is_some() || result.get("vulnerabilities")?.is_some();
    match (has_results, has_matches) {
        _ if foreign => Err(Flaw::UnknownReport),
        (true, false) => trivy(result.array("Results")?),
        // Trivy leaves the list out when there was nothing to look at, but not who it is.
        (false, false) if is_trivy(result)? => Ok(Vec::new()),
        (false, true) => grype(result.array("matches")?),
        _ => Err(Flaw::UnknownReport),
    }
}

fn is_trivy(result: Object<'_>) -> Result<bool, Flaw> {
    let version = result.get("SchemaVersion")?.and_then(Value::as_u64);
    Ok(version == Some(2) && result.text("ArtifactName")?.is_some())
}

/// <https://trivy.dev/docs/latest/configuration/reporting/#json>
fn trivy(results: &[Value]) -> Result<Vec<Vulnerability>, Flaw> {
    let mut found = Vec::new();
    for result in results {
        let list = object(result)?.array("Vulnerabilities")?;
        for one in list {
            let one = object(one)?;
            let aliases = one.array("VendorIDs")?.iter().map(text);
            add(
                &mut found,
                Vulnerability {
                    id: id(one, "VulnerabilityID")?,
                    aliases: aliases.collect::<Result<_, _>>()?,
                    severity: severity::of_word(one.text("Severity")?.ok_or(Flaw::UnknownReport)?)?,
                },
            )?;
        }
    }
    Ok(found)
}

/// <https://github.com/anchore/grype/tree/main/schema/grype/json>
fn grype(matches: &[Value]) -> Result<Vec<Vulnerability>, Flaw> {
    let mut found = Vec::new();
    for one in matches {
        let one = object(one)?;
        let vulnerability = one.object("vulnerability")?.ok_or(Flaw::UnknownReport)?;
        let aliases = one
            .array("relatedVulnerabilities")?
            .iter()
            .map(|related| id(object(related)?, "id"));
        add(
            &mut found,
            Vulnerability {
                id: id(vulnerability, "id")?,
                aliases: aliases.collect::<Result<_, _>>()?,
                severity: severity::of_word(
                    vulnerability.text("severity")?.ok_or(Flaw::UnknownReport)?,
                )?,
            },
        )?;
    }
    Ok(found)
}

/// <https://github.com/in-toto/attestation/blob/main/spec/predicates/vuln.md>
pub(super) fn in_toto(predicate: Object<'_>) -> Result<Vec<Vulnerability>, Flaw> {
    let scanner = predicate.object("scanner")?.ok_or(Flaw::UnknownReport)?;
    // A missing list is not an empty one: it is required.
    scanner.get("result")?.ok_or(Flaw::UnknownReport)?;
    let mut found = Vec::new();
    for one in scanner.array("result")? {
        let one = object(one)?;
        add(
            &mut found,
            Vulnerability {
                id: id(one, "id")?,
                aliases: Vec::new(),
                severity: severity::of_list(one.array("severity")?)?,
            },
        )?;
    }
    Ok(found)
}

fn add(found: &mut Vec<Vulnerability>, one: Vulnerability) -> Result<(), Flaw> {
    if found.len() >= MAX_FOUND {
        return Err(Flaw::UnknownReport);
    }
    found.push(one);
    Ok(())
}

fn object(value: &Value) -> Result<Object<'_>, Flaw> {
    Object::of(value).ok_or(Flaw::UnknownReport)
}

fn text(value: &Value) -> Result<String, Flaw> {
    value.as_str().map(str::to_owned).ok_or(Flaw::UnknownReport)
}

fn id(object: Object<'_>, name: &str) -> Result<String, Flaw> {
    let id = object.text(name)?.filter(|id| !id.is_empty());
    id.map(str::to_owned).ok_or(Flaw::UnknownReport)
}
