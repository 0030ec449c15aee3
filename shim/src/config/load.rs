//! Reading config.yaml.

use std::io;
use std::path::Path;

use serde_yaml::options::{DuplicateKeyPolicy, MergeKeyPolicy};

use super::{Config, ConfigError};
use crate::policy::safe_file::{self, SafeFile, SafeFileError};

/// Where the configuration is unless the command line says otherwise. It may be absent.
pub const DEFAULT_PATH: &str = "/etc/portcullis/config.yaml";

/// Largest file read, in bytes.
pub(super) const MAX_BYTES: u64 = 1024 * 1024;

/// Reads the configuration. `explicit` names the file given on the command line, which must exist; without it an
/// absent [`DEFAULT_PATH`] means [`Config::default`].
///
/// # Errors
/// [`ConfigError`] with the place, if the file cannot be read, is writable by others, or says anything unknown.
pub fn load(explicit: Option<&Path>) -> Result<Config, ConfigError> {
    load_with(explicit, safe_file::read)
}

/// [`load`] for commands that only look at files: it does not matter who owns the configuration.
///
/// # Errors
/// [`ConfigError`].
pub fn load_unowned(explicit: Option<&Path>) -> Result<Config, ConfigError> {
    load_with(explicit, safe_file::read_unowned)
}

fn load_with(
    explicit: Option<&Path>,
    read: impl Fn(&Path, u64) -> Result<SafeFile, SafeFileError>,
) -> Result<Config, ConfigError> {
    let path = explicit.unwrap_or_else(|| Path::new(DEFAULT_PATH));
    match read(path, MAX_BYTES) {
        Ok(file) => parse(path, &file.bytes),
        Err(SafeFileError::Io(source))
            if explicit.is_none() && source.kind() == io::ErrorKind::NotFound =>
        {
            Ok(Config::default())
        }
        Err(SafeFileError::Io(source)) => Err(ConfigError::Read {
            path: path.to_owned(),
            source,
        }),
        Err(SafeFileError::TooLarge { limit }) => Err(ConfigError::TooLarge {
            path: path.to_owned(),
            limit,
        }),
        Err(cause) => Err(ConfigError::Unsafe {
            path: path.to_owned(),
            cause: cause.to_string(),
        }),
    }
}

/// Parses the bytes of a configuration file; `path` is for messages only. An empty file is the default.
///
/// # Errors
/// [`ConfigError::Invalid`] with line and column.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<Config, ConfigError> {
    let invalid = |line, column, message| ConfigError::Invalid {
        path: path.to_owned(),
        line,
        column,
        message,
    };
    let text = std::str::from_utf8(bytes)
        .map_err(|_| invalid(0, 0, "the file is not UTF-8".to_owned()))?;
    let mut options = serde_yaml::Options::default();
    options.strict_booleans = true;
    options.duplicate_keys = DuplicateKeyPolicy::Error;
    options.merge_keys = MergeKeyPolicy::Error;
    options.with_snippet = false;
    serde_yaml::from_str_with_options::<Option<Config>>(text, options)
        .map(Option::unwrap_or_default)
        .map_err(|error| {
            let (line, column) = error
                .location()
                .map_or((0, 0), |place| (place.line(), place.column()));
            invalid(line, column, plain(&error))
        })
}

/// The library's text without the place, which stands in front already.
fn plain(error: &serde_yaml::Error) -> String {
    let text = error.without_snippet().to_string();
    match text.split_once(" at line ") {
        Some((message, _)) => message.to_owned(),
        None => text,
    }
}
