//! The proxy's thread: one current-thread runtime, from the socket to the end of the drain.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use listenfd::ListenFd;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::config::Config;
use crate::intercept::Interceptor;
use crate::proxy::notify::{self, Pending};
use crate::proxy::{ListenError, Listener, Proxy, ProxyMetrics};

/// The running proxy.
pub(super) struct ProxyThread {
    stop: Option<oneshot::Sender<()>>,
    ended: oneshot::Receiver<Result<(), String>>,
}

impl ProxyThread {
    /// Starts the thread; `listening` is told once the socket is there. That it cannot be there comes from
    /// [`ProxyThread::ended`].
    ///
    /// # Errors
    /// If there can be no thread.
    pub(super) fn start(
        config: &Config,
        interceptor: Arc<dyn Interceptor>,
        metrics: Arc<ProxyMetrics>,
        listening: Pending,
    ) -> Result<Self, String> {
        let (stop, stopped) = oneshot::channel();
        let (finished, ended) = oneshot::channel();
        let listen = config.listen.clone();
        let proxy = Proxy::new(&config.upstream, interceptor, metrics);
        std::thread::Builder::new()
            .name("proxy".to_owned())
            .spawn(move || {
                finished.send(run(&listen, proxy, listening, stopped)).ok();
            })
            .map_err(|error| format!("the proxy cannot be started: {error}"))?;
        Ok(Self {
            stop: Some(stop),
            ended,
        })
    }

    /// Completes with the reason when the proxy ends without being asked to.
    pub(super) async fn ended(&mut self) -> String {
        match (&mut self.ended).await {
            Ok(Err(error)) => error,
            Ok(Ok(())) => "the proxy stopped by itself".to_owned(),
            Err(_) => "the proxy's thread died".to_owned(),
        }
    }

    /// Drains and waits for the end, for at most `patience`.
    pub(super) async fn stop(&mut self, patience: Duration) {
        if let Some(stop) = self.stop.take()
            && stop.send(()).is_ok()
            && timeout(patience, &mut self.ended).await.is_err()
        {
            tracing::error!("the proxy did not stop in time");
        }
    }
}

fn run(
    listen: &Path,
    proxy: Proxy,
    listening: Pending,
    stopped: oneshot::Receiver<()>,
) -> Result<(), String> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    runtime.block_on(async {
        let listener = listener(listen).map_err(|error| error.to_string())?;
        tracing::info!("serving CRI");
        listening.ready();
        tokio::select! {
            () = proxy.serve(listener, async { stopped.await.ok(); }) => Ok(()),
            // Ends only where there is no watchdog.
            () = async { notify::watchdog().await; std::future::pending().await } => Ok(()),
        }
    })
}

/// The socket that systemd hands over, else our own.
fn listener(path: &Path) -> Result<Listener, ListenError> {
    match Listener::activated(&mut ListenFd::from_env(), 0)? {
        Some(listener) => Ok(listener),
        None => Listener::bind(path),
    }
}
