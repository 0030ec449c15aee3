//! The registry part of containerd's own configuration file: `config_path`, and the older `mirrors` and `configs`
//! (containerd `docs/cri/registry.md`), in versions 2 and 3 of the file, with its imports.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::super::auth::{Auth, AuthFields};
use super::super::fetch::Access;
use super::super::files::{self, Trace};
use super::super::tls::{TlsSettings, Verify};
use super::super::url::{is_loopback, split_port};
use super::{Base, Host, HostConfigError};

/// Plugins that hold the registry configuration: containerd 2, then 1.
const PLUGINS: [&str; 3] = [
    "io.containerd.cri.v1.images",
    "io.containerd.grpc.v1.cri",
    "cri",
];
/// Most imported files.
const MAX_IMPORTS: usize = 64;

/// What concerns registries.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Containerd {
    /// Directories in the layout of [`super::certs_d`]; empty: the older generation holds.
    pub config_path: Vec<PathBuf>,
    /// Endpoints by registry name; `*` is every other name.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// TLS by host.
    pub tls: BTreeMap<String, TlsSettings>,
    /// Credentials by host.
    pub auths: BTreeMap<String, Auth>,
}

/// Reads the file and its imports. A missing file is an empty one.
pub(super) fn read(path: &Path, trace: &mut Trace) -> Result<Containerd, HostConfigError> {
    let mut merged = load(path, trace)?;
    for import in imports(path, &merged, trace) {
        let imported = load(&import, trace)?;
        merge(&mut merged, imported);
    }
    Ok(interpret(&merged))
}

fn load(path: &Path, trace: &mut Trace) -> Result<toml::Table, HostConfigError> {
    trace.note(path);
    let error = |reason: String| HostConfigError {
        path: path.to_owned(),
        reason,
    };
    let text = files::read_text(path).map_err(|io| error(io.to_string()))?;
    text.unwrap_or_default()
        .parse()
        .map_err(|toml: toml::de::Error| error(toml.message().to_owned()))
}

/// The files that `imports` names; relative to the file, `*` allowed in the last part.
fn imports(path: &Path, table: &toml::Table, trace: &mut Trace) -> Vec<PathBuf> {
    let base = path.parent().unwrap_or(Path::new("/"));
    let patterns = table.get("imports").and_then(toml::Value::as_array);
    let mut out = Vec::new();
    for pattern in patterns.into_iter().flatten().filter_map(|p| p.as_str()) {
        let pattern = base.join(pattern);
        let name = pattern.file_name().and_then(|name| name.to_str());
        let (Some(dir), Some(name)) = (pattern.parent(), name) else {
            continue;
        };
        let Some((prefix, suffix)) = name.split_once('*') else {
            out.push(pattern);
            continue;
        };
        trace.note(dir);
        let mut found: Vec<PathBuf> = std::fs::read_dir(dir)
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                path.file_name()
                    .and_then(|name| name.to_str())
                    .and_then(|name| name.strip_prefix(prefix))
                    .is_some_and(|rest| rest.ends_with(suffix))
            })
            .collect();
        found.sort();
        out.append(&mut found);
    }
    out.retain(|import| import != path);
    out.truncate(MAX_IMPORTS);
    out
}

/// Later files win, table by table.
fn merge(into: &mut toml::Table, from: toml::Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => merge(old, new),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

fn interpret(table: &toml::Table) -> Containerd {
    let mut out = Containerd::default();
    let Some(plugins) = table.get("plugins").and_then(toml::Value::as_table) else {
        return out;
    };
    let registry = PLUGINS
        .iter()
        .find_map(|name| plugins.get(*name)?.get("registry")?.as_table());
    let Some(registry) = registry else {
        return out;
    };
    out.config_path = text(registry, "config_path")
        .split(':')
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
        .collect();
    for (name, mirror) in tables(registry, "mirrors") {
        let endpoints = mirror.get("endpoint").and_then(toml::Value::as_array);
        let endpoints = endpoints
            .into_iter()
            .flatten()
            .filter_map(|endpoint| endpoint.as_str().map(str::to_owned))
            .collect();
        out.mirrors.insert(name.clone(), endpoints);
    }
    for (host, config) in tables(registry, "configs") {
        if let Some(tls) = config.get("tls").and_then(toml::Value::as_table) {
            out.tls.insert(host.clone(), tls_settings(tls));
        }
        if let Some(auth) = config.get("auth").and_then(toml::Value::as_table) {
            match credentials(auth) {
                Ok(auth) => {
                    out.auths.insert(host.clone(), auth);
                }
                Err(error) => {
                    tracing::warn!(host, %error, "credentials in containerd's configuration");
                }
            }
        }
    }
    out
}

fn tables<'a>(
    table: &'a toml::Table,
    key: &str,
) -> impl Iterator<Item = (&'a String, &'a toml::Table)> {
    table
        .get(key)
        .and_then(toml::Value::as_table)
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name, value.as_table()?)))
}

fn text<'a>(table: &'a toml::Table, key: &str) -> &'a str {
    table
        .get(key)
        .and_then(toml::Value::as_str)
        .unwrap_or_default()
}

fn tls_settings(table: &toml::Table) -> TlsSettings {
    let path = |key| Some(text(table, key)).filter(|path| !path.is_empty());
    let skip = table
        .get("insecure_skip_verify")
        .and_then(toml::Value::as_bool);
    TlsSettings {
        ca_files: path("ca_file").map(PathBuf::from).into_iter().collect(),
        client_pairs: path("cert_file")
            .map(|cert| (PathBuf::from(cert), path("key_file").map(PathBuf::from)))
            .into_iter()
            .collect(),
        verify: if skip == Some(true) {
            Verify::Never
        } else {
            Verify::Always
        },
        ..TlsSettings::default()
    }
}

fn credentials(table: &toml::Table) -> Result<Auth, super::super::auth::AuthError> {
    Auth::from_cri(&AuthFields {
        username: text(table, "username"),
        password: text(table, "password"),
        auth: text(table, "auth"),
        identity_token: text(table, "identitytoken"),
        ..AuthFields::default()
    })
}

impl Containerd {
    /// The hosts of a name by the older generation: its endpoints, or those of `*`, then its own host unless an
    /// endpoint is it.
    pub(super) fn hosts(&self, name: &str) -> Result<Vec<Host>, HostConfigError> {
        let endpoints = self.mirrors.get(name).or_else(|| self.mirrors.get("*"));
        let mut hosts = Vec::new();
        for endpoint in endpoints.into_iter().flatten() {
            let base = endpoint_base(endpoint).ok_or_else(|| HostConfigError {
                path: PathBuf::from("registry.mirrors"),
                reason: format!("the endpoint `{endpoint}` of `{name}` is no URL"),
            })?;
            hosts.push(self.host(base));
        }
        if !hosts.iter().any(|host| host.base.authority == name) {
            let own = if name == "docker.io" {
                "registry-1.docker.io"
            } else {
                name
            };
            if let Some(base) = endpoint_base(own) {
                hosts.push(self.host(base));
            }
        }
        Ok(hosts)
    }

    fn host(&self, base: Base) -> Host {
        let tls = self.tls.get(&base.authority).cloned().unwrap_or_default();
        Host {
            base,
            resolve: true,
            pull: true,
            access: Access {
                tls,
                ..Access::default()
            },
            namespace: None,
            auth: None,
        }
    }
}

/// An endpoint with containerd's defaults: http for loopback, https for the rest, path `/v2` where there is none.
fn endpoint_base(endpoint: &str) -> Option<Base> {
    let with_scheme = if endpoint.contains("://") {
        endpoint.to_owned()
    } else {
        let authority = endpoint.split('/').next().unwrap_or(endpoint);
        let scheme = if is_loopback(split_port(authority).0) {
            "http"
        } else {
            "https"
        };
        format!("{scheme}://{endpoint}")
    };
    let mut base = Base::parse(&with_scheme)?;
    if base.path.is_empty() {
        base.path.push_str("/v2");
    }
    Some(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Containerd {
        interpret(&text.parse().unwrap())
    }

    fn bases(containerd: &Containerd, name: &str) -> Vec<String> {
        containerd
            .hosts(name)
            .unwrap()
            .iter()
            .map(|host| {
                format!(
                    "{:?} {}{}",
                    host.base.scheme, host.base.authority, host.base.path
                )
            })
            .collect()
    }

    const OLD: &str = r#"
version = 2
[plugins."io.containerd.grpc.v1.cri".registry.mirrors."docker.io"]
  endpoint = ["https://m1.example", "http://m2.example:5000/custom"]
[plugins."io.containerd.grpc.v1.cri".registry.mirrors."*"]
  endpoint = ["https://all.example"]
[plugins."io.containerd.grpc.v1.cri".registry.configs."m1.example".tls]
  ca_file = "/ca.pem"
  cert_file = "/c.pem"
  key_file = "/k.pem"
  insecure_skip_verify = true
[plugins."io.containerd.grpc.v1.cri".registry.configs."m1.example".auth]
  username = "u"
  password = "p"
"#;

    #[test]
    fn endpoints_keep_their_order_and_the_name_itself_comes_last() {
        let containerd = parsed(OLD);
        assert_eq!(
            bases(&containerd, "docker.io"),
            [
                "Https m1.example/v2",
                "Http m2.example:5000/custom",
                "Https registry-1.docker.io/v2"
            ]
        );
        assert_eq!(
            bases(&containerd, "quay.io"),
            ["Https all.example/v2", "Https quay.io/v2"]
        );
        assert_eq!(bases(&containerd, "all.example"), ["Https all.example/v2"]);
        assert_eq!(
            bases(&Containerd::default(), "127.0.0.1:5000"),
            ["Http 127.0.0.1:5000/v2"]
        );
    }

    #[test]
    fn tls_and_credentials_belong_to_their_host() {
        let containerd = parsed(OLD);
        let hosts = containerd.hosts("docker.io").unwrap();
        let tls = &hosts[0].access.tls;
        assert_eq!(tls.ca_files, [PathBuf::from("/ca.pem")]);
        assert_eq!(
            tls.client_pairs,
            [(PathBuf::from("/c.pem"), Some(PathBuf::from("/k.pem")))]
        );
        assert_eq!(tls.verify, Verify::Never);
        assert_eq!(hosts[2].access.tls, TlsSettings::default());
        assert_eq!(containerd.auths.keys().collect::<Vec<_>>(), ["m1.example"]);
    }

    #[test]
    fn both_plugin_names_are_known() {
        for plugin in PLUGINS {
            let text = format!("[plugins.'{plugin}'.registry]\nconfig_path = '/a:/b'");
            assert_eq!(
                parsed(&text).config_path,
                [PathBuf::from("/a"), PathBuf::from("/b")],
                "{plugin}"
            );
        }
    }

    #[test]
    fn imports_are_merged_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        let path = |value: &str| {
            format!("[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = '{value}'\n")
        };
        std::fs::create_dir(dir.path().join("conf.d")).unwrap();
        write(
            "config.toml",
            &format!("imports = ['conf.d/*.toml']\n{}", path("/main")),
        );
        write("conf.d/10.toml", &path("/ten"));
        write("conf.d/20.toml", &path("/twenty"));
        write("conf.d/30.bak", &path("/backup"));
        let read = |trace: &mut Trace| read(&dir.path().join("config.toml"), trace).unwrap();
        assert_eq!(
            read(&mut Trace::default()).config_path,
            [PathBuf::from("/twenty")]
        );
        let snapshot = files::Snapshot::make(|trace| read(trace));
        assert!(snapshot.is_current());
        write("conf.d/40.toml", &path("/forty"));
        assert!(!snapshot.is_current());
    }

    #[test]
    fn a_missing_file_is_empty_and_a_broken_one_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        assert_eq!(
            read(&path, &mut Trace::default()),
            Ok(Containerd::default())
        );
        std::fs::write(&path, "[plugins").unwrap();
        assert!(read(&path, &mut Trace::default()).is_err());
    }

    #[test]
    fn credentials_are_not_printed() {
        assert!(!format!("{:?}", parsed(OLD)).contains("\"p\""));
    }
}
