//! The bridge between the proxy's thread and the gate's runtime: a bounded channel (full means refuse), so that no
//! signature check, fsync or DNS lookup delays a call that only passes through.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use portcullis_proto::method::Method;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::task::TaskTracker;

use super::{Gate, refusal};
use crate::intercept::{After, Before, Interceptor, Reply, Ticket};

/// Calls waiting for the gate's runtime to pick them up.
const QUEUE: usize = 256;
/// Calls being judged at once: a node starts 250 pods at most, kubelet asks for a few at a time.
const IN_WORK: usize = 512;

enum Job {
    Before {
        method: &'static Method,
        message: Bytes,
        answer: oneshot::Sender<Before>,
    },
    After {
        ticket: Ticket,
        reply: Reply,
        answer: oneshot::Sender<After>,
    },
}

/// The gate as the proxy holds it.
#[derive(Debug, Clone)]
pub struct GateHandle {
    jobs: mpsc::Sender<Job>,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Before { .. } => "Before",
            Self::After { .. } => "After",
        })
    }
}

impl GateHandle {
    /// A handle, and the loop to run on the gate's runtime. The loop ends when every handle is gone, after the calls in
    /// work have ended.
    pub fn new(gate: Gate) -> (Self, impl Future<Output = ()> + Send) {
        let (jobs, queue) = mpsc::channel(QUEUE);
        (Self { jobs }, dispatch(gate, queue))
    }
}

async fn dispatch(gate: Gate, mut queue: mpsc::Receiver<Job>) {
    let in_work = Arc::new(Semaphore::new(IN_WORK));
    let tasks = TaskTracker::new();
    while let Some(job) = queue.recv().await {
        let Ok(permit) = Arc::clone(&in_work).acquire_owned().await else {
            break;
        };
        let gate = gate.clone();
        tasks.spawn(async move {
            let _permit = permit;
            run(&gate, job).await;
        });
    }
    tasks.close();
    tasks.wait().await;
}

/// Runs one job. When the client goes away a `before` is dropped (flights it shares go on); an `after` is always finished,
/// because a container may have been made that nobody looked at yet.
async fn run(gate: &Gate, job: Job) {
    match job {
        Job::Before {
            method,
            message,
            mut answer,
        } => {
            let outcome = tokio::select! {
                outcome = gate.before(method, message) => outcome,
                () = answer.closed() => return,
            };
            let _ = answer.send(outcome);
        }
        Job::After {
            ticket,
            reply,
            answer,
        } => {
            let _ = answer.send(gate.after(ticket, reply).await);
        }
    }
}

impl Interceptor for GateHandle {
    fn before(&self, method: &'static Method, message: Bytes) -> BoxFuture<'static, Before> {
        let (answer, outcome) = oneshot::channel();
        let queued = self.jobs.try_send(Job::Before {
            method,
            message,
            answer,
        });
        async move {
            let busy = || Before::Refuse(refusal::unavailable("the gate is overloaded, try again"));
            match queued {
                Ok(()) => outcome.await.unwrap_or_else(|_| {
                    Before::Refuse(refusal::unavailable("the gate is shutting down, try again"))
                }),
                Err(_) => busy(),
            }
        }
        .boxed()
    }

    fn after(&self, ticket: Ticket, reply: Reply) -> BoxFuture<'static, After> {
        let (answer, outcome) = oneshot::channel();
        let jobs = self.jobs.clone();
        async move {
            // Unlike a request, an answer is never turned away: its container or image already exists.
            if jobs
                .send(Job::After {
                    ticket,
                    reply,
                    answer,
                })
                .await
                .is_err()
            {
                return After::Refuse(refusal::unavailable("the gate is shutting down, try again"));
            }
            outcome.await.unwrap_or_else(|_| {
                After::Refuse(refusal::unavailable("the gate is shutting down, try again"))
            })
        }
        .boxed()
    }
}
