//! Fenced blocks of a document.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "shared by test files, each of which uses a part of it"
)]

/// The fenced blocks of `document` with this info string.
pub fn blocks(document: &str, info: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        if let Some(fence) = line.strip_prefix("```") {
            let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            if fence == info {
                found.push(format!("{}\n", body.join("\n")));
            }
        }
    }
    found
}

/// The `portcullis` commands in the `sh` blocks of `document`, as arguments; comments are cut off.
pub fn commands(document: &str) -> Vec<Vec<String>> {
    blocks(document, "sh")
        .iter()
        .flat_map(|block| block.lines())
        .map(|line| line.split(" #").next().unwrap_or_default().trim())
        .filter_map(|line| line.strip_prefix("portcullis "))
        .map(words)
        .collect()
}

/// Words as a shell splits them, with single quotes and nothing else.
fn words(line: &str) -> Vec<String> {
    line.split('\'')
        .enumerate()
        .flat_map(|(n, part)| {
            if n % 2 == 1 {
                vec![part.to_owned()]
            } else {
                part.split_whitespace().map(str::to_owned).collect()
            }
        })
        .collect()
}

/// Whether `document` has `name` in backticks, alone or as the start of a path or list (`name[]`, `name FIELD`).
pub fn names(document: &str, name: &str) -> bool {
    ["`", "[]`", ".", " "]
        .iter()
        .any(|end| document.contains(&format!("`{name}{end}")))
}
