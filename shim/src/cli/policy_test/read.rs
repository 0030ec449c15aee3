//! Files of cases, and the recorded evidence that they name.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use portcullis_policy::model::TextMatch;
use portcullis_trust::cases::{Case, CaseFile, Moment};
use portcullis_trust::evidence::Recorded;
use portcullis_trust::pattern::TextPattern;
use serde_yaml::options::{DuplicateKeyPolicy, MergeKeyPolicy};

use super::super::{CliError, lint};
use crate::policy::safe_file;

/// Largest file of cases, in bytes.
const MAX_CASES: u64 = 4 << 20;
/// Largest file of recorded evidence, in bytes.
const MAX_EVIDENCE: u64 = 64 << 20;
/// Most files that a pattern may stand for.
const MAX_FILES: usize = 10_000;
/// Version of the evidence files that is read.
const VERSION: u32 = 1;

/// The cases of a file, each with the evidence it may use.
pub(super) struct Suite {
    pub(super) now: Option<Moment>,
    pub(super) cases: Vec<(Case, Vec<Recorded>)>,
}

/// Reads a file of cases and everything that it names.
pub(super) fn suite(path: &Path) -> Result<Suite, CliError> {
    let bytes = read(path, MAX_CASES)?;
    let file = parse(path, &bytes)?;
    if file.cases.is_empty() {
        return Err(CliError::Other(format!(
            "{}: there is no case in it",
            path.display()
        )));
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut known = BTreeMap::new();
    let common = evidence(folder, &file.evidence, &mut known)?;
    let mut cases = Vec::new();
    for case in file.cases {
        let of_case = if case.evidence.is_empty() {
            common.clone()
        } else {
            evidence(folder, &case.evidence, &mut known)?
        };
        cases.push((case, of_case));
    }
    Ok(Suite {
        now: file.now,
        cases,
    })
}

fn parse(path: &Path, bytes: &[u8]) -> Result<CaseFile, CliError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| CliError::Other(format!("{}: not UTF-8", path.display())))?;
    let mut options = serde_yaml::Options::default();
    options.strict_booleans = true;
    options.duplicate_keys = DuplicateKeyPolicy::Error;
    options.merge_keys = MergeKeyPolicy::Error;
    options.with_snippet = false;
    serde_yaml::from_str_with_options(text, options).map_err(|error| {
        let (line, column) = error
            .location()
            .map_or((0, 0), |place| (place.line(), place.column()));
        let text = error.without_snippet().to_string();
        let message = text
            .split_once(" at line ")
            .map_or(&*text, |(text, _)| text);
        CliError::Other(format!("{}:{line}:{column}: {message}", path.display()))
    })
}

/// The recordings in the files that `patterns` stand for. A file is read once.
fn evidence(
    folder: &Path,
    patterns: &[String],
    known: &mut BTreeMap<PathBuf, Recorded>,
) -> Result<Vec<Recorded>, CliError> {
    let mut found = Vec::new();
    for pattern in patterns {
        for path in files(&folder.join(pattern))? {
            if let Some(recorded) = known.get(&path) {
                found.push(recorded.clone());
                continue;
            }
            let recorded = recording(&path)?;
            known.insert(path, recorded.clone());
            found.push(recorded);
        }
    }
    Ok(found)
}

fn recording(path: &Path) -> Result<Recorded, CliError> {
    let bytes = read(path, MAX_EVIDENCE)?;
    let recorded: Recorded = serde_json::from_slice(&bytes).map_err(|error| {
        CliError::Other(format!(
            "{}: not evidence as `portcullis check --record` writes it: {error}",
            path.display()
        ))
    })?;
    if recorded.version != VERSION {
        return Err(CliError::Other(format!(
            "{}: evidence of version {}, and this portcullis reads version {VERSION}: record it again",
            path.display(),
            recorded.version
        )));
    }
    Ok(recorded)
}

/// The files that a path stands for, in their order; its last part may contain `*`. None is an error: a misspelt path must
/// not pass for an image without evidence.
fn files(path: &Path) -> Result<Vec<PathBuf>, CliError> {
    let failed = |message: String| CliError::Other(format!("{}: {message}", path.display()));
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(|| failed("not the path of a file".to_owned()))?;
    if !name.contains('*') {
        return Ok(vec![path.to_owned()]);
    }
    let pattern = TextPattern::compile(&TextMatch::Glob(name.to_owned())).map_err(&failed)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| failed(error.to_string()))? {
        let entry = entry.map_err(|error| failed(error.to_string()))?;
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| pattern.matches(name)) {
            found.push(entry.path());
        }
        if found.len() > MAX_FILES {
            return Err(failed(format!("stands for more than {MAX_FILES} files")));
        }
    }
    if found.is_empty() {
        return Err(failed("there is no such file".to_owned()));
    }
    found.sort();
    Ok(found)
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>, CliError> {
    safe_file::read_unowned(path, limit)
        .map(|file| file.bytes)
        .map_err(|error| lint::failed(path, &error))
}
