//! The queue between whoever logs and whoever reads the log: bounded, and full means that the line is dropped and
//! counted. A reader that is stuck holds up one thread here and nothing else.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

use super::Counter;

/// Lines that may wait.
const QUEUE: usize = 4096;
/// Longest line; what is longer is cut, so that the queue's memory is bounded.
const MAX_LINE: usize = 16 * 1024;
/// How long the end waits for a reader.
const FLUSH: Duration = Duration::from_secs(1);

enum Message {
    Line(Vec<u8>),
    End,
}

/// Where log lines are put. Never blocks, never fails.
#[derive(Clone)]
pub(super) struct Queue {
    lines: SyncSender<Message>,
    dropped: Counter,
}

/// Dropping it writes out what waits, for at most one second.
#[derive(Debug)]
pub struct LogGuard {
    queue: Queue,
    done: Receiver<()>,
}

/// Starts the writer's thread; `target` gives the file for each line.
pub(super) fn start<W, F>(target: F) -> io::Result<(Queue, LogGuard)>
where
    W: Write,
    F: Fn() -> W + Send + 'static,
{
    let (lines, waiting) = sync_channel(QUEUE);
    let (finished, done) = sync_channel(1);
    let dropped = Arc::new(AtomicU64::new(0));
    let failed = dropped.clone();
    thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || {
            while let Ok(Message::Line(line)) = waiting.recv() {
                if target().write_all(&line).is_err() {
                    failed.fetch_add(1, Ordering::Relaxed);
                }
            }
            finished.send(()).ok();
        })?;
    let queue = Queue { lines, dropped };
    Ok((queue.clone(), LogGuard { queue, done }))
}

impl LogGuard {
    /// Lines that never reached the log.
    pub fn dropped(&self) -> Arc<AtomicU64> {
        self.queue.dropped.clone()
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        // A full queue at the end means a stuck reader: waiting would not help.
        if self.queue.lines.try_send(Message::End).is_ok() {
            self.done.recv_timeout(FLUSH).ok();
        }
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Queue")
    }
}

impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let kept = match line.get(..MAX_LINE) {
            Some(cut) if line.len() > MAX_LINE => [cut, b"\n".as_slice()].concat(),
            _ => line.to_vec(),
        };
        if self.lines.try_send(Message::Line(kept)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_arrive_in_order_and_the_end_waits_for_them() {
        let sink = Sink::default();
        let target = sink.clone();
        let (mut queue, guard) = start(move || target.clone()).unwrap();
        for n in 0..100 {
            queue.write_all(format!("{n}\n").as_bytes()).unwrap();
        }
        drop(guard);
        let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        let numbers: Vec<usize> = text.lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_stuck_reader_costs_lines_and_holds_nobody_up() {
        let (release, gate) = sync_channel::<()>(0);
        let gate = Mutex::new(gate);
        let (mut queue, guard) = start(move || {
            gate.lock().unwrap().recv().ok();
            io::sink()
        })
        .unwrap();
        let lines = QUEUE * 2;
        for _ in 0..lines {
            queue.write_all(b"line\n").unwrap();
        }
        let dropped = guard.dropped().load(Ordering::Relaxed);
        // One line is in the writer's hands, or not yet.
        assert!(
            (lines - QUEUE - 1..=lines - QUEUE).contains(&usize::try_from(dropped).unwrap()),
            "{dropped}"
        );
        drop(release);
        drop(guard);
    }

    #[test]
    fn a_line_that_cannot_be_written_is_counted() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (mut queue, guard) = start(|| Full).unwrap();
        queue.write_all(b"line\n").unwrap();
        let dropped = guard.dropped();
        drop(guard);
        assert_eq!(dropped.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn an_endless_line_is_cut() {
        let sink = Sink::default();
        let target = sink.clone();
        let (mut queue, guard) = start(move || target.clone()).unwrap();
        queue.write_all(&vec![b'x'; MAX_LINE * 3]).unwrap();
        drop(guard);
        assert_eq!(sink.0.lock().unwrap().len(), MAX_LINE + 1);
    }
}
