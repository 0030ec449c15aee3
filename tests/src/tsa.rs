//! A timestamp authority (RFC 3161): `openssl ts` behind HTTP on loopback.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use http::header::{CONTENT_TYPE, HeaderValue};

use crate::daemon::run;
use crate::liar::{Liar, Reply, json, status};
use crate::pki::{Pki, Profile};

/// The authority. It listens until it is dropped.
#[derive(Debug)]
pub struct Tsa {
    front: Liar,
    pki: Pki,
}

impl Tsa {
    /// Starts one with certificates of its own in `dir`.
    pub fn start(dir: &Path) -> Result<Self> {
        let pki = Pki::new(dir);
        pki.root("stamp-root")?;
        pki.issue("stamp", "stamp-root", Profile::Timestamps, 2000)?;
        // No accuracy: a stamp that may be a second early would be too early for a certificate of the same second.
        fs::write(
            dir.join("tsa.cnf"),
            "[tsa]\ndefault_tsa=t\n[t]\nserial=serial\nsigner_cert=stamp.crt\ncerts=stamp-root.crt\nsigner_key=stamp.key\n\
             signer_digest=sha256\ndefault_policy=1.3.6.1.4.1.99999.1\ndigests=sha256,sha384,sha512\n\
             ordering=no\ntsa_name=no\ness_cert_id_chain=no\ness_cert_id_alg=sha256\n",
        )?;
        let front = Liar::start(0, None)?;
        let dir = dir.to_owned();
        front.says(move |asked| {
            Reply::Lie(match stamp(&dir, &asked.bytes) {
                Ok(stamped) => {
                    let mut answer = json(stamped);
                    let kind = HeaderValue::from_static("application/timestamp-reply");
                    answer.headers_mut().insert(CONTENT_TYPE, kind);
                    answer
                }
                Err(error) => {
                    println!("the timestamp authority: {error:#}");
                    status(500)
                }
            })
        });
        Ok(Self { front, pki })
    }

    /// Where it is asked.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.front.port())
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.front.asked().len()
    }

    /// Its certificate and its root's, PEM.
    pub fn chain(&self) -> PathBuf {
        self.pki.file("stamp", "chain")
    }

    /// Its root's certificate, PEM.
    pub fn root(&self) -> PathBuf {
        self.pki.file("stamp-root", "crt")
    }
}

/// One question at a time: the front has one thread.
fn stamp(dir: &Path, question: &[u8]) -> Result<Vec<u8>> {
    fs::write(dir.join("question.tsq"), question)?;
    let mut command = Command::new("openssl");
    command.args(["ts", "-reply", "-config", "tsa.cnf"]);
    command.args(["-queryfile", "question.tsq", "-out", "answer.tsr"]);
    run(command.current_dir(dir))?;
    Ok(fs::read(dir.join("answer.tsr"))?)
}
