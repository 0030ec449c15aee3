//! Which files of a set are other tools', under the names that they have there.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::place;
use crate::fields::Field;
use crate::load::{MAX_FILE_BYTES, MAX_FILES, SourceFile};
use crate::report::Report;
use crate::yaml::{self, Node};

/// Folders of other tools.
const FOLDERS: [&str; 2] = ["containers/", "notation/"];
/// The folder of key files, which every format shares.
const KEYS: &str = "keys/";

/// The name of a file with its folders. A `ConfigMap` has none, and spells them `containers__policy.json`.
fn path(name: &str) -> Cow<'_, str> {
    if name.contains('/') {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(name.replace("__", "/"))
    }
}

/// Whether a file is another tool's, so that no documents of ours are in it.
pub(in crate::load) fn is_native(name: &str) -> bool {
    let path = path(name);
    FOLDERS.iter().any(|folder| path.starts_with(folder))
}

/// The files of other tools, and keys, by their path.
pub(super) struct NativeFiles<'a> {
    files: BTreeMap<String, &'a SourceFile>,
    /// The paths of the host that a file was taken for.
    taken_for: RefCell<BTreeMap<String, String>>,
}

impl<'a> NativeFiles<'a> {
    pub(super) fn of(all: &'a [SourceFile], report: &mut Report) -> Self {
        let mut files: BTreeMap<String, &SourceFile> = BTreeMap::new();
        // The caps are reported where all files are read.
        let wanted = all
            .iter()
            .take(MAX_FILES)
            .filter(|file| file.bytes.len() <= MAX_FILE_BYTES);
        let mut ordered: Vec<&SourceFile> = wanted.collect();
        ordered.sort_by(|a, b| (&a.name, &a.bytes).cmp(&(&b.name, &b.bytes)));
        for file in ordered {
            let path = path(&file.name).into_owned();
            if !is_native(&path) && !path.starts_with(KEYS) && path.contains('/') {
                continue;
            }
            match files.get(&path) {
                Some(first) if first.name != file.name => report.error(
                    place(file),
                    format!(
                        "is the same file as `{}`, spelt as in a ConfigMap; keep one",
                        first.name
                    ),
                ),
                Some(_) => {}
                None => {
                    files.insert(path, file);
                }
            }
        }
        Self {
            files,
            taken_for: RefCell::default(),
        }
    }

    /// Takes the file called `name` for `path` of the host, of which only the name counts here. Two keys of one name were
    /// two keys there, and each would be trusted where the other was meant.
    pub(super) fn take_for(&self, name: &str, path: &str) -> Result<(), String> {
        let parts = path
            .split('/')
            .filter(|part| !part.is_empty() && *part != ".");
        let root = if path.starts_with('/') { "/" } else { "" };
        let path = format!("{root}{}", parts.collect::<Vec<_>>().join("/"));
        let mut taken_for = self.taken_for.borrow_mut();
        let first = taken_for.entry(name.to_owned()).or_insert(path.clone());
        if *first == path {
            Ok(())
        } else {
            Err(first.clone())
        }
    }

    /// Whether there is nothing to do.
    pub(super) fn is_empty(&self) -> bool {
        !self.files.keys().any(|path| is_native(path))
    }

    /// The file at `path`.
    pub(super) fn get(&self, path: &str) -> Option<&'a SourceFile> {
        self.files.get(path).copied()
    }

    /// Every file below `folder` (with its `/`), by what stands behind it in its path.
    pub(super) fn below<'f>(
        &'f self,
        folder: &'f str,
    ) -> impl Iterator<Item = (&'f str, &'a SourceFile)> {
        self.files
            .iter()
            .filter_map(move |(path, file)| Some((path.strip_prefix(folder)?, *file)))
    }
}

/// A file of one document, JSON or YAML.
pub(super) struct Document {
    file: Arc<str>,
    node: Node,
}

impl Document {
    pub(super) fn read(file: &SourceFile, report: &mut Report) -> Option<Self> {
        let text = match std::str::from_utf8(&file.bytes) {
            Ok(text) => text,
            Err(error) => {
                let message = format!("not UTF-8 after byte {}", error.valid_up_to());
                report.error(place(file), message);
                return None;
            }
        };
        let name: Arc<str> = Arc::from(file.name.as_str());
        let mut nodes = yaml::parse(&name, text, yaml::Limits::default(), report);
        match (nodes.pop(), nodes.is_empty()) {
            (Some(node), true) => Some(Self { file: name, node }),
            (Some(_), false) => {
                report.error(place(file), "holds more than one document");
                None
            }
            (None, _) => {
                report.error(place(file), "is empty");
                None
            }
        }
    }

    pub(super) fn whole(&self) -> Field<'_> {
        Field::document(&self.file, &self.node)
    }
}
