//! A temporary directory that owns what was started in it, named so that a later run can sweep what a killed run left.
//!
//! It must never touch anything outside its own directory, its own cgroup and the processes that name it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Prefix of every directory; the process id of its owner follows. Short, because unix socket paths end at 108 bytes.
const PREFIX: &str = "pcl-";

/// Between two looks at something that is about to go.
const PAUSE: Duration = Duration::from_millis(20);

static NEXT: AtomicU32 = AtomicU32::new(0);

/// The directory. Dropping it ends what still runs in it and removes it.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    keep: bool,
}

impl Scratch {
    /// Makes a new one, after sweeping those whose owner is gone. With `PORTCULLIS_KEEP` in the environment the
    /// directory (logs, policy, state) outlives the test; processes never do.
    pub fn new() -> Result<Self> {
        let parent = std::env::temp_dir();
        let sequence = NEXT.fetch_add(1, Ordering::Relaxed);
        if sequence == 0 {
            sweep(&parent);
        }
        let path = parent.join(format!("{PREFIX}{}-{sequence}", std::process::id()));
        if path.exists() {
            release(&path);
            let _ = fs::remove_dir_all(&path);
        }
        fs::create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self {
            path,
            keep: std::env::var_os("PORTCULLIS_KEEP").is_some(),
        })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A new directory in it.
    pub fn dir(&self, name: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(path)
    }

    /// The cgroup that pods of this directory run under, as CRI's `cgroup_parent`.
    pub fn cgroup_parent(&self) -> String {
        cgroup_of(&self.path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        release(&self.path);
        if self.keep {
            eprintln!("kept {}", self.path.display());
        } else if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("could not remove {}: {error}", self.path.display());
        }
    }
}

fn cgroup_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!("/{name}")
}

/// Releases and removes the directories and cgroups of owners that no longer live.
fn sweep(parent: &Path) {
    for path in orphans(parent) {
        release(&path);
        let _ = fs::remove_dir_all(path);
    }
    for path in cgroup_roots().iter().flat_map(|root| orphans(root)) {
        remove_cgroup_tree(&path);
    }
}

/// What is named as ours in `parent`, and whose owner is gone.
fn orphans(parent: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            let name = entry.file_name();
            let owner = name
                .to_str()
                .and_then(|name| name.strip_prefix(PREFIX))
                .and_then(|rest| rest.split('-').next())
                .and_then(|owner| owner.parse::<i32>().ok());
            owner.is_some_and(|owner| !Path::new(&format!("/proc/{owner}")).exists())
        })
        .map(|entry| entry.path())
        .collect()
}

/// Ends containers and shims of a containerd that lived in `path`, unmounts, and removes its cgroups.
pub(crate) fn release(path: &Path) {
    end_shims(path);
    remove_shim_sockets(path);
    unmount_below(path);
    remove_cgroups(&cgroup_of(path));
}

/// Processes that have an argument naming something in `path`: containerd shims carry `-address <socket>`.
fn processes_naming(path: &Path) -> Vec<i32> {
    let prefix = format!("{}/", path.display());
    numbered_proc_entries()
        .filter(|pid| {
            fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| {
                let mut arguments = line.split(|byte| *byte == 0);
                let shim = arguments
                    .next()
                    .is_some_and(|program| program.ends_with(b"containerd-shim-runc-v2"));
                shim && arguments.any(|argument| argument.starts_with(prefix.as_bytes()))
            })
        })
        .collect()
}

fn numbered_proc_entries() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn parent_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command name stands in parentheses and may hold anything; the parent is the second word after it.
    stat.rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(1)?
        .parse()
        .ok()
}

fn end_shims(path: &Path) {
    let shims: BTreeSet<i32> = processes_naming(path).into_iter().collect();
    let containers: Vec<i32> = numbered_proc_entries()
        .filter(|pid| parent_of(*pid).is_some_and(|parent| shims.contains(&parent)))
        .collect();
    let all = || containers.iter().chain(&shims).copied();
    for pid in all() {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    for pid in all() {
        wait_gone(pid);
    }
}

fn wait_gone(pid: i32) {
    for _ in 0..100 {
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if state.is_empty() || state.contains(") Z ") {
            return;
        }
        std::thread::sleep(PAUSE);
    }
}

/// containerd puts the sockets of its shims into /run/containerd/s whatever its own state directory is.
fn remove_shim_sockets(path: &Path) {
    let Ok(found) = Command::new("find")
        .arg(path)
        .args(["-xdev", "-type", "f", "-size", "-2k"])
        .args([
            "(",
            "-name",
            "address",
            "-o",
            "-name",
            "bootstrap.json",
            ")",
        ])
        .stderr(Stdio::null())
        .output()
    else {
        return;
    };
    for file in String::from_utf8_lossy(&found.stdout).lines() {
        let text = fs::read_to_string(file).unwrap_or_default();
        if let Some((_, rest)) = text.split_once("unix://")
            && let Some(socket) = rest.split(['"', '\n', ' ']).next()
            && socket.starts_with("/run/containerd/s/")
        {
            let _ = fs::remove_file(socket);
        }
    }
}

fn unmount_below(path: &Path) {
    let table = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let prefix = format!("{}/", path.display());
    let points: Vec<&str> = table
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .filter(|point| point.starts_with(&prefix))
        .collect();
    for point in points.iter().rev() {
        let _ = Command::new("umount")
            .args(["-l", point])
            .stderr(Stdio::null())
            .status();
    }
}

fn cgroup_roots() -> Vec<PathBuf> {
    let mut roots = vec![PathBuf::from("/sys/fs/cgroup")];
    if let Ok(entries) = fs::read_dir("/sys/fs/cgroup") {
        roots.extend(entries.flatten().map(|entry| entry.path()));
    }
    roots
}

fn remove_cgroups(parent: &str) {
    for root in cgroup_roots() {
        let path = root.join(parent.trim_start_matches('/'));
        // A process that was killed leaves its cgroup a moment after it is gone from /proc.
        for _ in 0..50 {
            if !path.exists() || remove_cgroup_tree(&path) {
                break;
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// Whether all of it is gone.
fn remove_cgroup_tree(path: &Path) -> bool {
    let Ok(entries) = fs::read_dir(path) else {
        return true;
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_cgroup_tree(&entry.path());
        }
    }
    fs::remove_dir(path).is_ok()
}
