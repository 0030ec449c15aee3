//! Which set is in force after a reading: docs/rules.md rule 10, without I/O.

use std::sync::Arc;

use portcullis_policy::bootstrap::Bootstrap;
use portcullis_policy::load::SourceFile;
use portcullis_policy::{Diagnostic, Severity, Span};
use portcullis_trust::Timestamp;

use super::loader::{BOOTSTRAP_NAME, Loader, set_hash};
use super::{ActivePolicy, Contents};

/// What was found on disk. A diagnostic stands for what could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reading {
    /// The directory.
    pub(super) contents: Result<Contents, Diagnostic>,
    /// bootstrap.yaml; `None`: there is none.
    pub(super) bootstrap: Result<Option<SourceFile>, Diagnostic>,
}

/// The set in force with the files it came from.
pub(super) struct State {
    loader: Arc<dyn Loader>,
    files: Vec<SourceFile>,
    bootstrap: Option<SourceFile>,
    active: Arc<ActivePolicy>,
}

impl State {
    /// The state before the directory was read: the last good set if there is one that still loads, else the empty
    /// one. Generation 0. Also says why the last good set is not used.
    ///
    /// # Errors
    /// Diagnostics if not even the empty set compiles.
    pub(super) fn new(
        loader: Arc<dyn Loader>,
        last_good: Option<Vec<SourceFile>>,
        now: Timestamp,
    ) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        let mut unusable = Vec::new();
        if let Some(mut files) = last_good {
            let bootstrap = files
                .iter()
                .position(|file| file.name == BOOTSTRAP_NAME)
                .map(|at| files.remove(at));
            match Self::build(loader.clone(), files, bootstrap, now) {
                Ok(state) => return Ok((state, unusable)),
                Err(diagnostics) => unusable = diagnostics,
            }
        }
        let state = Self::build(loader, Vec::new(), None, now)?;
        Ok((state, unusable))
    }

    fn build(
        loader: Arc<dyn Loader>,
        files: Vec<SourceFile>,
        bootstrap: Option<SourceFile>,
        now: Timestamp,
    ) -> Result<Self, Vec<Diagnostic>> {
        let list = parse_bootstrap(&*loader, bootstrap.as_ref())?;
        let (policy, warnings) = loader.policy(&files, list)?;
        let active = ActivePolicy {
            policy,
            generation: 0,
            hash: set_hash(&files, bootstrap.as_ref()),
            since: now,
            warnings,
            refused: Vec::new(),
        };
        Ok(Self {
            loader,
            files,
            bootstrap,
            active: Arc::new(active),
        })
    }

    /// What is in force.
    pub(super) fn active(&self) -> Arc<ActivePolicy> {
        self.active.clone()
    }

    /// The files of the set in force, to be kept as the last good set; empty if there is no policy.
    pub(super) fn sources(&self) -> Vec<SourceFile> {
        let mut files = self.files.clone();
        if !files.is_empty()
            && let Some(bootstrap) = &self.bootstrap
        {
            files.push(SourceFile {
                name: BOOTSTRAP_NAME.to_owned(),
                ..bootstrap.clone()
            });
        }
        files
    }

    /// Takes a reading. A set that is empty or missing replaces one that is not only if `accept_empty`.
    pub(super) fn take(&mut self, reading: Reading, accept_empty: bool, now: Timestamp) {
        let mut refused = Vec::new();
        let bootstrap = self.choose_bootstrap(reading.bootstrap, &mut refused);
        let files = self.choose_files(reading.contents, accept_empty, &mut refused);

        let new = files.and_then(|files| {
            self.load(&files, bootstrap.as_ref())
                .and_then(|loaded| {
                    // Files without a single policy, such as one cut to nothing, are no set either.
                    let emptied = !says_nothing(&self.active.policy) && says_nothing(&loaded.0);
                    if emptied && !accept_empty {
                        return Err(vec![emptied_set("holds no policy")]);
                    }
                    Ok(loaded)
                })
                .map_err(|diagnostics| refused.extend(diagnostics))
                .ok()
                .map(|loaded| (files, loaded))
        });
        // A new bootstrap list takes force even where the documents beside it are broken.
        let new = new.or_else(|| {
            let files = self.files.clone();
            let loaded = self.load(&files, bootstrap.as_ref()).ok()?;
            Some((files, loaded))
        });
        let Some((files, (policy, mut warnings))) = new else {
            let active = Arc::make_mut(&mut self.active);
            active.generation = active.generation.max(1);
            active.refused = refused;
            return;
        };
        let hash = set_hash(&files, bootstrap.as_ref());
        if files.is_empty() {
            warnings.push(no_policy());
        }
        let changed = hash != self.active.hash || self.active.generation == 0;
        self.active = Arc::new(ActivePolicy {
            policy,
            generation: self.active.generation + u64::from(changed),
            since: if changed { now } else { self.active.since },
            hash,
            warnings,
            refused,
        });
        self.files = files;
        self.bootstrap = bootstrap;
    }

    /// The files to try; `None`: those in force stay.
    fn choose_files(
        &self,
        contents: Result<Contents, Diagnostic>,
        accept_empty: bool,
        refused: &mut Vec<Diagnostic>,
    ) -> Option<Vec<SourceFile>> {
        let (files, what) = match contents {
            Ok(Contents::Files(files)) => (files, "holds no policy files"),
            Ok(Contents::Missing) => (Vec::new(), "does not exist"),
            Err(diagnostic) => {
                refused.push(diagnostic);
                return None;
            }
        };
        if files.is_empty() && !self.files.is_empty() && !accept_empty {
            refused.push(emptied_set(what));
            return None;
        }
        Some(files)
    }

    /// The bootstrap list to use: what was read, or what is in force where that does not load.
    fn choose_bootstrap(
        &self,
        read: Result<Option<SourceFile>, Diagnostic>,
        refused: &mut Vec<Diagnostic>,
    ) -> Option<SourceFile> {
        let checked = read
            .map_err(|diagnostic| vec![diagnostic])
            .and_then(|file| parse_bootstrap(&*self.loader, file.as_ref()).map(|_| file));
        match checked {
            Ok(file) => file,
            Err(diagnostics) => {
                refused.extend(diagnostics);
                self.bootstrap.clone()
            }
        }
    }

    #[allow(clippy::type_complexity, reason = "the loader's own result")]
    fn load(
        &self,
        files: &[SourceFile],
        bootstrap: Option<&SourceFile>,
    ) -> Result<(portcullis_trust::CompiledPolicy, Vec<Diagnostic>), Vec<Diagnostic>> {
        let list = parse_bootstrap(&*self.loader, bootstrap)?;
        self.loader.policy(files, list)
    }
}

fn parse_bootstrap(
    loader: &dyn Loader,
    file: Option<&SourceFile>,
) -> Result<Bootstrap, Vec<Diagnostic>> {
    file.map_or_else(|| Ok(Bootstrap::default()), |file| loader.bootstrap(file))
}

/// Whether a policy has no document that governs anything.
fn says_nothing(policy: &portcullis_trust::CompiledPolicy) -> bool {
    policy.set.governed_namespaces.is_empty() && !policy.set.has_cluster_policy
}

fn emptied_set(what: &str) -> Diagnostic {
    whole_file(
        "policyDir",
        Severity::Error,
        format!(
            "the policy directory {what}; the last good set stays in force. Put the policies back, or drop it with \
             `portcullis policy reset`"
        ),
    )
}

fn no_policy() -> Diagnostic {
    whole_file(
        "policyDir",
        Severity::Warning,
        "there is no policy: every image but those of bootstrap.yaml is denied".to_owned(),
    )
}

/// A diagnostic about a file as a whole.
pub(super) fn whole_file(file: &str, severity: Severity, message: String) -> Diagnostic {
    Diagnostic {
        severity,
        span: Span {
            file: file.into(),
            line: 0,
            column: 0,
            path: String::new(),
        },
        message,
    }
}

#[cfg(test)]
pub(in crate::policy) mod tests;
