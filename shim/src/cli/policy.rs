//! `portcullis policy`.

use super::args::{Global, PolicyArgs, PolicyCommand};
use super::text::{Style, count};
use super::{CliError, Exit, answer, ask, complain, lint, policy_convert, policy_test};
use crate::admin::{ClientError, Endpoint, ResetReport};

pub(super) fn run(global: &Global, args: &PolicyArgs) -> Result<Exit, CliError> {
    match &args.command {
        PolicyCommand::Lint(args) => lint::run(global, args),
        PolicyCommand::Test(args) => policy_test::run(global, args),
        PolicyCommand::Convert(args) => policy_convert::run(global, args),
        PolicyCommand::Reset => reset(global),
    }
}

fn reset(global: &Global) -> Result<Exit, CliError> {
    match ask::daemon::<ResetReport>(global, Endpoint::PolicyReset, None::<&()>) {
        Ok(report) => {
            answer(global.output, &report, render)?;
            Ok(Exit::Yes)
        }
        // The daemon did its work, and the answer is no.
        Err(CliError::Daemon(ClientError::Answer(report))) if report.code == "conflict" => {
            complain(&format!("portcullis: {}", report.message));
            Ok(Exit::No)
        }
        Err(error) => Err(error),
    }
}

fn render(report: &ResetReport, style: Style) -> String {
    let rules = report.policy.rules;
    let what = if rules == 0 {
        style.warn("no policy: every image but those of bootstrap.yaml is denied")
    } else {
        count(rules, "rule")
    };
    format!(
        "the last good set was dropped\nin force: generation {}, {what}\n",
        report.policy.generation
    )
}
