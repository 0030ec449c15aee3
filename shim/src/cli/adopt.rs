//! `portcullis adopt`.

use std::fmt::Write as _;

use super::args::{AdoptArgs, Global};
use super::text::{Style, plain};
use super::{CliError, Exit, answer, ask};
use crate::admin::{AdoptReport, AdoptRequest, Endpoint};

pub(super) fn run(global: &Global, args: &AdoptArgs) -> Result<Exit, CliError> {
    let request = AdoptRequest {
        image: args.image.clone(),
        reason: args.reason.clone(),
    };
    let report: AdoptReport = ask::daemon(global, Endpoint::Adopt, Some(&request))?;
    answer(global.output, &report, render)?;
    Ok(Exit::Yes)
}

fn render(report: &AdoptReport, style: Style) -> String {
    let mut out = format!(
        "{}  {}\n",
        style.strong(&plain(&report.image)),
        style.good("adopted")
    );
    for digest in &report.digests {
        writeln!(out, "  {digest} counts as from {}", report.repository).ok();
    }
    out
}
