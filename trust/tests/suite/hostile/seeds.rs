//! Fixtures to begin from.

use std::path::{Path, PathBuf};

use portcullis_policy::Span;
use portcullis_policy::model::KeyMaterial;

/// Bytes to begin from.
#[derive(Clone)]
pub struct Seed {
    /// Where they are from.
    pub name: String,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// What in them is signed: it must stand in whatever still verifies. Empty where it is compressed or encoded otherwise.
    pub signed: Vec<Vec<u8>>,
}

impl Seed {
    pub(super) fn new(name: &str, bytes: Vec<u8>) -> Self {
        Self {
            name: name.to_owned(),
            bytes,
            signed: Vec::new(),
        }
    }

    pub(super) fn file(name: &str) -> Self {
        Self::new(name, read(name))
    }

    pub(super) fn with_signed(mut self, signed: Vec<Vec<u8>>) -> Self {
        self.signed = signed;
        self
    }
}

fn root() -> PathBuf {
    // The same from trust/ and from fuzz/.
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../trust/tests/fixtures")
}

pub(super) fn read(name: &str) -> Vec<u8> {
    std::fs::read(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Fixture files of `folder` whose name ends with `end`, in order.
pub(super) fn list(folder: &str, end: &str) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(root().join(folder))
        .unwrap_or_else(|error| panic!("{folder}: {error}"))
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(end))
        .map(|name| format!("{folder}/{name}"))
        .collect();
    names.sort();
    names
}

pub(super) fn material(name: &str, bytes: Vec<u8>) -> KeyMaterial {
    KeyMaterial {
        bytes,
        name: name.to_owned(),
        span: Span::nowhere(),
    }
}
