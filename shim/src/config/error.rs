//! Why a configuration is refused.

use std::io;
use std::path::PathBuf;

/// Why config.yaml cannot be used. Each text begins with the place.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read, or was named on the command line and does not exist.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Larger than 1 MiB.
    #[error("{}: larger than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit: u64,
    },
    /// Others than root (or the user this runs as) could have written it.
    #[error("{}: {cause}", path.display())]
    Unsafe {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        cause: String,
    },
    /// Not what the format says.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Line, from 1; 0 where the whole file is meant.
        line: u64,
        /// Column, from 1; 0 where the whole file is meant.
        column: u64,
        /// What is wrong.
        message: String,
    },
}
