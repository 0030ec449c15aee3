//! docs/cli.md: its examples are accepted, and no command, option, field or metric is missing.

mod docs_support;
mod ops_support;

use std::process::Command;

use docs_support::{commands, names};
use ops_support::{GOOD, Node, exchange, stderr, stdout};
use serde_json::Value;

const DOCS: &str = include_str!("../../docs/cli.md");

fn help(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(args)
        .arg("--help")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{args:?}");
    stdout(&output)
}

/// The commands that a help text lists.
fn listed(help: &str) -> Vec<String> {
    help.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        // What is indented deeper goes on with the line above.
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

fn assert_fields_named(report: &Value) {
    match report {
        Value::Object(fields) => {
            for (field, value) in fields {
                assert!(names(DOCS, field), "`{field}` is not in docs/cli.md");
                // Their keys are names of tables and counters.
                if field != "store" && field != "counters" {
                    assert_fields_named(value);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(assert_fields_named),
        _ => {}
    }
}

#[test]
fn every_command_and_option_has_its_place() {
    let mut commands: Vec<Vec<String>> = Vec::new();
    for name in listed(&help(&[])) {
        let below = listed(&help(&[&name]));
        if below.is_empty() {
            commands.push(vec![name]);
        } else {
            commands.extend(below.into_iter().map(|below| vec![name.clone(), below]));
        }
    }
    assert!(commands.len() >= 9, "{commands:?}");
    for command in commands {
        let title = format!("## `portcullis {}`\n", command.join(" "));
        assert!(DOCS.contains(&title), "{title}");
        let args: Vec<&str> = command.iter().map(String::as_str).collect();
        let help = help(&args);
        for option in help
            .split_whitespace()
            .map(|word| word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '-'))
            .filter(|word| word.len() > 2 && word.starts_with("--"))
        {
            assert!(DOCS.contains(&format!("`{option}")), "{option}");
        }
    }
}

#[test]
fn every_command_that_a_document_names_in_passing_exists() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut documents = vec![root.join("README.md"), root.join("CONTRIBUTING.md")];
    for entry in std::fs::read_dir(root.join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "md") {
            documents.push(path);
        }
    }
    let mut found = 0;
    for document in documents {
        let text = std::fs::read_to_string(&document).unwrap();
        for line in text.split('`').skip(1).step_by(2) {
            // A sentence may break in the middle of a command.
            let mut words = line.split_whitespace();
            if words.next() != Some("portcullis") {
                continue;
            }
            let args: Vec<&str> = words
                .take_while(|word| word.bytes().all(|b| b.is_ascii_lowercase()))
                .collect();
            if !args.is_empty() {
                help(&args);
                found += 1;
            }
        }
    }
    assert!(found >= 10, "found {found}");
}

#[test]
fn every_example_is_a_command_line_that_is_understood() {
    let node = Node::new();
    node.write("policy.d/a.yaml", GOOD);
    let examples = commands(DOCS);
    assert!(examples.len() >= 8, "{examples:?}");
    for example in examples {
        let args: Vec<&str> = example.iter().map(String::as_str).collect();
        let output = node
            .command(&args)
            .env("HTTPS_PROXY", "http://127.0.0.1:1")
            .env_remove("NO_PROXY")
            .env_remove("no_proxy")
            .output()
            .unwrap();
        let complaint = stderr(&output);
        assert!(
            matches!(output.status.code(), Some(0..=2)),
            "{args:?}: {complaint}"
        );
        assert!(!complaint.contains("panicked"), "{args:?}: {complaint}");
    }
}

#[test]
fn every_field_of_the_json_is_named() {
    let node = Node::new();
    node.write("policy.d/a.yaml", GOOD);
    node.write(
        "policy.d/b.yaml",
        &GOOD
            .replace("name: base", "name: base2")
            .replace("retired", "gone"),
    );
    let image = "registry.example.com/shop/web:1";
    let dir = node.path("policy.d").display().to_string();
    let output = node.run(&["policy", "lint", &dir, "--output", "json"]);
    assert_eq!(
        output.status.code(),
        Some(1),
        "the two contradict each other"
    );
    assert_fields_named(&serde_json::from_slice(&output.stdout).unwrap());

    std::fs::remove_file(node.path("policy.d/b.yaml")).unwrap();
    let daemon = node.serve();
    for args in [
        &["check", "-n", "shop", image][..],
        &["explain", "-n", "shop", image],
        &["status"],
        &["policy", "reset"],
    ] {
        let output = node.run(&[args, &["--output", "json"]].concat());
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{args:?}: {error}: {}", stderr(&output)));
        assert_fields_named(&report);
    }
    drop(daemon);
}

#[test]
fn every_metric_of_the_daemon_is_named_and_no_other() {
    let node = Node::new();
    node.write("policy.d/a.yaml", GOOD);
    let daemon = node.serve();
    let text = exchange(
        &node.path("admin.sock"),
        b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
    );
    drop(daemon);
    let mut served = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if (words.next(), words.next()) != (Some("#"), Some("TYPE")) {
            continue;
        }
        let (Some(name), Some(kind)) = (words.next(), words.next()) else {
            panic!("{line}");
        };
        served.push(match kind {
            "counter" => format!("{name}_total"),
            "info" => format!("{name}_info"),
            _ => name.to_owned(),
        });
    }
    assert!(served.len() > 15, "{text}");
    for name in &served {
        assert!(names(DOCS, name), "{name} is not in docs/cli.md");
    }
    // Decisions are served from the first one on.
    let documents = [DOCS, include_str!("../../docs/threat-model.md")];
    for name in documents
        .iter()
        .flat_map(|document| document.split('`').skip(1).step_by(2))
        .filter(|name| name.starts_with("portcullis_"))
    {
        assert!(
            served.iter().any(|served| served == name) || name.starts_with("portcullis_decision"),
            "{name} is documented, and not served"
        );
    }
}
