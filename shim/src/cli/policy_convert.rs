//! `portcullis policy convert`: writes a policy set of any format as portcullis.dev/v1.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use portcullis_policy::Span;
use portcullis_policy::convert::{Note, convert};
use portcullis_policy::load::load;
use serde::Serialize;

use super::args::{ConvertArgs, Global};
use super::text::plain;
use super::{CliError, Exit, answer, complain, lint};

/// What the written set is called in `--out`.
const FILE: &str = "converted.yaml";

#[derive(Debug, Serialize)]
struct ConvertReport {
    /// The documents, if they were not written to a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// The file they were written to.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    notes: Vec<Note>,
}

pub(super) fn run(global: &Global, args: &ConvertArgs) -> Result<Exit, CliError> {
    let config = global.config_unowned()?;
    let input = lint::gather(&args.paths, &config, lint::Layout::SetOrTool)?;
    if input.files.is_empty() {
        return Err(CliError::Other(
            "no policy file (*.yaml, *.yml, *.json) is there: nothing was converted".to_owned(),
        ));
    }
    let loaded = match load(&input.files, &config.load_options()) {
        Ok(loaded) => loaded,
        Err(mut diagnostics) => {
            for diagnostic in &mut diagnostics {
                name_as_given(&mut diagnostic.span, &input.shown);
                complain(&plain(&diagnostic.to_string()));
            }
            return Err(CliError::Other(
                "the set does not load, so that it cannot be converted".to_owned(),
            ));
        }
    };
    let converted = convert(&loaded.set).map_err(CliError::other)?;
    let mut notes = converted.notes;
    for note in &mut notes {
        name_as_given(&mut note.span, &input.shown);
        complain(&plain(&describe(note)));
    }
    let differs = notes.iter().any(|note| note.differs);
    let mut report = ConvertReport {
        text: None,
        file: None,
        notes,
    };
    match args.out.as_deref().filter(|out| *out != Path::new("-")) {
        Some(dir) => report.file = Some(write(dir, &converted.text)?),
        None => report.text = Some(converted.text),
    }
    answer(global.output, &report, |report, _| {
        match (&report.text, &report.file) {
            (Some(text), _) => text.clone(),
            (None, Some(file)) => format!("{}\n", plain(&file.display().to_string())),
            (None, None) => String::new(),
        }
    })?;
    Ok(if differs { Exit::No } else { Exit::Yes })
}

fn name_as_given(span: &mut Span, shown: &BTreeMap<String, String>) {
    if let Some(path) = shown.get(&*span.file) {
        span.file = path.as_str().into();
    }
}

fn describe(note: &Note) -> String {
    let word = if note.differs { "differs" } else { "note" };
    format!("{}: {word}: {}", note.span, note.message)
}

/// Writes the set for its owner's eyes only, as it may hold passwords, and never over another file.
fn write(dir: &Path, text: &str) -> Result<PathBuf, CliError> {
    let failed = |path: &Path, error: &std::io::Error| {
        CliError::Other(format!("{}: {error}", path.display()))
    };
    fs::create_dir_all(dir).map_err(|error| failed(dir, &error))?;
    let path = dir.join(FILE);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .map_err(|error| failed(&path, &error))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(|error| failed(&path, &error))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_may_hold_passwords_is_for_its_owner_and_overwrites_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("new");
        let path = write(&out, "a: b\n").unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(write(&out, "other").is_err());
        assert_eq!(fs::read_to_string(path).unwrap(), "a: b\n");
    }
}
