//! Taking turns: which hosts are asked for something, in which order, and how long each may take.

use std::sync::Arc;

use tokio::time::Instant;

use super::error::{RemoteError, cause};
use super::hosts::{Host, Hosts};

/// The hosts that containerd's configuration names for a registry.
#[derive(Debug)]
pub(crate) struct HostList {
    name: String,
    hosts: Arc<Hosts>,
}

/// The turns of one question.
#[derive(Debug)]
pub(crate) struct Turns<'a> {
    name: &'a str,
    able: std::vec::IntoIter<&'a Host>,
    none_able: bool,
    deadline: Instant,
}

impl HostList {
    pub(super) fn new(name: String, hosts: Arc<Hosts>) -> Self {
        Self { name, hosts }
    }

    /// Lets the hosts take turns that may be asked for content by digest; with `resolve`, those that may also say what
    /// a name means.
    ///
    /// # Errors
    /// containerd's configuration cannot be used.
    pub(crate) fn turns(&self, resolve: bool, deadline: Instant) -> Result<Turns<'_>, RemoteError> {
        let Ok(hosts) = &*self.hosts else {
            return Err(RemoteError::Unreachable {
                host: self.name.clone(),
                cause: cause::HOST_CONFIG,
            });
        };
        let mut able: Vec<&Host> = Vec::with_capacity(hosts.len());
        for host in hosts {
            // Many a hosts.toml names its server twice: whoever said that there is nothing would be asked again at once.
            let is_new = able.iter().all(|other| !other.answers_as(host));
            if is_new && host.pull && (host.resolve || !resolve) {
                able.push(host);
            }
        }
        Ok(Turns {
            name: &self.name,
            none_able: able.is_empty(),
            able: able.into_iter(),
            deadline,
        })
    }
}

impl<'a> Turns<'a> {
    /// The next host, and until when it may take.
    pub(crate) fn next(&mut self) -> Option<(&'a Host, Instant)> {
        let now = Instant::now();
        if now >= self.deadline {
            return None;
        }
        let host = self.able.next()?;
        // A slow mirror must leave time for the host behind it.
        let until = if self.able.as_slice().is_empty() {
            self.deadline
        } else {
            now + self.deadline.duration_since(now) / 2
        };
        Some((host, until))
    }

    /// What kept an answer away, `worst` being the most telling of the errors on the way. `None`: every host was asked,
    /// and none failed.
    pub(crate) fn end(self, worst: Option<RemoteError>) -> Option<RemoteError> {
        let host = self.name.to_owned();
        if self.none_able {
            return Some(RemoteError::Unreachable {
                host,
                cause: cause::NO_HOST,
            });
        }
        if self.able.as_slice().is_empty() {
            return worst;
        }
        // Whoever was not asked cannot have said that there is nothing.
        let timeout = RemoteError::Timeout { host };
        Some(match worst {
            Some(worst) => worst.or_more_telling(timeout),
            None => timeout,
        })
    }
}

/// Notes an error, if it is more telling than what went wrong so far.
pub(crate) fn note(worst: &mut Option<RemoteError>, error: RemoteError) {
    *worst = Some(match worst.take() {
        Some(worst) => worst.or_more_telling(error),
        None => error,
    });
}
