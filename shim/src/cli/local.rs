//! The gate in this process: the policy on disk, an empty evidence store in memory.

use std::sync::Arc;

use portcullis_policy::{Diagnostic, Severity};

use super::args::Global;
use super::parts::parts;
use super::{CliError, complain};
use crate::admin::Admin;
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config};
use crate::gate::Gate;
use crate::policy::{
    self, ActivePolicy, Contents, DirectoryReader, Loader as _, PolicyHandle, PolicySettings,
    SetLoader,
};
use crate::store::Store;
use crate::telemetry::Metrics;

/// The admin interface to a gate in this process. A policy that does not load is an error: the daemon may have a last
/// good set, which cannot be known here.
pub(super) fn admin(global: &Global, config: &Config) -> Result<Admin, CliError> {
    let policy = PolicyHandle::fixed(load(global, config)?);
    let metrics = Arc::new(Metrics::new());
    let parts = parts(
        config,
        policy.clone(),
        Store::in_memory(),
        metrics.clone(),
        Arc::new(SystemClock),
    )?;
    Ok(Admin::new(Arc::new(Gate::new(parts)), policy, metrics))
}

/// Loads policy and bootstrap list as the daemon would.
fn load(global: &Global, config: &Config) -> Result<ActivePolicy, CliError> {
    let clock = SystemClock;
    let settings = PolicySettings::new(
        &config.policy_dir,
        config::bootstrap_path(&global.config_path()),
    );
    let loader = SetLoader {
        options: config.load_options(),
        mode: config.mode,
    };
    let files = match DirectoryReader::new(&settings.dir, settings.quiet).read(&clock) {
        Ok(Contents::Files(files)) => files,
        Ok(Contents::Missing) => {
            complain(&format!(
                "portcullis: {} does not exist: there is no policy, everything is denied",
                settings.dir.display()
            ));
            Vec::new()
        }
        Err(error) => {
            return Err(CliError::Other(format!(
                "{}: {error}",
                error.path().display()
            )));
        }
    };
    let bootstrap = policy::read_bootstrap(&settings.bootstrap).map_err(CliError::other)?;
    let list = match &bootstrap {
        Some(file) => loader.bootstrap(file).map_err(|found| refused(&found))?,
        None => portcullis_policy::bootstrap::Bootstrap::default(),
    };
    let (policy, warnings) = loader
        .policy(&files, list)
        .map_err(|found| refused(&found))?;
    Ok(ActivePolicy {
        policy,
        generation: 1,
        hash: policy::set_hash(&files, bootstrap.as_ref()),
        since: clock.now(),
        warnings,
        refused: Vec::new(),
    })
}

pub(super) fn refused(diagnostics: &[Diagnostic]) -> CliError {
    let errors: Vec<String> = diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.severity == Severity::Error)
        .map(|diagnostic| format!("  {diagnostic}"))
        .collect();
    CliError::Other(format!("the policy does not load:\n{}", errors.join("\n")))
}
