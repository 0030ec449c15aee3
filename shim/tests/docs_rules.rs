//! docs/rules.md: every test it points at exists, and every rule that code cites is there.

use std::fs;
use std::path::{Path, PathBuf};

const RULES: &str = include_str!("../../docs/rules.md");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every Rust file of the crates, as one text.
fn sources() -> String {
    let mut text = String::new();
    let mut folders: Vec<PathBuf> = ["proto", "policy", "trust", "shim", "tests"]
        .iter()
        .map(|name| root().join(name))
        .collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                text.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    text
}

#[test]
fn every_test_that_a_rule_points_at_exists() {
    let sources = sources();
    let mut found = 0;
    for name in RULES.split('`').skip(1).step_by(2) {
        let is_test = name.len() > 20 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        if is_test {
            assert!(sources.contains(&format!("fn {name}(")), "no test {name}");
            found += 1;
        }
    }
    assert!(found > 20, "found {found}");
}

#[test]
fn every_rule_that_code_cites_is_listed() {
    let mut found = 0;
    for cited in sources().split("docs/rules.md rule ").skip(1) {
        let number: String = cited.chars().take_while(char::is_ascii_digit).collect();
        if number.is_empty() {
            continue;
        }
        assert!(RULES.contains(&format!("\n| {number} | ")), "rule {number}");
        found += 1;
    }
    assert!(found > 10, "found {found}");
}
