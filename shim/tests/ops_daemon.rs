//! The daemon as an operator meets it: admin socket, reload, last good set, signals.

mod ops_support;

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;

use nix::sys::signal::Signal;
use ops_support::{BROKEN, Daemon, GOOD, Node, exchange, stderr, stdout};
use serde_json::Value;

fn status(node: &Node) -> Value {
    let output = node.run(&["status", "--output", "json"]);
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", stderr(&output)))
}

fn request(head: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "{head} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

fn code(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

/// Has the policy read again, and waits for what the log says about it.
fn reload(daemon: &Daemon, text: &str) {
    daemon.signal(Signal::SIGHUP);
    daemon.wait_for(text);
}

#[test]
fn the_admin_socket_is_for_root_alone() {
    let node = Node::new();
    let _daemon = node.serve();
    let socket = node.path("admin.sock");
    let metadata = fs::metadata(&socket).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.mode() & 0o777, 0o600);
    if !nix::unistd::geteuid().is_root() {
        println!("not root: other users cannot be tried");
        return;
    }

    // With the file's mode opened by accident, the kernel still says who is asking.
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
    fs::set_permissions(node.path("."), fs::Permissions::from_mode(0o755)).unwrap();
    let binary = node.path("portcullis");
    fs::copy(env!("CARGO_BIN_EXE_portcullis"), &binary).unwrap();
    let asked = |uid: u32| {
        std::process::Command::new(&binary)
            .args(["status", "--config"])
            .arg(node.path("config.yaml"))
            .uid(uid)
            .gid(uid)
            .output()
            .unwrap()
    };
    let output = asked(65_534);
    assert_eq!(output.status.code(), Some(2), "{}", stdout(&output));
    assert!(
        stderr(&output).contains("you are user 65534"),
        "{}",
        stderr(&output)
    );
    assert!(stdout(&asked(0)).contains("portcullis"));
}

#[test]
fn every_address_of_the_contract_answers() {
    let node = Node::new();
    let _daemon = node.serve();
    let socket = node.path("admin.sock");
    for (head, body, expected) in [
        ("GET /v1/status", &b""[..], "200"),
        ("GET /metrics", b"", "200"),
        (
            "POST /v1/explain",
            br#"{"namespace":"shop","image":"nginx"}"#,
            "200",
        ),
        ("POST /v1/explain", br#"{"image":"sha256:00"}"#, "400"),
        ("POST /v1/explain", br#"{"image":"nginx","extra":1}"#, "400"),
        ("POST /v1/explain", b"{", "400"),
        (
            "POST /v1/adopt",
            br#"{"image":"nginx","reason":" "}"#,
            "400",
        ),
        ("GET /v1/check", b"", "405"),
        ("POST /v1/audit", b"", "501"),
        ("POST /v1/tags", b"", "501"),
        ("POST /v1/allow", b"", "501"),
        ("POST /v1/verify", b"", "501"),
        ("GET /", b"", "404"),
    ] {
        let answer = exchange(&socket, &request(head, body));
        assert_eq!(code(&answer), expected, "{head}: {answer}");
    }
    let metrics = exchange(&socket, &request("GET /metrics", b""));
    for name in [
        "portcullis_policy_generation 1",
        "portcullis_log_lines_dropped_total 0",
        "portcullis_proxy_calls_total",
        "portcullis_store_records",
    ] {
        assert!(metrics.contains(name), "{name}");
    }
}

#[test]
fn a_body_larger_than_the_limit_is_refused_announced_or_not() {
    let node = Node::new();
    let _daemon = node.serve();
    let socket = node.path("admin.sock");
    let announced = b"POST /v1/check HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n{";
    assert_eq!(code(&exchange(&socket, announced)), "413");
    let mut chunked =
        b"POST /v1/check HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..5 {
        chunked.extend_from_slice(b"40000\r\n");
        chunked.extend(std::iter::repeat_n(b' ', 0x4_0000));
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let answer = exchange(&socket, &chunked);
    // A client that is still writing may lose the answer with the connection; it gets no other one.
    assert!(matches!(code(&answer), "413" | ""), "{answer}");
    assert_eq!(
        code(&exchange(&socket, &request("GET /v1/status", b""))),
        "200"
    );
}

#[test]
fn check_says_the_same_with_and_without_the_daemon() {
    let node = Node::new();
    node.write("policy.d/a.yaml", GOOD);
    let _daemon = node.serve();
    for (image, reason) in [
        ("nginx", "noRule"),
        ("registry.example.com/shop/web:1", "denied"),
    ] {
        let asked = ["check", "-n", "shop", "--output", "json", image];
        let daemon = node.run(&asked);
        let local = node.run(&[&asked[..], &["--local"]].concat());
        assert_eq!(daemon.status.code(), Some(1), "{}", stderr(&daemon));
        assert_eq!(local.status.code(), Some(1), "{}", stderr(&local));
        assert_eq!(stdout(&daemon), stdout(&local));
        let report: Value = serde_json::from_slice(&daemon.stdout).unwrap();
        assert_eq!(report[0]["verdict"], "deny");
        assert_eq!(report[0]["reason"], reason);
        assert!(report[0]["denial"].as_str().unwrap().contains("shop"));
    }
}

#[test]
fn a_reload_takes_force_and_a_broken_one_does_not() {
    let node = Node::new();
    node.write("policy.d/a.yaml", GOOD);
    let daemon = node.serve();
    let before = status(&node);
    assert_eq!(before["policy"]["rules"], 2);
    assert_eq!(before["policy"]["generation"], 1);

    node.write("policy.d/b.yaml", BROKEN);
    reload(&daemon, "policy refused");
    let refused = status(&node);
    assert_eq!(refused["policy"]["hash"], before["policy"]["hash"]);
    assert!(
        refused["policy"]["refused"][0]
            .as_str()
            .unwrap()
            .starts_with("b.yaml:5:")
    );
    assert_eq!(
        node.run(&["status"]).status.code(),
        Some(1),
        "a refused set is a finding"
    );

    fs::remove_file(node.path("policy.d/b.yaml")).unwrap();
    node.write("policy.d/c.yaml", &GOOD.replace("base", "more"));
    reload(&daemon, "policy in force");
    let after = status(&node);
    assert_eq!(after["policy"]["refused"], Value::Array(Vec::new()));
    assert_ne!(after["policy"]["hash"], before["policy"]["hash"]);
}

#[test]
fn the_last_good_set_survives_a_restart_and_goes_only_by_reset() {
    let node = Node::new();
    node.write("policy.d/a.yaml", GOOD);
    assert_eq!(node.serve().stop(), Some(0));

    node.write("policy.d/a.yaml", BROKEN);
    let daemon = node.serve();
    assert_eq!(status(&node)["policy"]["rules"], 2);
    let output = node.run(&["policy", "reset"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("a.yaml:5:"), "{}", stderr(&output));
    assert_eq!(status(&node)["policy"]["rules"], 2);
    drop(daemon);

    fs::remove_file(node.path("policy.d/a.yaml")).unwrap();
    let daemon = node.serve();
    assert_eq!(status(&node)["policy"]["rules"], 2);
    assert!(
        status(&node)["policy"]["refused"][0]
            .as_str()
            .unwrap()
            .contains("policy reset")
    );
    let output = node.run(&["policy", "reset"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(status(&node)["policy"]["rules"], 0);
    drop(daemon);

    let _daemon = node.serve();
    assert_eq!(status(&node)["policy"]["rules"], 0);
}

#[test]
fn a_second_daemon_does_not_take_the_node_over() {
    let node = Node::new();
    let _daemon = node.serve();
    let second = node.run(&["serve"]);
    assert_eq!(second.status.code(), Some(2));
    assert_eq!(status(&node)["policy"]["generation"], 1);
}

#[test]
fn stopping_removes_the_sockets_and_is_a_success() {
    let node = Node::new();
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let daemon = node.serve();
        daemon.signal(signal);
        assert_eq!(daemon.stop(), Some(0));
        assert!(!node.path("cri.sock").exists());
        assert!(!node.path("admin.sock").exists());
    }
}

#[test]
fn a_killed_daemon_leaves_nothing_in_the_way_of_the_next() {
    let node = Node::new();
    drop(node.serve());
    assert!(node.path("cri.sock").exists());
    let daemon = node.serve();
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn systemd_is_told_when_the_daemon_serves_and_when_it_stops() {
    let node = Node::new();
    let path = node.path("notify.sock");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket
        .set_read_timeout(Some(std::time::Duration::from_mins(1)))
        .unwrap();
    let told = |wanted: &str| {
        let mut buffer = [0; 4096];
        loop {
            let length = socket.recv(&mut buffer).unwrap();
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.contains(wanted) {
                return;
            }
        }
    };
    let mut child = node
        .command(&["serve"])
        .env("NOTIFY_SOCKET", &path)
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    told("READY=1");
    assert!(node.path("cri.sock").exists());
    assert!(node.path("admin.sock").exists());
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, Signal::SIGHUP).unwrap();
    told("RELOADING=1");
    told("READY=1");
    nix::sys::signal::kill(pid, Signal::SIGTERM).unwrap();
    told("STOPPING=1");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
