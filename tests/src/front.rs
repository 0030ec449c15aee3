//! A TCP front before a server on loopback: counts what comes, and can turn the server away, silent or slow.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// What the front does with connections, new and open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Weather {
    /// Passes everything.
    Fair = 0,
    /// Closes every connection at once: the server is down.
    Down = 1,
    /// Takes connections and never answers.
    Silent = 2,
    /// Passes a few bytes at a time.
    Slow = 3,
}

#[derive(Debug)]
struct Shared {
    weather: AtomicU8,
    connections: AtomicU64,
}

impl Shared {
    fn weather(&self) -> Weather {
        match self.weather.load(Ordering::SeqCst) {
            0 => Weather::Fair,
            1 => Weather::Down,
            2 => Weather::Silent,
            _ => Weather::Slow,
        }
    }
}

/// The front. It lives on a thread of its own until it is dropped.
#[derive(Debug)]
pub struct Front {
    port: u16,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Front {
    /// Listens on a free loopback port before `server`.
    pub fn start(server: u16) -> Result<Self> {
        let shared = Arc::new(Shared {
            weather: AtomicU8::new(Weather::Fair as u8),
            connections: AtomicU64::new(0),
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let listener = {
            let _guard = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let (stop, stopped) = oneshot::channel();
        let state = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    () = accept(listener, SocketAddr::from(([127, 0, 0, 1], server)), state) => {}
                    _ = stopped => {}
                }
            });
        });
        Ok(Self {
            port,
            shared,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Connections so far.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Changes the weather.
    pub fn set(&self, weather: Weather) {
        self.shared.weather.store(weather as u8, Ordering::SeqCst);
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::SeqCst);
        if shared.weather() == Weather::Down {
            continue;
        }
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let Ok(server) = TcpStream::connect(server).await else {
                return;
            };
            let (client_in, client_out) = client.into_split();
            let (server_in, server_out) = server.into_split();
            tokio::select! {
                () = copy(client_in, server_out, &shared, false) => {}
                () = copy(server_in, client_out, &shared, true) => {}
            }
        });
    }
}

async fn copy(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    shared: &Shared,
    answers: bool,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count) = from.read(&mut buffer).await {
        let mut rest = buffer.get(..count).unwrap_or_default();
        if rest.is_empty() {
            return;
        }
        while !rest.is_empty() {
            let step = match shared.weather() {
                Weather::Fair => rest.len(),
                Weather::Down => return,
                Weather::Silent if answers => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
                Weather::Slow if answers => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    rest.len().min(8)
                }
                Weather::Silent | Weather::Slow => rest.len(),
            };
            let (now, later) = rest.split_at(step);
            if to.write_all(now).await.is_err() {
                return;
            }
            rest = later;
        }
    }
}
