//! A real registry (`docker-registry serve`) on loopback, and what is pushed to it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use base64::Engine as _;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri, header};

use crate::daemon::{Daemon, free_port, run};
use crate::http::{request, send, success};
use crate::image::{Blob, INDEX, Image, MANIFEST};
use crate::tokens::Guard;

/// Who is let in.
#[derive(Debug)]
enum Door {
    Open,
    Password { user: String, password: String },
    Tokens(Guard),
}

/// The registry. Its storage outlives a stop.
#[derive(Debug)]
pub struct Registry {
    dir: PathBuf,
    port: u16,
    door: Door,
    daemon: Option<Daemon>,
}

impl Registry {
    /// Starts one in `dir`, open to everyone.
    pub fn start(dir: &Path) -> Result<Self> {
        Self::start_with(dir, Door::Open)
    }

    /// Starts one in `dir` that asks for a user name and a password.
    pub fn start_private(dir: &Path, user: &str, password: &str) -> Result<Self> {
        let door = Door::Password {
            user: user.to_owned(),
            password: password.to_owned(),
        };
        Self::start_with(dir, door)
    }

    /// Starts one in `dir` that asks for a token.
    pub fn start_with_tokens(dir: &Path, guard: Guard) -> Result<Self> {
        Self::start_with(dir, Door::Tokens(guard))
    }

    fn start_with(dir: &Path, door: Door) -> Result<Self> {
        fs::create_dir_all(dir)?;
        if let Door::Password { user, password } = &door {
            write_htpasswd(&dir.join("htpasswd"), user, password)?;
        }
        let mut registry = Self {
            dir: dir.to_owned(),
            port: free_port()?,
            door,
            daemon: None,
        };
        // Another process may take the port between the look and the use.
        for _ in 0..2 {
            if registry.restart().is_ok() {
                return Ok(registry);
            }
            registry.port = free_port()?;
        }
        registry.restart()?;
        Ok(registry)
    }

    /// The loopback port it listens on, the same after a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts it again with the same storage and port.
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        let auth = match &self.door {
            Door::Open => String::new(),
            Door::Password { .. } => format!(
                "auth:\n  htpasswd:\n    realm: private\n    path: {}\n",
                self.dir.join("htpasswd").display()
            ),
            // JSON is YAML.
            Door::Tokens(guard) => format!("auth:\n  token: {}\n", guard.options()),
        };
        let config = self.dir.join("config.yml");
        fs::write(
            &config,
            format!(
                "version: 0.1\nlog: {{level: info}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\n  delete: {{enabled: true}}\nhttp: {{addr: \"127.0.0.1:{}\", relativeurls: true}}\n{auth}",
                self.dir.join("storage").display(),
                self.port
            ),
        )?;
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&config);
        command.env("OTEL_TRACES_EXPORTER", "none");
        let mut daemon =
            Daemon::start("docker-registry", &command, &self.dir.join("registry.log"))?;
        let port = self.port;
        daemon.ready(|| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok())?;
        self.daemon = Some(daemon);
        Ok(())
    }

    /// Stops it.
    pub fn stop(&mut self) -> Result<()> {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill()?;
        }
        Ok(())
    }

    fn authorise(&self, mut request: Request<Bytes>) -> Result<Request<Bytes>> {
        let value = match &self.door {
            Door::Open => return Ok(request),
            Door::Password { user, password } => {
                let token =
                    base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
                format!("Basic {token}")
            }
            Door::Tokens(guard) => {
                let path = request.uri().path().trim_start_matches("/v2/");
                let end = path.find("/blobs/").or_else(|| path.find("/manifests/"));
                let repository = path.get(..end.unwrap_or(path.len())).unwrap_or_default();
                let scope = format!("repository:{repository}:pull,push");
                format!("Bearer {}", guard.token(&[scope])?)
            }
        };
        request
            .headers_mut()
            .insert(header::AUTHORIZATION, value.parse()?);
        Ok(request)
    }

    async fn upload(&self, repository: &str, blob: &Blob) -> Result<()> {
        let path = format!("/v2/{repository}/blobs/{}", blob.digest);
        let head = self.authorise(request(Method::HEAD, self.port, &path, Bytes::new())?)?;
        if send(self.port, head).await?.status().is_success() {
            return Ok(());
        }
        let path = format!("/v2/{repository}/blobs/uploads/");
        let begin = self.authorise(request(Method::POST, self.port, &path, Bytes::new())?)?;
        let begun = success(send(self.port, begin).await?)?;
        let location: Uri = begun
            .headers()
            .get(header::LOCATION)
            .context("no upload location")?
            .to_str()?
            .parse()?;
        let place = location
            .path_and_query()
            .context("no upload path")?
            .as_str();
        let joint = if place.contains('?') { '&' } else { '?' };
        let path = format!("{place}{joint}digest={}", blob.digest);
        let put = self.authorise(request(
            Method::PUT,
            self.port,
            &path,
            blob.bytes.clone().into(),
        )?)?;
        success(send(self.port, put).await?)?;
        Ok(())
    }

    /// Puts a manifest, unchanged, under a tag or digest.
    pub async fn put_manifest(
        &self,
        repository: &str,
        reference: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<()> {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let mut put = request(Method::PUT, self.port, &path, Bytes::copy_from_slice(bytes))?;
        put.headers_mut()
            .insert(header::CONTENT_TYPE, media_type.parse()?);
        success(send(self.port, self.authorise(put)?).await?)
            .with_context(|| format!("cannot put {repository}:{reference}"))?;
        Ok(())
    }

    /// Pushes an image and lets `tag` name it; moves the tag if it exists.
    pub async fn push(&self, repository: &str, tag: &str, image: &Image) -> Result<()> {
        for blob in image.blobs() {
            self.upload(repository, blob).await?;
        }
        for child in image.child_manifests() {
            self.put_manifest(repository, &child.digest, MANIFEST, &child.bytes)
                .await?;
        }
        let (root, media_type) = image.root_with_type();
        self.put_manifest(repository, tag, media_type, &root.bytes)
            .await
    }

    async fn ask(&self, method: Method, repository: &str, name: &str) -> Result<Response<Bytes>> {
        let path = format!("/v2/{repository}/manifests/{name}");
        let mut ask = request(method, self.port, &path, Bytes::new())?;
        for media_type in [MANIFEST, INDEX] {
            ask.headers_mut()
                .append(header::ACCEPT, media_type.parse()?);
        }
        send(self.port, self.authorise(ask)?).await
    }

    /// The manifest or index under a tag or digest; `None`: there is none.
    pub async fn manifest(&self, repository: &str, name: &str) -> Result<Option<Bytes>> {
        let answer = self.ask(Method::GET, repository, name).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        Ok(Some(success(answer)?.into_body()))
    }

    /// The digest that a tag names now.
    pub async fn resolve(&self, repository: &str, tag: &str) -> Result<String> {
        let answer = success(self.ask(Method::HEAD, repository, tag).await?)?;
        Ok(answer
            .headers()
            .get("docker-content-digest")
            .context("no digest")?
            .to_str()?
            .to_owned())
    }

    /// Its access log: one line per request.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.dir.join("registry.log")).unwrap_or_default())
            .into_owned()
    }
}

/// The registry takes bcrypt alone; perl's `crypt` is libxcrypt's, which has it, and perl is on every Debian.
fn write_htpasswd(path: &Path, user: &str, password: &str) -> Result<()> {
    let script = "print crypt($ARGV[0], q($2b$05$abcdefghijklmnopqrstuu))";
    let hash = run(Command::new("perl").args(["-e", script, password]))?;
    fs::write(path, format!("{user}:{hash}\n"))?;
    Ok(())
}

/// Writes `hosts.toml`, so that containerd (and the gate, which reads the same file) reaches `host` at `port`.
pub fn map_host(certs_dir: &Path, host: &str, port: u16) -> Result<()> {
    let dir = certs_dir.join(host);
    fs::create_dir_all(&dir)?;
    fs::write(
        dir.join("hosts.toml"),
        format!(
            "server = \"http://127.0.0.1:{port}\"\n\n[host.\"http://127.0.0.1:{port}\"]\n  capabilities = [\"pull\", \"resolve\"]\n"
        ),
    )?;
    Ok(())
}

/// Writes `hosts.toml` with mirrors that are asked in this order before the server.
pub fn map_mirrors(certs_dir: &Path, host: &str, mirrors: &[u16], server: u16) -> Result<()> {
    let dir = certs_dir.join(host);
    fs::create_dir_all(&dir)?;
    let mut text = format!("server = \"http://127.0.0.1:{server}\"\n");
    for port in mirrors {
        let _ = write!(
            text,
            "\n[host.\"http://127.0.0.1:{port}\"]\n  capabilities = [\"pull\", \"resolve\"]\n"
        );
    }
    fs::write(dir.join("hosts.toml"), text)?;
    Ok(())
}
