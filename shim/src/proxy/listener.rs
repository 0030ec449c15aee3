//! The socket the kubelet connects to: bound by us, or handed over by systemd.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use listenfd::ListenFd;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, listen, socket,
};
use nix::sys::stat::{Mode, fchmod};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

/// Why there is no socket to serve on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another process answers on the path.
    #[error("{}: another process is serving on this socket; stop it first", path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something else than a socket is there.
    #[error("{}: exists and is no socket; it is left alone, remove it or choose another `listen`", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// A system call failed.
    #[error("{}: the socket cannot be {action}: {source}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// What was tried: `bound`, `checked`, `locked`, `removed`, `used`.
        action: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// systemd handed over something that is no listening unix stream socket.
    #[error(
        "descriptor {index} from systemd is no unix stream socket ({source}); use ListenStream= with a path"
    )]
    Activation {
        /// Counted from 0.
        index: usize,
        /// The cause.
        source: io::Error,
    },
}

/// A listening socket. Dropped, it removes the file of a socket that it bound itself, if the path still leads there.
#[derive(Debug)]
pub struct Listener {
    inner: UnixListener,
    bound: Option<Bound>,
}

/// The file of a socket that we made.
#[derive(Debug)]
struct Bound {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Listener {
    /// Binds `path` with mode 0600 in an existing directory, replacing a socket that nobody serves any more.
    ///
    /// # Errors
    /// [`ListenError`]; a socket that something answers on, and a file that is no socket, stay untouched.
    pub fn bind(path: &Path) -> Result<Self, ListenError> {
        let failed = |action| {
            move |error: Errno| ListenError::Io {
                path: path.to_owned(),
                action,
                source: error.into(),
            }
        };
        let _turn = lock_directory(path)?;
        remove_stale(path)?;
        let socket = socket(
            AddressFamily::Unix,
            SockType::Stream,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            None,
        )
        .map_err(failed("bound"))?;
        // On Linux a bound socket's file takes its mode from the descriptor: at no moment is it open to others.
        fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR).map_err(failed("bound"))?;
        let address = UnixAddr::new(path).map_err(failed("bound"))?;
        bind(socket.as_raw_fd(), &address).map_err(failed("bound"))?;
        listen(&socket, Backlog::MAXCONN).map_err(failed("bound"))?;
        let meta = std::fs::symlink_metadata(path).map_err(io_at(path, "checked"))?;
        Ok(Self {
            inner: UnixListener::from_std(StdListener::from(socket))
                .map_err(io_at(path, "used"))?,
            bound: Some(Bound {
                path: path.to_owned(),
                device: meta.dev(),
                inode: meta.ino(),
            }),
        })
    }

    /// The socket that systemd hands over at `index`, if it does. Its file is systemd's and stays in place.
    ///
    /// # Errors
    /// [`ListenError::Activation`] if the descriptor is something else.
    pub fn activated(
        descriptors: &mut ListenFd,
        index: usize,
    ) -> Result<Option<Self>, ListenError> {
        let failed = |source| ListenError::Activation { index, source };
        let Some(listener) = descriptors.take_unix_listener(index).map_err(failed)? else {
            return Ok(None);
        };
        Self::from_std(listener).map_err(failed).map(Some)
    }

    /// A socket made elsewhere. Its file is left alone.
    ///
    /// # Errors
    /// If it cannot be made non-blocking or used by the current runtime.
    pub fn from_std(listener: StdListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self {
            inner: UnixListener::from_std(listener)?,
            bound: None,
        })
    }

    /// The next connection and one of `slots`. While none is free, connections wait in the backlog.
    pub(crate) async fn accept(
        &self,
        slots: &Arc<Semaphore>,
    ) -> (UnixStream, OwnedSemaphorePermit) {
        let mut backoff = FIRST_BACKOFF;
        loop {
            let Ok(slot) = Arc::clone(slots).acquire_owned().await else {
                // Nobody closes it.
                return std::future::pending().await;
            };
            match self.inner.accept().await {
                Ok((stream, _)) => return (stream, slot),
                Err(error) => {
                    // EMFILE and ENFILE stay until descriptors are closed: do not spin meanwhile.
                    tracing::warn!(%error, "a connection could not be accepted");
                    drop(slot);
                    sleep(backoff).await;
                    backoff = backoff.saturating_mul(2).min(LAST_BACKOFF);
                }
            }
        }
    }
}

const FIRST_BACKOFF: Duration = Duration::from_millis(10);
const LAST_BACKOFF: Duration = Duration::from_secs(1);

impl Drop for Listener {
    fn drop(&mut self) {
        let Some(bound) = &self.bound else { return };
        let ours = std::fs::symlink_metadata(&bound.path)
            .is_ok_and(|meta| (meta.dev(), meta.ino()) == (bound.device, bound.inode));
        if ours && let Err(error) = std::fs::remove_file(&bound.path) {
            tracing::warn!(path = %bound.path.display(), %error, "the socket could not be removed");
        }
    }
}

/// Makes "is it stale? remove it, bind" one step among processes that start at the same time.
fn lock_directory(path: &Path) -> Result<Flock<File>, ListenError> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let file = File::open(directory).map_err(io_at(path, "bound"))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| match error {
        Errno::EWOULDBLOCK => ListenError::InUse {
            path: path.to_owned(),
        },
        error => io_at(path, "locked")(error.into()),
    })
}

fn remove_stale(path: &Path) -> Result<(), ListenError> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io_at(path, "checked")(error)),
        Ok(meta) if !meta.file_type().is_socket() => {
            return Err(ListenError::NotASocket {
                path: path.to_owned(),
            });
        }
        Ok(_) => {}
    }
    match answers(path) {
        // Only this says that nobody listens; EAGAIN is a full backlog.
        Err(Errno::ECONNREFUSED) => std::fs::remove_file(path).map_err(io_at(path, "removed")),
        Ok(()) | Err(Errno::EAGAIN) => Err(ListenError::InUse {
            path: path.to_owned(),
        }),
        Err(error) => Err(io_at(path, "checked")(error.into())),
    }
}

/// Connects without waiting.
fn answers(path: &Path) -> Result<(), Errno> {
    let probe = socket(
        AddressFamily::Unix,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        None,
    )?;
    connect(probe.as_raw_fd(), &UnixAddr::new(path)?)
}

fn io_at(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> ListenError {
    let path = path.to_owned();
    move |source| ListenError::Io {
        path,
        action,
        source,
    }
}
