//! Why the store cannot do what it is asked.

/// The store cannot be used as asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error("the evidence store {path} is in use by another process")]
    Busy {
        /// Its path.
        path: String,
    },
    /// It could not be opened or written. Memory holds what was put.
    #[error("the evidence store {path}: {source}")]
    Io {
        /// Its path.
        path: String,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The trust data is older than what this node believed before. Nothing was changed.
    #[error(
        "the trust data of {gun} is older than what this node has seen, or starts from another root"
    )]
    Rollback {
        /// The collection.
        gun: String,
    },
    /// Larger than the store takes. Nothing was changed.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// What.
        what: &'static str,
        /// The limit in bytes.
        limit: usize,
    },
    /// Every record of the table is in use by an image on this node, and there is no room for another.
    #[error("the table {table} of the evidence store is full of records in use")]
    Full {
        /// The table.
        table: &'static str,
    },
}

impl StoreError {
    pub(super) fn encoding(source: serde_json::Error) -> Self {
        Self::Io {
            path: "(encoding)".to_owned(),
            source: source.into(),
        }
    }
}
