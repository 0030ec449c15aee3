//! A lookaside store: a web server with files, such as `app@sha256=<hex>/signature-1`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;

use crate::liar::{Liar, Reply, json, status};

/// The store. It listens on loopback in plain http.
#[derive(Debug)]
pub struct Lookaside {
    front: Liar,
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

impl Lookaside {
    /// Starts an empty one.
    pub fn start() -> Result<Self> {
        let front = Liar::start(0, None)?;
        let files: Arc<Mutex<BTreeMap<String, Vec<u8>>>> = Arc::default();
        let held = Arc::clone(&files);
        front.says(move |asked| {
            let held = held.lock().unwrap_or_else(PoisonError::into_inner);
            Reply::Lie(match held.get(&asked.path) {
                Some(bytes) => json(bytes.clone()),
                None => status(404),
            })
        });
        Ok(Self { front, files })
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.front.port())
    }

    /// Adds signature `number` (from 1) for a digest in a repository.
    pub fn put(&self, repository: &str, digest: &str, number: usize, signature: Vec<u8>) {
        let digest = digest.replace(':', "=");
        let path = format!("/{repository}@{digest}/signature-{number}");
        self.files
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(path, signature);
    }

    /// The front: what was asked, and lies.
    pub fn front(&self) -> &Liar {
        &self.front
    }
}
