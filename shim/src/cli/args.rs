//! What can be typed.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{self, Config, ConfigError};

/// A gate on every node: an image is pulled or run only when its digest is proved trustworthy under policy.
#[derive(Debug, Parser)]
#[command(
    name = "portcullis",
    version,
    max_term_width = 110,
    disable_help_subcommand = true,
    after_help = "Exit status: 0 yes or done, 1 no, denied or findings, 2 could not tell, 64 usage.\n\n\
        Examples:\n  \
        portcullis check -n shop registry.example.com/shop/web:1.4\n  \
        portcullis explain -n shop nginx\n  \
        portcullis policy lint /etc/portcullis/policy.d\n  \
        portcullis status --output json | jq .policy"
)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(super) struct Global {
    /// Configuration file [default: /etc/portcullis/config.yaml, which may be absent]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Form of the answer; JSON is stable
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "text|json",
        hide_possible_values = true
    )]
    pub(super) output: Output,
}

/// Form of the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the daemon (systemd starts it: Type=notify, socket activation)
    #[command(
        long_about = "Run the daemon: serve CRI to the kubelet on `listen`, judge pulls and creates, forward the rest \
            to containerd at `upstream`.\n\nSIGHUP reads the policy again, SIGTERM drains for at most 2 seconds. The log \
            goes to standard error; PORTCULLIS_LOG sets its filter, such as `debug` or `portcullis::policy=debug`."
    )]
    Serve,
    /// What would the gate say to these images, and why (0 allow, 1 deny, 2 could not tell)
    #[command(
        long_about = "Ask the gate what it would say to a pull of each image, and why. Nothing is pulled and nothing is \
            recorded as pulled.\n\nWithout a running daemon, or with --local, the same gate runs in this process with the \
            policy on disk and an empty evidence store.\n\nExit status: 0 if every image is allowed, 1 if one is denied \
            (or would be, in audit mode), 2 if one could not be told.",
        after_help = "Examples:\n  portcullis check -n shop registry.example.com/shop/web:1.4\n  \
            portcullis check --local --config ./config.yaml nginx redis:7"
    )]
    Check(CheckArgs),
    /// Which rule applies to an image, and why not the others; no network
    #[command(after_help = "Examples:\n  portcullis explain -n shop nginx\n  \
            portcullis explain --local --config ./config.yaml registry.example.com/shop/web:1.4")]
    Explain(ExplainArgs),
    /// Every image and container on this node, judged now (not in this build)
    Audit,
    /// Health of the daemon: policy set, containerd, counters
    #[command(
        long_about = "Ask the daemon how it is: the policy in force and why a newer one is not, containerd, alarms, \
            records and counters.\n\nExit status: 0 if there is nothing to look at, 1 if there is, 2 if no daemon \
            answers."
    )]
    Status,
    /// Accept the origin of an image that was imported, not pulled (root)
    #[command(
        long_about = "Vouch for an image that came to this node without a pull through the gate (imported, preloaded): \
            its digest then counts as coming from the repository it is named after. Logged with the reason, and kept. A \
            signature that a rule asks for is still asked for.",
        after_help = "Example:\n  \
            portcullis adopt registry.example.com/base/agent:3 --reason 'part of the node image'"
    )]
    Adopt(AdoptArgs),
    /// Check policy files, or drop the last good set
    Policy(PolicyArgs),
    /// Print a completion script for a shell
    #[command(
        after_help = "Example:\n  portcullis completions bash > /etc/bash_completion.d/portcullis"
    )]
    Completions(CompletionsArgs),
}

/// Where an image is judged.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// Namespace of the pod [default: none, as for `crictl pull`: the cluster policies apply]
    #[arg(short, long, value_name = "NS")]
    pub(super) namespace: Option<String>,
    /// Judge in this process, even if a daemon runs
    #[arg(long)]
    pub(super) local: bool,
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    pub(super) place: Place,
    /// Write what each answer was computed from into this folder, for `policy test`
    #[arg(long, value_name = "DIR")]
    pub(super) record: Option<PathBuf>,
    /// Image references as a pod would name them
    #[arg(required = true, value_name = "IMAGE")]
    pub(super) images: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    pub(super) place: Place,
    /// Show every rule, not only those that match
    #[arg(short, long)]
    pub(super) all: bool,
    /// Image reference as a pod would name it
    #[arg(value_name = "IMAGE")]
    pub(super) image: String,
}

#[derive(Debug, Args)]
pub(super) struct AdoptArgs {
    /// The image, by a name with tag or digest under which the node has it
    #[arg(value_name = "IMAGE")]
    pub(super) image: String,
    /// Why; logged and kept
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: String,
}

#[derive(Debug, Args)]
pub(super) struct PolicyArgs {
    #[command(subcommand)]
    pub(super) command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Check policy files as the daemon would load them (0 fine, 1 errors, 2 could not read)
    #[command(
        long_about = "Load policy files exactly as the daemon would and print what it would say. All paths together are \
            one set: a directory stands for the policy files in it.\n\nThe trust servers of the configuration file are \
            known to it, if there is one.",
        after_help = "Examples:\n  portcullis policy lint /etc/portcullis/policy.d\n  \
            portcullis policy lint policies/*.yaml --output json"
    )]
    Lint(LintArgs),
    /// Try a policy on recorded evidence (0 all as expected, 1 not, 2 could not read)
    #[command(
        long_about = "Judge cases by a policy: each names an image and a namespace, and what the policy is expected to say. \
            Evidence comes from files written by `portcullis check --record`; an image without any is judged as one that \
            nobody signed. No network, no daemon, no root.",
        after_help = "Examples:\n  portcullis check -n shop --record evidence registry.example.com/shop/web:1.4\n  \
            portcullis policy test cases.yaml --policy ./policy.d"
    )]
    Test(TestArgs),
    /// Write policy of any format as portcullis.dev/v1 (0 nothing differs, 1 look at what does, 2 could not)
    #[command(
        long_about = "Write policy files of any format that is read (Portieris, policy.json of containers, \
            trustpolicy.json of notation) as portcullis.dev/v1. What cannot be said in it is refused by the new policy, \
            never let through, and every image found that would be judged by other rules is named on standard error.\n\n\
            A directory that holds policy.json is read as `containers/`, one that holds trustpolicy.json as `notation/`. \
            Keys that a policy names by their path on a host are given as further paths.",
        after_help = "Examples:\n  portcullis policy convert /etc/portcullis/policy.d > apps.yaml\n  \
            portcullis policy convert /etc/containers /etc/pki/rpm-gpg/RPM-GPG-KEY-redhat-release\n  \
            portcullis policy convert ~/.config/notation --out new-policy"
    )]
    Convert(ConvertArgs),
    /// Drop the last good set and take what the policy directory holds, even nothing (root)
    #[command(
        long_about = "Drop the last good policy set and take what the policy directory holds, even nothing: an empty \
            directory never replaces a working set by itself. With no policy every image but those of bootstrap.yaml \
            is denied. Refused while the directory holds a set that does not load."
    )]
    Reset,
}

#[derive(Debug, Args)]
pub(super) struct LintArgs {
    /// Policy files and directories
    #[arg(required = true, value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct TestArgs {
    /// Policy files and directories [default: the policy directory of the configuration]
    #[arg(long = "policy", value_name = "PATH")]
    pub(super) policy: Vec<PathBuf>,
    /// Files of cases
    #[arg(required = true, value_name = "CASES")]
    pub(super) cases: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct ConvertArgs {
    /// Policy files and directories
    #[arg(required = true, value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,
    /// Directory to write converted.yaml into; `-` is standard output [default: -]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    pub(super) shell: clap_complete::Shell,
}

impl Global {
    /// The configuration.
    pub(super) fn config(&self) -> Result<Config, ConfigError> {
        config::load(self.config.as_deref())
    }

    /// The configuration, whoever owns the file: for commands that only look at files.
    pub(super) fn config_unowned(&self) -> Result<Config, ConfigError> {
        config::load_unowned(self.config.as_deref())
    }

    /// Where the configuration is, or would be. Absolute, because what stands beside it is watched.
    pub(super) fn config_path(&self) -> PathBuf {
        let path = self
            .config
            .as_deref()
            .unwrap_or_else(|| Path::new(config::DEFAULT_PATH));
        std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
