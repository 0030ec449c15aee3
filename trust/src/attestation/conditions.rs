//! What a policy asks of a statement, beside its type and its signers.

use std::time::Duration;

use portcullis_policy::model::{AttestationRequirement, TextMatch, VulnerabilityLimits};
use portcullis_policy::{Diagnostic, Severity, Span};

use super::cel::Expression;
use super::flaw::{Flaw, said};
use super::provenance::{self, Provenance};
use super::statement::Statement;
use super::time::{TimeField, check_age};
use super::vulnerabilities;
use crate::pattern::TextPattern;
use crate::strict_json::Object;
use crate::time::Timestamp;

/// The conditions of a requirement, parsed.
#[derive(Debug)]
pub(super) struct Conditions {
    predicate_type: String,
    builder: Option<TextPattern>,
    source: Option<TextPattern>,
    reference: Option<TextPattern>,
    max_age: Option<Duration>,
    vulnerabilities: Option<VulnerabilityLimits>,
    cel: Option<Expression>,
}

impl Conditions {
    /// Parses them. A condition that no statement of the type could ever satisfy is a mistake of the policy's author.
    pub(super) fn compile(
        requirement: &AttestationRequirement,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut refuse = |span: &Span, message: String| {
            diagnostics.push(Diagnostic {
                severity: Severity::Error,
                span: span.clone(),
                message,
            });
        };
        let kind = requirement.predicate_type.as_str();
        let is_provenance = Provenance::is(kind);
        let mut pattern = |field: &str, text: &Option<TextMatch>| {
            let text = text.as_ref()?;
            if !is_provenance {
                refuse(
                    &requirement.span,
                    format!(
                        "`{field}` can be asked of SLSA provenance alone ({} or {}), not of {}",
                        provenance::V1,
                        provenance::V02,
                        said(kind)
                    ),
                );
            }
            TextPattern::compile(text)
                .map_err(|error| {
                    refuse(
                        &requirement.span,
                        format!("the pattern of `{field}` cannot be used: {error}"),
                    );
                })
                .ok()
        };
        let builder = pattern("builder", &requirement.builder);
        let source = pattern("source", &requirement.source);
        let reference = pattern("ref", &requirement.reference);
        if requirement.max_age.is_some() && TimeField::of(kind).is_none() {
            refuse(
                &requirement.span,
                format!(
                    "`maxAge` cannot be asked of {}: it is not known where its statements say when they were made",
                    said(kind)
                ),
            );
        }
        if requirement.vulnerabilities.is_some() && !vulnerabilities::is_report(kind) {
            refuse(
                &requirement.span,
                format!(
                    "`vulnerabilities` can be asked of vulnerability reports alone \
                     (https://cosign.sigstore.dev/attestation/vuln/v1, https://in-toto.io/attestation/vulns/v0.1 or v0.2), \
                     not of {}",
                    said(kind)
                ),
            );
        }
        let cel = requirement.cel.as_ref().and_then(|cel| {
            Expression::compile(&cel.text)
                .map_err(|error| refuse(&cel.span, error.to_string()))
                .ok()
        });
        Self {
            predicate_type: requirement.predicate_type.clone(),
            builder,
            source,
            reference,
            max_age: requirement.max_age,
            vulnerabilities: requirement.vulnerabilities.clone(),
            cel,
        }
    }

    /// The type of statement they are about.
    pub(super) fn predicate_type(&self) -> &str {
        &self.predicate_type
    }

    /// Whether only the newest statement counts.
    pub(super) fn newest_decides(&self) -> bool {
        self.vulnerabilities.is_some()
    }

    /// When the statement was made, as it says itself.
    pub(super) fn made(&self, statement: &Statement) -> Result<Option<Timestamp>, Flaw> {
        let field = TimeField::of(&self.predicate_type);
        match (field, Object::of(statement.predicate())) {
            (Some(field), Some(predicate)) => field.read(predicate),
            _ => Ok(None),
        }
    }

    /// Whether the statement holds. Gives notes about what it says.
    pub(super) fn check(&self, statement: &Statement, now: Timestamp) -> Result<Vec<String>, Flaw> {
        let predicate = Object::of(statement.predicate()).ok_or(Flaw::Malformed);
        let mut notes = Vec::new();
        if Provenance::is(&self.predicate_type) {
            let provenance = Provenance::of(&self.predicate_type, predicate.clone()?);
            self.provenance(provenance, &mut notes)?;
        }
        let made = self.made(statement);
        if self.max_age.is_some() || self.newest_decides() {
            check_age(made.clone()?, self.max_age, now)?;
        }
        // What is not asked for may be missing or odd.
        if let Ok(Some(made)) = &made {
            notes.push(format!("made {made}"));
        }
        if let Some(limits) = &self.vulnerabilities {
            if limits.max_scan_age.is_some() {
                check_age(made?, limits.max_scan_age, now)?;
            }
            notes.push(vulnerabilities::check(
                &self.predicate_type,
                predicate?,
                limits,
            )?);
        }
        if let Some(cel) = &self.cel {
            cel.holds(statement)?;
        }
        Ok(notes)
    }

    fn provenance(&self, provenance: Provenance<'_>, notes: &mut Vec<String>) -> Result<(), Flaw> {
        let builder = provenance.builder();
        if let Some(wanted) = &self.builder {
            let found = builder.clone()?;
            if !wanted.matches(found) {
                return Err(Flaw::OtherBuilder {
                    found: said(found),
                    wanted: said(wanted.shown()),
                });
            }
        }
        let source = provenance.source();
        if let Some(wanted) = &self.source {
            let (found, _) = source.clone()?;
            if !wanted.matches(&found) {
                return Err(Flaw::OtherSource {
                    found: said(&found),
                    wanted: said(wanted.shown()),
                });
            }
        }
        if let Some(wanted) = &self.reference {
            let (_, found) = source.clone()?;
            let found = found.ok_or(Flaw::NoReference)?;
            if !wanted.matches(&found) {
                return Err(Flaw::OtherReference {
                    found: said(&found),
                    wanted: said(wanted.shown()),
                });
            }
        }
        if let Ok(builder) = builder {
            notes.push(format!("builder {}", said(builder)));
        }
        if let Ok((repository, reference)) = source {
            notes.push(match reference {
                Some(reference) => format!("source {} at {}", said(&repository), said(&reference)),
                None => format!("source {}", said(&repository)),
            });
        }
        Ok(())
    }
}
