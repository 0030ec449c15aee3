//! The command line as it is typed: exit statuses, streams, forms.

mod ops_support;

use std::process::Command;

use ops_support::{BROKEN, GOOD, Node, stderr, stdout};
use serde_json::Value;

fn code(node: &Node, args: &[&str]) -> Option<i32> {
    node.run(args).status.code()
}

#[test]
fn a_wrong_command_line_is_64_and_never_taken_for_an_answer() {
    let node = Node::new();
    for args in [
        &["check"][..],
        &["chekc", "nginx"],
        &["check", "--no-such-flag", "nginx"],
        &["adopt", "nginx"],
        &["policy"],
        &["policy", "lint"],
        &["status", "--output", "yaml"],
    ] {
        assert_eq!(code(&node, args), Some(64), "{args:?}");
    }
    let bare = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .output()
        .unwrap();
    assert_eq!(bare.status.code(), Some(64));
}

#[test]
fn help_and_version_are_answers() {
    for args in [
        &["--help"][..],
        &["--version"],
        &["check", "--help"],
        &["policy", "lint", "-h"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(args)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(!output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn a_configuration_with_an_unknown_key_stops_every_command_with_its_place() {
    let node = Node::new();
    node.write("config.yaml", "mode: enforce\nlisten_on: /x\n");
    for args in [
        &["serve"][..],
        &["status"],
        &["check", "nginx"],
        &["policy", "lint", "/dev/null"],
    ] {
        let output = node.run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(
            stderr(&output).contains("config.yaml:2:1: "),
            "{args:?}: {}",
            stderr(&output)
        );
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_configuration_named_but_absent_is_an_error() {
    let node = Node::new();
    std::fs::remove_file(node.path("config.yaml")).unwrap();
    assert_eq!(code(&node, &["explain", "--local", "nginx"]), Some(2));
}

#[test]
fn what_only_the_daemon_knows_is_2_without_one_and_says_what_to_do() {
    let node = Node::new();
    for args in [
        &["status"][..],
        &["adopt", "nginx", "--reason", "preloaded"],
        &["policy", "reset"],
    ] {
        let output = node.run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(
            stderr(&output).contains("systemctl status portcullis"),
            "{args:?}"
        );
    }
    assert_eq!(code(&node, &["audit"]), Some(2));
}

#[test]
fn explain_shows_the_rule_and_its_place_without_a_daemon() {
    let node = Node::new();
    node.write("policy.d/a.yaml", GOOD);
    let output = node.run(&["explain", "registry.example.com/shop/web:1"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(text.contains("a.yaml:7:"), "{text}");
    assert!(text.contains("denied: retired"), "{text}");
    assert!(
        text.contains("matches, but a more specific rule does too"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'), "no colour off a terminal");
    assert!(stderr(&output).contains("no daemon answers"));

    let output = node.run(&[
        "explain",
        "--local",
        "--output",
        "json",
        "registry.example.com/shop/web:1",
    ]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["rules"][0]["standing"], "chosen");
    assert_eq!(report["rules"][0]["pattern"], "registry.example.com/shop/*");
    assert_eq!(report["rules"][1]["standing"], "lessSpecific");
    assert!(stderr(&output).is_empty());
}

#[test]
fn explain_says_no_where_no_rule_matches() {
    let node = Node::new();
    node.write("policy.d/a.yaml", GOOD);
    let output = node.run(&["explain", "--local", "-n", "shop", "nginx"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("no rule matches"));
    assert_eq!(
        code(&node, &["explain", "--local", "not an image"]),
        Some(2)
    );
    assert_eq!(
        code(&node, &["explain", "--local", "-n", "", "nginx"]),
        Some(2),
        "an unset shell variable is not `no pod`"
    );
}

#[test]
fn a_local_judgement_under_a_broken_policy_is_no_judgement() {
    let node = Node::new();
    node.write("policy.d/a.yaml", BROKEN);
    let output = node.run(&["check", "--local", "nginx"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("a.yaml:5:"), "{}", stderr(&output));
}

#[test]
fn lint_reads_like_a_compiler_and_fails_on_errors_only() {
    let node = Node::new();
    node.write("policy.d/a.yaml", GOOD);
    let dir = node.path("policy.d").display().to_string();
    let output = node.run(&["policy", "lint", &dir]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert!(stdout(&output).contains("ok: 1 file, 2 rules"));

    node.write("policy.d/b.yaml", BROKEN);
    let output = node.run(&["policy", "lint", &dir]);
    assert_eq!(output.status.code(), Some(1));
    let text = stdout(&output);
    assert!(
        text.contains(&format!("{dir}/b.yaml:5:3: error: ")),
        "{text}"
    );

    let output = node.run(&["policy", "lint", &dir, "--output", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["rules"], Value::Null);
    assert!(report["errors"].as_u64().unwrap() > 0);
    assert_eq!(
        report["diagnostics"][0]["span"]["file"],
        format!("{dir}/b.yaml")
    );

    assert_eq!(code(&node, &["policy", "lint", "/no/such/path"]), Some(2));
}

#[test]
fn lint_points_out_what_loads_and_is_not_meant_each_once() {
    let node = Node::new();
    node.write(
        "policy.d/a.yaml",
        "apiVersion: portieris.cloud.ibm.com/v1\nkind: ClusterImagePolicy\nmetadata: {name: a}\nspec:\n  \
         repositories:\n  - {name: \"icr.io*\", policy: {}}\n",
    );
    let dir = node.path("policy.d").display().to_string();
    let output = node.run(&["policy", "lint", &dir]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    let text = stdout(&output);
    for finding in [
        "is allowed unverified",
        "hosts such as `icr.io.example.net`",
    ] {
        assert_eq!(text.matches(finding).count(), 1, "{text}");
    }
    assert!(text.ends_with("ok: 1 file, 1 rule, 2 warnings\n"), "{text}");
}

#[test]
fn lint_of_nothing_is_not_fine() {
    let node = Node::new();
    let dir = node.path("policy.d").display().to_string();
    let output = node.run(&["policy", "lint", &dir]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("no policy file"),
        "{}",
        stderr(&output)
    );
    node.write("bootstrap.yaml", "images: []\n");
    let list = node.path("bootstrap.yaml").display().to_string();
    assert_eq!(code(&node, &["policy", "lint", &list]), Some(0));
}

#[test]
fn completions_are_printed_for_a_shell() {
    let node = Node::new();
    let output = node.run(&["completions", "bash"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).contains("_portcullis"));
}

#[test]
fn a_reader_that_goes_away_is_no_crash() {
    let node = Node::new();
    let mut child = node
        .command(&["completions", "zsh"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(!stderr(&output).contains("panicked"), "{}", stderr(&output));
}
