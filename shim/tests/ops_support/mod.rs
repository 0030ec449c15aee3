//! A node of one's own: a configuration, a policy directory and the built binary.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "shared by test files, each of which uses a part of it"
)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tempfile::TempDir;

/// A hung test ends here; nothing is measured with it.
const PATIENCE: Duration = Duration::from_mins(1);

pub struct Node {
    root: TempDir,
}

impl Node {
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let node = Self { root };
        fs::create_dir(node.path("policy.d")).unwrap();
        node.write(
            "config.yaml",
            &format!(
                "listen: {0}/cri.sock\nupstream: {0}/containerd.sock\npolicyDir: {0}/policy.d\n\
                 stateDir: {0}/state\nadminSocket: {0}/admin.sock\nlogFormat: json\n",
                node.root.path().display()
            ),
        );
        node
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// A command with this node's configuration.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command
            .args(args)
            .arg("--config")
            .arg(self.path("config.yaml"))
            .env_remove("NOTIFY_SOCKET")
            .env_remove("LISTEN_FDS")
            .env_remove("PORTCULLIS_LOG")
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// A running daemon, once it serves.
    pub fn serve(&self) -> Daemon {
        let mut child = self
            .command(&["serve"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (lines, log) = channel();
        let stderr = child.stderr.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if lines.send(line).is_err() {
                    return;
                }
            }
        });
        let daemon = Daemon { child, log };
        daemon.wait_for("serving CRI");
        daemon
    }
}

pub struct Daemon {
    child: Child,
    log: Receiver<String>,
}

impl Daemon {
    /// The next line of the log with `text` in it.
    pub fn wait_for(&self, text: &str) -> String {
        let mut seen = Vec::new();
        loop {
            match self.log.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => seen.push(line),
                Err(error) => panic!(
                    "{error}: never logged `{text}`; logged:\n{}",
                    seen.join("\n")
                ),
            }
        }
    }

    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    /// Ends it as systemd does; its exit status.
    pub fn stop(mut self) -> Option<i32> {
        self.signal(nix::sys::signal::Signal::SIGTERM);
        self.child.wait().unwrap().code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A raw exchange on a unix socket.
pub fn exchange(socket: &Path, request: &[u8]) -> String {
    use std::io::Write as _;

    let mut stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
    // A server that refuses early may close before everything was written.
    stream.write_all(request).ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok();
    String::from_utf8_lossy(&answer).into_owned()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A document that loads.
pub const GOOD: &str = "apiVersion: portcullis.dev/v1\nkind: ClusterImagePolicy\nmetadata: {name: base}\nspec:\n  \
    repositories:\n  - {name: \"registry.example.com/*\", policy: {allow: {}}}\n  \
    - {name: \"registry.example.com/shop/*\", policy: {deny: {reason: retired}}}\n";

/// A document that does not.
pub const BROKEN: &str = "apiVersion: portcullis.dev/v1\nkind: ClusterImagePolicy\nmetadata: {name: other}\nspec:\n  \
    repositores: []\n";
