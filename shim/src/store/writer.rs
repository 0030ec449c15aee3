//! The one thread that writes the file. What waits for it is bounded in bytes: beyond that, and after every failure,
//! the file is brought in line with memory as a whole, so that no change is lost while the process lives.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use redb::Database;
use tokio::sync::oneshot;

use super::file::{self, Failure, UNWRITABLE};
use super::memory::{Change, Memory};
use super::table::Table;

/// Most bytes that wait to be written one by one.
const PENDING_BYTES: usize = 8 * 1024 * 1024;

/// How long changes are collected when nobody waits for them.
const LINGER: Duration = Duration::from_millis(20);

/// First and longest pause after a failure.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// How long a clean shutdown waits for the thread (docs/architecture.md: a drain lasts at most 2 s).
const DRAIN: Duration = Duration::from_secs(2);

/// What a waiter is told.
pub(super) type Outcome = Result<(), &'static str>;

/// What waits to be written.
#[derive(Debug, Default)]
struct Pending {
    changes: BTreeMap<(Table, String), Option<Vec<u8>>>,
    bytes: usize,
    /// The file differs from memory in more than `changes` says.
    rewrite: bool,
    waiters: Vec<oneshot::Sender<Outcome>>,
    stop: bool,
    failed: u64,
    last_error: Option<&'static str>,
}

impl Pending {
    fn add(&mut self, change: Change) {
        let size = change.key.len() + change.value.as_ref().map_or(0, Vec::len);
        self.bytes = self.bytes.saturating_add(size);
        if self.rewrite || self.bytes > PENDING_BYTES {
            self.rewrite = true;
            self.changes.clear();
            return;
        }
        self.changes
            .insert((change.table, change.key), change.value);
    }

    fn idle(&self) -> bool {
        self.changes.is_empty() && !self.rewrite && self.waiters.is_empty()
    }
}

#[derive(Debug)]
struct Shared {
    pending: Mutex<Pending>,
    wake: Condvar,
    memory: Arc<RwLock<Memory>>,
    path: PathBuf,
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Numbers of the writer.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct WriterHealth {
    pub(super) pending: usize,
    pub(super) failed: u64,
    pub(super) last_error: Option<&'static str>,
}

/// The writer. Dropping it writes what is pending and closes the file.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    done: Mutex<mpsc::Receiver<()>>,
}

impl Writer {
    /// Starts the thread. Without a database the file could be read only; opening it is tried again.
    pub(super) fn start(
        path: PathBuf,
        memory: Arc<RwLock<Memory>>,
        database: Option<Database>,
    ) -> std::io::Result<Self> {
        let mut pending = Pending::default();
        if database.is_none() {
            pending.failed = 1;
            pending.rewrite = true;
            pending.last_error = Some(UNWRITABLE);
        }
        let pause = database.is_none().then_some(BACKOFF.0);
        let shared = Arc::new(Shared {
            pending: Mutex::new(pending),
            wake: Condvar::new(),
            memory,
            path,
        });
        let (sender, done) = mpsc::channel();
        let thread = Thread {
            shared: Arc::clone(&shared),
            database,
            pause,
            _done: sender,
        };
        thread::Builder::new()
            .name("evidence-writer".to_owned())
            .spawn(move || thread.run())?;
        Ok(Self {
            shared,
            done: Mutex::new(done),
        })
    }

    /// Adds changes. The caller holds the lock on memory, so that their order is the order of the puts.
    pub(super) fn add(&self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        let mut pending = self.shared.pending();
        for change in changes {
            pending.add(change);
        }
        drop(pending);
        self.shared.wake.notify_one();
    }

    /// Tells when everything added so far is on disk, or failed to get there.
    pub(super) fn written(&self) -> oneshot::Receiver<Outcome> {
        let (sender, receiver) = oneshot::channel();
        let mut pending = self.shared.pending();
        pending.waiters.retain(|waiter| !waiter.is_closed());
        pending.waiters.push(sender);
        drop(pending);
        self.shared.wake.notify_one();
        receiver
    }

    pub(super) fn health(&self) -> WriterHealth {
        let pending = self.shared.pending();
        WriterHealth {
            pending: pending.changes.len() + usize::from(pending.rewrite),
            failed: pending.failed,
            last_error: pending.last_error,
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.pending().stop = true;
        self.shared.wake.notify_one();
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        // Ends when the thread drops its sender; a thread stuck in a dead disk is left behind.
        if done.recv_timeout(DRAIN) == Err(mpsc::RecvTimeoutError::Timeout) {
            tracing::warn!(path = %self.shared.path.display(), "the evidence store was not written in time at shutdown");
        }
    }
}

/// What is taken to be written at once.
struct Batch {
    changes: Vec<Change>,
    rewrite: bool,
    waiters: Vec<oneshot::Sender<Outcome>>,
}

struct Thread {
    shared: Arc<Shared>,
    /// `None` after a failure: redb refuses a file after an error until it is opened again.
    database: Option<Database>,
    /// Pause after a failure.
    pause: Option<Duration>,
    _done: mpsc::Sender<()>,
}

impl Thread {
    fn run(mut self) {
        while let Some(batch) = self.next() {
            let outcome = self.write(&batch);
            let mut pending = self.shared.pending();
            let told = match outcome {
                Ok(()) => {
                    self.pause = None;
                    pending.last_error = None;
                    Ok(())
                }
                Err(failure) => {
                    let next = self
                        .pause
                        .map_or(BACKOFF.0, |pause| (pause * 2).min(BACKOFF.1));
                    self.pause = Some(next);
                    pending.failed = pending.failed.saturating_add(1);
                    pending.rewrite = true;
                    pending.changes.clear();
                    pending.last_error = Some(failure.kind());
                    Err(failure.kind())
                }
            };
            drop(pending);
            for waiter in batch.waiters {
                let _ = waiter.send(told);
            }
        }
        if let Some(database) = self.database.take() {
            file::close(database);
        }
    }

    /// Waits for work. `None`: stopped, with nothing left that could be written.
    fn next(&self) -> Option<Batch> {
        let mut pending = self.shared.pending();
        let begun = Instant::now();
        let linger = self.pause.unwrap_or(LINGER);
        loop {
            let idle = pending.idle();
            if pending.stop && (idle || self.pause.is_some()) {
                return None;
            }
            let waited = begun.elapsed();
            let urgent = pending.stop || !pending.waiters.is_empty();
            if !idle && (urgent || waited >= linger) {
                break;
            }
            pending = if idle {
                self.shared
                    .wake
                    .wait(pending)
                    .unwrap_or_else(PoisonError::into_inner)
            } else {
                let left = linger.saturating_sub(waited);
                let woken = self.shared.wake.wait_timeout(pending, left);
                woken.unwrap_or_else(PoisonError::into_inner).0
            };
        }
        let changes = std::mem::take(&mut pending.changes);
        pending.bytes = 0;
        Some(Batch {
            changes: changes
                .into_iter()
                .map(|((table, key), value)| Change { table, key, value })
                .collect(),
            rewrite: std::mem::take(&mut pending.rewrite),
            waiters: std::mem::take(&mut pending.waiters),
        })
    }

    fn write(&mut self, batch: &Batch) -> Result<(), Failure> {
        let mut rewrite = batch.rewrite;
        let database = if let Some(database) = self.database.take() {
            database
        } else {
            let opened = file::open(&self.shared.path)?;
            if let Some((place, cause)) = opened.set_aside {
                tracing::error!(place = %place.display(), cause, "the evidence store was damaged and set aside");
            }
            rewrite = true;
            opened.database
        };
        let result = if rewrite {
            self.everything()
                .and_then(|all| file::rewrite(&database, &all))
        } else if batch.changes.is_empty() {
            Ok(())
        } else {
            file::apply(&database, &batch.changes)
        };
        match result {
            Ok(()) => self.database = Some(database),
            Err(ref failure) => {
                tracing::warn!(path = %self.shared.path.display(), ?failure, "the evidence store could not be written");
                file::close(database);
            }
        }
        result
    }

    /// All of memory. Changes that are pending by now are part of it and are written again, which does no harm.
    fn everything(&self) -> Result<Vec<Change>, Failure> {
        let memory = self
            .shared
            .memory
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        memory.dump().map_err(|error| Failure::Io(error.into()))
    }
}
