//! The thread that keeps the policy: reads the directory, puts sets in force, writes the last good one down.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use portcullis_policy::load::SourceFile;
use portcullis_policy::{Diagnostic, Severity};

use super::directory::DirectoryReader;
use super::handle::{Command, PolicyHandle, ResetError};
use super::last_good::{LastGood, LastGoodError};
use super::loader::Loader;
use super::state::{Reading, State, whole_file};
use super::watch::Watch;
use super::{PolicySettings, read_bootstrap};
use crate::clock::Clock;

/// Commands that may wait; more are the same wish again.
const QUEUE: usize = 16;
/// How soon a directory that could not be read is tried again.
const RETRY: Duration = Duration::from_secs(2);
/// How long a stop waits for a keeper that hangs in the file system.
const STOP: Duration = Duration::from_secs(1);

/// Why no policy can be kept at all.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Not even the empty set compiles: a defect.
    #[error("the empty policy does not compile")]
    Empty(Vec<Diagnostic>),
    /// No thread.
    #[error("the policy keeper cannot be started: {0}")]
    Thread(#[from] io::Error),
}

/// Owns the thread; dropping it stops the thread.
#[derive(Debug)]
pub struct PolicyKeeper {
    stop: Arc<AtomicBool>,
    control: SyncSender<Command>,
    stopped: Receiver<()>,
}

impl PolicyKeeper {
    /// Reads the policy once, so that a set is in force when this returns, and then keeps it. Problems with the files
    /// are no error: they are in [`super::ActivePolicy::refused`], and what is in force denies what it does not know.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(
        settings: PolicySettings,
        loader: Arc<dyn Loader>,
        last_good: Box<dyn LastGood>,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, PolicyHandle), StartError> {
        let kept = last_good.load();
        let mut unusable: Vec<_> = kept
            .as_ref()
            .err()
            .map(unusable_last_good)
            .into_iter()
            .collect();
        let kept = kept.ok().flatten();
        let (state, broken) =
            State::new(loader, kept.clone(), clock.now()).map_err(StartError::Empty)?;
        unusable.extend(broken);

        let (control, commands) = sync_channel(QUEUE);
        let handle = PolicyHandle::new((*state.active()).clone(), Some(control.clone()));
        let reader = DirectoryReader::new(&settings.dir, settings.quiet);
        let mut keeper = Keeper {
            watch: Watch::new(&settings.dir, &settings.bootstrap, control.clone()),
            saved: kept,
            last_reading: None,
            handle: handle.clone(),
            settings,
            reader,
            state,
            last_good,
            unusable,
            clock,
        };
        keeper.reload(false);

        let stop = Arc::new(AtomicBool::new(false));
        let (done, stopped) = sync_channel(1);
        thread::Builder::new().name("policy".to_owned()).spawn({
            let stop = stop.clone();
            move || {
                keeper.run(&commands, &stop);
                done.send(()).ok();
            }
        })?;
        Ok((
            Self {
                stop,
                control,
                stopped,
            },
            handle,
        ))
    }
}

impl Drop for PolicyKeeper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.control.try_send(Command::Changed).ok();
        // Hung in a dead file system, it ends with the process.
        self.stopped.recv_timeout(STOP).ok();
    }
}

struct Keeper {
    settings: PolicySettings,
    reader: DirectoryReader,
    watch: Watch,
    state: State,
    handle: PolicyHandle,
    last_good: Box<dyn LastGood>,
    unusable: Vec<Diagnostic>,
    saved: Option<Vec<SourceFile>>,
    last_reading: Option<Reading>,
    clock: Arc<dyn Clock>,
}

impl Keeper {
    fn run(&mut self, commands: &Receiver<Command>, stop: &AtomicBool) {
        loop {
            let command = match commands.recv_timeout(self.patience()) {
                Ok(Command::Changed) => self.settle(commands, stop),
                Ok(command) => Some(command),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if stop.load(Ordering::Acquire) {
                return;
            }
            match command {
                Some(Command::Reset(done)) => {
                    done.send(self.reset()).ok();
                }
                Some(Command::Reload(done)) => {
                    self.reload(false);
                    done.send(()).ok();
                }
                Some(Command::Changed) | None => self.reload(false),
            }
        }
    }

    /// How long to wait when nothing is reported.
    fn patience(&self) -> Duration {
        match &self.last_reading {
            Some(reading) if reading.contents.is_err() => self.settings.poll.min(RETRY),
            _ => self.settings.poll,
        }
    }

    /// Waits until nothing moved for the quiet time, or for too long, or something else is wanted.
    fn settle(&self, commands: &Receiver<Command>, stop: &AtomicBool) -> Option<Command> {
        let latest = Instant::now() + self.settings.quiet * 10;
        while !stop.load(Ordering::Acquire) && Instant::now() < latest {
            match commands.recv_timeout(self.settings.quiet) {
                Ok(Command::Changed) => {}
                Ok(command) => return Some(command),
                Err(_) => return None,
            }
        }
        None
    }

    fn reload(&mut self, accept_empty: bool) {
        self.watch.rearm();
        let reading = self.read();
        if !accept_empty && self.last_reading.as_ref() == Some(&reading) {
            self.save();
            return;
        }
        let before = self.state.active();
        self.state
            .take(reading.clone(), accept_empty, self.clock.now());
        self.last_reading = Some(reading);
        let mut after = self.state.active();
        if !self.unusable.is_empty() {
            Arc::make_mut(&mut after)
                .warnings
                .extend(self.unusable.iter().cloned());
        }
        if !after.refused.is_empty() && after.refused != before.refused {
            self.handle.count_refusal();
            for diagnostic in &after.refused {
                tracing::error!(%diagnostic, "policy refused; the previous set stays in force");
            }
        }
        if after.generation != before.generation {
            for diagnostic in &after.warnings {
                tracing::warn!(%diagnostic, "policy");
            }
            tracing::info!(
                generation = after.generation,
                hash = after.hash,
                rules = after.policy.set.rules.len(),
                "policy in force"
            );
        }
        self.handle.publish(after);
        self.save();
    }

    /// Forgets the last good set, unless the directory holds one that does not load.
    fn reset(&mut self) -> Result<(), ResetError> {
        self.last_good.clear()?;
        self.saved = None;
        self.unusable.clear();
        // What stays in force because the directory is broken is written down again.
        self.reload(true);
        let refused = self.state.active().refused.clone();
        if refused.is_empty() {
            tracing::warn!("the last good policy set was dropped by `policy reset`");
            Ok(())
        } else {
            Err(ResetError::Refused(refused))
        }
    }

    /// Writes the set in force down, if that has not been done.
    fn save(&mut self) {
        let sources = self.state.sources();
        if sources.is_empty() || self.saved.as_ref() == Some(&sources) {
            self.handle.set_unsaved(false);
            return;
        }
        match self.last_good.save(&sources) {
            Ok(()) => {
                self.saved = Some(sources);
                self.unusable.clear();
                self.handle.set_unsaved(false);
            }
            Err(error) => {
                tracing::error!(%error, "the policy in force would not survive a reboot: it cannot be written down");
                self.handle.set_unsaved(true);
            }
        }
    }

    fn read(&self) -> Reading {
        Reading {
            contents: self.reader.read(&*self.clock).map_err(|error| {
                whole_file(
                    &error.path().display().to_string(),
                    Severity::Error,
                    error.to_string(),
                )
            }),
            bootstrap: read_bootstrap(&self.settings.bootstrap),
        }
    }
}

fn unusable_last_good(error: &LastGoodError) -> Diagnostic {
    whole_file(
        &error.path.display().to_string(),
        Severity::Error,
        format!("the last good set cannot be used: {}", error.cause),
    )
}

#[cfg(test)]
mod native_tests;
#[cfg(test)]
mod tests;
