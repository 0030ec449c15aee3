//! `portcullis serve`: the daemon. Only wiring: parts are made here, tied together, and stopped in order.
//!
//! Two runtimes: the proxy turns on one thread of its own, so that no signature check, disk or DNS lookup delays a
//! passed-through call; gate, admin socket and clients share the other (docs/architecture.md).

mod proxy_thread;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::args::Global;
use super::parts::parts;
use super::{CliError, Exit};
use crate::admin::{Admin, AdminServer, Limits};
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config, ForeignContainers, LazySnapshotters};
use crate::gate::{Gate, GateHandle};
use crate::policy::{FileLastGood, PolicyKeeper, PolicySettings, SetLoader};
use crate::proxy::notify::{self, Readiness};
use crate::proxy::{Listener, ProxyMetrics};
use crate::store::{Store, StoreError};
use crate::telemetry::{self, Kind, LogGuard, Metrics};

use proxy_thread::ProxyThread;

/// Threads of the gate's runtime.
const GATE_WORKERS: usize = 2;
/// How long the proxy may take to stop: its own drain of 2 s (docs/architecture.md) and a margin.
const PROXY_STOP: Duration = Duration::from_secs(4);
/// How long anything else may take to stop.
const STOP: Duration = Duration::from_secs(1);

/// The gate's tasks: its calls, its clock, its evidence. They end with this.
struct GateTasks(JoinSet<()>);

impl GateTasks {
    fn start(gate: &Gate, calls: impl Future<Output = ()> + Send + 'static) -> Self {
        let mut tasks = JoinSet::new();
        tasks.spawn(calls);
        let (time, tidy, warm) = (gate.clone(), gate.clone(), gate.clone());
        tasks.spawn(async move { tidy.keep_tidy().await });
        tasks.spawn(async move { time.keep_time().await });
        tasks.spawn(async move { warm.keep_warm().await });
        Self(tasks)
    }

    /// Answers that are being judged get a moment; whatever they leave undone is judged again at the next start.
    async fn stop(mut self) {
        timeout(STOP, self.0.join_next()).await.ok();
        self.0.shutdown().await;
    }
}

pub(super) fn run(global: &Global) -> Result<Exit, CliError> {
    let config = global.config()?;
    let log = telemetry::init(config.log_format).map_err(CliError::other)?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        config = %global.config_path().display(),
        "starting"
    );
    admit(&config);
    let runtime = Builder::new_multi_thread()
        .worker_threads(GATE_WORKERS)
        .thread_name("gate")
        .enable_all()
        .build()
        .map_err(|error| CliError::Other(format!("no runtime: {error}")))?;
    let outcome = runtime.block_on(serve(&config, &global.config_path(), &log));
    runtime.shutdown_timeout(STOP);
    if let Err(error) = &outcome {
        tracing::error!(%error, "stopped");
    }
    drop(log);
    outcome
}

/// Says which wishes of the configuration this build cannot fulfil: none may be thought in force.
fn admit(config: &Config) {
    if config.foreign_containers == ForeignContainers::Kill {
        tracing::warn!(
            "foreignContainers is `kill`, which this build does not do: containers it did not judge keep running"
        );
    }
    if config.lazy_snapshotters != LazySnapshotters::default() {
        tracing::warn!(
            "lazySnapshotters acknowledges some, but this build tells none apart: it denies no snapshotter"
        );
    }
}

async fn serve(config: &Config, config_path: &Path, log: &LogGuard) -> Result<Exit, CliError> {
    // Before anything is ready, so that no signal finds the default action.
    let mut signals = Signals::new().map_err(CliError::other)?;
    let readiness = Readiness::new();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let metrics = Arc::new(Metrics::new());
    let dropped = log.dropped();
    metrics.add_source(
        "log_lines_dropped",
        "Log lines dropped because nobody read them",
        Kind::Counter,
        "",
        move || vec![dropped.load(std::sync::atomic::Ordering::Relaxed).into()],
    );

    let (keeper, policy) = PolicyKeeper::start(
        PolicySettings::new(&config.policy_dir, config::bootstrap_path(config_path)),
        Arc::new(SetLoader {
            options: config.load_options(),
            mode: config.mode,
        }),
        Box::new(FileLastGood::new(&config.state_dir)),
        clock.clone(),
    )
    .map_err(CliError::other)?;
    metrics.add_policy(&policy);

    let store = open_store(config)?;
    let parts = parts(
        config,
        policy.clone(),
        store.clone(),
        metrics.clone(),
        clock,
    )?;
    metrics.add_store(&store);
    metrics.add_registry(parts.registry.clone());
    let gate = Gate::new(parts);
    let (handle, calls) = GateHandle::new(gate.clone());
    let tasks = GateTasks::start(&gate, calls);
    let proxy_metrics = Arc::new(ProxyMetrics::default());
    metrics.add_proxy(proxy_metrics.clone());

    let admin = AdminTask::start(config, Admin::new(Arc::new(gate), policy.clone(), metrics));
    let listening = readiness.part("proxy");
    let mut proxy = ProxyThread::start(config, Arc::new(handle), proxy_metrics, listening)
        .map_err(CliError::Other)?;
    readiness.started();

    let exit = loop {
        tokio::select! {
            biased;
            ended = proxy.ended() => {
                tracing::error!(error = ended, "the proxy ended");
                break Err(CliError::Other(ended));
            }
            wish = signals.next() => match wish {
                Wish::Stop => break Ok(Exit::Yes),
                Wish::Reload => {
                    notify::reloading();
                    let stop = tokio::select! {
                        () = policy.reload() => false,
                        () = signals.stop() => true,
                    };
                    notify::reloaded();
                    if stop {
                        break Ok(Exit::Yes);
                    }
                }
            },
        }
    };

    notify::stopping();
    tracing::info!("stopping");
    proxy.stop(PROXY_STOP).await;
    if let Some(admin) = admin {
        admin.stop().await;
    }
    tasks.stop().await;
    drop(keeper);
    if !matches!(timeout(STOP, store.flush()).await, Ok(Ok(()))) {
        tracing::warn!(
            "the evidence store could not be written out; what is missing is gathered again"
        );
    }
    exit
}

/// The evidence store. Without a usable disk the node goes on with an empty one in memory: nothing is trusted
/// unverified, and what is needed is gathered again (docs/architecture.md).
fn open_store(config: &Config) -> Result<Store, CliError> {
    match Store::open(&config.state_dir) {
        Ok(store) => Ok(store),
        Err(error @ StoreError::Busy { .. }) => Err(CliError::Other(format!(
            "{error}; is another portcullis running?"
        ))),
        Err(error) => {
            tracing::error!(%error, "no evidence will survive a restart: the store is kept in memory");
            Ok(Store::in_memory())
        }
    }
}

/// The admin server's task.
struct AdminTask {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl AdminTask {
    /// `None`, with an alarm in the log: pods are judged all the same.
    fn start(config: &Config, admin: Admin) -> Option<Self> {
        let path = &config.admin_socket;
        if let Some(dir) = path.parent()
            && let Err(error) = std::fs::create_dir_all(dir)
        {
            tracing::error!(dir = %dir.display(), %error, "the admin socket's directory cannot be made");
        }
        let listener = Listener::bind(path)
            .inspect_err(
                |error| tracing::error!(%error, "no admin socket: commands cannot ask the daemon"),
            )
            .ok()?;
        let server = AdminServer::new(Arc::new(admin), Limits::default());
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(server.serve(listener, async {
            stopped.await.ok();
        }));
        Some(Self { stop, task })
    }

    async fn stop(self) {
        self.stop.send(()).ok();
        timeout(STOP, self.task).await.ok();
    }
}

/// What a signal asks for.
enum Wish {
    Stop,
    Reload,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::Stop,
            _ = self.interrupt.recv() => Wish::Stop,
            _ = self.hangup.recv() => Wish::Reload,
        }
    }

    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
