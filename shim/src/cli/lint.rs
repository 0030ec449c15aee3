//! `portcullis policy lint`: says about files what the daemon would say.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use portcullis_policy::bootstrap::Bootstrap;
use portcullis_policy::load::SourceFile;
use portcullis_policy::{Diagnostic, Severity, Span};
use serde::Serialize;

use super::args::{Global, LintArgs};
use super::text::{Style, count, plain};
use super::{CliError, Exit, answer};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::policy::safe_file::{self, SafeFileError};
use crate::policy::{
    Contents, DirectoryReader, Loader, PolicySettings, SetLoader, files_unowned, unread_folders,
};

/// Largest file read; the daemon's cap for a whole set.
const MAX_BYTES: u64 = 32 * 1024 * 1024;

#[derive(Debug, Serialize)]
struct LintReport {
    files: usize,
    /// Absent: the set does not load.
    rules: Option<usize>,
    errors: usize,
    warnings: usize,
    diagnostics: Vec<Diagnostic>,
}

#[derive(Debug, Default)]
pub(super) struct Input {
    pub(super) files: Vec<SourceFile>,
    pub(super) bootstrap: Option<SourceFile>,
    /// Name in the set to the path as it was given.
    pub(super) shown: BTreeMap<String, String>,
}

pub(super) fn run(global: &Global, args: &LintArgs) -> Result<Exit, CliError> {
    let config = global.config_unowned()?;
    let input = gather(&args.paths, &config, Layout::Set)?;
    if input.files.is_empty() && input.bootstrap.is_none() {
        // A misspelt path in a pipeline must not pass for a sound policy.
        return Err(CliError::Other(
            "no policy file (*.yaml, *.yml, *.json) is there: nothing was checked".to_owned(),
        ));
    }
    let loader = SetLoader {
        options: config.load_options(),
        mode: config.mode,
    };
    let report = lint(&loader, &input, unread(&args.paths));
    answer(global.output, &report, render)?;
    Ok(if report.errors == 0 {
        Exit::Yes
    } else {
        Exit::No
    })
}

/// What lies beside the files of other tools and is not read: somebody meant a policy by it.
fn unread(paths: &[PathBuf]) -> Vec<Diagnostic> {
    let folders = paths.iter().flat_map(|path| unread_folders(path));
    let warning = |folder: PathBuf| {
        Diagnostic {
        severity: Severity::Warning,
        span: Span {
            file: folder.display().to_string().into(),
            line: 0,
            column: 0,
            path: String::new(),
        },
        message: "this folder is not read; those that are: keys/, containers/, containers/registries.d/, notation/ and \
                  notation/x509/{ca,signingAuthority,tsa}/NAME/"
            .to_owned(),
    }
    };
    folders.map(warning).collect()
}

fn lint(loader: &SetLoader, input: &Input, mut diagnostics: Vec<Diagnostic>) -> LintReport {
    let bootstrap = match input.bootstrap.as_ref().map(|file| loader.bootstrap(file)) {
        Some(Ok(list)) => list,
        Some(Err(found)) => {
            diagnostics.extend(found);
            Bootstrap::default()
        }
        None => Bootstrap::default(),
    };
    let rules = match loader.policy(&input.files, bootstrap) {
        Ok((policy, warnings)) => {
            diagnostics.extend(warnings);
            Some(policy.set.rules.len())
        }
        Err(found) => {
            diagnostics.extend(found);
            None
        }
    };
    // What loads, and is probably not what was meant. It repeats what the loader said, which is shown once.
    diagnostics.extend(portcullis_policy::load::lint(&input.files, &loader.options));
    for diagnostic in &mut diagnostics {
        if let Some(path) = input.shown.get(&*diagnostic.span.file) {
            diagnostic.span.file = path.as_str().into();
        }
    }
    diagnostics.sort_by(|a, b| (&a.span, &a.message).cmp(&(&b.span, &b.message)));
    diagnostics.dedup();
    let of = |severity| {
        diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.severity == severity)
            .count()
    };
    LintReport {
        files: input.files.len() + usize::from(input.bootstrap.is_some()),
        rules,
        errors: of(Severity::Error),
        warnings: of(Severity::Warning),
        diagnostics,
    }
}

/// How paths are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// As the policy directory of a node.
    Set,
    /// As that, or as the directories of other tools: one that holds policy.json is `containers/`, one with trustpolicy.json
    /// `notation/`.
    SetOrTool,
}

/// All paths as one set. Files are named relative to their directory, as documents name their keys.
pub(super) fn gather(
    paths: &[PathBuf],
    config: &Config,
    layout: Layout,
) -> Result<Input, CliError> {
    let mut input = Input::default();
    for path in paths {
        let metadata = fs::metadata(path).map_err(|error| failed(path, &error.into()))?;
        if !metadata.is_dir() {
            add_file(path, &name_of_file(path, layout), &mut input)?;
        } else if same(path, &config.policy_dir) {
            add_policy_dir(path, &mut input)?;
        } else {
            add_dir(path, layout, &mut input)?;
        }
    }
    Ok(input)
}

/// Reads the node's own policy directory as the daemon does: owners and modes count.
fn add_policy_dir(path: &Path, input: &mut Input) -> Result<(), CliError> {
    let settings = PolicySettings::new(path, "");
    let contents = DirectoryReader::new(path, settings.quiet)
        .read(&SystemClock)
        .map_err(|error| CliError::Other(format!("{}: {error}", error.path().display())))?;
    if let Contents::Files(files) = contents {
        for file in files {
            let shown = path.join(&file.name);
            input.add(file, &shown);
        }
    }
    Ok(())
}

/// Reads a folder of a checkout, or a folder of another tool.
fn add_dir(path: &Path, layout: Layout, input: &mut Input) -> Result<(), CliError> {
    let is_there = |name: &str| path.join(name).is_file();
    let folder = if layout == Layout::Set {
        ""
    } else if is_there("policy.json") {
        "containers"
    } else if is_there("trustpolicy.json") || is_there("trustpolicy.oci.json") {
        "notation"
    } else {
        ""
    };
    let files = files_unowned(path, folder)
        .map_err(|error| CliError::Other(format!("{}: {error}", error.path().display())))?;
    files
        .iter()
        .try_for_each(|(name, file)| add_file(file, name, input))
}

/// Reads any file as `name`. In a checkout owners and modes mean nothing, so none is handed on.
fn add_file(path: &Path, name: &str, input: &mut Input) -> Result<(), CliError> {
    let read = safe_file::read_unowned(path, MAX_BYTES).map_err(|error| failed(path, &error))?;
    let file = SourceFile {
        name: name.to_owned(),
        bytes: read.bytes,
        mode: None,
    };
    input.add(file, path);
    Ok(())
}

/// What a single file is called in the set. Those of other tools are known by their names, and what is no document is a key.
fn name_of_file(path: &Path, layout: Layout) -> String {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let is_known = [
        "yaml", "yml", "json", "pem", "pub", "crt", "cer", "asc", "gpg",
    ]
    .iter()
    .any(|extension| path.extension().is_some_and(|found| found == *extension));
    match name.as_str() {
        _ if layout == Layout::Set => name,
        "policy.json" => format!("containers/{name}"),
        "trustpolicy.json" | "trustpolicy.oci.json" => format!("notation/{name}"),
        _ if is_known => name,
        _ => format!("keys/{name}"),
    }
}

impl Input {
    /// Adds a file; one that is named like another keeps its whole path as its name.
    fn add(&mut self, mut file: SourceFile, path: &Path) {
        let shown = path.display().to_string();
        if file.name == "bootstrap.yaml" && self.bootstrap.is_none() {
            file.name = shown;
            self.bootstrap = Some(file);
            return;
        }
        if self.shown.contains_key(&file.name) {
            file.name.clone_from(&shown);
        }
        self.shown.insert(file.name.clone(), shown);
        self.files.push(file);
    }
}

fn same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

pub(super) fn failed(path: &Path, error: &SafeFileError) -> CliError {
    CliError::Other(format!("{}: {error}", path.display()))
}

fn render(report: &LintReport, style: Style) -> String {
    let mut out = String::new();
    for diagnostic in &report.diagnostics {
        let word = match diagnostic.severity {
            Severity::Error => style.bad("error:"),
            Severity::Warning => style.warn("warning:"),
        };
        let span = &diagnostic.span;
        let place = if span.line > 0 {
            format!("{}:{}:{}", span.file, span.line, span.column)
        } else {
            span.file.to_string()
        };
        let place = style.strong(&plain(&place));
        let message = plain(&diagnostic.message);
        write!(out, "{place}: {word} {message}").ok();
        if !span.path.is_empty() {
            out.push_str(&style.dim(&format!(" [{}]", plain(&span.path))));
        }
        out.push('\n');
    }
    let files = count(report.files, "file");
    match report.rules {
        Some(rules) if report.errors == 0 => {
            write!(
                out,
                "{}: {files}, {}",
                style.good("ok"),
                count(rules, "rule")
            )
        }
        _ => write!(
            out,
            "{}: {files}, {}",
            style.bad("refused"),
            count(report.errors, "error")
        ),
    }
    .ok();
    if report.warnings > 0 {
        write!(out, ", {}", count(report.warnings, "warning")).ok();
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagnostic_reads_like_a_compilers() {
        let report = LintReport {
            files: 1,
            rules: None,
            errors: 1,
            warnings: 0,
            diagnostics: vec![Diagnostic {
                severity: Severity::Error,
                span: portcullis_policy::Span {
                    file: "a.yaml".into(),
                    line: 3,
                    column: 5,
                    path: "spec.x".to_owned(),
                },
                message: "unknown field".to_owned(),
            }],
        };
        assert_eq!(
            render(&report, Style::default()),
            "a.yaml:3:5: error: unknown field [spec.x]\nrefused: 1 file, 1 error\n"
        );
    }

    #[test]
    fn a_directory_stands_for_its_policy_files() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.yaml", "a.json", ".x.yaml", "README.md", "bootstrap.yaml"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        fs::create_dir(dir.path().join("keys")).unwrap();
        fs::write(dir.path().join("keys/shop.pub"), "").unwrap();
        let input =
            gather(&[dir.path().to_owned()], &Config::default(), Layout::Set).unwrap_or_default();
        let names: Vec<_> = input.files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["a.json", "b.yaml", "keys/shop.pub"]);
        assert_eq!(
            input.shown["keys/shop.pub"],
            dir.path().join("keys/shop.pub").display().to_string()
        );
        assert!(input.bootstrap.is_some());
    }

    #[test]
    fn folders_and_keys_of_other_tools_are_known_by_what_they_hold() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "containers/policy.json",
            "containers/registries.conf",
            "containers/registries.d/default.yaml",
            "notation/trustpolicy.json",
            "notation/x509/ca/acme/root.pem",
            "pki/RPM-GPG-KEY-release",
        ] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap_or(dir.path())).unwrap_or_default();
            fs::write(path, "").unwrap_or_default();
        }
        let paths = ["containers", "notation", "pki/RPM-GPG-KEY-release"];
        let paths = paths.map(|name| dir.path().join(name));
        let input = gather(&paths, &Config::default(), Layout::SetOrTool).unwrap_or_default();
        let names: Vec<_> = input.files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "containers/policy.json",
                "containers/registries.conf",
                "containers/registries.d/default.yaml",
                "notation/trustpolicy.json",
                "notation/x509/ca/acme/root.pem",
                "keys/RPM-GPG-KEY-release",
            ]
        );
    }

    #[test]
    fn a_folder_that_is_nearly_one_of_those_that_are_read_is_pointed_out() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "Containers/policy.json",
            "containers/policies/shop.json",
            "containers/registries.d/more/a.yaml",
            "notation/x509/ca/acme/old/root.pem",
            "tests/a.yaml",
            "containers/.git/x.json",
            "keys/shop.pub",
        ] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let found = unread(&[dir.path().to_owned()]);
        let folders: Vec<&str> = found
            .iter()
            .filter_map(|one| one.span.file.strip_prefix(dir.path().to_str()?))
            .collect();
        assert_eq!(
            folders,
            [
                "/Containers",
                "/containers/policies",
                "/containers/registries.d/more",
                "/notation/x509/ca/acme/old",
            ]
        );
        assert!(found.iter().all(|one| one.severity == Severity::Warning));
    }
}
