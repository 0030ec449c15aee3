//! What the rest of the daemon holds of the policy: a pointer that readers follow without waiting.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};

use arc_swap::ArcSwap;
use portcullis_policy::Diagnostic;
use tokio::sync::{oneshot, watch};

use super::ActivePolicy;

/// Hands out the policy in force. Cheap to clone; a reader never waits.
#[derive(Clone)]
pub struct PolicyHandle {
    shared: Arc<Shared>,
}

struct Shared {
    current: ArcSwap<ActivePolicy>,
    generation: watch::Sender<u64>,
    control: Option<SyncSender<Command>>,
    refusals: AtomicU64,
    unsaved: AtomicBool,
}

/// What the keeper is told.
#[derive(Debug)]
pub(super) enum Command {
    /// Something moved in the directory: read it once it is quiet.
    Changed,
    /// Read it now, and say so when it is done.
    Reload(oneshot::Sender<()>),
    /// Forget the last good set and take what the directory holds, even nothing.
    Reset(oneshot::Sender<Result<(), ResetError>>),
}

/// Why `policy reset` changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum ResetError {
    /// The directory holds a set that does not load: dropping the good one would leave nothing.
    #[error(
        "the policy directory does not load, so the last good set was kept; mend it or empty it first"
    )]
    Refused(Vec<Diagnostic>),
    /// The stored copy could not be removed.
    #[error("the stored copy of the last good set cannot be removed: {0}")]
    LastGood(#[from] super::LastGoodError),
    /// Nobody keeps this policy (`--local`, or the daemon is stopping).
    #[error("the policy is not being kept by a running daemon")]
    NoKeeper,
}

impl PolicyHandle {
    /// A handle that never changes: for tests and `--local`.
    pub fn fixed(policy: ActivePolicy) -> Self {
        Self::new(policy, None)
    }

    pub(super) fn new(policy: ActivePolicy, control: Option<SyncSender<Command>>) -> Self {
        Self {
            shared: Arc::new(Shared {
                generation: watch::Sender::new(policy.generation),
                current: ArcSwap::from_pointee(policy),
                control,
                refusals: AtomicU64::new(0),
                unsaved: AtomicBool::new(false),
            }),
        }
    }

    /// The policy in force now.
    pub fn current(&self) -> Arc<ActivePolicy> {
        self.shared.current.load_full()
    }

    /// Sees every new generation (a reader that is late sees only the newest): after one, evidence is gathered for the
    /// images present (docs/rules.md rule 9).
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.shared.generation.subscribe()
    }

    /// Has the directory read now and waits for the outcome, which is in [`PolicyHandle::current`]. Nothing happens
    /// where nobody keeps the policy.
    pub async fn reload(&self) {
        let (done, read) = oneshot::channel();
        if self.send(Command::Reload(done)).is_ok() {
            read.await.ok();
        }
    }

    /// Drops the last good set and takes what the directory holds, even nothing (`policy reset`).
    ///
    /// # Errors
    /// [`ResetError`]; nothing changed then.
    pub async fn reset(&self) -> Result<(), ResetError> {
        let (done, outcome) = oneshot::channel();
        self.send(Command::Reset(done))
            .map_err(|()| ResetError::NoKeeper)?;
        outcome.await.unwrap_or(Err(ResetError::NoKeeper))
    }

    /// How many sets were refused since the start.
    pub fn refusals(&self) -> u64 {
        self.shared.refusals.load(Ordering::Relaxed)
    }

    /// Whether the set in force would not survive a reboot, because it could not be written down.
    pub fn unsaved(&self) -> bool {
        self.shared.unsaved.load(Ordering::Relaxed)
    }

    pub(super) fn publish(&self, policy: Arc<ActivePolicy>) {
        let generation = policy.generation;
        self.shared.current.store(policy);
        self.shared.generation.send_if_modified(|seen| {
            let modified = *seen != generation;
            *seen = generation;
            modified
        });
    }

    pub(super) fn count_refusal(&self) {
        self.shared.refusals.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn set_unsaved(&self, unsaved: bool) {
        self.shared.unsaved.store(unsaved, Ordering::Relaxed);
    }

    fn send(&self, command: Command) -> Result<(), ()> {
        match &self.shared.control {
            Some(control) => control.try_send(command).map_err(|error| match error {
                TrySendError::Full(_) | TrySendError::Disconnected(_) => (),
            }),
            None => Err(()),
        }
    }
}

impl fmt::Debug for PolicyHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let current = self.current();
        f.debug_struct("PolicyHandle")
            .field("generation", &current.generation)
            .field("hash", &current.hash)
            .finish_non_exhaustive()
    }
}
