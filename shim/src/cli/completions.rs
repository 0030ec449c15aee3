//! `portcullis completions`.

use clap::CommandFactory as _;

use super::args::{Cli, CompletionsArgs};
use super::{Exit, print};

pub(super) fn run(args: &CompletionsArgs) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "portcullis", &mut script);
    print(&script);
    Exit::Yes
}
