//! `portcullis policy test`: tries a policy on recorded evidence, with the daemon's loader and its decision.

mod read;

use std::fmt::Write as _;

use portcullis_policy::bootstrap::Bootstrap;
use portcullis_trust::CompiledPolicy;
use portcullis_trust::cases::{CaseResult, judge};
use serde::Serialize;

use super::args::{Global, TestArgs};
use super::text::{Style, count, plain};
use super::{CliError, Exit, answer, lint, local};
use crate::config::{self, Config};
use crate::policy::{self, Loader, SetLoader};

#[derive(Debug, Serialize)]
struct TestReport {
    cases: usize,
    failed: usize,
    results: Vec<TestResult>,
}

#[derive(Debug, Serialize)]
struct TestResult {
    /// File of the case.
    file: String,
    ok: bool,
    #[serde(flatten)]
    result: CaseResult,
}

pub(super) fn run(global: &Global, args: &TestArgs) -> Result<Exit, CliError> {
    let config = global.config_unowned()?;
    let policy = load(global, args, &config)?;
    let mut results = Vec::new();
    for path in &args.cases {
        let suite = read::suite(path)?;
        for (case, evidence) in &suite.cases {
            let result = judge(&policy, case, evidence, suite.now);
            results.push(TestResult {
                file: path.display().to_string(),
                ok: result.holds(),
                result,
            });
        }
    }
    let report = TestReport {
        cases: results.len(),
        failed: results.iter().filter(|one| !one.ok).count(),
        results,
    };
    answer(global.output, &report, render)?;
    Ok(if report.failed == 0 {
        Exit::Yes
    } else {
        Exit::No
    })
}

/// The policy that is tried: the paths given as one set, or what this node's daemon would load.
fn load(global: &Global, args: &TestArgs, config: &Config) -> Result<CompiledPolicy, CliError> {
    let own = [config.policy_dir.clone()];
    let paths = if args.policy.is_empty() {
        &own[..]
    } else {
        &args.policy
    };
    let mut input = lint::gather(paths, config, lint::Layout::Set)?;
    if args.policy.is_empty() && input.bootstrap.is_none() {
        let path = config::bootstrap_path(&global.config_path());
        input.bootstrap = policy::read_bootstrap(&path).map_err(CliError::other)?;
    }
    if input.files.is_empty() && input.bootstrap.is_none() {
        // A misspelt path in a pipeline must not pass for a policy that denies everything.
        return Err(CliError::Other(
            "no policy file (*.yaml, *.yml, *.json) is there: nothing was tested".to_owned(),
        ));
    }
    let loader = SetLoader {
        options: config.load_options(),
        mode: config.mode,
    };
    let list = match &input.bootstrap {
        Some(file) => loader
            .bootstrap(file)
            .map_err(|found| local::refused(&found))?,
        None => Bootstrap::default(),
    };
    loader
        .policy(&input.files, list)
        .map(|(policy, _)| policy)
        .map_err(|found| local::refused(&found))
}

fn render(report: &TestReport, style: Style) -> String {
    let widest = |text: fn(&CaseResult) -> &str| {
        let widths = report.results.iter().map(|one| text(&one.result));
        widths.map(|text| plain(text).chars().count()).max()
    };
    let namespace_width = widest(namespace).unwrap_or(0);
    let image_width = widest(|result| &result.image).unwrap_or(0);
    let mut out = String::new();
    for one in &report.results {
        let result = &one.result;
        let verdict = if one.ok {
            style.good("ok    ")
        } else {
            style.bad("FAILED")
        };
        let namespace = plain(namespace(result));
        let image = plain(&result.image);
        let found = result.found.map_or("could not tell", |found| found.word());
        write!(
            out,
            "{verdict}  {namespace:namespace_width$}  {image:image_width$}  {found}"
        )
        .ok();
        if let Some(name) = &result.name {
            out.push_str(&style.dim(&format!("  {}", plain(name))));
        }
        out.push('\n');
        if !one.ok {
            out.push_str(&details(one, report));
        }
    }
    let cases = count(report.cases, "case");
    match report.failed {
        0 => writeln!(out, "{}: {cases}", style.good("ok")),
        failed => writeln!(out, "{}: {failed} of {cases}", style.bad("failed")),
    }
    .ok();
    out
}

/// What a person needs to mend a case that failed.
fn details(one: &TestResult, report: &TestReport) -> String {
    let mut pairs = super::text::Pairs::default();
    for failure in &one.result.failures {
        pairs.add("", plain(failure));
    }
    for rule in &one.result.rules {
        pairs.add("rule", plain(&rule.to_string()));
    }
    if let Some(denial) = &one.result.denial {
        pairs.add("denial", plain(denial));
    }
    if report.results.iter().any(|other| other.file != one.file) {
        pairs.add("file", plain(&one.file));
    }
    pairs.render(8)
}

fn namespace(result: &CaseResult) -> &str {
    result.namespace.as_deref().unwrap_or("-")
}

#[cfg(test)]
mod tests {
    use portcullis_trust::cases::Expected;

    use super::*;

    fn result(image: &str, failures: &[&str]) -> TestResult {
        TestResult {
            file: "cases.yaml".to_owned(),
            ok: failures.is_empty(),
            result: CaseResult {
                name: None,
                namespace: Some("shop".to_owned()),
                image: image.to_owned(),
                digest: None,
                now: None,
                expected: Expected::Allow,
                found: Some(Expected::Allow),
                rules: Vec::new(),
                denial: None,
                failures: failures.iter().map(|&text| text.to_owned()).collect(),
            },
        }
    }

    #[test]
    fn the_table_is_aligned_and_says_what_failed() {
        let report = TestReport {
            cases: 2,
            failed: 1,
            results: vec![
                result("nginx", &[]),
                result("redis:7", &["expected deny, got allow"]),
            ],
        };
        assert_eq!(
            render(&report, Style::default()),
            "ok      shop  nginx    allow\n\
             FAILED  shop  redis:7  allow\n          \
             expected deny, got allow\n\
             failed: 1 of 2 cases\n"
        );
    }
}
