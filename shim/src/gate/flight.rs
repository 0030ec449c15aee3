//! One flight per key, and a short memory of failures (docs/rules.md rule 11).
//!
//! A flight is owned by the table, not by its first caller: a caller that goes away cancels nothing. A key must hold
//! everything that a result depends on (namespace, policy generation, credentials), so that no tenant rides on
//! another's credentials or failure.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// Most keys remembered at once; beyond it flights are not shared and failures not remembered.
const MAX_KEYS: usize = 4096;

/// How long a result may be handed to later callers.
pub(super) trait Keep {
    /// `None`: the result is for those who waited for it, and nobody else.
    fn keep(&self) -> Option<Duration>;
}

enum Entry<V> {
    Running(watch::Receiver<Option<V>>),
    Kept { value: V, until: Instant },
}

/// The table of flights.
pub(super) struct Flights<K, V> {
    entries: Arc<Mutex<HashMap<K, Entry<V>>>>,
    tasks: TaskTracker,
}

impl<K, V> Flights<K, V>
where
    K: Eq + Hash + Clone + Send + 'static,
    V: Clone + Keep + Send + Sync + 'static,
{
    /// An empty table whose flights are counted in `tasks`.
    pub(super) fn new(tasks: TaskTracker) -> Self {
        Self {
            entries: Arc::default(),
            tasks,
        }
    }

    /// Joins the flight for `key`, or starts it with `work`. `None`: the flight ended without a result (it panicked or
    /// the runtime is going down).
    pub(super) async fn join<F>(&self, key: K, work: impl FnOnce() -> F) -> Option<V>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut receiver = {
            let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            match entries.get(&key) {
                Some(Entry::Kept { value, until }) if *until > Instant::now() => {
                    return Some(value.clone());
                }
                Some(Entry::Running(receiver)) if receiver.has_changed().is_ok() => {
                    receiver.clone()
                }
                _ => {
                    let (sender, receiver) = watch::channel(None);
                    make_room(&mut entries);
                    let shared = entries.len() < MAX_KEYS;
                    if shared {
                        entries.insert(key.clone(), Entry::Running(receiver.clone()));
                    }
                    self.spawn(key, shared, work(), sender);
                    receiver
                }
            }
        };
        let value = receiver.wait_for(Option::is_some).await.ok()?;
        value.clone()
    }

    fn spawn<F>(&self, key: K, shared: bool, work: F, sender: watch::Sender<Option<V>>)
    where
        F: Future<Output = V> + Send + 'static,
    {
        let entries = Arc::clone(&self.entries);
        self.tasks.spawn(async move {
            let value = work.await;
            if shared {
                let mut entries = entries.lock().unwrap_or_else(PoisonError::into_inner);
                match value.keep() {
                    Some(keep) => {
                        let until = Instant::now() + keep;
                        entries.insert(
                            key,
                            Entry::Kept {
                                value: value.clone(),
                                until,
                            },
                        );
                    }
                    None => {
                        entries.remove(&key);
                    }
                }
            }
            let _ = sender.send(Some(value));
        });
    }
}

/// Drops what is over when the table is full.
fn make_room<K, V>(entries: &mut HashMap<K, Entry<V>>)
where
    K: Eq + Hash,
{
    if entries.len() >= MAX_KEYS {
        let now = Instant::now();
        entries.retain(|_, entry| match entry {
            Entry::Running(receiver) => receiver.has_changed().is_ok(),
            Entry::Kept { until, .. } => *until > now,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Clone, PartialEq, Debug)]
    struct Outcome(usize, Option<Duration>);

    impl Keep for Outcome {
        fn keep(&self) -> Option<Duration> {
            self.1
        }
    }

    fn table() -> Flights<&'static str, Outcome> {
        Flights::new(TaskTracker::new())
    }

    #[tokio::test]
    async fn callers_of_one_key_share_one_flight() {
        let (flights, runs) = (table(), Arc::new(AtomicUsize::new(0)));
        let (open, gate) = watch::channel(false);
        let work = || {
            let (runs, mut gate) = (Arc::clone(&runs), gate.clone());
            async move {
                let run = runs.fetch_add(1, Ordering::SeqCst);
                let _ = gate.wait_for(|open| *open).await;
                Outcome(run, None)
            }
        };
        let first = flights.join("a", work);
        let second = flights.join("a", work);
        let other = flights.join("b", work);
        let release = async {
            let _ = open.send(true);
        };
        let (first, second, other, ()) = tokio::join!(first, second, other, release);
        assert_eq!(first, second);
        assert_ne!(first, other);
        assert_eq!(runs.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_flight_outlives_its_first_caller() {
        let flights = table();
        let (open, mut gate) = watch::channel(false);
        let started = flights.join("a", || async move {
            let _ = gate.wait_for(|open| *open).await;
            Outcome(7, None)
        });
        assert!(
            futures_util::future::FutureExt::now_or_never(started).is_none(),
            "still in the air"
        );
        let second = flights.join("a", || async { Outcome(8, None) });
        let _ = open.send(true);
        assert_eq!(second.await, Some(Outcome(7, None)));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_remembered_for_their_time_only() {
        let flights = table();
        let keep = Some(Duration::from_secs(5));
        assert_eq!(
            flights.join("a", || async move { Outcome(1, keep) }).await,
            Some(Outcome(1, keep))
        );
        assert_eq!(
            flights.join("a", || async { Outcome(2, None) }).await,
            Some(Outcome(1, keep))
        );
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(
            flights.join("a", || async { Outcome(3, None) }).await,
            Some(Outcome(3, None))
        );
    }

    #[tokio::test]
    async fn a_flight_that_dies_is_not_waited_for_again() {
        let flights = table();
        let died = flights.join("a", || async { panic!("on purpose") }).await;
        assert_eq!(died, None);
        assert_eq!(
            flights.join("a", || async { Outcome(1, None) }).await,
            Some(Outcome(1, None))
        );
    }
}
