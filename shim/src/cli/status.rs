//! `portcullis status`.

use portcullis_policy::model::Mode;

use super::args::Global;
use super::text::{Pairs, Style, count, plain};
use super::{CliError, Exit, answer, ask};
use crate::admin::{Endpoint, StatusReport};

pub(super) fn run(global: &Global) -> Result<Exit, CliError> {
    let report: StatusReport = ask::daemon(global, Endpoint::Status, None::<&()>)?;
    answer(global.output, &report, render)?;
    Ok(if healthy(&report) {
        Exit::Yes
    } else {
        Exit::No
    })
}

/// Nothing that an operator has to look at.
fn healthy(report: &StatusReport) -> bool {
    report.policy.refused.is_empty()
        && !report.policy.unsaved
        && report.node.alarms.is_empty()
        && report.node.upstream.connected
}

fn render(report: &StatusReport, style: Style) -> String {
    let policy = &report.policy;
    let mut head = Pairs::default();
    head.add(
        "portcullis",
        format!("{}, up {}", report.version, duration(report.uptime_seconds)),
    );
    head.add(
        "mode",
        match report.mode {
            Mode::Enforce => style.good("enforce"),
            Mode::Audit => style.warn("audit: nothing is refused for lack of trust"),
        },
    );
    let upstream = &report.node.upstream;
    head.add(
        "containerd",
        if upstream.connected {
            format!("{} {}", plain(&upstream.name), plain(&upstream.version))
        } else {
            style.bad("does not answer")
        },
    );
    head.add(
        "policy",
        format!(
            "{}, generation {}, since {}\nsha256 {}",
            count(policy.rules, "rule"),
            policy.generation,
            policy.since,
            policy.hash
        ),
    );
    head.add("bootstrap", count(policy.bootstrap, "image"));
    let mut out = head.render(0);
    let mut notes = Pairs::default();
    for text in &policy.refused {
        notes.add(&style.bad("refused"), plain(text));
    }
    if policy.unsaved {
        notes.add(
            &style.bad("alarm"),
            "the policy in force would not survive a reboot: it cannot be written down",
        );
    }
    for text in &report.node.alarms {
        notes.add(&style.bad("alarm"), plain(text));
    }
    for text in &policy.warnings {
        notes.add(&style.warn("warning"), plain(text));
    }
    for (title, table) in [
        ("", notes),
        ("store", numbers(&report.node.store)),
        ("counters", numbers(&report.node.counters)),
    ] {
        let text = table.render(if title.is_empty() { 0 } else { 2 });
        if text.is_empty() {
            continue;
        }
        out.push('\n');
        if !title.is_empty() {
            out.push_str(&style.strong(title));
            out.push('\n');
        }
        out.push_str(&text);
    }
    out
}

fn numbers(of: &std::collections::BTreeMap<String, u64>) -> Pairs {
    let mut pairs = Pairs::default();
    for (name, number) in of {
        pairs.add(&plain(name), number.to_string());
    }
    pairs
}

fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        assert_eq!(duration(59), "59 s");
        assert_eq!(duration(3599), "59 min");
        assert_eq!(duration(3660), "1 h 1 min");
        assert_eq!(duration(90_000), "1 d 1 h");
    }
}
