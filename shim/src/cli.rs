//! The command line: one file per command, all on the same few pieces.
//!
//! Standard output carries the answer and nothing else; everything about the command itself goes to standard error.

mod adopt;
mod args;
mod ask;
mod audit;
mod check;
mod completions;
mod explain;
mod lint;
mod local;
mod parts;
mod policy;
mod policy_convert;
mod policy_test;
mod serve;
mod status;
mod text;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;
use serde::Serialize;

use crate::admin::ClientError;
use crate::config::ConfigError;

use args::{Cli, Command, Output};
use text::Style;

/// How a command ended (docs/rules.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Yes, or done.
    Yes,
    /// No, denied, or findings.
    No,
    /// It could not be told.
    Unknown,
    /// The command line is wrong.
    Usage,
}

impl Exit {
    const fn code(self) -> u8 {
        match self {
            Self::Yes => 0,
            Self::No => 1,
            Self::Unknown => 2,
            Self::Usage => 64,
        }
    }
}

/// Why a command could not do its work: always [`Exit::Unknown`].
#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Daemon(#[from] ClientError),
    #[error("{0}")]
    Other(String),
}

impl CliError {
    #[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
    fn other(cause: impl ToString) -> Self {
        Self::Other(cause.to_string())
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A closed pipe is the reader's business.
            error.print().ok();
            let asked = matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            );
            let exit = if asked { Exit::Yes } else { Exit::Usage };
            return ExitCode::from(exit.code());
        }
    };
    let exit = run(&cli).unwrap_or_else(|error| {
        let style = Style::of(&std::io::stderr());
        complain(&format!("portcullis: {} {error}", style.bad("error:")));
        Exit::Unknown
    });
    ExitCode::from(exit.code())
}

fn run(cli: &Cli) -> Result<Exit, CliError> {
    let global = &cli.global;
    match &cli.command {
        Command::Serve => serve::run(global),
        Command::Check(args) => check::run(global, args),
        Command::Explain(args) => explain::run(global, args),
        Command::Audit => Ok(audit::run()),
        Command::Status => status::run(global),
        Command::Adopt(args) => adopt::run(global, args),
        Command::Policy(args) => policy::run(global, args),
        Command::Completions(args) => Ok(completions::run(args)),
    }
}

/// Prints an answer in the form asked for.
fn answer<T: Serialize>(
    output: Output,
    value: &T,
    text: impl FnOnce(&T, Style) -> String,
) -> Result<(), CliError> {
    let mut out = match output {
        Output::Json => serde_json::to_string_pretty(value).map_err(CliError::other)?,
        Output::Text => text(value, Style::of(&std::io::stdout())),
    };
    if !out.ends_with('\n') {
        out.push('\n');
    }
    print(out.as_bytes());
    Ok(())
}

/// Writes to standard output. A reader that went away (`| head`) is no error of ours.
fn print(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).ok();
}

/// Writes a line to standard error.
fn complain(line: &str) {
    writeln!(std::io::stderr().lock(), "{line}").ok();
}
