//! `portcullis explain`.

use std::fmt::Write as _;

use portcullis_policy::model::{Mode, Scope, TagRule};

use super::args::{ExplainArgs, Global};
use super::ask::{self, Asked};
use super::text::{Pairs, Style, count, pattern, plain};
use super::{CliError, Exit, answer};
use crate::admin::{Endpoint, ExplainReport, ExplainedRule, ImageQuestion};

pub(super) fn run(global: &Global, args: &ExplainArgs) -> Result<Exit, CliError> {
    let config = global.config()?;
    let question = ImageQuestion {
        namespace: args.place.namespace.clone(),
        image: args.image.clone(),
        record: false,
    };
    let report: ExplainReport = ask::block_on(async {
        match ask::choose(global, &config, &args.place).await? {
            Asked::Daemon(client) => Ok(client.ask(Endpoint::Explain, Some(&question)).await?),
            Asked::Local(admin) => admin.explain(&question).map_err(CliError::other),
        }
    })?;
    answer(global.output, &report, |report, style| {
        render(report, args.all, style)
    })?;
    let governed = report.rules.iter().any(|rule| rule.standing == "chosen");
    Ok(if governed { Exit::Yes } else { Exit::No })
}

fn render(report: &ExplainReport, all: bool, style: Style) -> String {
    let mut head = Pairs::default();
    head.add("image", plain(&report.normalised));
    head.add(
        "namespace",
        report
            .namespace
            .as_deref()
            .unwrap_or("none (a call without a pod)"),
    );
    head.add("governed by", governed_by(report));
    head.add(
        "policy",
        format!(
            "generation {}, {}",
            report.policy_generation,
            report.policy_hash.get(..12).unwrap_or(&report.policy_hash)
        ),
    );
    let mut out = head.render(0);
    for place in &report.bootstrap {
        write!(
            out,
            "\n{}, by its digest: {place}\n",
            style.good("always allowed")
        )
        .ok();
    }
    if !report.rules.iter().any(|rule| rule.standing == "chosen") {
        let (verdict, consequence) = match report.node_mode {
            Mode::Enforce if report.bootstrap.is_empty() => (style.bad("denied"), ""),
            Mode::Enforce => (
                style.bad("denied"),
                ", unless its digest is on the bootstrap list",
            ),
            Mode::Audit => (
                style.warn("would be denied"),
                " (the node is in audit mode: it goes forward and is logged)",
            ),
        };
        write!(out, "\n{verdict}: no rule matches{consequence}\n").ok();
    }
    let mut hidden = 0;
    for rule in &report.rules {
        let shown = all || matches!(rule.standing.as_str(), "chosen" | "lessSpecific");
        if shown {
            out.push('\n');
            out.push_str(&render_rule(rule, style));
        } else {
            hidden += 1;
        }
    }
    if hidden > 0 {
        let rules = count(hidden, "other rule");
        out.push_str(&style.dim(&format!("\n{rules} not shown: --all shows why\n")));
    }
    out
}

fn governed_by(report: &ExplainReport) -> String {
    match (&report.scope, &report.namespace) {
        (Some(Scope::Namespace(name)), _) => format!("the policy of namespace {name}"),
        (Some(Scope::Cluster), Some(name)) => {
            format!("the cluster's policy (namespace {name} has none of its own)")
        }
        (Some(Scope::Cluster), None) => "the cluster's policy".to_owned(),
        (None, _) => "nothing: there are no policies for it".to_owned(),
    }
}

fn render_rule(rule: &ExplainedRule, style: Style) -> String {
    let mark = match rule.standing.as_str() {
        "chosen" => style.good("applies"),
        "lessSpecific" => style.warn("matches"),
        _ => style.dim("no"),
    };
    let mut pairs = Pairs::default();
    pairs.add("at", format!("{}  {}", rule.rule.place, rule.rule.document));
    pairs.add("because", plain(&rule.because));
    pairs.add("asks for", plain(&rule.requirement));
    match rule.tags {
        TagRule::Floating => {}
        TagRule::Signed => {
            pairs.add("tags", "only signed tags, or digests");
        }
        TagRule::Immutable => {
            pairs.add(
                "tags",
                "refused: this version cannot hold a tag to its first digest",
            );
        }
    }
    if rule.mode == Mode::Audit {
        pairs.add("mode", "audit: a refusal is logged, not carried out");
    }
    format!(
        "{}  {mark}\n{}",
        style.strong(&pattern(&rule.rule.pattern)),
        pairs.render(2)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::RuleReport;

    #[test]
    fn a_rule_for_all_other_images_is_shown_as_it_is_written() {
        let rule = |pattern: &str| ExplainedRule {
            rule: RuleReport {
                document: "policy.json".to_owned(),
                pattern: pattern.to_owned(),
                place: "containers/policy.json:2:3".to_owned(),
            },
            standing: "chosen".to_owned(),
            because: "the most specific match".to_owned(),
            mode: Mode::Enforce,
            tags: TagRule::Floating,
            requirement: "denied".to_owned(),
        };
        let shown = |pattern: &str| render_rule(&rule(pattern), Style::default());
        assert!(shown("").starts_with("\"\"  applies\n"), "{}", shown(""));
        assert!(shown("default").starts_with("default  applies\n"));
    }
}
