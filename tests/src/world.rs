//! Public names that lead to this machine: an https proxy that knows where they are, and an authority for their certificates.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;

use anyhow::{Result, bail, ensure};

use crate::daemon::run;
use crate::liar::Tls;

/// Longest request to the proxy that is read.
const MAX_REQUEST: usize = 16 << 10;

/// The names, each a server of its own, and nothing else: no other host answers.
#[derive(Debug)]
pub struct World {
    dir: PathBuf,
    proxy: u16,
}

impl World {
    /// One authority in `dir`, with a certificate for all of `names`.
    pub fn make(dir: &Path, names: &[&str]) -> Result<Self> {
        let curve = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        openssl(
            dir,
            &format!(
                "req -x509 {curve} -days 30 -subj /CN=world -keyout ca.key -out ca.crt -addext keyUsage=critical,keyCertSign"
            ),
        )?;
        openssl(
            dir,
            &format!("req -new {curve} -subj /CN=server -keyout server.key -out server.csr"),
        )?;
        let names: Vec<String> = names.iter().map(|name| format!("DNS:{name}")).collect();
        fs::write(
            dir.join("server.ext"),
            format!(
                "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\nsubjectAltName={}\n",
                names.join(",")
            ),
        )?;
        openssl(
            dir,
            "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile server.ext -out server.crt",
        )?;
        Ok(Self {
            dir: dir.to_owned(),
            proxy: 0,
        })
    }

    /// What a server of one of the names shows.
    pub fn tls(&self) -> Tls {
        Tls {
            certificate: self.dir.join("server.crt"),
            key: self.dir.join("server.key"),
            ca: None,
        }
    }

    /// From now on the names lead to these loopback ports. The proxy lives as long as this process.
    pub fn lead(&mut self, ports: BTreeMap<String, u16>) -> Result<()> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        self.proxy = listener.local_addr()?.port();
        let ports = Arc::new(ports);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let ports = Arc::clone(&ports);
                // Whoever breaks off mid-way sees it.
                thread::spawn(move || tunnel(client, &ports).ok());
            }
        });
        Ok(())
    }

    /// Lets `command` see this world and no other.
    pub fn show(&self, command: &mut Command) {
        let proxy = format!("http://127.0.0.1:{}", self.proxy);
        for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"] {
            command.env(name, &proxy);
        }
        command.env_remove("NO_PROXY").env_remove("no_proxy");
        command.env("SSL_CERT_FILE", self.dir.join("ca.crt"));
        command.env("SSL_CERT_DIR", self.dir.join("none"));
    }
}

fn openssl(dir: &Path, arguments: &str) -> Result<()> {
    run(Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(dir))?;
    Ok(())
}

/// `CONNECT name:443`, and then bytes both ways.
fn tunnel(mut client: TcpStream, ports: &BTreeMap<String, u16>) -> Result<()> {
    let mut head = Vec::new();
    // Byte for byte: what comes behind the head is for the server.
    while !head.ends_with(b"\r\n\r\n") {
        ensure!(head.len() < MAX_REQUEST, "a request without end");
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut words = head.split_whitespace();
    let (Some("CONNECT"), Some(target)) = (words.next(), words.next()) else {
        client.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")?;
        bail!("not CONNECT: {head}");
    };
    let Some(port) = target.strip_suffix(":443").and_then(|name| ports.get(name)) else {
        client.write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n")?;
        bail!("nobody is {target}");
    };
    let mut server = TcpStream::connect(("127.0.0.1", *port))?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    let there = thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let _ = io::copy(&mut server, &mut client);
    let _ = client.shutdown(Shutdown::Write);
    let _ = there.join();
    Ok(())
}
