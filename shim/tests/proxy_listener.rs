//! The socket: who may connect, who may bind, what is left behind.

mod proxy_support;

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
use std::path::Path;
use std::process::{Command, Stdio};

use listenfd::ListenFd;
use portcullis::proxy::{Limits, ListenError, Listener};
use proxy_support::*;

fn bind_error(path: &Path) -> ListenError {
    Listener::bind(path).expect_err("bound")
}

#[tokio::test]
async fn the_socket_is_for_root_alone_and_goes_with_the_listener() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cri.sock");
    let listener = Listener::bind(&path).unwrap();
    let mode = std::fs::symlink_metadata(&path)
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    drop(listener);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_socket_left_by_a_killed_process_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cri.sock");
    // Dropping a plain listener leaves its file, as SIGKILL does.
    drop(StdListener::bind(&path).unwrap());
    assert!(path.exists());
    nobody_listens(&path);
    let _listener = Listener::bind(&path).unwrap();
    StdStream::connect(&path).unwrap();
}

/// Waits until the socket is nobody's: another test of this binary may be between fork and exec, and its child holds a copy of
/// every descriptor until then.
fn nobody_listens(path: &std::path::Path) {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while StdStream::connect(path).is_ok() {
        assert!(std::time::Instant::now() < end, "somebody still listens");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn two_servers_cannot_both_bind() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cri.sock");
    let first = Listener::bind(&path).unwrap();
    let inode = std::fs::symlink_metadata(&path).unwrap().ino();
    assert!(matches!(bind_error(&path), ListenError::InUse { .. }));
    assert_eq!(std::fs::symlink_metadata(&path).unwrap().ino(), inode);
    drop(first);
    Listener::bind(&path).unwrap();
}

#[tokio::test]
async fn a_server_that_is_too_busy_to_accept_keeps_its_socket() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cri.sock");
    let busy = nix::sys::socket::socket(
        nix::sys::socket::AddressFamily::Unix,
        nix::sys::socket::SockType::Stream,
        nix::sys::socket::SockFlag::SOCK_CLOEXEC,
        None,
    )
    .unwrap();
    let address = nix::sys::socket::UnixAddr::new(&path).unwrap();
    nix::sys::socket::bind(std::os::fd::AsRawFd::as_raw_fd(&busy), &address).unwrap();
    nix::sys::socket::listen(&busy, nix::sys::socket::Backlog::new(0).unwrap()).unwrap();
    let _queued = StdStream::connect(&path).unwrap();
    assert!(matches!(bind_error(&path), ListenError::InUse { .. }));
}

#[tokio::test]
async fn racing_starts_leave_one_server_and_its_socket() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cri.sock");
    for _ in 0..200 {
        drop(StdListener::bind(&path).unwrap());
        let runtime = tokio::runtime::Handle::current();
        let together = std::sync::Arc::new(std::sync::Barrier::new(8));
        let starts: Vec<_> = (0..8)
            .map(|_| {
                let (path, runtime) = (path.clone(), runtime.clone());
                let together = std::sync::Arc::clone(&together);
                std::thread::spawn(move || {
                    let _runtime = runtime.enter();
                    together.wait();
                    Listener::bind(&path)
                })
            })
            .collect();
        let results: Vec<_> = starts
            .into_iter()
            .map(|start| start.join().unwrap())
            .collect();
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
        StdStream::connect(&path).unwrap();
        drop(results);
        assert!(!path.exists());
    }
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cri.sock");
    std::fs::write(&path, "precious").unwrap();
    assert!(matches!(bind_error(&path), ListenError::NotASocket { .. }));
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");

    // A symbolic link is not followed: its target may be containerd's socket.
    let link = dir.path().join("link.sock");
    let target = dir.path().join("containerd.sock");
    drop(StdListener::bind(&target).unwrap());
    std::os::unix::fs::symlink(&target, &link).unwrap();
    assert!(matches!(bind_error(&link), ListenError::NotASocket { .. }));
    assert!(target.exists());
}

#[tokio::test]
async fn a_missing_directory_is_an_error_that_names_the_path() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("missing/cri.sock");
    let error = bind_error(&path).to_string();
    assert!(error.contains(path.to_str().unwrap()), "{error}");
}

#[tokio::test]
async fn a_listener_does_not_remove_a_socket_that_replaced_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cri.sock");
    let old = Listener::bind(&path).unwrap();
    std::fs::rename(&path, dir.path().join("moved.sock")).unwrap();
    let _new = StdListener::bind(&path).unwrap();
    drop(old);
    StdStream::connect(&path).unwrap();
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_until_one_ends() {
    let limits = Limits {
        connections: 1,
        ..Limits::default()
    };
    let world = World::with_limits(Gate::open(), limits, |_| async { ok(b"") });
    let first = world.client().await;
    assert_eq!(first.clone().unary(VERSION, b"").await.code(), 0);
    let mut second = world.client().await;
    let waiting = tokio::spawn(async move { second.unary(VERSION, b"").await });
    assert_eq!(first.clone().unary(VERSION, b"").await.code(), 0);
    assert_eq!(world.proxy.counts().connections, 1);
    drop(first);
    assert_eq!(waiting.await.unwrap().code(), 0);
    assert_eq!(world.proxy.counts().connections, 2);
}

/// Run again by the test below, as a daemon started with a descriptor would be.
#[tokio::test]
async fn activated_child() {
    if std::env::var_os("PORTCULLIS_ACTIVATED").is_none() {
        return;
    }
    let mut descriptors = ListenFd::from_env();
    let listener = Listener::activated(&mut descriptors, 0).unwrap().unwrap();
    assert!(Listener::activated(&mut descriptors, 1).unwrap().is_none());
    drop(listener);
}

#[test]
fn a_socket_from_systemd_is_used_and_its_file_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cri.sock");
    let kept = StdListener::bind(&path).unwrap();
    // systemd's protocol: descriptor 3, and the process id of who is meant.
    let status = Command::new("sh")
        .args([
            "-c",
            "export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$0\" \"$@\" 3<&0",
        ])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "activated_child"])
        .env("PORTCULLIS_ACTIVATED", "1")
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(
            kept.try_clone().unwrap(),
        )))
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    assert!(path.exists());
}
