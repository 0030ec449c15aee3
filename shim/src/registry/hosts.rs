//! Which hosts serve a registry name, in which order and how: containerd's configuration, both generations.
//!
//! 1. `config_path` of containerd's configuration: directories with `<host>/hosts.toml` ([`certs_d`]).
//! 2. `mirrors` and `configs` of containerd's configuration ([`containerd_toml`]).
//! 3. `registry.certsDir` of config.yaml, read like 1.
//!
//! Files are looked at before every use and read again when one of them changed.

pub(crate) mod certs_d;
pub(crate) mod containerd_toml;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::auth::Auth;
use super::config::RegistryConfig;
use super::fetch::Access;
use super::files::{Snapshot, Trace};
use super::tls::Verify;
use super::url::{Scheme, Url, is_loopback, split_port};

/// Registry names whose hosts are remembered.
const MAX_NAMES: usize = 64;

/// One host that may be asked.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Host {
    /// Base URL, `https://mirror.example/v2`, without a trailing slash.
    pub base: Base,
    /// May be asked what a tag means.
    pub resolve: bool,
    /// May be asked for content by digest.
    pub pull: bool,
    /// How it is reached.
    pub access: Access,
    /// `?ns=`: the registry name, where this host stands in for it.
    pub namespace: Option<String>,
    /// Credentials of the containerd configuration, for calls that bring none.
    pub auth: Option<Auth>,
}

impl Host {
    /// Whether `other` is the same server, asked in the same way.
    pub(super) fn answers_as(&self, other: &Self) -> bool {
        (&self.base, &self.access, &self.namespace, &self.auth)
            == (&other.base, &other.access, &other.namespace, &other.auth)
    }
}

/// Scheme, authority and path prefix of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base {
    pub scheme: Scheme,
    pub authority: String,
    /// Empty, or begins with `/` and does not end with it.
    pub path: String,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("base", &self.base)
            .field("resolve", &self.resolve)
            .field("pull", &self.pull)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

impl Base {
    /// From an absolute URL.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text)?;
        let path = url.path.split('?').next().unwrap_or_default();
        Some(Self {
            scheme: url.scheme,
            authority: url.authority,
            path: path.trim_end_matches('/').to_owned(),
        })
    }

    fn scheme_name(&self) -> &'static str {
        match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}

impl Host {
    /// The URL of something below the host's base, such as `library/nginx/manifests/latest`.
    pub(crate) fn url(&self, below: &str) -> Option<Url> {
        let Base {
            authority, path, ..
        } = &self.base;
        let scheme = self.base.scheme_name();
        let query = match &self.namespace {
            // A registry name has no characters that a query would need escaped, except the colon of its port, which
            // Go escapes.
            Some(namespace) => format!("?ns={}", namespace.replace(':', "%3A")),
            None => String::new(),
        };
        Url::parse(&format!("{scheme}://{authority}{path}/{below}{query}"))
    }

    /// Credentials of a call; without any, those that containerd's configuration has for the host.
    pub(crate) fn auth<'a>(&'a self, given: &'a Auth) -> &'a Auth {
        match (&self.auth, given) {
            (Some(configured), Auth::Anonymous) => configured,
            (_, given) => given,
        }
    }

    /// Applies what holds for every host of `name`: the namespace query, and containerd's rule that a plain http
    /// host with a TLS configuration is tried with TLS first.
    fn finish(mut self, name: &str) -> Self {
        let is_upstream = self.base.authority == name
            || (name == "docker.io" && self.base.authority == "registry-1.docker.io");
        self.namespace = (!is_upstream).then(|| name.to_owned());
        let tls = &self.access.tls;
        let explicit_tls = !tls.ca_files.is_empty()
            || !tls.client_pairs.is_empty()
            || tls.verify != Verify::Always;
        if self.base.scheme == Scheme::Http
            && explicit_tls
            && split_port(&self.base.authority).1 != Some("80")
        {
            self.base.scheme = Scheme::Https;
            self.access.plain_fallback = true;
        }
        self
    }
}

/// The host that a registry name stands for where nothing else is configured: `docker.io` lives at
/// `registry-1.docker.io`; loopback with a port other than 443 speaks http unless it turns out to speak TLS, and its
/// certificate is not verified.
fn default_base(name: &str) -> (Base, Option<Verify>) {
    let base = |scheme, authority: &str| Base {
        scheme,
        authority: authority.to_ascii_lowercase(),
        path: "/v2".to_owned(),
    };
    if name == "docker.io" {
        return (base(Scheme::Https, "registry-1.docker.io"), None);
    }
    let (host, port) = split_port(name);
    if !is_loopback(host) {
        return (base(Scheme::Https, name), None);
    }
    let scheme = match port {
        None | Some("" | "443") => Scheme::Https,
        Some(_) => Scheme::Http,
    };
    let verify = (port != Some("80")).then_some(Verify::UnlessLoopback);
    (base(scheme, name), verify)
}

/// containerd's configuration for a name cannot be used (it refuses the pull too).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub(crate) struct HostConfigError {
    /// File or directory.
    pub path: PathBuf,
    /// What is wrong.
    pub reason: String,
}

/// What the configuration says about a name.
pub(crate) type Hosts = Result<Vec<Host>, HostConfigError>;

/// The configuration, re-read when it changes. Its methods block on small local files.
#[derive(Debug)]
pub(crate) struct HostTable {
    config: RegistryConfig,
    /// Most recently used first.
    known: Mutex<Vec<(String, Snapshot<Hosts>)>>,
}

impl HostTable {
    pub(crate) fn new(config: RegistryConfig) -> Self {
        Self {
            config,
            known: Mutex::default(),
        }
    }

    /// The hosts of a registry name, in the order in which they are tried; the upstream is last.
    pub(crate) fn hosts(&self, name: &str) -> Arc<Hosts> {
        if let Some(snapshot) = self.remembered(name)
            && snapshot.is_current()
        {
            return snapshot.value;
        }
        let snapshot = Snapshot::make(|trace| self.read(name, trace));
        if let Err(error) = &*snapshot.value {
            tracing::warn!(registry = name, %error, "containerd's registry configuration");
        }
        let value = Arc::clone(&snapshot.value);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(other, _)| other != name);
        known.insert(0, (name.to_owned(), snapshot));
        known.truncate(MAX_NAMES);
        value
    }

    fn remembered(&self, name: &str) -> Option<Snapshot<Hosts>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let at = known.iter().position(|(other, _)| other == name)?;
        let entry = known.remove(at);
        let snapshot = entry.1.clone();
        known.insert(0, entry);
        Some(snapshot)
    }

    fn read(&self, name: &str, trace: &mut Trace) -> Hosts {
        let containerd = containerd_toml::read(&self.config.containerd_config, trace)?;
        let roots = if !containerd.config_path.is_empty() {
            containerd.config_path.clone()
        } else if containerd.mirrors.is_empty() && containerd.tls.is_empty() {
            vec![self.config.certs_dir.clone()]
        } else {
            Vec::new()
        };
        let hosts = if roots.is_empty() {
            containerd.hosts(name)?
        } else {
            certs_d::hosts(&roots, name, trace)?
        };
        Ok(hosts
            .into_iter()
            .map(|mut host| {
                host.auth = containerd.auths.get(&host.base.authority).cloned();
                host.finish(name)
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(dir: &std::path::Path) -> HostTable {
        HostTable::new(RegistryConfig {
            certs_dir: dir.join("certs.d"),
            containerd_config: dir.join("config.toml"),
            ..RegistryConfig::default()
        })
    }

    fn urls(table: &HostTable, name: &str) -> Vec<String> {
        table
            .hosts(name)
            .as_ref()
            .as_ref()
            .unwrap()
            .iter()
            .map(|host| host.url("x").unwrap().to_string())
            .collect()
    }

    #[test]
    fn without_configuration_a_name_is_its_own_host() {
        let dir = tempfile::tempdir().unwrap();
        let table = table(dir.path());
        assert_eq!(urls(&table, "r.example"), ["https://r.example/v2/x"]);
        assert_eq!(
            urls(&table, "docker.io"),
            ["https://registry-1.docker.io/v2/x"]
        );
    }

    #[test]
    fn loopback_is_tried_with_tls_and_may_fall_back_to_http() {
        let dir = tempfile::tempdir().unwrap();
        let table = table(dir.path());
        for (name, scheme, fallback, verify) in [
            (
                "127.0.0.1:5000",
                Scheme::Https,
                true,
                Verify::UnlessLoopback,
            ),
            (
                "localhost:5000",
                Scheme::Https,
                true,
                Verify::UnlessLoopback,
            ),
            ("[::1]:5000", Scheme::Https, true, Verify::UnlessLoopback),
            ("localhost", Scheme::Https, false, Verify::UnlessLoopback),
            (
                "localhost:443",
                Scheme::Https,
                false,
                Verify::UnlessLoopback,
            ),
            ("localhost:80", Scheme::Http, false, Verify::Always),
            ("10.0.0.1:5000", Scheme::Https, false, Verify::Always),
            (
                "localhost.example:5000",
                Scheme::Https,
                false,
                Verify::Always,
            ),
        ] {
            let hosts = table.hosts(name);
            let host = &hosts.as_ref().as_ref().unwrap()[0];
            assert_eq!(host.base.scheme, scheme, "{name}");
            assert_eq!(host.access.plain_fallback, fallback, "{name}");
            assert_eq!(host.access.tls.verify, verify, "{name}");
        }
    }

    #[test]
    fn a_changed_file_is_used_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let table = table(dir.path());
        assert_eq!(urls(&table, "r.example"), ["https://r.example/v2/x"]);
        let host_dir = dir.path().join("certs.d/r.example");
        std::fs::create_dir_all(&host_dir).unwrap();
        let file = host_dir.join("hosts.toml");
        std::fs::write(&file, "server = 'https://a.example'").unwrap();
        assert_eq!(
            urls(&table, "r.example"),
            ["https://a.example/v2/x?ns=r.example"]
        );
        std::fs::write(&file, "server = 'https://other.example'").unwrap();
        assert_eq!(
            urls(&table, "r.example"),
            ["https://other.example/v2/x?ns=r.example"]
        );
        let config = format!(
            "version = 2\n[plugins.'io.containerd.grpc.v1.cri'.registry]\nconfig_path = '{}'\n",
            dir.path().join("elsewhere").display()
        );
        std::fs::write(dir.path().join("config.toml"), config).unwrap();
        assert_eq!(urls(&table, "r.example"), ["https://r.example/v2/x"]);
    }

    #[test]
    fn the_namespace_query_escapes_the_port() {
        let dir = tempfile::tempdir().unwrap();
        let host_dir = dir.path().join("certs.d/r.example:5000");
        std::fs::create_dir_all(&host_dir).unwrap();
        std::fs::write(host_dir.join("hosts.toml"), "server = 'https://m.example'").unwrap();
        assert_eq!(
            urls(&table(dir.path()), "r.example:5000"),
            ["https://m.example/v2/x?ns=r.example%3A5000"]
        );
    }
}
