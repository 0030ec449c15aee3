//! `certs.d`: one directory per registry name with `hosts.toml`, or with docker's certificate files
//! (containerd `docs/hosts.md`, `core/remotes/docker/config/hosts.go`).

use std::path::{Path, PathBuf};

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use super::super::duration;
use super::super::fetch::Access;
use super::super::files::{self, Trace};
use super::super::tls::{TlsSettings, Verify};
use super::{Base, Host, HostConfigError, default_base};

/// Most hosts of one file that are used.
const MAX_HOSTS: usize = 32;

/// The hosts of `name` from the first of `roots` that knows it; without one, the name's own host.
pub(super) fn hosts(
    roots: &[PathBuf],
    name: &str,
    trace: &mut Trace,
) -> Result<Vec<Host>, HostConfigError> {
    let dir = roots
        .iter()
        .flat_map(|root| candidates(root, name))
        .find(|dir| trace.note(dir).is_some());
    let Some(dir) = dir else {
        return Ok(vec![upstream(name, Settings::default())]);
    };
    let file = dir.join("hosts.toml");
    trace.note(&file);
    let text = files::read_text(&file).map_err(|error| HostConfigError {
        path: file.clone(),
        reason: error.to_string(),
    })?;
    match text.filter(|text| !text.is_empty()) {
        None => certificate_files(&dir, name),
        Some(text) => match parse(&dir, &text, name) {
            Ok(hosts) => Ok(hosts),
            Err(reason) => {
                // containerd does the same, and must be matched.
                tracing::warn!(path = %file.display(), reason, "hosts.toml is ignored: it cannot be read");
                certificate_files(&dir, name)
            }
        },
    }
}

/// Directories that may be about a name, most specific first.
fn candidates(root: &Path, name: &str) -> Vec<PathBuf> {
    let mut out = Vec::new();
    if let Some((host, port)) = name.rsplit_once(':') {
        out.push(root.join(format!("{host}_{port}_")));
    }
    out.push(root.join(name));
    out.push(root.join("_default"));
    out
}

/// What a table of hosts.toml says, host or root level.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Table {
    capabilities: Vec<String>,
    ca: Option<OneOrMany>,
    client: Option<Client>,
    skip_verify: Option<bool>,
    header: toml::Table,
    override_path: bool,
    dial_timeout: String,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Client {
    One(String),
    Many(Vec<Pair>),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Pair {
    Single(String),
    Two([String; 2]),
}

#[derive(Debug, Deserialize)]
struct File {
    #[serde(default)]
    server: String,
    /// In the order of the file.
    #[serde(default)]
    host: toml::Table,
    #[serde(flatten)]
    root: Table,
}

/// What does not depend on the address.
#[derive(Debug)]
struct Settings {
    access: Access,
    resolve: bool,
    pull: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            access: Access::default(),
            resolve: true,
            pull: true,
        }
    }
}

fn parse(dir: &Path, text: &str, name: &str) -> Result<Vec<Host>, String> {
    let file: File = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    if file.host.is_empty() {
        // Not refused: what is pulled is named by digest, wherever containerd goes for it.
        tracing::warn!(
            path = %dir.join("hosts.toml").display(),
            "hosts.toml has no [host] table: containerd 1.6 ignores such a file and asks the registry under its own name"
        );
    }
    let mut hosts = Vec::new();
    for (address, table) in file.host.into_iter().take(MAX_HOSTS) {
        let table: Table = table
            .try_into()
            .map_err(|error: toml::de::Error| error.message().to_owned())?;
        let base = base(&address, table.override_path)?;
        hosts.push(host(base, settings(dir, table)?));
    }
    let override_path = file.root.override_path;
    let settings = settings(dir, file.root)?;
    hosts.push(if file.server.is_empty() {
        upstream(name, settings)
    } else {
        host(base(&file.server, override_path)?, settings)
    });
    Ok(hosts)
}

fn base(address: &str, override_path: bool) -> Result<Base, String> {
    let address = if address.starts_with("http") {
        address.to_owned()
    } else {
        format!("https://{address}")
    };
    let mut base =
        Base::parse(&address).ok_or_else(|| format!("`{address}` is not an http or https URL"))?;
    if !override_path && !base.path.ends_with("/v2") {
        base.path.push_str("/v2");
    }
    Ok(base)
}

fn host(base: Base, settings: Settings) -> Host {
    Host {
        base,
        resolve: settings.resolve,
        pull: settings.pull,
        access: settings.access,
        namespace: None,
        auth: None,
    }
}

/// The name's own host, with the settings of the root level. Its capabilities are all, whatever the file says.
fn upstream(name: &str, settings: Settings) -> Host {
    let (base, verify) = default_base(name);
    let mut host = host(
        base,
        Settings {
            access: settings.access,
            ..Settings::default()
        },
    );
    if let Some(verify) = verify
        && host.access.tls.verify == Verify::Always
    {
        host.access.tls.verify = verify;
    }
    host
}

fn settings(dir: &Path, table: Table) -> Result<Settings, String> {
    let (mut resolve, mut pull) = (table.capabilities.is_empty(), table.capabilities.is_empty());
    for capability in &table.capabilities {
        match capability.to_ascii_lowercase().as_str() {
            "pull" => pull = true,
            "resolve" => resolve = true,
            "push" | "referrers" => {}
            _ => return Err(format!("unknown capability `{capability}`")),
        }
    }
    let ca_files = match table.ca {
        None => Vec::new(),
        Some(OneOrMany::One(path)) => vec![dir.join(path)],
        Some(OneOrMany::Many(paths)) => paths.into_iter().map(|path| dir.join(path)).collect(),
    };
    let client_pairs = match table.client {
        None => Vec::new(),
        Some(Client::One(path)) => vec![(dir.join(path), None)],
        Some(Client::Many(pairs)) => pairs
            .into_iter()
            .map(|pair| match pair {
                Pair::Single(path) => (dir.join(path), None),
                Pair::Two([cert, key]) => (dir.join(cert), Some(dir.join(key))),
            })
            .collect(),
    };
    let dial_timeout = match table.dial_timeout.as_str() {
        "" => None,
        text => Some(duration::parse(text).ok_or_else(|| format!("`{text}` is no duration"))?),
    };
    Ok(Settings {
        access: Access {
            tls: TlsSettings {
                ca_files,
                client_pairs,
                verify: match table.skip_verify {
                    Some(true) => Verify::Never,
                    Some(false) | None => Verify::Always,
                },
                ..TlsSettings::default()
            },
            headers: headers(table.header)?,
            dial_timeout,
            plain_fallback: false,
        },
        resolve,
        pull,
    })
}

fn headers(table: toml::Table) -> Result<HeaderMap, String> {
    let mut out = HeaderMap::new();
    for (name, value) in table {
        let key = HeaderName::try_from(&name).map_err(|_| format!("`{name}` is no header"))?;
        let values = match value {
            toml::Value::String(value) => vec![toml::Value::String(value)],
            toml::Value::Array(values) => values,
            _ => return Err(format!("header `{name}` is neither a string nor a list")),
        };
        for value in values {
            let mut value = value
                .as_str()
                .and_then(|value| HeaderValue::from_str(value).ok())
                .ok_or_else(|| format!("header `{name}` has a value that is no header value"))?;
            // It may be a key for the mirror.
            value.set_sensitive(true);
            out.append(key.clone(), value);
        }
    }
    Ok(out)
}

/// docker's layout: `*.crt` are CAs, `*.cert` with `*.key` are client certificates.
fn certificate_files(dir: &Path, name: &str) -> Result<Vec<Host>, HostConfigError> {
    let error = |error: std::io::Error| HostConfigError {
        path: dir.to_owned(),
        reason: error.to_string(),
    };
    let mut tls = TlsSettings::default();
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(error)? {
        let path = entry.map_err(error)?.path();
        if !path.is_dir() {
            paths.push(path);
        }
    }
    // Go lists directories by name.
    paths.sort();
    for path in paths {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("crt") => tls.ca_files.push(path),
            Some("cert") => {
                let key = path.with_extension("key");
                let key = key.exists().then_some(key);
                tls.client_pairs.push((path, key));
            }
            _ => {}
        }
    }
    let access = Access {
        tls,
        ..Access::default()
    };
    Ok(vec![upstream(
        name,
        Settings {
            access,
            ..Settings::default()
        },
    )])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn parsed(text: &str) -> Result<Vec<Host>, String> {
        parse(Path::new("/certs/r.example"), text, "r.example")
    }

    fn addresses(hosts: &[Host]) -> Vec<String> {
        hosts
            .iter()
            .map(|host| format!("{}{}", host.base.authority, host.base.path))
            .collect()
    }

    #[test]
    fn hosts_keep_the_order_of_the_file_and_the_server_comes_last() {
        let hosts = parsed(
            "server = 'https://up.example'\n[host.'https://z.example']\n[host.'https://a.example']\n\
             [host.'https://a.example'.header]\nx = '1'\n[host.'http://m.example:5000']\n",
        )
        .unwrap();
        assert_eq!(
            addresses(&hosts),
            [
                "z.example/v2",
                "a.example/v2",
                "m.example:5000/v2",
                "up.example/v2"
            ]
        );
    }

    #[test]
    fn without_a_server_the_name_itself_comes_last() {
        let hosts = parsed("[host.'https://m.example']").unwrap();
        assert_eq!(addresses(&hosts), ["m.example/v2", "r.example/v2"]);
    }

    #[test]
    fn every_key_is_understood() {
        let hosts = parsed(
            "[host.'https://m.example/api/']\ncapabilities = ['pull']\nca = 'ca.pem'\n\
             client = [['c.cert', '/k/c.key'], 'both.pem']\nskip_verify = true\noverride_path = true\n\
             dial_timeout = '1500ms'\n[host.'https://m.example/api/'.header]\nx-one = 'a'\nx-two = ['b', 'c']\n",
        )
        .unwrap();
        let host = &hosts[0];
        assert_eq!(host.base.path, "/api");
        assert!(host.pull && !host.resolve);
        assert_eq!(
            host.access.tls.ca_files,
            [PathBuf::from("/certs/r.example/ca.pem")]
        );
        assert_eq!(
            host.access.tls.client_pairs,
            [
                (
                    PathBuf::from("/certs/r.example/c.cert"),
                    Some(PathBuf::from("/k/c.key"))
                ),
                (PathBuf::from("/certs/r.example/both.pem"), None)
            ]
        );
        assert_eq!(host.access.tls.verify, Verify::Never);
        assert_eq!(host.access.dial_timeout, Some(Duration::from_millis(1500)));
        assert_eq!(host.access.headers.get_all("x-two").iter().count(), 2);
    }

    #[test]
    fn paths_get_the_api_version_unless_overridden() {
        for (text, path) in [
            ("server = 'https://a.example'", "/v2"),
            ("server = 'a.example/'", "/v2"),
            ("server = 'https://a.example/v2'", "/v2"),
            ("server = 'https://a.example/harbor'", "/harbor/v2"),
            ("server = 'https://a.example/x'\noverride_path = true", "/x"),
            ("server = 'https://a.example'\noverride_path = true", ""),
        ] {
            assert_eq!(parsed(text).unwrap()[0].base.path, path, "{text}");
        }
    }

    #[test]
    fn what_containerd_refuses_is_refused() {
        for text in [
            "capabilities = ['fly']",
            "server = 'ftp//x y'",
            "dial_timeout = 'soon'",
            "ca = 1",
            "[header]\nx = 1",
            "[host.'https://a'",
        ] {
            assert!(parsed(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_first_directory_that_matches_is_used() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let find = |name: &str| {
            let hosts = hosts(
                &[root.join("missing"), root.to_owned()],
                name,
                &mut Trace::default(),
            );
            addresses(&hosts.unwrap())[0].clone()
        };
        for (made, name, wanted) in [
            ("_default", "r.example:5000", "default.example/v2"),
            ("r.example:5000", "r.example:5000", "plain.example/v2"),
            ("r.example_5000_", "r.example:5000", "underscore.example/v2"),
        ] {
            let host_dir = root.join(made);
            std::fs::create_dir(&host_dir).unwrap();
            let server = wanted.trim_end_matches("/v2");
            std::fs::write(host_dir.join("hosts.toml"), format!("server = '{server}'")).unwrap();
            assert_eq!(find(name), wanted);
        }
        assert_eq!(find("other.example"), "default.example/v2");
    }

    #[test]
    fn dockers_certificate_files_are_used_where_there_is_no_hosts_toml_or_a_broken_one() {
        let dir = tempfile::tempdir().unwrap();
        let host_dir = dir.path().join("r.example");
        std::fs::create_dir(&host_dir).unwrap();
        for file in [
            "ca.crt",
            "client.cert",
            "client.key",
            "other.cert",
            "README",
        ] {
            std::fs::write(host_dir.join(file), "").unwrap();
        }
        let roots = [dir.path().to_owned()];
        let found = || hosts(&roots, "r.example", &mut Trace::default()).unwrap();
        let tls = &found()[0].access.tls;
        assert_eq!(tls.ca_files, [host_dir.join("ca.crt")]);
        assert_eq!(
            tls.client_pairs,
            [
                (
                    host_dir.join("client.cert"),
                    Some(host_dir.join("client.key"))
                ),
                (host_dir.join("other.cert"), None)
            ]
        );
        std::fs::write(host_dir.join("hosts.toml"), "= broken").unwrap();
        assert_eq!(found()[0].access.tls.ca_files.len(), 1);
    }
}
