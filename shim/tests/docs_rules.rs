//! docs/rules.md and its neighbours: every test they point at exists, every limit is the code's, and every rule that code cites
//! is there.

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
fn every_test_that_a_document_points_at_exists() {
    let sources = sources();
    let threats = include_str!("../../docs/threat-model.md");
    let signatures = include_str!("../../docs/signatures.md");
    for (document, least) in [(RULES, 20), (threats, 5), (signatures, 40)] {
        let mut found = 0;
        for name in document.split('`').skip(1).step_by(2) {
            let is_test =
                name.len() > 20 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            // Names of metrics look the same.
            if is_test && !name.starts_with("portcullis_") {
                assert!(sources.contains(&format!("fn {name}(")), "no test {name}");
                found += 1;
            }
        }
        assert!(found >= least, "found {found}");
    }
}

/// `4 * 1024`, `16 << 20`, `64`.
fn value(expression: &str) -> u64 {
    let number = |text: &str| text.trim().replace('_', "").parse::<u64>().unwrap();
    match expression.split_once("<<") {
        Some((one, shift)) => number(one) << number(shift),
        None => expression.split('*').map(number).product(),
    }
}

#[test]
fn every_limit_in_the_table_is_the_one_in_the_code() {
    let mut found = 0;
    for row in include_str!("../../docs/signatures.md").lines() {
        let cells: Vec<&str> = row.split(" | ").collect();
        let [_, shown, place] = cells[..] else {
            continue;
        };
        let quoted: Vec<&str> = place.split('`').collect();
        let [_, name, " in ", file, _] = quoted[..] else {
            continue;
        };
        let source = fs::read_to_string(root().join(file)).unwrap();
        let declared = source
            .split(&format!("const {name}: "))
            .nth(1)
            .and_then(|rest| rest.split_once(" = ")?.1.split_once(';'))
            .unwrap_or_else(|| panic!("no {name} in {file}"));
        let (number, unit) = shown.split_once(' ').unwrap_or((shown, ""));
        let unit = match unit {
            "" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            other => panic!("{other}"),
        };
        assert_eq!(
            number.parse::<u64>().unwrap() * unit,
            value(declared.0),
            "{row}"
        );
        found += 1;
    }
    assert!(found > 20, "found {found}");
}

#[test]
fn every_table_of_the_store_is_described_with_its_size() {
    let architecture = include_str!("../../docs/architecture.md");
    let source = include_str!("../src/store/table.rs");
    let mut found = 0;
    for name in source
        .split("=> \"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
    {
        let described = architecture
            .lines()
            .any(|row| row.starts_with("| `") && row.contains(&format!("`{name}`")));
        assert!(described, "{name}");
        let size = source
            .split(&format!("            {name}: "))
            .nth(1)
            .and_then(|rest| rest.split(',').next());
        if let Some(size) = size {
            let size = value(size).to_string();
            assert!(
                architecture
                    .lines()
                    .any(|row| row.contains(&format!("`{name}`")) && row.contains(&size)),
                "{name}: {size}"
            );
        }
        found += 1;
    }
    assert!(found >= 12, "found {found}");
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
