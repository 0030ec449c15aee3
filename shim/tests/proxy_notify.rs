//! What systemd hears. Each case runs in a process of its own, whose environment names the notification socket.

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use portcullis::proxy::notify::{self, Readiness};

/// Runs `case` in a child process and returns the messages it sent.
fn messages(case: &str, environment: &[(&str, &str)]) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify.sock");
    let socket = UnixDatagram::bind(&path).unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", case])
        .env("NOTIFY_SOCKET", &path)
        .env("PORTCULLIS_NOTIFY", "1")
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    assert!(status.status.success(), "{status:?}");
    socket.set_nonblocking(true).unwrap();
    let mut messages = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(length) = socket.recv(&mut buffer) {
        messages.push(
            String::from_utf8_lossy(&buffer[..length])
                .trim_end()
                .to_owned(),
        );
    }
    messages
}

fn is_child() -> bool {
    std::env::var_os("PORTCULLIS_NOTIFY").is_some()
}

#[test]
fn child_not_ready() {
    if is_child() {
        let readiness = Readiness::new();
        let (listener, policy) = (readiness.part("listener"), readiness.part("policy"));
        readiness.started();
        listener.ready();
        drop(policy);
    }
}

#[test]
fn child_ready() {
    if is_child() {
        let readiness = Readiness::new();
        let listener = readiness.part("listener");
        listener.ready();
        notify::status("checking\nREADY=1");
        let policy = readiness.part("policy");
        readiness.started();
        policy.ready();
        notify::stopping();
    }
}

#[tokio::test]
async fn child_watchdog() {
    if is_child() {
        let pings = tokio::time::timeout(Duration::from_millis(30), notify::watchdog());
        assert!(pings.await.is_err());
    }
}

#[test]
fn ready_is_sent_once_after_every_part() {
    let sent = messages("child_ready", &[]);
    assert_eq!(sent, ["STATUS=checking READY=1", "READY=1", "STOPPING=1"]);
}

#[test]
fn a_part_that_failed_keeps_the_daemon_from_being_ready() {
    assert_eq!(messages("child_not_ready", &[]), Vec::<String>::new());
}

#[test]
fn the_watchdog_is_pinged_where_there_is_one() {
    let sent = messages("child_watchdog", &[("WATCHDOG_USEC", "20000")]);
    assert!(!sent.is_empty());
    assert!(sent.iter().all(|message| message == "WATCHDOG=1"));
}
