//! The daemon under test: `portcullis serve --config FILE`, with everything it writes in one directory.

mod settings;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::daemon::{Daemon, wait_for};

pub use settings::Settings;

/// Where Debian's libfaketime is.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/// The daemon with its directory, which outlives every stop and kill.
#[derive(Debug)]
pub struct Shim {
    dir: PathBuf,
    settings: Settings,
    days: u32,
    /// Audit was in force at some time, for the node or for a rule.
    audited: std::sync::atomic::AtomicBool,
    quiet: bool,
    proxy: Option<u16>,
    daemon: Option<Daemon>,
    ready: Option<UnixDatagram>,
}

/// The binary: `PORTCULLIS_BIN`, or the one cargo built beside this test.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("PORTCULLIS_BIN") {
        return Ok(path.into());
    }
    let test = std::env::current_exe()?;
    let found = test
        .ancestors()
        .skip(1)
        .take(3)
        .map(|dir| dir.join("portcullis"))
        .find(|path| path.is_file());
    found.with_context(|| {
        format!(
            "no portcullis binary near {}: run `cargo build -p portcullis` first (`make test` does)",
            test.display()
        )
    })
}

impl Shim {
    /// A daemon in `dir` that is not started yet.
    pub fn new(dir: &Path, settings: Settings) -> Result<Self> {
        for name in ["policy.d", "state"] {
            fs::create_dir_all(dir.join(name))?;
        }
        fs::set_permissions(dir.join("state"), fs::Permissions::from_mode(0o700))?;
        let shim = Self {
            dir: dir.to_owned(),
            settings,
            days: 0,
            audited: false.into(),
            quiet: false,
            proxy: None,
            daemon: None,
            ready: None,
        };
        shim.write_config()?;
        Ok(shim)
    }

    /// The settings, changed; they take effect at the next start.
    pub fn configure(&mut self, change: impl FnOnce(&mut Settings)) -> Result<()> {
        change(&mut self.settings);
        self.note_audit(self.settings.mode == "audit");
        self.write_config()
    }

    fn note_audit(&self, audited: bool) {
        self.audited
            .fetch_or(audited, std::sync::atomic::Ordering::SeqCst);
    }

    /// Whether all there ever was is enforcement.
    pub fn always_enforced(&self) -> bool {
        !self.audited.load(std::sync::atomic::Ordering::SeqCst)
    }

    fn write_config(&self) -> Result<()> {
        write_private(&self.config(), &self.settings.config(&self.dir))?;
        let bootstrap = self.settings.bootstrap();
        write_private(&self.dir.join("bootstrap.yaml"), &bootstrap)
    }

    /// config.yaml. bootstrap.yaml lies beside it.
    pub fn config(&self) -> PathBuf {
        self.dir.join("config.yaml")
    }

    /// The socket that kubelet talks to.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("cri.sock")
    }

    /// The policy directory.
    pub fn policy_dir(&self) -> PathBuf {
        self.dir.join("policy.d")
    }

    /// The state directory.
    pub fn state_dir(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// Writes one policy file, by an atomic rename as an operator's tool does.
    pub fn write_policy(&self, name: &str, text: &str) -> Result<()> {
        self.note_audit(text.contains("mode: audit"));
        let hidden = self.policy_dir().join(format!(".{name}.new"));
        write_private(&hidden, text)?;
        fs::rename(&hidden, self.policy_dir().join(name))?;
        Ok(())
    }

    /// Writes one policy file and waits until it is in force in the running daemon.
    pub fn reload_policy(&self, name: &str, text: &str) -> Result<()> {
        let before = self.policy_generation()?;
        self.write_policy(name, text)?;
        wait_for("the policy to take force", || {
            let now = self.policy_generation()?;
            Ok((now > before).then_some(()))
        })
    }

    /// Sets the daemon's clock so many days forward, from the next start on.
    pub fn clock_ahead(&mut self, days: u32) {
        self.days = days;
    }

    /// Gives the daemon a proxy for plain http on loopback, from the next start on.
    pub fn proxy(&mut self, port: u16) {
        self.proxy = Some(port);
    }

    /// Keeps the log to itself; otherwise it is printed at the end, where the test runner shows it if the test failed.
    pub fn quiet(&mut self) {
        self.quiet = true;
    }

    /// Starts it and waits until it says that it is ready.
    pub fn start(&mut self) -> Result<()> {
        let notify = self.dir.join("notify.sock");
        let _ = fs::remove_file(&notify);
        let ready = UnixDatagram::bind(&notify)?;
        ready.set_read_timeout(Some(Duration::from_millis(10)))?;
        let mut command = Command::new(binary()?);
        command
            .args(["serve", "--config"])
            .arg(self.config())
            .env("NOTIFY_SOCKET", &notify)
            .env_remove("LISTEN_FDS")
            .env_remove("WATCHDOG_USEC");
        for proxy in [
            "http_proxy",
            "https_proxy",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "ALL_PROXY",
            "all_proxy",
        ] {
            command.env_remove(proxy);
        }
        if let Some(port) = self.proxy {
            command.env("http_proxy", format!("http://127.0.0.1:{port}"));
        }
        if self.days > 0 {
            if !Path::new(FAKETIME).exists() {
                bail!("{FAKETIME} is missing: run `make setup` (package libfaketime)");
            }
            command
                .env("LD_PRELOAD", FAKETIME)
                .env("FAKETIME", format!("+{}d", self.days))
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
                .env("NO_FAKE_STAT", "1");
        }
        let mut daemon = Daemon::start("portcullis", &command, &self.dir.join("shim.log"))?;
        let mut buffer = [0; 4096];
        daemon.ready(|| {
            while let Ok(count) = ready.recv(&mut buffer) {
                let text = String::from_utf8_lossy(buffer.get(..count).unwrap_or_default());
                if text.lines().any(|line| line == "READY=1") {
                    return true;
                }
            }
            false
        })?;
        // Later messages are read and dropped, as the daemon's queue must not fill.
        ready.set_read_timeout(None)?;
        let rest = ready.try_clone()?;
        std::thread::spawn(move || while rest.recv(&mut [0; 4096]).is_ok_and(|count| count > 0) {});
        self.ready = Some(ready);
        self.daemon = Some(daemon);
        Ok(())
    }

    /// Ends the thread that reads the daemon's messages.
    fn deaf(&mut self) {
        if let Some(ready) = self.ready.take() {
            let _ = ready.shutdown(Shutdown::Both);
        }
    }

    /// SIGTERM, and the exit must be clean.
    pub fn stop(&mut self) -> Result<()> {
        self.deaf();
        if let Some(mut daemon) = self.daemon.take() {
            let status = daemon.stop()?;
            if !status.success() {
                bail!("portcullis ended with {status}:\n{}", daemon.log_end());
            }
        }
        Ok(())
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> Result<()> {
        self.deaf();
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill()?;
        }
        Ok(())
    }

    /// SIGTERM and start.
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        self.start()
    }

    /// Whether it runs.
    pub fn running(&mut self) -> bool {
        self.daemon.as_mut().is_some_and(Daemon::running)
    }

    /// SIGHUP: reload.
    pub fn hangup(&self) -> Result<()> {
        self.daemon
            .as_ref()
            .context("not running")?
            .signal(Signal::SIGHUP)
    }

    /// Removes the evidence store; the daemon must be stopped.
    pub fn forget(&self) -> Result<()> {
        if self.daemon.is_some() {
            bail!("the daemon holds its store open");
        }
        fs::remove_dir_all(self.state_dir())?;
        fs::create_dir(self.state_dir())?;
        fs::set_permissions(self.state_dir(), fs::Permissions::from_mode(0o700))?;
        Ok(())
    }

    /// Everything it has logged, over all starts.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.dir.join("shim.log")).unwrap_or_default())
            .into_owned()
    }

    /// The lines of the log that are JSON.
    pub fn json_lines(&self) -> Vec<Value> {
        self.log()
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Runs another command of the binary with this daemon's configuration.
    pub fn command(&self, arguments: &[&str]) -> Result<Output> {
        Command::new(binary()?)
            .arg("--config")
            .arg(self.config())
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .context("cannot run portcullis")
    }

    /// `portcullis status --output json`.
    pub fn status(&self) -> Result<Value> {
        let output = self.command(&["status", "--output", "json"])?;
        serde_json::from_slice(&output.stdout).with_context(|| {
            format!(
                "`portcullis status` gave no JSON ({}): {}",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            )
        })
    }

    /// What `/metrics` of the admin socket says.
    pub fn metrics(&self) -> Result<String> {
        let mut socket = UnixStream::connect(self.dir.join("admin.sock"))?;
        socket.write_all(b"GET /metrics HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n")?;
        let mut text = String::new();
        socket.read_to_string(&mut text)?;
        if !text.starts_with("HTTP/1.1 200") {
            bail!("no metrics: {text}");
        }
        Ok(text)
    }

    /// The generation of the policy in force.
    pub fn policy_generation(&self) -> Result<u64> {
        let status = self.status()?;
        let generation = status.pointer("/policy/generation").and_then(Value::as_u64);
        generation.with_context(|| format!("no policy generation in {status}"))
    }

    /// The hash of the policy in force.
    pub fn policy_hash(&self) -> Result<String> {
        let status = self.status()?;
        let hash = status.pointer("/policy/hash").and_then(Value::as_str);
        Ok(hash
            .with_context(|| format!("no policy hash in {status}"))?
            .to_owned())
    }
}

impl Drop for Shim {
    fn drop(&mut self) {
        self.deaf();
        if self.quiet {
            return;
        }
        let log = self.log();
        let from = log.len().saturating_sub(16 * 1024);
        println!(
            "--- log of portcullis ---\n{}",
            log.get(from..).unwrap_or(&log)
        );
    }
}

fn write_private(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(())
}
