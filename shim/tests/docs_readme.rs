//! What README.md shows is what happens.

mod docs_support;
mod ops_support;

use docs_support::{blocks, commands};
use ops_support::{Node, stderr, stdout};

const README: &str = include_str!("../../README.md");
const MAKEFILE: &str = include_str!("../../Makefile");

/// A node with the README's policy. Its commands name `policy.d/`, so they run beside it.
fn node() -> Node {
    let node = Node::new();
    let policies = blocks(README, "yaml");
    assert_eq!(policies.len(), 1);
    for policy in policies {
        node.write("policy.d/apps.yaml", &policy);
    }
    node
}

#[test]
fn every_command_shown_does_what_the_line_says() {
    let node = node();
    let commands = commands(README);
    let mut tried = Vec::new();
    for command in &commands {
        let args: Vec<&str> = command.iter().map(String::as_str).collect();
        if args == ["serve"] {
            drop(node.serve());
            tried.push("serve");
            continue;
        }
        let output = node
            .command(&args)
            .current_dir(node.path(""))
            // Nobody listens there: what is asked of the network fails at once, wherever this runs.
            .env("HTTPS_PROXY", "http://127.0.0.1:1")
            .env_remove("NO_PROXY")
            .env_remove("no_proxy")
            .output()
            .unwrap();
        let (text, complaint) = (stdout(&output), stderr(&output));
        let code = output.status.code();
        match args.first().copied() {
            Some("policy") => {
                assert_eq!(code, Some(0), "{text}{complaint}");
                assert_eq!(text, "ok: 1 file, 2 rules\n", "no warnings either");
                tried.push("lint");
            }
            Some("explain") => {
                assert_eq!(code, Some(0), "{text}{complaint}");
                assert!(text.contains("apps.yaml:6:"), "{text}");
                assert!(text.contains("https://github.com/acme/"), "{text}");
                tried.push("explain");
            }
            Some("check") => {
                assert_eq!(code, Some(2), "{text}{complaint}");
                assert!(text.contains("could not tell"), "{text}");
                assert!(text.contains("registry.example.com"), "{text}");
                tried.push("check");
            }
            _ => panic!("untested: {command:?}"),
        }
    }
    assert_eq!(tried, ["lint", "explain", "check", "serve"]);
}

#[test]
fn every_make_target_shown_exists() {
    let shown: Vec<String> = blocks(README, "sh")
        .iter()
        .flat_map(|block| block.lines())
        .filter_map(|line| line.strip_prefix("make "))
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect();
    assert_eq!(shown, ["demo", "test"]);
    for target in shown {
        assert!(MAKEFILE.contains(&format!("\n{target}: ")), "make {target}");
    }
}

#[test]
fn the_transcript_shown_is_the_demonstrations() {
    const DEMO: &str = concat!(
        include_str!("../../tests/src/bin/demo/main.rs"),
        include_str!("../../tests/src/bin/demo/with_cosign.rs")
    );

    // As one line, without the quotes and escapes of Rust.
    let demo = DEMO.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut found = 0;
    for line in blocks(README, "text")
        .iter()
        .flat_map(|block| block.lines())
    {
        let line = line.trim();
        let said = match line.split_once(". ") {
            Some((number, scene)) if number.parse::<u8>().is_ok() => scene,
            _ => match line.strip_prefix("ok ") {
                Some(said) => said.trim(),
                None => continue,
            },
        };
        assert!(
            demo.contains(said),
            "the demonstration does not say: {said}"
        );
        found += 1;
    }
    assert!(found >= 10, "found {found}");
}

/// Mermaid takes a semicolon in a sequence diagram for the end of the line, and shows an error in place of the picture.
#[test]
fn no_picture_has_a_line_that_ends_early() {
    let mut found = 0;
    for document in [
        README,
        include_str!("../../docs/architecture.md"),
        include_str!("../../docs/signatures.md"),
    ] {
        for picture in blocks(document, "mermaid") {
            assert!(!picture.contains(';'), "{picture}");
            found += 1;
        }
    }
    assert!(found >= 5, "found {found}");
}

#[test]
fn every_local_link_of_the_documents_leads_somewhere() {
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
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            if link.starts_with("https://") {
                continue;
            }
            let target = document.with_file_name(link.split('#').next().unwrap_or_default());
            assert!(target.exists(), "{}: {link}", document.display());
            found += 1;
        }
    }
    assert!(found > 5, "found {found}");
}

#[test]
fn every_file_of_this_project_that_the_documents_name_is_there() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let tops = [
        "docs/", "policy/", "proto/", "shim/", "systemd/", "tests/", "trust/",
    ];
    let mut found = 0;
    for document in ["README.md", "docs/architecture.md", "docs/threat-model.md"] {
        let text = std::fs::read_to_string(root.join(document)).unwrap();
        for name in text.split('`').skip(1).step_by(2) {
            if !tops.iter().any(|top| name.starts_with(top)) {
                continue;
            }
            // `shim/tests/proxy_*.rs` stands for at least one file.
            let there = match name.split_once('*') {
                None => root.join(name).exists(),
                Some((start, end)) => {
                    let (dir, prefix) = start.rsplit_once('/').unwrap();
                    std::fs::read_dir(root.join(dir)).unwrap().any(|entry| {
                        let file = entry.unwrap().file_name().into_string().unwrap();
                        file.starts_with(prefix) && file.ends_with(end)
                    })
                }
            };
            assert!(there, "{document} names {name}");
            found += 1;
        }
    }
    assert!(found > 20, "found {found}");
}
