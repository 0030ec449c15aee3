//! The `api.proto` that `k8s-cri` carries, found through cargo and read as text.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Text of the CRI v1 definition, without comments.
pub(crate) fn api_proto() -> String {
    let path = k8s_cri_source().join("proto/v1.proto");
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Folder of the `k8s-cri` that this test is linked with.
fn k8s_cri_source() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--format-version",
            "1",
            "--offline",
            "--filter-platform",
            "host-tuple",
            "--manifest-path",
        ])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let package = packages
        .iter()
        .find(|package| package["name"] == "k8s-cri")
        .expect("k8s-cri is a dependency");
    let manifest = package["manifest_path"].as_str().expect("manifest_path");
    Path::new(manifest).parent().expect("a folder").to_owned()
}

/// `(service, rpc)` of every RPC, in the order of the definition.
pub(crate) fn rpcs(proto: &str) -> Vec<(String, String)> {
    let mut service = "";
    let mut rpcs = Vec::new();
    for line in proto.lines() {
        let words: Vec<_> = line
            .split([' ', '(', '{'])
            .filter(|word| !word.is_empty())
            .collect();
        match words.as_slice() {
            ["service", name, ..] => service = name,
            ["rpc", name, ..] => rpcs.push((service.to_owned(), (*name).to_owned())),
            _ => {}
        }
    }
    rpcs
}

/// A field as the definition has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublishedField {
    pub(crate) number: u32,
    pub(crate) name: String,
    /// `string`, `map<string,string>`, a message name…
    pub(crate) kind: String,
    pub(crate) repeated: bool,
}

/// The fields of the top-level message `name`.
pub(crate) fn fields(proto: &str, name: &str) -> Vec<PublishedField> {
    let (_, body) = proto
        .split_once(&format!("\nmessage {name} {{"))
        .unwrap_or_else(|| panic!("message {name} is published"));
    let (body, _) = body.split_once("\n}").expect("the message ends");
    body.split(';').filter_map(field).collect()
}

fn field(statement: &str) -> Option<PublishedField> {
    let (declaration, number) = statement.split_once('=')?;
    let declaration = declaration.trim().replace(", ", ",");
    let (kind, name) = declaration.rsplit_once(' ')?;
    let repeated = kind.starts_with("repeated ");
    Some(PublishedField {
        number: number.trim().parse().ok()?,
        name: name.to_owned(),
        kind: kind.trim_start_matches("repeated ").trim().to_owned(),
        repeated,
    })
}
