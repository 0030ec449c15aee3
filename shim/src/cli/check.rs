//! `portcullis check`.

use std::fmt::Display;
use std::path::Path;

use super::args::{CheckArgs, Global};
use super::ask::{self, Asked};
use super::text::{Pairs, Style, pattern, plain};
use super::{CliError, Exit, answer, complain};
use crate::admin::{CheckReport, Endpoint, FindingReport, ImageQuestion};
use crate::telemetry::Verdict;

pub(super) fn run(global: &Global, args: &CheckArgs) -> Result<Exit, CliError> {
    let config = global.config()?;
    let mut reports = ask::block_on(async {
        let asked = ask::choose(global, &config, &args.place).await?;
        let mut reports = Vec::with_capacity(args.images.len());
        for image in &args.images {
            let question = ImageQuestion {
                namespace: args.place.namespace.clone(),
                image: image.clone(),
                record: args.record.is_some(),
            };
            reports.push(match &asked {
                Asked::Daemon(client) => client.ask(Endpoint::Check, Some(&question)).await?,
                Asked::Local(admin) => admin.check(question).await.map_err(CliError::other)?,
            });
        }
        Ok(reports)
    })?;
    if let Some(folder) = &args.record {
        for report in &mut reports {
            record(folder, report)?;
        }
    }
    answer(global.output, &reports, |reports, style| {
        reports.iter().map(|report| render(report, style)).collect()
    })?;
    Ok(exit(&reports))
}

/// Writes the evidence of a report down, and takes it out of the report.
fn record(folder: &Path, report: &mut CheckReport) -> Result<(), CliError> {
    let Some(evidence) = report.evidence.take() else {
        let image = plain(&report.image);
        complain(&format!(
            "portcullis: nothing to record for {image}: its digest is not known"
        ));
        return Ok(());
    };
    let name: String = evidence
        .image
        .split('@')
        .next()
        .unwrap_or_default()
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "._-".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect();
    let short: String = evidence.digest.hex().chars().take(12).collect();
    let path = folder.join(format!("{name}-{short}.json"));
    let failed = |error: &dyn Display| CliError::Other(format!("{}: {error}", path.display()));
    let mut text = serde_json::to_vec_pretty(&evidence).map_err(|error| failed(&error))?;
    text.push(b'\n');
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&path, text))
        .map_err(|error| failed(&error))?;
    complain(&format!("portcullis: recorded {}", path.display()));
    Ok(())
}

/// A denial outweighs an unknown: who asks in a pipeline must not go on.
fn exit(reports: &[CheckReport]) -> Exit {
    let any = |wanted: &[Verdict]| {
        reports
            .iter()
            .any(|report| wanted.contains(&report.verdict))
    };
    if any(&[Verdict::Deny, Verdict::WouldDeny]) {
        Exit::No
    } else if any(&[Verdict::Error]) {
        Exit::Unknown
    } else {
        Exit::Yes
    }
}

fn render(report: &CheckReport, style: Style) -> String {
    let verdict = match report.verdict {
        Verdict::Allow => style.good("allow"),
        Verdict::Deny => style.bad("deny"),
        Verdict::WouldDeny => style.warn("would deny (audit mode: it goes forward)"),
        Verdict::Error => style.warn("could not tell"),
    };
    let mut pairs = Pairs::default();
    if let Some(namespace) = &report.namespace {
        pairs.add("namespace", namespace);
    }
    if let Some(digest) = &report.digest {
        pairs.add("digest", digest.to_string());
    }
    for rule in &report.rules {
        let pattern = pattern(&rule.pattern);
        pairs.add(
            "rule",
            format!("{pattern}\n{}  {}", rule.place, rule.document),
        );
    }
    for finding in &report.findings {
        pairs.add("holds", finding_lines(finding));
    }
    for unmet in &report.unmet {
        let place = unmet.place.as_deref().unwrap_or_default();
        let found = plain(&unmet.found);
        pairs.add(
            "missing",
            format!("{}: {found}\nasked by {place}", unmet.system),
        );
    }
    if let Some(denial) = &report.denial {
        pairs.add("because", plain(denial));
    }
    format!(
        "{}  {verdict}\n{}",
        style.strong(&plain(&report.image)),
        pairs.render(2)
    )
}

/// Who, when, and which line of the policy asked for it.
fn finding_lines(finding: &FindingReport) -> String {
    let mut lines = vec![format!("{}: {}", finding.system, plain(&finding.signer))];
    lines.extend(finding.signed_at.iter().map(|at| format!("signed {at}")));
    lines.extend(
        finding
            .gathered_at
            .iter()
            .map(|at| format!("gathered {at}")),
    );
    lines.extend(
        finding
            .notes
            .iter()
            .map(|note| format!("note: {}", plain(note))),
    );
    lines.extend(
        finding
            .place
            .iter()
            .map(|place| format!("asked by {place}")),
    );
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use portcullis_policy::model::Mode;

    use super::*;

    fn report(verdict: Verdict) -> CheckReport {
        let question = ImageQuestion {
            namespace: Some("shop".to_owned()),
            image: "nginx".to_owned(),
            record: false,
        };
        CheckReport {
            verdict,
            ..CheckReport::undecided(&question, Mode::Enforce, "registry", "away".to_owned())
        }
    }

    #[test]
    fn one_bad_image_decides_the_exit_status() {
        use Verdict::{Allow, Deny, Error, WouldDeny};

        for (verdicts, wanted) in [
            (vec![Allow, Allow], Exit::Yes),
            (vec![Allow, Deny], Exit::No),
            (vec![Error, Deny], Exit::No),
            (vec![WouldDeny], Exit::No),
            (vec![Allow, Error], Exit::Unknown),
        ] {
            let reports: Vec<_> = verdicts.iter().copied().map(report).collect();
            assert_eq!(exit(&reports), wanted, "{verdicts:?}");
        }
    }

    #[test]
    fn the_text_names_what_a_person_needs() {
        assert_eq!(
            render(&report(Verdict::Deny), Style::default()),
            "nginx  deny\n  namespace  shop\n  because    away\n"
        );
    }
}
